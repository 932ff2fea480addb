import { Hono } from 'hono'
import * as v from 'valibot'
import { keysOfScan } from '../contract/card-views.ts'
import { CALLS, SEALED, seal } from '../contract/envelope.ts'
import { type HandedOver, HandOver } from '../contract/hand-over.ts'
import { DECISIONS, decisionOf, type Reason, readersReason } from '../contract/scan.ts'
import { doc, sealed } from '../docs.ts'
import { invalid } from '../errors.ts'
import type { AppEnv, Db } from '../platform.ts'
import { AHEAD_MS } from './check.ts'
import { confirmNow, unseal } from './keys.ts'

const { ask, answer } = CALLS.events

/**
 * Write down what a bridge had decided itself. An event that is on record already stays as it is, unless what the door got
 * is now known and was not: where the API had decided in vain (its answer came too late, or not at all), where the record
 * was only supposed, and where what was to open the door did not go out. A trigger keeps what the record said before. What a
 * reader decided by itself is what happened, and is never corrected; whose card it was is looked up here if the bridge did
 * not know.
 */
const recordHandedOver = async ({ $client: sql }: Db, bridgeId: string, now: Date, events: HandedOver[]) => {
  // Twice in one statement would be an error: what the door got counts before what is only supposed, and then the last.
  const inOrder = [...events].sort((a, b) => Number(a.answered) - Number(b.answered))
  const rows = new Map(
    inOrder.map(({ at, ...event }) => {
      // As JavaScript reads it: Postgres knows fewer offsets.
      const row = { ...event, at: new Date(at).toISOString(), decision: decisionOf(event.reason), ...sourceOf(event) }
      return [event.id, row]
    }),
  )
  await sql`
    insert into events (id, at, received_at, reader_id, card_number, card_id, person_id, decision, reason, source,
      bridge_id, open_ms, snapshot, answered)
    select e.id, e.at, ${now.toISOString()}::timestamptz, e."readerId", e.card, coalesce(e."cardId", (c.ids ->> 0)::uuid),
      coalesce(e."personId", (c.people ->> 0)::uuid), e.decision, e.reason, e.source, ${bridgeId}::uuid, e."openMs",
      e.snapshot, e.answered
    from json_to_recordset(${JSON.stringify([...rows.values()])}::json) as e(id uuid, at timestamptz, "readerId" uuid,
      card text, "cardId" uuid, "personId" uuid, decision text, reason text, source text, keys json, "openMs" int,
      snapshot text, answered bool)
    left join lateral (
      select json_agg(id) as ids, json_agg(person_id) as people from (
        select cards.id, cards.person_id from readers r
        join card_keys k on k.view = r.card_view and k.key = e.keys ->> r.card_view
        join cards on cards.id = k.card_id
        where r.id = e."readerId" limit 2
      ) found having count(*) = 1
    ) c on true
    order by e.id
    on conflict (id) do update set
      card_id = excluded.card_id, person_id = excluded.person_id, decision = excluded.decision, reason = excluded.reason,
      source = excluded.source, open_ms = excluded.open_ms, snapshot = excluded.snapshot, answered = excluded.answered
    where excluded.answered and events.bridge_id = excluded.bridge_id and events.reader_id = excluded.reader_id
      and events.source <> 'reader' and (events.source = 'online' or not events.answered
        or (events.decision = 'granted' and excluded.reason in ('late', 'unavailable')))`
}

const BY_READER: readonly Reason[] = DECISIONS.map(readersReason)

/** With `keys` to look the card up by, where a reader decided and nobody said whose it was. */
const sourceOf = ({ reason, cardId, personId, card }: Omit<HandedOver, 'at'>) => {
  if (!BY_READER.includes(reason)) return { source: 'offline' }
  return { source: 'reader', ...(cardId === undefined && personId === undefined && { keys: keysOfScan(card) }) }
}

/** Take over what a bridge recorded while it could not ask. */
export const handOver = new Hono<AppEnv>().post(
  '/events',
  doc('bridges', 'Record what a bridge decided while the API was away', sealed),
  async (c) => {
    const { db, now, metrics } = c.env
    const { bridge, message, mark } = await unseal(c.env, await c.req.text(), ask)
    const { events } = v.parse(HandOver, message)
    await confirmNow(c.env, db, bridge)
    for (const [place, { at }] of events.entries()) {
      if (Date.parse(at) > now().getTime() + AHEAD_MS) invalid(`events.${place}.at`, 'is in the future')
    }
    await recordHandedOver(db, bridge.id, now(), events)
    for (const { reason } of events)
      metrics.scan(decisionOf(reason), reason, BY_READER.includes(reason) ? 'reader' : 'offline')

    const reply = { ...mark, recorded: events.length }
    return c.body(await seal(reply, answer, bridge.id, bridge.key, now()), 200, { 'content-type': SEALED })
  },
)
