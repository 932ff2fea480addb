import { asc } from 'drizzle-orm'
import { Hono } from 'hono'
import * as v from 'valibot'
import { DEVICE_EVENTS } from '../contract/device-events.ts'
import { deviceEvents as table } from '../db/schema.ts'
import { doc } from '../docs.ts'
import { may } from '../login/guard.ts'
import type { AppEnv } from '../platform.ts'
import { Id, instant, query } from '../validate.ts'
import { EVENT_STREAM, LAST_EVENT_ID, Messages, Resuming, stream } from './stream.ts'
import type { Feed } from './tail.ts'

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
  kind: v.optional(v.picklist(DEVICE_EVENTS)),
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

export const deviceEventStream = new Hono<AppEnv>().get(
  '/stream',
  may('device-events:read'),
  doc('device-events', 'What devices do as it is recorded, each once; after `Last-Event-ID`, what was recorded since', {
    schema: Messages,
    type: EVENT_STREAM,
    refusals: [401, 403, 422],
  }),
  query(v.strictObject({ ...Resuming, ...filters })),
  async (c) => {
    const { lastEventId, ...asked } = c.req.valid('query')
    const last = c.req.header(LAST_EVENT_ID) ?? lastEventId
    return stream(c, feed, { filters: asked, only: { personId: undefined }, last })
  },
)
