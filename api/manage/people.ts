import { and, asc, eq, ilike, or, sql } from 'drizzle-orm'
import { Hono } from 'hono'
import * as v from 'valibot'
import { audited } from '../audit/audited.ts'
import { added, changed, removed } from '../audit/rows.ts'
import { canonicalDecimal, canonicalHex } from '../contract/card-views.ts'
import { cards, people as table } from '../db/schema.ts'
import { doc, pageOf } from '../docs.ts'
import { found } from '../errors.ts'
import { may, onlyOf } from '../login/guard.ts'
import type { AppEnv } from '../platform.ts'
import { body, change, email, Id, instant, line, param, query, time } from '../validate.ts'
import { after, anywhere, is, Paging, Search, toPage } from './page.ts'

const fields = {
  name: line(),
  email: v.nullish(email),
  employeeNumber: v.nullish(line(64)),
  active: v.optional(v.boolean()),
  validFrom: v.nullish(instant),
  validUntil: v.nullish(instant),
  exemptFromLockdown: v.optional(v.boolean()),
}

export const Person = v.object({
  id: Id,
  name: v.string(),
  email: v.nullable(v.string()),
  employeeNumber: v.nullable(v.string()),
  active: v.boolean(),
  validFrom: v.nullable(time),
  validUntil: v.nullable(time),
  /** A lockdown does not keep this person out. */
  exemptFromLockdown: v.boolean(),
  /** Since then this is nobody any more, only whom the record speaks of. */
  erasedAt: v.nullable(time),
})

/** By name, e-mail or employee number, or by the number of one of the person's cards in either form. */
const matches = (q: string) =>
  or(
    ilike(table.name, anywhere(q)),
    ilike(table.email, anywhere(q)),
    ilike(table.employeeNumber, anywhere(q)),
    ...[canonicalHex(q), canonicalDecimal(q)]
      .filter((number) => number !== undefined)
      .map(
        (number) =>
          sql`exists (select from ${cards} where ${cards.personId} = ${table.id} and ${cards.number} = ${number})`,
      ),
  )

export const people = new Hono<AppEnv>()
  .get(
    '/',
    may('people:read', 'own:read'),
    doc('people', 'List people by name; `q` searches names, e-mails, employee and card numbers', {
      schema: pageOf(Person),
      refusals: [401, 422],
    }),
    query(v.strictObject({ ...Paging, q: Search })),
    async (c) => {
      const { limit, cursor, q } = c.req.valid('query')
      const rows = await c.env.db
        .select()
        .from(table)
        .where(
          and(is(table.id, onlyOf(c)), q === undefined ? undefined : matches(q), after(cursor, [table.name, table.id])),
        )
        .orderBy(asc(table.name), asc(table.id))
        .limit(limit + 1)
      return c.json(toPage(rows, limit, (row) => [row.name, row.id]))
    },
  )
  .post(
    '/',
    may('people:write'),
    doc('people', 'Add a person', { status: 201, schema: Person }),
    body(v.strictObject(fields)),
    async (c) => {
      const row = await audited(c, 'people.create', (tx) => added(tx, table, 'person', c.req.valid('json')))
      return c.json(row, 201)
    },
  )
  .get(
    '/:id',
    may('people:read', 'own:read'),
    doc('people', 'One person', { schema: Person }),
    param('id'),
    async (c) => {
      const { id } = c.req.valid('param')
      const [row] = await c.env.db
        .select()
        .from(table)
        .where(and(eq(table.id, id), is(table.id, onlyOf(c))))
      return c.json(found(row, 'person'))
    },
  )
  .patch(
    '/:id',
    may('people:write'),
    doc('people', 'Change a person', { schema: Person }),
    param('id'),
    body(change(fields)),
    async (c) => {
      const { id } = c.req.valid('param')
      const row = await audited(c, 'people.update', (tx) => changed(tx, table, 'person', id, c.req.valid('json')))
      return c.json(row)
    },
  )
  .delete(
    '/:id',
    may('people:write'),
    doc('people', 'Delete a person who has no cards', { status: 204 }),
    param('id'),
    async (c) => {
      const { id } = c.req.valid('param')
      await audited(c, 'people.delete', (tx) => removed(tx, table, 'person', id))
      return c.body(null, 204)
    },
  )
