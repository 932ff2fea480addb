import { and, asc, eq, isNull, type SQL, sql } from 'drizzle-orm'
import { type CardNumber, type CardView, keysOfCard, keysOfScan } from '../contract/card-views.ts'
import { events } from '../db/schema.ts'
import type { Db } from '../platform.ts'

type Event = typeof events.$inferSelect

/** So many events are read at a time. */
const PAGE = 1_000

const past = ({ at, id }: Event): SQL =>
  sql`(${events.at}, ${events.id}) > (${at.toISOString()}::timestamptz, ${id}::uuid)`

/** Page by page, oldest first, along the index by person, which has those of nobody in one place too. */
async function* pagesOf(db: Db, whose: SQL): AsyncGenerator<Event[]> {
  let last: Event | undefined
  do {
    const page = await db
      .select()
      .from(events)
      .where(and(whose, last && past(last)))
      .orderBy(asc(events.personId), asc(events.at), asc(events.id))
      .limit(PAGE)
    if (page.length > 0) yield page
    last = page.length === PAGE ? page.at(-1) : undefined
  } while (last)
}

/** All scans of a person, page by page. */
export const scansOf = (db: Db, personId: string): AsyncGenerator<Event[]> => pagesOf(db, eq(events.personId, personId))

/** Could that text be one of these cards, in whatever view a reader had then? */
const seenAs = (cards: readonly CardNumber[]) => {
  const keys = new Set(cards.flatMap(keysOfCard).map(({ view, key }) => `${view} ${key}`))
  return (text: string): boolean =>
    Object.entries(keysOfScan(text)).some(([view, key]) => keys.has(`${view as CardView} ${key}`))
}

/** The scans of nobody that were of these cards: shown before they were a person's, or where a reader was not set right. */
export async function* scansOfNobody(db: Db, cards: readonly CardNumber[]): AsyncGenerator<Event[]> {
  if (cards.length === 0) return
  const isTheirs = seenAs(cards)
  for await (const page of pagesOf(db, isNull(events.personId))) {
    const theirs = page.filter(({ cardNumber }) => isTheirs(cardNumber))
    if (theirs.length > 0) yield theirs
  }
}
