import { Hono } from 'hono'
import type { ISql } from 'postgres'
import * as v from 'valibot'
import { AccessListAsk, type AccessListPage } from '../contract/access-list.ts'
import { type CardFacts, decide, type RuleFacts } from '../contract/decide.ts'
import { CALLS, SEALED, seal } from '../contract/envelope.ts'
import { readAsking, readWindows, type Window } from '../contract/window.ts'
import { doc, sealed } from '../docs.ts'
import { refuse } from '../errors.ts'
import type { AppEnv } from '../platform.ts'
import { inMs, type LockdownRow, lockdownIn, lockdownOfR, validity } from './facts.ts'
import { confirm, goodGenerations, unseal } from './keys.ts'

const { ask, answer } = CALLS.accessList

/** Candidates of one page. */
const PAGE = 1_000

type Head = LockdownRow & {
  generations: number[] | null
  /** Of a reader that is told its list. */
  enabled: boolean | null
  timezone: string
  pinWindows: unknown
  schedules: { id: string; windows: unknown }[]
}

type Candidate = {
  cardId: string
  key: string
  /** Another card looks the same to this reader. */
  shared: boolean
  status: CardFacts['status']
  cardFrom: number | null
  cardUntil: number | null
  personId: string
  active: boolean
  exemptFromLockdown: boolean
  personFrom: number | null
  personUntil: number | null
  rules: { id: string; groupId: string; scheduleId: string | null }[]
}

const head = async (sql: ISql, bridgeId: string, readerId: string): Promise<Head | undefined> => {
  const [row] = await sql<Head[]>`
    select (select ${goodGenerations(sql)} from bridges b where id = ${bridgeId}) as generations,
      r.enabled, r.timezone, l."isLockedDown", l."lockdownUntil",
      (select windows from schedules where id = r.pin_schedule_id) as "pinWindows",
      (select coalesce(json_agg(json_build_object('id', s.id, 'windows', s.windows)), '[]')
        from schedules s where s.id in (
          select u.schedule_id from rule_readers rr join rules u on u.id = rr.rule_id where rr.reader_id = r.id)) as schedules
    from (select) as always
    left join readers r on r.id = ${readerId} and r.settings -> 'accessList' = 'true'::jsonb
    left join lateral (${lockdownOfR(sql)}) l on r.id is not null`
  return row
}

/** Every card of somebody for whom there is a rule at this reader, as far as the reader can see it; in the order of ids. */
const candidates = (sql: ISql, readerId: string, after: string | undefined) => sql<Candidate[]>`
  with holders as (
    select gp.person_id, json_agg(json_build_object('id', u.id, 'groupId', u.group_id, 'scheduleId', u.schedule_id)) as rules
    from rule_readers rr
    join rules u on u.id = rr.rule_id
    join group_people gp on gp.group_id = u.group_id
    where rr.reader_id = ${readerId}
    group by gp.person_id
  )
  select c.id as "cardId", k.key, c.status, h.rules,
    exists(select from card_keys o where o.view = k.view and o.key = k.key and o.card_id <> c.id) as shared,
    ${inMs(sql, 'c.valid_from')} as "cardFrom", ${inMs(sql, 'c.valid_until')} as "cardUntil",
    p.id as "personId", p.active, p.exempt_from_lockdown as "exemptFromLockdown",
    ${inMs(sql, 'p.valid_from')} as "personFrom", ${inMs(sql, 'p.valid_until')} as "personUntil"
  from holders h
  join people p on p.id = h.person_id
  join cards c on c.person_id = p.id
  join card_keys k on k.card_id = c.id and k.view = (select card_view from readers where id = ${readerId})
  where c.id > ${after ?? '00000000-0000-0000-0000-000000000000'}
  order by c.id limit ${PAGE + 1}`

const cardFacts = ({ cardId, status, personId, active, exemptFromLockdown, ...row }: Candidate): CardFacts => ({
  id: cardId,
  status,
  ...validity(row.cardFrom, row.cardUntil),
  person: { id: personId, active, exemptFromLockdown, ...validity(row.personFrom, row.personUntil) },
})

/** Unix seconds, and never later than it is meant. */
const untilOf = ({ cardUntil, personUntil }: Candidate): number => {
  const ends = [cardUntil, personUntil].filter((ms) => ms !== null)
  return ends.length === 0 ? 0 : Math.max(1, Math.floor(Math.min(...ends) / 1000))
}

/** Who may pass now, by the decision itself: whatever it refuses (another card that looks the same too) is not on the list. */
const whoMayPass = (
  { enabled, timezone, pinWindows, schedules, ...head }: Head,
  rows: readonly Candidate[],
  at: Date,
) => {
  // Whoever has to type a PIN as well cannot be let in by a list of cards: nobody has typed one.
  const reader = { enabled: enabled === true, timezone, pinWindows: readAsking(pinWindows), lockdown: lockdownIn(head) }
  const windowsOf = new Map(schedules.map(({ id, windows }) => [id, readWindows(windows)]))
  const never: Window[] = []
  return rows.filter((row) => {
    const card = cardFacts(row)
    const rules = row.rules.map(
      (rule): RuleFacts => ({
        ...rule,
        windows: rule.scheduleId === null ? null : (windowsOf.get(rule.scheduleId) ?? never),
      }),
    )
    return (
      decide({ late: false, pin: 'none', reader, cards: row.shared ? [card, card] : [card], rules }, at) === 'granted'
    )
  })
}

/**
 * The access list of a reader that decides by itself and is set to be told one (its setting `accessList`): the only place
 * where card numbers go to a bridge. Of any other reader there is none.
 */
export const accessList = new Hono<AppEnv>().post(
  '/access-list',
  doc('bridges', 'Whom a reader that decides by itself may let in now, in pages', {
    ...sealed,
    refusals: [401, 404, 422],
  }),
  async (c) => {
    const { db, now } = c.env
    const { bridge, message, mark } = await unseal(c.env, await c.req.text(), ask)
    const { readerId, after } = v.parse(AccessListAsk, message)
    const { top, rows } = await db.$client.begin('isolation level repeatable read read only', async (sql) => {
      const top = await head(sql, bridge.id, readerId)
      return { top, rows: top?.enabled == null ? [] : await candidates(sql, readerId, after) }
    })
    confirm(c.env, bridge, top?.generations ?? [])
    if (!top || top.enabled === null) return refuse(404, 'There is no reader of this id that is told an access list.')

    const page = rows.slice(0, PAGE)
    const cards = whoMayPass(top, page, now()).map((row) => ({
      // The key in a view is a text of that view; in which case its letters go out is up to the profile.
      card: row.key,
      // The end of its id: the beginning is a time, which cards of one import have in common.
      user: row.cardId.slice(-8),
      until: untilOf(row),
    }))
    const next = rows.length > PAGE ? page.at(-1)?.cardId : undefined
    const reply: AccessListPage = { ...mark, cards, ...(next !== undefined && { next }) }
    return c.body(await seal(reply, answer, bridge.id, bridge.key, now()), 200, { 'content-type': SEALED })
  },
)
