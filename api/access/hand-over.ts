import { Hono } from 'hono'
import * as v from 'valibot'
import { CALLS, SEALED, seal } from '../contract/envelope.ts'
import { type HandedOver, HandOver } from '../contract/hand-over.ts'
import { decisionOf } from '../contract/scan.ts'
import { doc, sealed } from '../docs.ts'
import { invalid } from '../errors.ts'
import type { AppEnv, Db } from '../platform.ts'
import { AHEAD_MS } from './check.ts'
import { confirm, goodGenerations, unseal } from './keys.ts'

const { ask, answer } = CALLS.events

/**
 * Write down what a bridge had decided itself. An event that is on record already stays as it is, unless what the door got
 * is now known and was not: where the API had decided in vain (its answer came too late, or not at all), where the record
 * was only supposed, and where what was to open the door did not go out. A trigger keeps what the record said before.
 */
const recordHandedOver = async ({ $client: sql }: Db, bridgeId: string, now: Date, events: HandedOver[]) => {
  // Twice in one statement would be an error: what the door got counts before what is only supposed, and then the last.
  const inOrder = [...events].sort((a, b) => Number(a.answered) - Number(b.answered))
  const rows = new Map(
    inOrder.map(({ at, ...event }) => {
      // As JavaScript reads it: Postgres knows fewer offsets.
      const row = { ...event, at: new Date(at).toISOString(), decision: decisionOf(event.reason) }
      return [event.id, row]
    }),
  )
  await sql`
    insert into events (id, at, received_at, reader_id, card_number, card_id, person_id, decision, reason, source,
      bridge_id, open_ms, snapshot, answered)
    select e.id, e.at, ${now.toISOString()}::timestamptz, e."readerId", e.card, e."cardId", e."personId", e.decision,
      e.reason, 'offline', ${bridgeId}::uuid, e."openMs", e.snapshot, e.answered
    from json_to_recordset(${JSON.stringify([...rows.values()])}::json) as e(id uuid, at timestamptz, "readerId" uuid,
      card text, "cardId" uuid, "personId" uuid, decision text, reason text, "openMs" int, snapshot text, answered bool)
    order by e.id
    on conflict (id) do update set
      card_id = excluded.card_id, person_id = excluded.person_id, decision = excluded.decision, reason = excluded.reason,
      source = excluded.source, open_ms = excluded.open_ms, snapshot = excluded.snapshot, answered = excluded.answered
    where excluded.answered and events.bridge_id = excluded.bridge_id and events.reader_id = excluded.reader_id
      and (events.source = 'online' or not events.answered
        or (events.decision = 'granted' and excluded.reason in ('late', 'unavailable')))`
}

/** Take over what a bridge recorded while it could not ask. */
export const handOver = new Hono<AppEnv>().post(
  '/events',
  doc('bridges', 'Record what a bridge decided while the API was away', sealed),
  async (c) => {
    const { db, now } = c.env
    const { bridge, message, mark } = await unseal(c.env, await c.req.text(), ask)
    const { events } = v.parse(HandOver, message)
    const sql = db.$client
    const [row] = await sql<{ generations: number[] }[]>`
      select ${goodGenerations(sql)} as generations from bridges b where id = ${bridge.id}`
    confirm(c.env, bridge, row?.generations ?? [])
    for (const [place, { at }] of events.entries()) {
      if (Date.parse(at) > now().getTime() + AHEAD_MS) invalid(`events.${place}.at`, 'is in the future')
    }
    await recordHandedOver(db, bridge.id, now(), events)

    const reply = { ...mark, recorded: events.length }
    return c.body(await seal(reply, answer, bridge.id, bridge.key, now()), 200, { 'content-type': SEALED })
  },
)
