import { sql } from 'drizzle-orm'
import { record, type Tx } from '../audit/audited.ts'
import { messageOf } from '../cause.ts'
import type { Platform } from '../platform.ts'
import { done, failed } from '../upkeep.ts'
import { CLASSES, type Class } from './classes.ts'
import { removeOldAudit } from './old-audit.ts'

type World = Pick<Platform, 'config' | 'db' | 'now' | 'log'>

/** What was removed of a class: how many, and from before when. */
export type Removed = { removed: number; before: string }

const DAY_MS = 86_400_000

/** So many rows are one transaction: some ten milliseconds, in which no door waits for more than its share. */
const AT_ONCE = 1_000

/** A run ends after so long, and the next day goes on: a Worker's cron has a quarter of an hour, of which erasures may take four minutes. */
const MOST_MS = 8 * 60_000

const BEGINNING = new Date(0)

/** As long as the batch before took: half of the time belongs to everybody else. */
const breathe = (ms: number) => new Promise((resolve) => setTimeout(resolve, Math.max(ms, 5)))

type Detail = { underway?: Record<string, Removed> }

/**
 * What this run has removed by now, with its row locked until the transaction ends: two that run at once take turns.
 * Written with each batch, so that what was removed comes on record also where the process ended before.
 */
const underwayOf = async (tx: Tx): Promise<Record<string, Removed>> => {
  const [row] = await tx.execute<{ detail: Detail }>(sql`select detail from upkeep where task = 'retention' for update`)
  return row?.detail.underway ?? {}
}

const begin = ({ db, now }: World) =>
  db.execute(sql`
    insert into upkeep (task, tried_at) values ('retention', ${now().toISOString()}::timestamptz)
    on conflict (task) do update set tried_at = excluded.tried_at`)

const removeBatch = ({ db }: World, { name, remove }: Class, since: Date, before: Date) =>
  db.transaction(async (tx) => {
    const underway = await underwayOf(tx)
    const { removed, reached } = await remove(tx, { since, before, most: AT_ONCE })
    if (removed > 0) {
      const all = { removed: (underway[name]?.removed ?? 0) + removed, before: before.toISOString() }
      const detail = JSON.stringify({ underway: { ...underway, [name]: all } })
      await tx.execute(sql`update upkeep set detail = detail || ${detail}::jsonb where task = 'retention'`)
    }
    return { removed, reached }
  })

/** All of a class that is too old, oldest first. Gives whether none of it is left. */
const removeClass = async (world: World, one: Class, until: number): Promise<boolean> => {
  const { now, config } = world
  const before = new Date(now().getTime() - one.days(config) * DAY_MS)
  let since = BEGINNING
  while (now().getTime() < until) {
    const began = performance.now()
    const { removed, reached } = await removeBatch(world, one, since, before)
    if (removed < AT_ONCE) return true
    since = reached ?? since
    await breathe(performance.now() - began)
  }
  return false
}

/** The audit log's turn, and the row that says what went: in one transaction, or its chain would begin where none says so. */
const finish = ({ db, config, now }: World, whole: boolean) =>
  db.transaction(async (tx) => {
    const at = now()
    const underway = await underwayOf(tx)
    const before = new Date(at.getTime() - config.KEEP_AUDIT_DAYS * DAY_MS)
    const audit = await removeOldAudit(tx, config.APP_KEY, before, at)
    const removed = { ...underway, ...(audit && { audit }) }
    await done(tx, 'retention', at, { removed, whole: whole && !audit?.more })
    const by = { at, address: null, actor: { kind: 'system', id: null } } as const
    const { more = false, ...last } = audit ?? {}
    const after = { ...underway, ...(audit && { audit: last }) }
    if (Object.keys(after).length > 0) await record(tx, by, 'retention.run', { after })
    return more
  })

/**
 * Removes what is older than it is kept, in small transactions, and puts on record what that was: one row of the audit log,
 * or none where nothing went. Never throws: tomorrow comes again.
 */
export const removeOld = async (world: World): Promise<void> => {
  const { db, now, log } = world
  try {
    const until = now().getTime() + MOST_MS
    await begin(world)
    let whole = true
    for (const one of CLASSES) whole = (await removeClass(world, one, until)) && whole
    while ((await finish(world, whole)) && now().getTime() < until) await breathe(0)
    log('info', 'retention', { whole })
  } catch (error) {
    const why = messageOf(error)
    log('error', 'retention_failed', { error: why })
    await failed(db, 'retention', now(), why).catch(() =>
      log('error', 'retention_failed', { error: 'not written down' }),
    )
  }
}
