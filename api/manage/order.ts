import { asc, inArray, type SQL, sql } from 'drizzle-orm'
import type { Context } from 'hono'
import { v7 } from 'uuid'
import { audited, type Tx } from '../audit/audited.ts'
import { type Action, COMMAND_LIFE_MS } from '../contract/commands.ts'
import type { MODES } from '../contract/door-mode.ts'
import { commands, doors, readers } from '../db/schema.ts'
import { InvalidFields } from '../errors.ts'
import { rationed } from '../login/limits.ts'
import type { AppEnv, Db, Platform } from '../platform.ts'
import { pollUntil } from '../poll.ts'
import { inForce, readersOfDoor } from './in-force.ts'

/** What somebody wants of which doors and readers; `until` is for `hold` and `lock`, null is until it is released. */
export type Order = {
  action: Action
  doorIds: string[]
  readerIds: string[]
  reason: string | null
  until: Date | null
}

type Row = typeof commands.$inferSelect

/** How often to look what came of it, and how long a bridge may take to say so that has a command in its hands. Milliseconds. */
const EVERY_MS = 100
const GRACE_MS = 1_500

/**
 * Has doors do something: on record, each as a command of its own, and answered when it is known of all what came of them,
 * or nobody has said so in time. What holds or locks a door is an order that stands, whoever carries it out and when:
 * bridges find it in the site.
 */
export const order = async (c: Context<AppEnv>, wanted: Order): Promise<Row[]> => {
  await rationed(c, 'commands')
  const rows = await audited(c, 'commands.create', async (tx) => {
    const made = await write(tx, c, wanted)
    return { target: targetOf(wanted), after: { ...wanted, ids: made.map(({ id }) => id) }, answer: made }
  })
  return settled(c.env, rows)
}

const targetOf = ({ doorIds: [door, ...doors], readerIds: [reader, ...readers] }: Order) => {
  if (door !== undefined && doors.length === 0 && reader === undefined) return { kind: 'door', id: door }
  if (reader !== undefined && readers.length === 0 && door === undefined) return { kind: 'reader', id: reader }
  return undefined
}

const MODE: Record<Exclude<Action, 'open'>, (typeof MODES)[number]> = {
  hold: 'held',
  lock: 'locked',
  release: 'scheduled',
}

const write = async (tx: Tx, c: Context<AppEnv>, { action, doorIds, readerIds, reason, until }: Order) => {
  const { caller } = c.var
  const at = c.env.now()
  const places = [...(await doorsOf(tx, doorIds, at)), ...(await readersOf(tx, readerIds, at))]
  const isOpening = action === 'open' || action === 'hold'
  const rows = places.map(({ lockedDown, ...place }) => ({
    ...{ id: v7(), action, reason, until, actorKind: caller.kind, actorId: caller.id, createdAt: at, ...place },
    expiresAt: new Date(at.getTime() + COMMAND_LIFE_MS),
    ...(isOpening && lockedDown && ({ state: 'refused', detail: 'locked_down', settledAt: at } as const)),
  }))
  const ordered = rows.flatMap(({ doorId, state }) => (doorId === null || state !== undefined ? [] : [doorId]))
  if (action !== 'open' && ordered.length > 0) {
    await tx.update(doors).set({ mode: MODE[action], modeUntil: until }).where(inArray(doors.id, ordered))
  }
  return tx.insert(commands).values(rows).returning()
}

/** Locked down, and not open to all at the same time: who has to get out comes first, as in contract/door-mode.ts. */
const lockedDown = (its: SQL, at: Date) =>
  sql<boolean>`(${inForce('lockdown', its, at)} and not ${inForce('evacuation', its, at)})`

/** In one order, so that two orders for the same doors wait for each other, and not each for the other. */
const doorsOf = async (tx: Tx, ids: string[], at: Date) => {
  if (ids.length === 0) return []
  const found = await tx
    .select({ id: doors.id, lockedDown: lockedDown(readersOfDoor, at) })
    .from(doors)
    .where(inArray(doors.id, ids))
    .orderBy(asc(doors.id))
    .for('no key update')
  const known = new Map(found.map((door) => [door.id, door]))
  refuseMistakes('doorIds', ids, (id) => (known.has(id) ? undefined : 'there is no such door'))
  return found.map(({ id, lockedDown }) => ({ doorId: id, readerId: null, lockedDown }))
}

const readersOf = async (tx: Tx, ids: string[], at: Date) => {
  if (ids.length === 0) return []
  const found = await tx
    .select({ id: readers.id, doorId: readers.doorId, lockedDown: lockedDown(sql`readers.id`, at) })
    .from(readers)
    .where(inArray(readers.id, ids))
    .orderBy(asc(readers.id))
  const known = new Map(found.map((reader) => [reader.id, reader]))
  refuseMistakes('readerIds', ids, (id) => {
    const reader = known.get(id)
    if (!reader) return 'there is no such reader'
    return reader.doorId === null ? undefined : 'has a door: name that'
  })
  return found.map(({ id, lockedDown }) => ({ doorId: null, readerId: id, lockedDown }))
}

const refuseMistakes = (field: string, ids: string[], mistakeIn: (id: string) => string | undefined): void => {
  const mistakes = ids.flatMap((id, place) => {
    const message = mistakeIn(id)
    return message === undefined ? [] : [{ path: `${field}.${place}`, message }]
  })
  if (mistakes.length > 0) throw new InvalidFields(mistakes)
}

/** Waits until all of them are settled; those of which nobody has said anything in time have timed out. */
const settled = async (env: Platform, rows: Row[]): Promise<Row[]> => {
  const { db, now } = env
  const ids = rows.filter(({ state }) => state === 'waiting').map(({ id }) => id)
  if (ids.length === 0) return rows
  const patience = { everyMs: EVERY_MS, forMs: COMMAND_LIFE_MS + GRACE_MS }
  await pollUntil(env, patience, async () => ((await underWay(db, ids, now())) ? undefined : 'settled'))
  await giveUp(db, ids, now())
  const all = rows.map(({ id }) => id)
  return db.select().from(commands).where(inArray(commands.id, all)).orderBy(asc(commands.id))
}

/** In a bridge's hands, or may still be taken by one. */
const underWay = async (db: Db, ids: string[], at: Date): Promise<boolean> => {
  const [one] = await db
    .select({ id: commands.id })
    .from(commands)
    .where(
      sql`${inArray(commands.id, ids)} and (${commands.state} = 'taken'
        or ${commands.state} = 'waiting' and ${commands.expiresAt} > ${at.toISOString()}::timestamptz)`,
    )
    .limit(1)
  return one !== undefined
}

/** No bridge gets them any more. Locked in one order, as a bridge may just be saying what became of them. */
const giveUp = (db: Db, ids: string[], at: Date) => {
  const lost = sql`${inArray(commands.id, ids)} and ${commands.state} in ('waiting', 'taken')`
  const theirs = db.select({ id: commands.id }).from(commands).where(lost).orderBy(asc(commands.id)).for('update')
  return db.update(commands).set({ state: 'timed_out', settledAt: at }).where(inArray(commands.id, theirs))
}
