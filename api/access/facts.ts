import { keysOfScan } from '../contract/card-views.ts'
import type { CardFacts, Facts, RuleFacts, Validity } from '../contract/decide.ts'
import type { Db } from '../platform.ts'

export type Gathered = {
  facts: Omit<Facts, 'late'>
  /** How long the door stays open if it opens, in milliseconds; 0 when there is no such reader. */
  openMs: number
  /** The asking bridge's generation as the database has it now; null when there is no such bridge. */
  generation: number | null
}

type Dated<T> = Omit<T, keyof Validity> & { validFrom: string | null; validUntil: string | null }
type CardRow = Dated<Omit<CardFacts, 'person'>> & { person: Dated<CardFacts['person']> }
type Row = {
  generation: number | null
  enabled: boolean | null
  timezone: string | null
  openMs: number | null
  cards: CardRow[]
  rules: RuleFacts[]
}

/**
 * Everything the decision may look at, in one question to the database. Each part is a probe of an index: the reader by
 * its id, the cards by (view, key) with the key of the reader's own view, the rules by the person's groups.
 *
 * It goes through the driver itself: drizzle's statements are not prepared, which costs this one, asked for each scan,
 * a second round trip and its planning each time.
 */
export const gatherFacts = async (db: Db, readerId: string, card: string, bridgeId?: string): Promise<Gathered> => {
  const sql = db.$client
  const keys = JSON.stringify(keysOfScan(card))
  const [row] = await sql<Row[]>`
    with matched as materialized (
      select c.id, c.status, c.valid_from, c.valid_until, c.person_id, r.id as reader_id
      from readers r
      join card_keys k on k.view = r.card_view and k.key = ${keys}::json ->> r.card_view
      join cards c on c.id = k.card_id
      where r.id = ${readerId}
      limit 2
    )
    select
      (select generation from bridges where id = ${bridgeId ?? null}) as generation,
      r.enabled, r.timezone, r.open_ms as "openMs",
      (
        select coalesce(json_agg(json_build_object(
          'id', m.id, 'status', m.status, 'validFrom', m.valid_from, 'validUntil', m.valid_until,
          'person', json_build_object(
            'id', p.id, 'active', p.active, 'validFrom', p.valid_from, 'validUntil', p.valid_until)
        )), '[]') from matched m join people p on p.id = m.person_id
      ) as cards,
      (
        select coalesce(json_agg(json_build_object(
          'id', u.id, 'groupId', u.group_id, 'scheduleId', u.schedule_id, 'windows', s.windows
        ) order by u.id), '[]')
        from matched m
        join group_people gp on gp.person_id = m.person_id
        join rules u on u.group_id = gp.group_id
        join rule_readers rr on rr.rule_id = u.id and rr.reader_id = m.reader_id
        left join schedules s on s.id = u.schedule_id
      ) as rules
    from (select) as always left join readers r on r.id = ${readerId}`
  if (!row) throw new Error('the facts came back empty')
  const { enabled, timezone, openMs, generation, rules } = row
  const reader = enabled === null || timezone === null ? undefined : { enabled, timezone }
  return { facts: { reader, cards: row.cards.map(cardFacts), rules }, openMs: openMs ?? 0, generation }
}

const cardFacts = (row: CardRow): CardFacts => ({
  ...row,
  ...validity(row),
  person: { ...row.person, ...validity(row.person) },
})

const validity = ({ validFrom, validUntil }: Dated<object & Validity>): Validity => ({
  validFrom: validFrom === null ? null : new Date(validFrom),
  validUntil: validUntil === null ? null : new Date(validUntil),
})
