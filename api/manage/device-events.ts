import { and, asc, desc, eq, gte, lt } from 'drizzle-orm'
import { Hono } from 'hono'
import * as v from 'valibot'
import { DEVICE_EVENTS } from '../contract/device-events.ts'
import { deviceEvents as table } from '../db/schema.ts'
import { doc, pageOf } from '../docs.ts'
import { found } from '../errors.ts'
import { may } from '../login/guard.ts'
import type { AppEnv } from '../platform.ts'
import { Id, instant, param, query, time } from '../validate.ts'
import { after, is, Paging, toPage } from './page.ts'
import { EVENT_STREAM, LAST_EVENT_ID, Messages, Resuming, stream } from './stream.ts'
import type { Feed } from './tail.ts'

const Kind = v.picklist(DEVICE_EVENTS)

const DeviceEvent = v.object({
  id: Id,
  at: time,
  receivedAt: time,
  kind: Kind,
  doorId: v.nullable(Id),
  readerId: v.nullable(Id),
  bridgeId: v.nullable(Id),
  commandId: v.nullable(Id),
  note: v.nullable(v.string()),
})

const columns = {
  id: table.id,
  at: table.at,
  receivedAt: table.receivedAt,
  kind: table.kind,
  doorId: table.doorId,
  readerId: table.readerId,
  bridgeId: table.bridgeId,
  commandId: table.commandId,
  note: table.note,
}

const filters = {
  from: v.optional(instant),
  to: v.optional(instant),
  kind: v.optional(Kind),
  doorId: v.optional(Id),
  readerId: v.optional(Id),
  bridgeId: v.optional(Id),
}

const feed: Feed<{ id: string; at: Date }> = {
  table,
  rows: (db, where) =>
    db
      .select({ ...columns, number: table.number })
      .from(table)
      .where(where)
      .orderBy(asc(table.number)),
}

export const deviceEvents = new Hono<AppEnv>()
  .get(
    '/',
    may('device-events:read'),
    doc('device-events', 'What doors, readers and bridges did, newest first; `from` inclusive, `to` exclusive', {
      schema: pageOf(DeviceEvent),
      refusals: [401, 422],
    }),
    query(v.strictObject({ ...Paging, ...filters })),
    async (c) => {
      const { limit, cursor, from, to, kind, doorId, readerId, bridgeId } = c.req.valid('query')
      const rows = await c.env.db
        .select(columns)
        .from(table)
        .where(
          and(
            from && gte(table.at, from),
            to && lt(table.at, to),
            is(table.kind, kind),
            is(table.doorId, doorId),
            is(table.readerId, readerId),
            is(table.bridgeId, bridgeId),
            after(cursor, [table.at, table.id], true),
          ),
        )
        .orderBy(desc(table.at), desc(table.id))
        .limit(limit + 1)
      return c.json(toPage(rows, limit, (row) => [row.at.toISOString(), row.id]))
    },
  )
  .get(
    '/stream',
    may('device-events:read'),
    doc(
      'device-events',
      'What devices do as it is recorded, each once; after `Last-Event-ID`, what was recorded since',
      {
        schema: Messages,
        type: EVENT_STREAM,
        refusals: [401, 403, 422],
      },
    ),
    query(v.strictObject({ ...Resuming, ...filters })),
    async (c) => {
      const { lastEventId, ...asked } = c.req.valid('query')
      const last = c.req.header(LAST_EVENT_ID) ?? lastEventId
      return stream(c, feed, { filters: asked, only: { personId: undefined }, last })
    },
  )
  .get(
    '/:id',
    may('device-events:read'),
    doc('device-events', 'One of them', { schema: DeviceEvent }),
    param('id'),
    async (c) => {
      const { id } = c.req.valid('param')
      const [row] = await c.env.db.select(columns).from(table).where(eq(table.id, id))
      return c.json(found(row, 'device event'))
    },
  )
