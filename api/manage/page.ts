import { type AnyColumn, eq, type SQL, sql } from 'drizzle-orm'
import { base64url } from 'jose'
import * as v from 'valibot'
import { isPlainText } from '../contract/scan.ts'
import { invalid } from '../errors.ts'
import { instant } from '../validate.ts'

/** The query of every list: `?limit=` (default 50, at most 500) and `?cursor=` from the page before. */
export const Paging = {
  limit: v.optional(
    v.pipe(
      v.string(),
      v.regex(/^\d{1,3}$/, 'a number from 1 to 500'),
      v.transform(Number),
      v.minValue(1),
      v.maxValue(500),
    ),
    '50',
  ),
  cursor: v.optional(v.pipe(v.string(), v.maxLength(2048))),
}

export const Search = v.optional(
  v.pipe(v.string(), v.trim(), v.minLength(1), v.maxLength(100), v.check(isPlainText, 'not text')),
)

/** `%text%` for ILIKE, with what the pattern would mean by itself taken literally. */
export const anywhere = (text: string): string => `%${text.replace(/[\\%_]/g, '\\$&')}%`

/** A filter that was not given filters nothing. */
export const is = (column: AnyColumn, value: string | undefined): SQL | undefined =>
  value === undefined ? undefined : eq(column, value)

const list = (parts: SQL[]) => sql.join(parts, sql`, `)

/**
 * Rows that come after the one on which the cursor stands, in the order of `columns` (the last of them the id).
 * Keyset paging: a deep page costs no more than the first, and rows that come or go in between shift nothing.
 */
export const after = (cursor: string | undefined, columns: readonly AnyColumn[], newestFirst = false) => {
  if (cursor === undefined) return undefined
  const values = readCursor(cursor, columns)
  const position = values.map(({ value, type }) => sql`${value}::${sql.raw(type)}`)
  return sql`(${list(columns.map((column) => sql`${column}`))}) ${sql.raw(newestFirst ? '<' : '>')} (${list(position)})`
}

/** A page from one row more than it shows. `position` gives what the list is ordered by, as text. */
export const toPage = <Row>(rows: Row[], limit: number, position: (row: Row) => string[]) => {
  const items = rows.slice(0, limit)
  const last = items.at(-1)
  return { items, nextCursor: rows.length > limit && last ? base64url.encode(JSON.stringify(position(last))) : null }
}

const UUID = v.pipe(v.string(), v.uuid())
const INSTANT = v.pipe(
  instant,
  v.transform((at) => at.toISOString()),
)
const TEXT = v.pipe(v.string(), v.check(isPlainText))
const WHOLE = v.pipe(v.string(), v.regex(/^\d{1,15}$/))
const KINDS: Record<string, v.GenericSchema<string, string>> = {
  uuid: UUID,
  'timestamp (3) with time zone': INSTANT,
  text: TEXT,
  bigint: WHOLE,
}

/** A cursor is ours, but it comes back from outside: nothing in it reaches the database unchecked. */
export const readCursor = (cursor: string, columns: readonly AnyColumn[]) => {
  try {
    const values: unknown = JSON.parse(new TextDecoder().decode(base64url.decode(cursor)))
    if (!Array.isArray(values) || values.length !== columns.length) throw new Error('not a cursor of this list')
    return columns.map((column, i) => {
      const type = column.getSQLType()
      return { type, value: v.parse(KINDS[type] ?? TEXT, values[i]) }
    })
  } catch {
    return invalid('cursor', 'not a cursor of this list: take nextCursor as it came')
  }
}
