import { and, asc, desc, eq, gte, lt, sql } from 'drizzle-orm'
import { type Context, Hono } from 'hono'
import * as v from 'valibot'
import { Decision, decisionOf, Reason } from '../contract/scan.ts'
import { SOURCES, events as table } from '../db/schema.ts'
import { doc, pageOf } from '../docs.ts'
import { found } from '../errors.ts'
import { may, onlyOf } from '../login/guard.ts'
import type { AppEnv } from '../platform.ts'
import { Id, instant, param, query, time } from '../validate.ts'
import { CSV, Extent, exported, Lines } from './events-export.ts'
import { after, is, Paging, toPage } from './page.ts'
import { EVENT_STREAM, LAST_EVENT_ID, Messages, Resuming, stream } from './stream.ts'
import type { Feed } from './tail.ts'

const Event = v.object({
  id: Id,
  at: time,
  receivedAt: time,
  readerId: v.nullable(Id),
  cardNumber: v.string(),
  cardId: v.nullable(Id),
  personId: v.nullable(Id),
  decision: Decision,
  reason: Reason,
  source: v.picklist(SOURCES),
  bridgeId: Id,
  snapshot: v.nullable(v.string()),
})

const columns = {
  id: table.id,
  at: table.at,
  receivedAt: table.receivedAt,
  readerId: table.readerId,
  cardNumber: table.cardNumber,
  cardId: table.cardId,
  personId: table.personId,
  decision: table.decision,
  reason: table.reason,
  source: table.source,
  bridgeId: table.bridgeId,
  snapshot: table.snapshot,
}

const filters = {
  from: v.optional(instant),
  to: v.optional(instant),
  readerId: v.optional(Id),
  personId: v.optional(Id),
  reason: v.optional(Reason),
  decision: v.optional(Decision),
}

type Filters = v.InferOutput<v.StrictObjectSchema<typeof filters, undefined>>

/**
 * A decision is told by its reason: asked for one with a reason of the other there is nothing, which is not to be found by
 * looking at every row. Said with the reason, and as a word of the statement itself, it lets the index `events_denied` be used.
 */
const decided = (reason: Reason | undefined, decision: Decision | undefined) => {
  if (reason === undefined) return decision && isDecision(decision)
  const implied = decisionOf(reason)
  if (decision !== undefined && decision !== implied) return sql`false`
  return implied === 'denied' ? isDecision(implied) : undefined
}
const isDecision = (decision: Decision) => eq(table.decision, sql.raw(`'${decision}'`))

/** What of the record passes the filters, and is the caller's to see. */
const shown = (c: Context<AppEnv>, { from, to, readerId, personId, reason, decision }: Filters) =>
  and(
    from && gte(table.at, from),
    to && lt(table.at, to),
    is(table.readerId, readerId),
    is(table.personId, onlyOf(c)),
    is(table.personId, personId),
    is(table.reason, reason),
    decided(reason, decision),
  )

const feed: Feed<{ id: string; at: Date }> = {
  table,
  rows: (db, where) =>
    db
      .select({ ...columns, number: table.number })
      .from(table)
      .where(where)
      .orderBy(asc(table.number)),
}

export const events = new Hono<AppEnv>()
  .get(
    '/',
    may('events:read', 'own:read'),
    doc('events', 'The record, newest first; `from` inclusive, `to` exclusive', {
      schema: pageOf(Event),
      refusals: [401, 422],
    }),
    query(v.strictObject({ ...Paging, ...filters })),
    async (c) => {
      const { limit, cursor, ...asked } = c.req.valid('query')
      const rows = await c.env.db
        .select(columns)
        .from(table)
        .where(and(shown(c, asked), after(cursor, [table.at, table.id], true)))
        .orderBy(desc(table.at), desc(table.id))
        .limit(limit + 1)
      return c.json(toPage(rows, limit, (row) => [row.at.toISOString(), row.id]))
    },
  )
  .get(
    '/export',
    may('events:read', 'own:read'),
    doc('events', 'The record as a file, newest first, with the filters of the list; on the audit log', {
      schema: Lines,
      type: CSV,
      refusals: [401, 403, 422],
    }),
    query(v.strictObject({ ...Extent, ...filters })),
    async (c) => {
      const { limit, after, ...asked } = c.req.valid('query')
      return exported(c, { condition: shown(c, asked), filters: asked, limit, after })
    },
  )
  .get(
    '/stream',
    may('events:read', 'own:read'),
    doc('events', 'The record as it is written, each event once; after `Last-Event-ID`, what was recorded since', {
      schema: Messages,
      type: EVENT_STREAM,
      refusals: [401, 403, 422],
    }),
    query(v.strictObject({ ...Resuming, ...filters })),
    async (c) => {
      const { lastEventId, ...asked } = c.req.valid('query')
      const last = c.req.header(LAST_EVENT_ID) ?? lastEventId
      return stream(c, feed, { filters: asked, only: { personId: onlyOf(c) }, last })
    },
  )
  .get(
    '/:id',
    may('events:read', 'own:read'),
    doc('events', 'One event', { schema: Event }),
    param('id'),
    async (c) => {
      const { id } = c.req.valid('param')
      const [row] = await c.env.db
        .select(columns)
        .from(table)
        .where(and(eq(table.id, id), is(table.personId, onlyOf(c))))
      return c.json(found(row, 'event'))
    },
  )
