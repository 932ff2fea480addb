import { and, desc, eq, gte, lt } from 'drizzle-orm'
import { Hono } from 'hono'
import * as v from 'valibot'
import { ALERTS } from '../contract/alerts.ts'
import { alerts as table } from '../db/schema.ts'
import { doc, pageOf } from '../docs.ts'
import { found } from '../errors.ts'
import { may } from '../login/guard.ts'
import type { AppEnv } from '../platform.ts'
import { Id, instant, param, query, time } from '../validate.ts'
import { after, is, Paging, toPage } from './page.ts'

const Kind = v.picklist(ALERTS)

/** `about` is the id of whom or what it is about, an address, or the name of a task; `since` is when it began. */
const Alert = v.object({
  id: Id,
  at: time,
  kind: Kind,
  about: v.string(),
  since: time,
  detail: v.record(v.string(), v.unknown()),
})

const filters = { from: v.optional(instant), to: v.optional(instant), kind: v.optional(Kind) }

/** What was noticed that somebody should look at (watch/watch.ts). Only read here. */
export const alerts = new Hono<AppEnv>()
  .get(
    '/',
    may('alerts:read'),
    doc('alerts', 'What somebody should look at, newest first; `from` inclusive, `to` exclusive, by `at`', {
      schema: pageOf(Alert),
      refusals: [401, 403, 422],
    }),
    query(v.strictObject({ ...Paging, ...filters })),
    async (c) => {
      const { limit, cursor, from, to, kind } = c.req.valid('query')
      const rows = await c.env.db
        .select()
        .from(table)
        .where(
          and(
            from && gte(table.at, from),
            to && lt(table.at, to),
            is(table.kind, kind),
            after(cursor, [table.at, table.id], true),
          ),
        )
        .orderBy(desc(table.at), desc(table.id))
        .limit(limit + 1)
      return c.json(toPage(rows, limit, (row) => [row.at.toISOString(), row.id]))
    },
  )
  .get('/:id', may('alerts:read'), doc('alerts', 'One of them', { schema: Alert }), param('id'), async (c) => {
    const { id } = c.req.valid('param')
    const [row] = await c.env.db.select().from(table).where(eq(table.id, id))
    return c.json(found(row, 'alert'))
  })
