import type { ISql } from 'postgres'
import { keysOfScan } from '../contract/card-views.ts'
import type { CardFacts, Facts, Lockdown, RuleFacts, Validity } from '../contract/decide.ts'
import { readAsking, readWindows } from '../contract/window.ts'
import type { Db } from '../platform.ts'
import { goodGenerations } from './keys.ts'

export type Gathered = {
  facts: Omit<Facts, 'late' | 'pin'>
  /** A PIN alone may open here. */
  pinAlone: boolean
  /** Of the person whose card it is, if there is one. */
  name: string | undefined
  /** How long the door stays open if it opens, in milliseconds; 0 when there is no such reader. */
  openMs: number
  /** The asking bridge's generations that are good now; none when there is no such bridge. */
  generations: (number | null)[]
}

export type LockdownRow = { isLockedDown: boolean | null; lockdownUntil: number | null }

type Row = LockdownRow & {
  generations: (number | null)[]
  enabled: boolean | null
  timezone: string | null
  openMs: number | null
  pinAlone: boolean | null
  pinWindows: unknown
  cardId: string | null
  status: CardFacts['status']
  cardFrom: number | null
  cardUntil: number | null
  personId: string | null
  name: string
  active: boolean
  exemptFromLockdown: boolean
  personFrom: number | null
  personUntil: number | null
  ruleId: string | null
  groupId: string
  scheduleId: string | null
  windows: unknown
}

/**
 * A `timestamptz` in milliseconds since 1970, as a float8. `Date` would read the text of Postgres otherwise than it is
 * meant when the year is below 100. Of `infinity` it makes no date, and then `decide` refuses.
 */
export const inMs = (sql: ISql, column: string) => sql`(extract(epoch from ${sql(column)}) * 1000)::float8`

/** A door is locked down as soon as one of its readers is: so the others are too. A probe of an index for those. */
export const readersAtDoorOfR = (sql: ISql) =>
  sql`select r.id union all select id from readers where door_id = r.door_id`

/**
 * The lockdown of reader `r` that lasts longest, or nothing: of those that nobody has ended, which are few and have an index
 * of their own. Whether it is over by itself, the decision says. (Not `exists`: Postgres would gather all that the reader
 * ever was in.)
 */
export const lockdownOfR = (sql: ISql) => sql`
  select true as "isLockedDown", ${inMs(sql, 'l.until')} as "lockdownUntil" from lockdowns l
  where l.ended_at is null and l.kind = 'lockdown' and (l.everywhere or (
    select true from lockdown_readers lr
    where lr.lockdown_id = l.id and lr.reader_id in (${readersAtDoorOfR(sql)}) limit 1))
  order by l.until desc nulls first limit 1`

/** As the decision wants it. */
export const lockdownIn = ({ isLockedDown, lockdownUntil: until }: LockdownRow): Lockdown =>
  isLockedDown ? { until: until === null ? null : new Date(until) } : null

/** What was presented: a card as its reader wrote it, or nothing by somebody whom their PIN alone made known. */
export type Presented = string | { personId: string }

const holders = (sql: ISql, what: Presented) =>
  typeof what === 'string'
    ? sql`
      select cards.* from card_keys k join cards on cards.id = k.card_id
      where k.view = r.card_view and k.key = ${JSON.stringify(keysOfScan(what))}::json ->> r.card_view
      limit 2`
    : sql`
      select null::uuid as id, ${what.personId}::uuid as person_id, 'active' as status, null::timestamptz as valid_from,
        null::timestamptz as valid_until`

/**
 * Everything the decision may look at, in one question to the database: a row per rule of each card that matches, or one
 * row when there is none. Each part is a probe of an index: the reader by its id, its door by its id too, the cards by
 * (view, key) with the key of the reader's own view (two are enough to know that it is ambiguous), the rules by the person's
 * groups, when a PIN is asked for by its schedule's id, and a lockdown among those that nobody has ended.
 *
 * It goes through the driver itself: drizzle's statements are not prepared, which costs this one, asked for each scan,
 * a second round trip and its planning each time.
 */
export const gatherFacts = async (db: Db, readerId: string, what: Presented, bridgeId?: string): Promise<Gathered> => {
  const sql = db.$client
  const rows = await sql<Row[]>`
    select
      ${goodGenerations(sql)} as generations, r.enabled, r.timezone, coalesce(d.open_ms, r.open_ms) as "openMs", r.pin_alone as "pinAlone",
      ps.windows as "pinWindows", l."isLockedDown", l."lockdownUntil",
      c.id as "cardId", c.status, ${inMs(sql, 'c.valid_from')} as "cardFrom", ${inMs(sql, 'c.valid_until')} as "cardUntil",
      p.id as "personId", p.name, p.active, p.exempt_from_lockdown as "exemptFromLockdown",
      ${inMs(sql, 'p.valid_from')} as "personFrom", ${inMs(sql, 'p.valid_until')} as "personUntil",
      u.id as "ruleId", u.group_id as "groupId", u.schedule_id as "scheduleId", s.windows
    from (select) as always
    left join bridges b on b.id = ${bridgeId ?? null}
    left join readers r on r.id = ${readerId}
    left join doors d on d.id = r.door_id
    left join lateral (${lockdownOfR(sql)}) l on r.id is not null
    left join schedules ps on ps.id = r.pin_schedule_id
    left join lateral (${holders(sql, what)}) c on true
    left join people p on p.id = c.person_id
    left join lateral (
      select rules.* from group_people gp
      join rules on rules.group_id = gp.group_id
      join rule_readers rr on rr.rule_id = rules.id and rr.reader_id = ${readerId}
      where gp.person_id = p.id
    ) u on true
    left join schedules s on s.id = u.schedule_id`
  const [first] = rows
  if (!first) throw new Error('the facts came back empty')
  const { enabled, timezone, generations } = first
  const known = { pinWindows: readAsking(first.pinWindows), lockdown: lockdownIn(first) }
  const reader = enabled === null || timezone === null ? undefined : { enabled, timezone, ...known }
  return {
    facts: { reader, cards: cardsIn(rows), rules: rulesIn(rows) },
    pinAlone: first.pinAlone ?? false,
    name: first.personId === null ? undefined : first.name,
    openMs: first.openMs ?? 0,
    generations,
  }
}

const cardsIn = (rows: readonly Row[]): CardFacts[] => {
  const cards = new Map<string, CardFacts>()
  for (const { cardId, status, personId, active, exemptFromLockdown, ...row } of rows) {
    const key = cardId ?? personId
    if (key === null || personId === null || cards.has(key)) continue
    const person = { id: personId, active, exemptFromLockdown, ...validity(row.personFrom, row.personUntil) }
    cards.set(key, { id: cardId, status, ...validity(row.cardFrom, row.cardUntil), person })
  }
  return [...cards.values()]
}

const rulesIn = (rows: readonly Row[]): RuleFacts[] =>
  rows.flatMap(({ ruleId, groupId, scheduleId, windows }) =>
    ruleId === null
      ? []
      : [{ id: ruleId, groupId, scheduleId, windows: scheduleId === null ? null : readWindows(windows) }],
  )

/** From and until as `inMs` gives them. */
export const validity = (from: number | null, until: number | null): Validity => ({
  validFrom: from === null ? null : new Date(from),
  validUntil: until === null ? null : new Date(until),
})
