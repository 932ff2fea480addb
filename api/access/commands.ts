import { Hono } from 'hono'
import * as v from 'valibot'
import {
  type Command,
  type CommandsAnswer,
  CommandsAsk,
  MOST_COMMANDS,
  type Outcome,
  OutcomesAsk,
} from '../contract/commands.ts'
import { CALLS, SEALED, seal } from '../contract/envelope.ts'
import { doc, sealed } from '../docs.ts'
import type { AppEnv, Db } from '../platform.ts'
import { pollUntil } from '../poll.ts'
import { confirm, confirmNow, goodGenerations, unseal } from './keys.ts'
import { siteVersion } from './site.ts'

/** How often to look whether there is something for a bridge that waits. Milliseconds. */
const EVERY_MS = 300

type Look = { generations: number[]; version: string; waiting: boolean }

/** Whether there is something to tell, and whether this bridge may still be told, in one statement. */
const lookFor = async ({ $client: sql }: Db, bridgeId: string, now: Date): Promise<Look | undefined> => {
  const [row] = await sql<Look[]>`
    select ${goodGenerations(sql)} as generations, ${siteVersion(sql)} as version,
      exists (select from commands where state = 'waiting' and expires_at > ${now.toISOString()}) as waiting
    from bridges b where id = ${bridgeId}`
  return row
}

/** All that wait and are not too late are this bridge's from now on: no other bridge, and no other question, gets them. */
const claim = async ({ $client: sql }: Db, bridgeId: string, now: Date): Promise<Command[]> => {
  const rows = await sql<(Omit<Command, 'expiresAt'> & { expiresAt: Date })[]>`
    with next as materialized (
      select id from commands where state = 'waiting' and expires_at > ${now.toISOString()}
      order by created_at, id limit ${MOST_COMMANDS} for update skip locked)
    update commands c set state = 'taken', bridge_id = ${bridgeId} from next where c.id = next.id
    returning c.id, c.action, c.door_id as "doorId", c.reader_id as "readerId", c.expires_at as "expiresAt"`
  return rows.map(({ expiresAt, ...command }) => ({ ...command, expiresAt: new Date(expiresAt).toISOString() }))
}

/**
 * What the bridge that took a command says of it counts, once, and also when the command was given up as timed out before:
 * that was only what nobody knew better. Rows are locked in one order, as whoever gives commands up does it too.
 */
const settle = async ({ $client: sql }: Db, bridgeId: string, now: Date, outcomes: Outcome[]): Promise<number> => {
  const once = [...new Map(outcomes.map((outcome) => [outcome.id, outcome])).values()]
  const noted = await sql`
    with theirs as materialized (
      select c.id, o.state, o.detail from commands c
      join json_to_recordset(${JSON.stringify(once)}::json) as o(id uuid, state text, detail text) on o.id = c.id
      where c.bridge_id = ${bridgeId} and c.state in ('taken', 'timed_out') order by c.id for update of c)
    update commands c set state = t.state, detail = t.detail, settled_at = ${now.toISOString()}
    from theirs t where c.id = t.id returning c.id`
  return noted.length
}

/**
 * What somebody wants doors to do, for the bridge that asks first; and at once when the site is another one. Not over the
 * connections of the scan path: however many bridges wait here, no door does.
 */
export const commands = new Hono<AppEnv>()
  .post('/commands', doc('bridges', 'Wait for commands, and for changes of the site', sealed), async (c) => {
    const { db, now, closing } = c.env
    const { bridge, message, mark } = await unseal(c.env, await c.req.text(), CALLS.commands.ask)
    const has = v.parse(CommandsAsk, message)
    const gone = c.req.raw.signal

    let version = ''
    const look = async (): Promise<CommandsAnswer | undefined> => {
      // Nobody would carry out what is taken for a bridge that has hung up.
      if (gone.aborted) return undefined
      const row = await lookFor(db, bridge.id, now())
      confirm(c.env, bridge, row?.generations ?? [])
      version = row?.version ?? ''
      const commands = row?.waiting ? await claim(db, bridge.id, now()) : []
      return commands.length > 0 || version !== has.version ? { version, commands } : undefined
    }
    const found = await pollUntil(c.env, { everyMs: EVERY_MS, forMs: has.waitMs, gone }, look)

    // Else a process that is about to end would be asked over this connection again and again until it has.
    if (closing.aborted) c.header('connection', 'close')
    const reply = { ...mark, ...(found ?? { version, commands: [] }) }
    const answer = await seal(reply, CALLS.commands.answer, bridge.id, bridge.key, now())
    return c.body(answer, 200, { 'content-type': SEALED })
  })
  .post('/outcomes', doc('bridges', 'Say what became of commands', sealed), async (c) => {
    const { db, now } = c.env
    const { bridge, message, mark } = await unseal(c.env, await c.req.text(), CALLS.outcomes.ask)
    const { outcomes } = v.parse(OutcomesAsk, message)
    await confirmNow(c.env, db, bridge)
    const reply = { ...mark, noted: await settle(db, bridge.id, now(), outcomes) }
    const answer = await seal(reply, CALLS.outcomes.answer, bridge.id, bridge.key, now())
    return c.body(answer, 200, { 'content-type': SEALED })
  })
