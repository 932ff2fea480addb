import { Hono } from 'hono'
import type { ISql } from 'postgres'
import * as v from 'valibot'
import type { CardView } from '../contract/card-views.ts'
import { CALLS, SEALED, seal } from '../contract/envelope.ts'
import {
  hashingKey,
  hashOfKey,
  SnapshotAsk,
  type SnapshotPage,
  type SnapshotRow,
  type SnapshotSite,
} from '../contract/snapshot.ts'
import { readAsking, readWindows } from '../contract/window.ts'
import { doc, sealed } from '../docs.ts'
import type { AppEnv } from '../platform.ts'
import { inMs } from './facts.ts'
import { confirm, goodGenerations, unseal } from './keys.ts'
import { factsVersion } from './site.ts'

const { ask, answer } = CALLS.snapshot

/** Cards of one page: a few hundred kilobytes, and some ten milliseconds of hashing. */
const PAGE = 1_000

type Sql = ISql
type Head = { version: string; generations: number[] | null; groups: string[] }
type Card = Omit<SnapshotRow, 'keys' | 'groups' | 'valid' | 'personValid' | 'exempt'> & {
  exempt: boolean
  from: number | null
  until: number | null
  personFrom: number | null
  personUntil: number | null
  groups: string[]
  keys: { view: CardView; key: string }[]
}

// Lists come as JSON: the driver reads no arrays of Postgres, as it asks for no types (connect.ts).

/** The version, and the groups that rows refer to by their place: those that a rule names, in one order for all pages. */
const head = async (sql: Sql, bridgeId: string): Promise<Head> => {
  const [row] = await sql<Head[]>`
    select ${factsVersion(sql)} as version,
      (select ${goodGenerations(sql)} from bridges b where id = ${bridgeId}) as generations,
      (select coalesce(json_agg(distinct group_id order by group_id), '[]') from rules) as groups`
  if (!row) throw new Error('the head of a snapshot came back empty')
  return row
}

const siteFacts = async (sql: Sql, groups: string[]): Promise<{ site: SnapshotSite; cards: number }> => {
  const [row] = await sql<(Omit<SnapshotSite, 'groups'> & { cards: number })[]>`
    select
      (select coalesce(json_agg(json_build_object('id', id, 'enabled', enabled, 'timezone', timezone,
        'cardView', card_view, 'openMs', coalesce((select open_ms from doors where id = door_id), open_ms), 'pin',
        (select windows from schedules where id = pin_schedule_id))), '[]') from readers) as readers,
      (select coalesce(json_agg(json_build_object('id', id, 'windows', windows)), '[]') from schedules) as schedules,
      (select coalesce(json_agg(json_build_object('id', id, 'groupId', group_id, 'scheduleId', schedule_id, 'readerIds',
        (select coalesce(json_agg(reader_id), '[]') from rule_readers where rule_id = rules.id))), '[]')
        from rules) as rules,
      (select count(*)::int from cards) as cards`
  if (!row) throw new Error('the facts of a site came back empty')
  const { cards, rules } = row
  const schedules = row.schedules.map(({ id, windows }) => ({ id, windows: readWindows(windows) }))
  const readers = row.readers.map((reader) => ({ ...reader, pin: readAsking(reader.pin) }))
  return { site: { readers, schedules, rules, groups }, cards }
}

/** Of a card only the keys in views that a reader uses. */
const cardsAfter = (sql: Sql, after: string | undefined) => sql<Card[]>`
  select c.id as card, c.status, ${inMs(sql, 'c.valid_from')} as "from", ${inMs(sql, 'c.valid_until')} as "until",
    p.id as person, p.active, p.exempt_from_lockdown as exempt, ${inMs(sql, 'p.valid_from')} as "personFrom", ${inMs(sql, 'p.valid_until')} as "personUntil",
    (select coalesce(json_agg(group_id), '[]') from group_people where person_id = p.id) as groups,
    (select coalesce(json_agg(json_build_object('view', view, 'key', key)), '[]')
      from card_keys where card_id = c.id and view = any(array(select distinct card_view from readers))) as keys
  from cards c join people p on p.id = c.person_id
  where c.id > ${after ?? '00000000-0000-0000-0000-000000000000'}
  order by c.id limit ${PAGE + 1}`

/**
 * Postgres knows times that no clock shows. Of `infinity` `decide` knows only that it cannot compare it, and refuses; so do
 * these. Years BC are as good as the first, and years after 9999 as the last. No such row may cost a bridge its snapshot.
 */
const [FIRST, LAST] = [Date.parse('0001-01-01T00:00:00.000Z'), Date.parse('9999-12-31T23:59:59.999Z')]
const instant = (ms: number | null, never: number) => {
  if (ms === null) return null
  const at = new Date(ms).getTime()
  return new Date(Number.isNaN(at) ? never : Math.min(Math.max(at, FIRST), LAST)).toISOString()
}
const validity = (from: number | null, until: number | null): SnapshotRow['valid'] => [
  instant(from, LAST),
  instant(until, FIRST),
]

/** One page of the facts, for a bridge to decide by while it cannot ask. No card number leaves this place. */
export const snapshot = new Hono<AppEnv>().post(
  '/snapshot',
  doc('bridges', 'The facts of this site in pages, for a bridge to decide by while the API is away', sealed),
  async (c) => {
    const { db, now } = c.env
    const { bridge, message, mark } = await unseal(c.env, await c.req.text(), ask)
    const { after } = v.parse(SnapshotAsk, message)
    // One transaction that sees one state: a page must be of the version that it says it is.
    const page = await db.$client.begin('isolation level repeatable read read only', async (sql) => {
      const top = await head(sql, bridge.id)
      const first = after === undefined ? await siteFacts(sql, top.groups) : {}
      return { top, first, cards: await cardsAfter(sql, after) }
    })
    confirm(c.env, bridge, page.top.generations ?? [])

    const key = hashingKey(bridge.key)
    const place = new Map(page.top.groups.map((id, at) => [id, at]))
    const rows = page.cards
      .slice(0, PAGE)
      .map(({ exempt, from, until, personFrom, personUntil, groups, keys, ...card }) => ({
        ...card,
        ...(exempt && { exempt }),
        valid: validity(from, until),
        personValid: validity(personFrom, personUntil),
        groups: groups.flatMap((id) => place.get(id) ?? []),
        keys: keys.map(({ view, key: cardKey }) => hashOfKey(key, view, cardKey)),
      }))
    const reply: SnapshotPage = {
      ...mark,
      version: page.top.version,
      now: now().toISOString(),
      ...page.first,
      rows,
      ...(page.cards.length > PAGE && { next: rows.at(-1)?.card }),
    }
    return c.body(await seal(reply, answer, bridge.id, bridge.key, now()), 200, { 'content-type': SEALED })
  },
)
