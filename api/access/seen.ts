import { Hono } from 'hono'
import { v7 } from 'uuid'
import * as v from 'valibot'
import { CALLS, SEALED, seal } from '../contract/envelope.ts'
import { mistakesIn, profileNamed } from '../contract/profiles.ts'
import { type Seen, SeenReport } from '../contract/seen.ts'
import { doc, sealed } from '../docs.ts'
import type { AppEnv, Db } from '../platform.ts'
import { confirmNow, unseal } from './keys.ts'

const { ask, answer } = CALLS.seen

/** Devices on the list at most: what is on it is up to whoever may publish at the broker. */
export const MOST_LISTED = 1_000

/** A reader could be set up by it: a bridge may know profiles that this API does not. */
const canBeReader = ({ profile, topic, unit }: Seen): boolean => {
  const cardView = profileNamed(profile)?.views[0]
  if (cardView === undefined) return false
  const reader = { profile, topic, unit: unit ?? null, cardView, replyTopic: null, settings: {} }
  return !mistakesIn(reader).some(({ path }) => path === 'topic' || path === 'unit')
}

const note = async ({ $client: sql }: Db, bridgeId: string, now: Date, seen: Seen[]): Promise<number> => {
  // Twice in one statement would be an error.
  const rows = new Map<string, Record<string, unknown>>()
  for (const one of seen.filter(canBeReader)) {
    // As JavaScript reads it, and never in the future: else it would stay on top of the list.
    const at = new Date(Math.min(Date.parse(one.at), now.getTime())).toISOString()
    rows.set(JSON.stringify([one.profile, one.topic, one.unit ?? null]), { ...one, at, id: v7() })
  }
  if (rows.size === 0) return 0
  const noted = await sql`
    insert into seen_readers as known (id, profile, topic, unit, first_seen_at, last_seen_at, messages, bridge_id)
    select s.id, s.profile, s.topic, s.unit, s.at, s.at, s.messages, ${bridgeId}::uuid
    from json_to_recordset(${JSON.stringify([...rows.values()])}::json)
      as s(id uuid, profile text, topic text, unit text, at timestamptz, messages int)
    where not exists (select from readers r where r.topic = s.topic and (r.unit is null or r.unit = s.unit))
    order by s.profile, s.topic, s.unit
    on conflict (profile, topic, coalesce(unit, '')) do update set
      last_seen_at = greatest(known.last_seen_at, excluded.last_seen_at),
      messages = least(known.messages::bigint + excluded.messages, 2147483647)::int,
      bridge_id = excluded.bridge_id
    returning id`
  await sql`
    delete from seen_readers where id in (
      select id from seen_readers order by last_seen_at desc, id desc offset ${MOST_LISTED})`
  return noted.length
}

/** Devices that a bridge has noticed. It changes nothing at any door: they are listed for somebody to look at. */
export const seen = new Hono<AppEnv>().post(
  '/seen',
  doc('bridges', 'List devices that speak a known profile and are no readers yet', sealed),
  async (c) => {
    const { db, now } = c.env
    const { bridge, message, mark } = await unseal(c.env, await c.req.text(), ask)
    const report = v.parse(SeenReport, message)
    await confirmNow(c.env, db, bridge)
    const reply = { ...mark, noted: await note(db, bridge.id, now(), report.seen) }
    return c.body(await seal(reply, answer, bridge.id, bridge.key, now()), 200, { 'content-type': SEALED })
  },
)
