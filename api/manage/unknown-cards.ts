import { and, count, desc, eq, gte, max, min, ne, notLike, sql } from 'drizzle-orm'
import { Hono } from 'hono'
import * as v from 'valibot'
import { Hint, hintsFor } from '../access/hints.ts'
import { type CardView, keyOfScan } from '../contract/card-views.ts'
import { PIN_ALONE } from '../contract/scan.ts'
import { events, readers } from '../db/schema.ts'
import { doc, pageOf } from '../docs.ts'
import { may } from '../login/guard.ts'
import type { AppEnv, Db } from '../platform.ts'
import { ERASED } from '../privacy/pseudonym.ts'
import { Id, query, time } from '../validate.ts'
import { is, Paging, readCursor, toPage } from './page.ts'

/** How far back it looks, and at how many scans at most: so it costs the same on whatever site. */
const DAYS_MS = 30 * 86_400_000
const MOST_SCANS = 10_000

/** So many are looked up at once. */
const AT_ONCE = 500

const UnknownCard = v.object({
  cardNumber: v.string(),
  readerId: Id,
  firstSeenAt: time,
  lastSeenAt: time,
  times: v.number(),
  hints: v.array(Hint),
})

const POSITION = [events.at, events.readerId, events.cardNumber] as const

type Asked = { now: Date; cursor: string | undefined; readerId: string | undefined }

/** Each number that was unknown at a reader, newest first, whether or not somebody has it by now. */
const unknownAtScan = (db: Db, { now, cursor, readerId }: Asked) => {
  const newest = db
    .select({ readerId: events.readerId, cardNumber: events.cardNumber, at: events.at })
    .from(events)
    .where(and(eq(events.reason, 'unknown_card'), gte(events.at, new Date(now.getTime() - DAYS_MS))))
    .orderBy(desc(events.at), desc(events.id))
    .limit(MOST_SCANS)
    .as('newest')
  const last = max(newest.at)
  const position = sql`(${last}, ${readers.id}, ${newest.cardNumber})`
  const [at, reader, number] = cursor === undefined ? [] : readCursor(cursor, POSITION).map(({ value }) => value)
  return db
    .select({
      cardNumber: newest.cardNumber,
      readerId: readers.id,
      view: readers.cardView,
      firstSeenAt: min(newest.at),
      lastSeenAt: last,
      times: count(),
    })
    .from(newest)
    .innerJoin(readers, eq(readers.id, newest.readerId))
    .where(and(is(readers.id, readerId), ne(newest.cardNumber, PIN_ALONE), notLike(newest.cardNumber, `${ERASED}%`)))
    .groupBy(newest.cardNumber, readers.id)
    .having(at === undefined ? undefined : sql`${position} < (${at}::timestamptz, ${reader}::uuid, ${number}::text)`)
    .orderBy(desc(last), desc(readers.id), desc(newest.cardNumber))
}

type Unknown = Awaited<ReturnType<typeof unknownAtScan>>[number]

/** Those that still are nobody's: each is one probe of the index by which a scan finds its card. */
const stillUnknown = async (db: Db, some: readonly Unknown[]) => {
  const keyed = some.map((one) => ({ one, view: one.view, key: keyOfScan(one.view, one.cardNumber) ?? null }))
  const keys = keyed.flatMap(({ view, key }) => (key === null ? [] : [{ view, key }]))
  const matched: { view: string; key: string }[] = await db.execute(sql`
    select distinct k.view, k.key from json_to_recordset(${JSON.stringify(keys)}::json) as asked(view text, key text)
    join card_keys k on k.view = asked.view and k.key = asked.key`)
  const known = new Set(matched.map(({ view, key }) => `${view} ${key}`))
  return keyed.filter(({ view, key }) => !known.has(`${view} ${key}`)).map(({ one }) => one)
}

const firstOf = async (db: Db, all: readonly Unknown[], limit: number) => {
  const kept: Unknown[] = []
  for (let i = 0; i < all.length && kept.length < limit; i += AT_ONCE) {
    kept.push(...(await stillUnknown(db, all.slice(i, i + AT_ONCE))))
  }
  return kept
}

const withHints = async (db: Db, shown: readonly (Unknown & { view: CardView })[]) => {
  const items = []
  for (const { view: cardView, ...one } of shown) {
    items.push({ ...one, hints: await hintsFor(db, { cardView }, one.cardNumber) })
  }
  return items
}

export const unknownCards = new Hono<AppEnv>().get(
  '/',
  may('cards:read'),
  doc('cards', 'Cards that were shown in the last 30 days and are nobody’s, by reader, newest first', {
    schema: pageOf(UnknownCard),
    refusals: [401, 422],
  }),
  query(v.strictObject({ ...Paging, readerId: v.optional(Id) })),
  async (c) => {
    const { db, now } = c.env
    const { limit, cursor, readerId } = c.req.valid('query')
    const all = await unknownAtScan(db, { now: now(), cursor, readerId })
    const { items, nextCursor } = toPage(await firstOf(db, all, limit + 1), limit, (one) => [
      String(one.lastSeenAt?.toISOString()),
      one.readerId,
      one.cardNumber,
    ])
    return c.json({ items: await withHints(db, items), nextCursor })
  },
)
