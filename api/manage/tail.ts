import { inArray, type SQL, sql } from 'drizzle-orm'
import type { deviceEvents, events } from '../db/schema.ts'
import type { Db, Platform } from '../platform.ts'

type Numbered<Row> = Row & { number: number }

/** A table whose rows are only ever added, and how a list shows them. */
export type Feed<Row extends { id: string }> = {
  table: typeof events | typeof deviceEvents
  /** Those rows, in the order of their numbers. */
  rows(db: Db, where: SQL | undefined): Promise<Numbered<Row>[]>
}

/** Rows that were not seen before. At `open`, and after it, rows may still come; undefined where none is on its way. */
export type News<Row> = { rows: readonly Numbered<Row>[]; open: number | undefined }

/** Whoever listens hears of what is numbered above `top`, and of `missing`. */
export type Beginning = { top: number; missing: readonly number[]; open: number | undefined }

type Hear<Row> = (news: News<Row>) => void

const EVERY_MS = 500
const MOST_AT_ONCE = 1_000
/** Of so many numbers before a new one it is known which have no row, and so many are looked for in all. */
const MOST_NEWLY_MISSING = 1_000
const MOST_MISSING = 5_000

/** How long a number is looked for at least: a transaction takes one a moment before Postgres can say that it has begun. */
const PATIENCE_MS = 15_000

/**
 * The rows that are added to a table, each once, as soon as they can be seen. Rows are numbered as they are inserted and
 * seen as they are committed: a number that is missing may come later, while a transaction that took it is under way; most
 * never come, as a repeated scan takes one too. So each is looked for until Postgres says that all transactions have ended
 * that were under way when it was missed. No clock but this process's own counts, and what a row says of its time does
 * not matter. One look is for all who listen, which is for all streams of a Node process.
 */
const tailOf = <Row extends { id: string }>(db: Db, { table, rows: read }: Feed<Row>, log: Platform['log']) => {
  const listeners = new Set<Hear<Row>>()
  let wanted = 0
  /** `next` is the first transaction that had not begun when the number was missed. */
  const missing = new Map<number, { next: number; since: number }>()
  let top: number | undefined
  let open: number | undefined

  const miss = (from: number, to: number, next: number) => {
    const since = performance.now()
    for (let number = Math.max(from, to - MOST_NEWLY_MISSING + 1); number < to; number++)
      missing.set(number, { next, since })
    for (const number of missing.keys()) if (missing.size > MOST_MISSING) missing.delete(number)
  }
  const settle = (oldest: number) => {
    open = undefined
    for (const [number, { next, since }] of missing) {
      if (oldest < next) open = Math.min(open ?? number, number)
      else if (performance.now() - since > PATIENCE_MS) missing.delete(number)
    }
  }

  const begin = async () => {
    const newest = sql`select number from ${table} order by number desc limit ${MOST_NEWLY_MISSING}`
    const { oldest, next, numbers } = await find(db, newest)
    missing.clear()
    top = numbers.at(-1) ?? 0
    miss(1, top, next)
    for (const number of numbers) missing.delete(number)
    settle(oldest)
  }

  /** True when there may be more. */
  const look = async (): Promise<boolean> => {
    if (top === undefined) {
      await begin()
      return false
    }
    const before = { top, open }
    const wanting = sql.raw([0, ...missing.keys()].join())
    const { oldest, next, numbers } = await find(
      db,
      sql`(select number from ${table} where number > ${top} order by number limit ${MOST_AT_ONCE})
        union all select number from ${table} where number in (${wanting})`,
    )
    const rows = numbers.length > 0 ? await read(db, inArray(table.number, numbers)) : []
    for (const number of numbers) {
      missing.delete(number)
      if (number < top) continue
      miss(top + 1, number, next)
      top = number
    }
    settle(oldest)
    if (rows.length > 0 || open !== before.open) for (const hear of listeners) hear({ rows, open })
    return numbers.filter((number) => number > before.top).length === MOST_AT_ONCE
  }

  let turn: Promise<unknown> = Promise.resolve()
  const lookInTurn = (): Promise<boolean> => {
    const mine = turn.then(look)
    turn = mine.catch(() => {})
    return mine
  }

  let going = false
  const go = async () => {
    if (going) return
    going = true
    let away = false
    while (wanted > 0) {
      await new Promise((resolve) => setTimeout(resolve, EVERY_MS))
      try {
        while (wanted > 0 && (await lookInTurn()));
        away = false
      } catch (error) {
        // Nothing is lost by it: the next look begins where this one did.
        if (!away) log('warn', 'feed_away', { error: error instanceof Error ? error.name : 'unknown' })
        away = true
      }
    }
    going = false
    top = undefined
  }

  return {
    /** Calls `hear` with all that comes from now on, in the order in which it can be seen, until `leave`. */
    async listen(hear: Hear<Row>): Promise<Beginning & { leave(): void }> {
      wanted += 1
      try {
        // What was there before is not news to whoever comes now.
        while (await lookInTurn());
      } catch (error) {
        wanted -= 1
        throw error
      }
      listeners.add(hear)
      void go()
      const leave = () => {
        if (listeners.delete(hear)) wanted -= 1
      }
      return { top: top ?? 0, missing: [...missing.keys()], open, leave }
    },
  }
}
type Tail<Row extends { id: string }> = ReturnType<typeof tailOf<Row>>

/**
 * The numbers that a select finds, lowest first, and which transactions were under way: all below `oldest` have ended, and
 * `next` has not begun. By one statement, so that it is true of one moment.
 */
const find = async (db: Db, select: SQL) => {
  const [row] = await db.execute<{ oldest: string; next: string; numbers: string }>(sql`
    select pg_snapshot_xmin(s)::text as oldest, pg_snapshot_xmax(s)::text as next,
      (select coalesce(json_agg(number order by number), '[]') from (${select}) found)::text as numbers
    from pg_current_snapshot() s`)
  if (!row) throw new Error('a select without a condition found nothing')
  return { oldest: Number(row.oldest), next: Number(row.next), numbers: JSON.parse(row.numbers) as number[] }
}

const tails = new WeakMap<Db, Map<unknown, unknown>>()

/** One for all who use the same connections: on Node that is the whole process, on Workers each request has its own. */
export const sharedTail = <Row extends { id: string }>({ db, log }: Platform, feed: Feed<Row>): Tail<Row> => {
  const known = tails.get(db) ?? new Map<unknown, unknown>()
  tails.set(db, known)
  const tail = (known.get(feed.table) as Tail<Row> | undefined) ?? tailOf(db, feed, log)
  known.set(feed.table, tail)
  return tail
}
