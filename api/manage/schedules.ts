import { and, asc, eq, ilike } from 'drizzle-orm'
import { Hono } from 'hono'
import * as v from 'valibot'
import { audited } from '../audit/audited.ts'
import { added, changed, removed } from '../audit/rows.ts'
import { Window } from '../contract/window.ts'
import { schedules as table } from '../db/schema.ts'
import { doc, pageOf } from '../docs.ts'
import { found } from '../errors.ts'
import { may } from '../login/guard.ts'
import type { AppEnv } from '../platform.ts'
import { body, change, Id, line, param, query } from '../validate.ts'
import { after, anywhere, Paging, Search, toPage } from './page.ts'

const fields = { name: line(), windows: v.pipe(v.array(Window), v.maxLength(100)) }
const Schedule = v.object({ id: Id, name: v.string(), windows: v.array(Window) })

export const schedules = new Hono<AppEnv>()
  .get(
    '/',
    may('schedules:read'),
    doc('schedules', 'List schedules by name', { schema: pageOf(Schedule), refusals: [401, 422] }),
    query(v.strictObject({ ...Paging, q: Search })),
    async (c) => {
      const { limit, cursor, q } = c.req.valid('query')
      const rows = await c.env.db
        .select()
        .from(table)
        .where(and(q === undefined ? undefined : ilike(table.name, anywhere(q)), after(cursor, [table.name, table.id])))
        .orderBy(asc(table.name), asc(table.id))
        .limit(limit + 1)
      return c.json(toPage(rows, limit, (row) => [row.name, row.id]))
    },
  )
  .post(
    '/',
    may('schedules:write'),
    doc('schedules', 'Add a schedule; without windows it is never open', { status: 201, schema: Schedule }),
    body(v.strictObject(fields)),
    async (c) => {
      const row = await audited(c, 'schedules.create', (tx) => added(tx, table, 'schedule', c.req.valid('json')))
      return c.json(row, 201)
    },
  )
  .get(
    '/:id',
    may('schedules:read'),
    doc('schedules', 'One schedule', { schema: Schedule }),
    param('id'),
    async (c) => {
      const { id } = c.req.valid('param')
      const [row] = await c.env.db.select().from(table).where(eq(table.id, id))
      return c.json(found(row, 'schedule'))
    },
  )
  .patch(
    '/:id',
    may('schedules:write'),
    doc('schedules', 'Change a schedule', { schema: Schedule }),
    param('id'),
    body(change(fields)),
    async (c) => {
      const { id } = c.req.valid('param')
      const row = await audited(c, 'schedules.update', (tx) => changed(tx, table, 'schedule', id, c.req.valid('json')))
      return c.json(row)
    },
  )
  .delete(
    '/:id',
    may('schedules:write'),
    doc('schedules', 'Delete a schedule that no rule names', { status: 204 }),
    param('id'),
    async (c) => {
      const { id } = c.req.valid('param')
      await audited(c, 'schedules.delete', (tx) => removed(tx, table, 'schedule', id))
      return c.body(null, 204)
    },
  )
