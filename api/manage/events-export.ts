import { and, desc, eq, type SQL, sql } from 'drizzle-orm'
import type { Context } from 'hono'
import * as v from 'valibot'
import { note } from '../audit/audited.ts'
import { csvLine } from '../csv.ts'
import { people, readers, events as table } from '../db/schema.ts'
import { invalid } from '../errors.ts'
import { isStill, onlyOf } from '../login/guard.ts'
import type { AppEnv } from '../platform.ts'
import { Id } from '../validate.ts'
import { download } from './download.ts'
import { is } from './page.ts'
import { placesFor } from './places.ts'

// The record as a file for spreadsheets, read from the database as fast as it is taken: a page at a time, nothing between.

export const CSV = 'text/csv'

const MOST_LINES = 100_000
/** So many rows are one statement, and all that is in memory of them. */
const PAGE = 1_000
const MOST_PER_CALLER = 2
/** How long what a caller may do is taken for granted. */
const TRUST_MS = 14_000

/** `limit` lines (default 10,000, at most 100,000), from the newest on, or after the event that the last file ended with. */
export const Extent = {
  limit: v.optional(
    v.pipe(
      v.string(),
      v.regex(/^\d{1,6}$/, 'a number from 1 to 100000'),
      v.transform(Number),
      v.minValue(1),
      v.maxValue(MOST_LINES),
    ),
    '10000',
  ),
  after: v.optional(Id),
}

/** For the description: the whole file. */
export const Lines = v.pipe(
  v.string(),
  v.description(
    'CSV (RFC 4180) in UTF-8, with a header. A cell that a spreadsheet would take for a formula has an apostrophe before it. A file of fewer lines than `limit` is all there is; else go on with `after` and the id in its last line. Names are empty where the caller may not read what they name.',
  ),
)

const HEADER = [
  'at',
  'received_at',
  'decision',
  'reason',
  'source',
  'reader',
  'person',
  'card_number',
  'reader_id',
  'person_id',
  'card_id',
  'bridge_id',
  'snapshot',
  'id',
]

const columns = {
  id: table.id,
  at: table.at,
  receivedAt: table.receivedAt,
  decision: table.decision,
  reason: table.reason,
  source: table.source,
  reader: readers.name,
  person: people.name,
  cardNumber: table.cardNumber,
  readerId: table.readerId,
  personId: table.personId,
  cardId: table.cardId,
  bridgeId: table.bridgeId,
  snapshot: table.snapshot,
}

const POSITION = { at: table.at, id: table.id }
const mine = (c: Context<AppEnv>, id: string) => and(eq(table.id, id), is(table.personId, onlyOf(c)))
const below = ({ at, id }: { at: Date; id: string }): SQL =>
  sql`(${table.at}, ${table.id}) < (${at.toISOString()}::timestamptz, ${id}::uuid)`

const pageOf = ({ env: { db } }: Context<AppEnv>, condition: SQL | undefined, most: number) =>
  db
    .select(columns)
    .from(table)
    .leftJoin(readers, eq(readers.id, table.readerId))
    .leftJoin(people, eq(people.id, table.personId))
    .where(condition)
    .orderBy(desc(table.at), desc(table.id))
    .limit(most)
type Row = Awaited<ReturnType<typeof pageOf>>[number]

/** Whoever may read events but neither people nor readers is told ids, as by the list. */
const lineFor = ({ var: { caller } }: Context<AppEnv>) => {
  const namesReaders = caller.permissions.has('readers:read')
  const namesPeople = caller.permissions.has('people:read') || caller.permissions.has('own:read')
  return (row: Row): string =>
    csvLine([
      row.at.toISOString(),
      row.receivedAt.toISOString(),
      row.decision,
      row.reason,
      row.source,
      namesReaders ? row.reader : null,
      namesPeople ? row.person : null,
      row.cardNumber,
      row.readerId,
      row.personId,
      row.cardId,
      row.bridgeId,
      row.snapshot,
      row.id,
    ])
}

const takePlace = placesFor('exports', MOST_PER_CALLER)

type Asked = {
  /** What the list would show, and whoever asks may see. */
  condition: SQL | undefined
  /** As it was asked, for the audit log. */
  filters: { personId?: string | undefined } & Record<string, string | Date | undefined>
  limit: number
  after: string | undefined
}

/** The file, on record before its first line goes out. */
export const exported = async (c: Context<AppEnv>, asked: Asked): Promise<Response> => {
  const of = takePlace(c)
  const first = await begin(c, asked).catch((error: unknown) => {
    of.leave()
    throw error
  })
  const name = `events-${c.env.now().toISOString().slice(0, 10)}.csv`
  return download(c, { of, parts: linesOf(c, asked, first), type: `${CSV}; charset=utf-8; header=present`, name })
}

/** The first page, before anything is answered: what cannot be read at all is a refusal, and not half a file. */
const begin = async (c: Context<AppEnv>, { condition, filters, limit, after }: Asked): Promise<Row[]> => {
  const { db } = c.env
  const [last] = after === undefined ? [] : await db.select(POSITION).from(table).where(mine(c, after))
  if (after !== undefined && !last)
    invalid('after', 'is not on record: take the id in the last line of the file before')
  const first = await pageOf(c, and(condition, last && below(last)), Math.min(PAGE, limit))
  const target = filters.personId === undefined ? undefined : { kind: 'person', id: filters.personId }
  await note(db, c, 'events.export', { target, after: { ...filters, after, limit } })
  return first
}

async function* linesOf(c: Context<AppEnv>, { condition, limit }: Asked, first: Row[]): AsyncGenerator<string> {
  const line = lineFor(c)
  let page = first
  let left = limit - page.length
  let trustedAt = performance.now()
  yield csvLine(HEADER) + page.map(line).join('')
  for (let last = page.at(-1); last && page.length === PAGE && left > 0; last = page.at(-1)) {
    if (performance.now() - trustedAt > TRUST_MS) {
      if (!(await isStill(c.env, c.var.caller))) throw new Error('the caller may not read it any more')
      trustedAt = performance.now()
    }
    page = await pageOf(c, and(condition, below(last)), Math.min(PAGE, left))
    left -= page.length
    yield page.map(line).join('')
  }
}
