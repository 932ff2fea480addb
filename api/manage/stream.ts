import { and, desc, eq, gt, gte, lt, lte, notInArray, type SQL } from 'drizzle-orm'
import type { Context } from 'hono'
import * as v from 'valibot'
import { isStill } from '../login/guard.ts'
import type { AppEnv, Db } from '../platform.ts'
import { Id } from '../validate.ts'
import { is } from './page.ts'
import { GONE_MS, placesFor } from './places.ts'
import { type Beginning, type Feed, type News, sharedTail } from './tail.ts'

/*
 * Server-sent events (the HTML standard, section 9.2): what is added to a table, to whoever may read its list, with the
 * list's own filters. Whoever comes back with the id of the last one gets all that was recorded since.
 */

export const EVENT_STREAM = 'text/event-stream'
/** The header by which a client says what it had last; who cannot set headers says it in the query. */
export const LAST_EVENT_ID = 'last-event-id'
export const Resuming = { lastEventId: v.optional(Id) }

/** For the description: one message. */
export const Messages = v.pipe(
  v.string(),
  v.description(
    'Server-sent events: `id` is the id of what was recorded, `data` is that as the list shows it, as JSON. A block with an `id` alone says from where to go on after a break.',
  ),
)

const RETRY_MS = 2_000
const HEARTBEAT_MS = 15_000
/** How long what a caller may do is taken for granted; with a heartbeat's wait before the next look, half a minute at most. */
const TRUST_MS = 14_000
const MOST_PER_CALLER = 10
/** Rows that wait for a client that reads slowly. With more it is sent away, and comes back for them. */
const MOST_WAITING = 5_000
/** Of what is read after a break at a time, whoever it is for: so many numbers. */
const PAGE = 2_000

type Filters = { from?: Date | undefined; to?: Date | undefined } & Record<string, string | Date | undefined>

/** The same said to Postgres and of a row that is in hand. */
const conditionOf = (table: Feed<never>['table'], { from, to, ...same }: Filters): SQL | undefined =>
  and(
    from && gte(table.at, from),
    to && lt(table.at, to),
    ...Object.entries(same).map(([name, value]) => is(table[name as 'readerId'], value as string | undefined)),
  )
const passes = ({ from, to, ...same }: Filters, row: { at: Date }): boolean =>
  (from === undefined || row.at >= from) &&
  (to === undefined || row.at < to) &&
  Object.entries(same).every(([name, value]) => value === undefined || row[name as 'at'] === value)

const takePlace = placesFor('streams', MOST_PER_CALLER)

type Asked = {
  filters: Filters
  /** Whose rows alone the caller may see. */
  only: { personId: string | undefined }
  last: string | undefined
}

type Row = { id: string; at: Date }

/** Where a client that was here before goes on; undefined for an id that is not known, or not theirs to know. */
const placeOf = async (db: Db, table: Feed<Row>['table'], { only, last }: Asked): Promise<number | undefined> => {
  if (last === undefined || !v.is(Id, last)) return undefined
  const [row] = await db
    .select({ number: table.number })
    .from(table)
    .where(and(eq(table.id, last.toLowerCase()), conditionOf(table, only)))
  return row?.number
}

/** The newest row that the caller may see, of those before which nothing is still to come: to go on from after a break. */
const newest = async (db: Db, { table }: Feed<Row>, { only }: Asked, { top, open }: Beginning) => {
  const before = lt(table.number, open ?? top + 1)
  const [row] = await db
    .select({ id: table.id, number: table.number })
    .from(table)
    .where(and(before, conditionOf(table, only)))
    // By the index that there is for it.
    .orderBy(...(only.personId === undefined ? [desc(table.number)] : [desc(table.at), desc(table.id)]))
    .limit(1)
  return row
}

/**
 * Which id a client is to name when it comes back. That of the last message, unless something numbered before it is still
 * under way: then one from before that, and what came after it is sent again to whoever comes back meanwhile.
 */
const bookmark = (start: { id: string; number: number } | undefined) => {
  let safe = start
  let ahead: { id: string; number: number }[] = []
  let said = start?.id
  return {
    /** The text that puts a client right, if it has to be put right. */
    after(sent: readonly { id: string; number: number }[], open: number | undefined): string {
      said = sent.at(-1)?.id ?? said
      const is = (one: { number: number }) => open === undefined || one.number < open
      for (const one of [...ahead, ...sent]) if (is(one) && one.number > (safe?.number ?? 0)) safe = one
      ahead = [...ahead, ...sent].filter((one) => !is(one))
      if (safe === undefined || said === safe.id) return ''
      said = safe.id
      return `id: ${said}\n\n`
    },
  }
}

const messageOf = ({ number: _, ...row }: Row & { number: number }): string =>
  `id: ${row.id}\ndata: ${JSON.stringify(row)}\n\n`

/** A stream of what is added, after what was added since `last`. It ends when the caller may not see it any more. */
export const stream = async (c: Context<AppEnv>, feed: Feed<Row>, asked: Asked): Promise<Response> => {
  const { env } = c
  const { caller } = c.var
  const { db, closing } = env
  const { table } = feed
  const condition = and(conditionOf(table, asked.filters), conditionOf(table, asked.only))
  const mine = (row: Row) => passes(asked.filters, row) && passes(asked.only, row)

  const { place, leave } = takePlace(c)
  let over = false
  let wake = () => {}
  let waiting: (Row & { number: number })[] = []
  let open: number | undefined
  let told = true
  const hear = (news: News<Row>) => {
    waiting.push(...news.rows.filter(mine))
    open = news.open
    told = false
    if (waiting.length > MOST_WAITING || performance.now() - place.readAt > GONE_MS) end()
    wake()
  }
  let ended = () => {}
  const untilEnd = new Promise<void>((resolve) => {
    ended = resolve
  })
  let stopListening = () => {}
  const end = () => {
    over = true
    leave()
    stopListening()
    closing.removeEventListener('abort', end)
    ended()
    wake()
  }

  const begin = async () => {
    const beginning = await sharedTail(env, feed).listen(hear)
    stopListening = beginning.leave
    open = beginning.open
    const since = await placeOf(db, table, asked)
    const from = since === undefined ? await newest(db, feed, asked, beginning) : { id: `${asked.last}`, number: since }
    return { beginning, since, from }
  }
  const { beginning, since, from } = await begin().catch((error: unknown) => {
    end()
    throw error
  })
  closing.addEventListener('abort', end)
  if (closing.aborted) end()
  // Where connections last only as long as a request, they last until then.
  env.later(() => untilEnd)

  const mark = bookmark(from)
  const { top, missing } = beginning
  let at = since ?? top
  /** The next rows of those that were there when this stream began; undefined when there are none left. */
  const page = async () => {
    if (at >= top) return undefined
    const to = Math.min(at + PAGE, top)
    // What was missing then is told as news.
    const others = missing.length > 0 ? notInArray(table.number, [...missing]) : undefined
    const rows = await feed.rows(db, and(gt(table.number, at), lte(table.number, to), others, condition))
    at = to
    return rows
  }

  let trustedAt = performance.now()
  const next = async (): Promise<string | undefined> => {
    const until = performance.now() + HEARTBEAT_MS
    while (!over) {
      place.readAt = performance.now()
      if (performance.now() - trustedAt > TRUST_MS) {
        if (!(await isStill(env, caller))) return undefined
        trustedAt = performance.now()
      }
      const rows = await page()
      if (rows !== undefined) {
        if (rows.length > 0) return rows.map(messageOf).join('') + mark.after(rows, beginning.open)
      } else if (!told) {
        const rows = waiting
        waiting = []
        told = true
        const text = rows.map(messageOf).join('') + mark.after(rows, open)
        if (text !== '') return text
      } else {
        const left = until - performance.now()
        if (left <= 0) return ':\n\n'
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, left)
          wake = () => {
            clearTimeout(timer)
            resolve()
          }
        })
      }
    }
    return undefined
  }

  const unknown = asked.last !== undefined && since === undefined
  const greeting = [
    `retry: ${RETRY_MS}\n`,
    unknown ? ': The Last-Event-ID is not known here: this begins now.\n' : '',
    from ? `id: ${from.id}\n` : '',
    '\n',
  ].join('')
  const encoder = new TextEncoder()
  let greeted = false
  let cancelled = false
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const text = greeted ? await next().catch(() => undefined) : greeting
        greeted = true
        if (cancelled) return
        if (text !== undefined) return controller.enqueue(encoder.encode(text))
        end()
        controller.close()
      },
      cancel() {
        cancelled = true
        end()
      },
    },
    { highWaterMark: 0 },
  )
  return c.body(body, 200, {
    'content-type': EVENT_STREAM,
    'cache-control': 'no-store',
    // A proxy of nginx's kind would gather messages otherwise.
    'x-accel-buffering': 'no',
  })
}
