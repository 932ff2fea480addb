import { sql } from 'drizzle-orm'
import type { Db } from '../platform.ts'
import { bursts } from './bursts.ts'
import type { Finding } from './finding.ts'
import { listOf } from './number-list.ts'

const WITHIN_MS = 2 * 60_000
const LEAST = 5
const MOST = 2_000

type Tried = { at: Date; readerId: string; cardNumber: string }

/**
 * Five different cards that nobody knows within two minutes at one reader. One card held to it again and again is somebody
 * who wonders; and what comes between hides nothing, or a card that is known would.
 */
export const unknownCards = (tried: readonly Tried[]): Finding[] =>
  [...Map.groupBy(tried, ({ readerId }) => readerId)].flatMap(([readerId, all]) =>
    bursts(all, { within: WITHIN_MS, least: LEAST, tell: ({ cardNumber }) => cardNumber }).flatMap((window) => {
      const [first] = window
      const detail = { readerId, cards: LEAST, scans: window.length }
      return first ? [{ kind: 'unknown_cards' as const, about: readerId, since: first.at, detail }] : []
    }),
  )

/**
 * What is found around these events, by when they happened: handed over late they count as well. By the index of readers,
 * in the two minutes of each and those on both sides.
 */
export const findUnknownCards = async (db: Db, numbers: readonly number[]): Promise<Finding[]> => {
  const rows = await db.execute<{ at: string; readerId: string; cardNumber: string }>(sql`
    with fresh as materialized (
      select distinct reader_id, date_bin('2 minutes', at, 'epoch') as bin from events
      where number in (${listOf(numbers)}) and reason = 'unknown_card' and reader_id is not null
    )
    select distinct e.id, e.at::text as at, e.reader_id::text as "readerId", e.card_number as "cardNumber"
    from fresh, lateral (
      select id, at, reader_id, card_number from events
      where reader_id = fresh.reader_id and reason = 'unknown_card'
        and at between fresh.bin - interval '2 minutes' and fresh.bin + interval '4 minutes'
      order by at limit ${MOST}
    ) e limit ${MOST}`)
  return unknownCards(rows.map((row) => ({ ...row, at: new Date(row.at) })))
}
