import { and, asc, eq, ilike, or, sql } from 'drizzle-orm'
import { Hono } from 'hono'
import * as v from 'valibot'
import { writeKeys } from '../access/card-keys.ts'
import { audited } from '../audit/audited.ts'
import { added, changed, locked, removed } from '../audit/rows.ts'
import { type CardNumber, canonicalDecimal, canonicalHex, FORMS } from '../contract/card-views.ts'
import { STATUSES } from '../contract/decide.ts'
import { cardKeys, people, cards as table } from '../db/schema.ts'
import { doc, pageOf } from '../docs.ts'
import { found, invalid } from '../errors.ts'
import { may, onlyOf } from '../login/guard.ts'
import type { AppEnv } from '../platform.ts'
import { body, change, Id, instant, line, param, query, time } from '../validate.ts'
import { after, anywhere, is, Paging, Search, toPage } from './page.ts'

const fields = {
  personId: Id,
  number: line(128),
  form: v.optional(v.picklist(FORMS)),
  label: v.nullish(line()),
  status: v.optional(v.picklist(STATUSES)),
  validFrom: v.nullish(instant),
  validUntil: v.nullish(instant),
}

const Card = v.object({
  id: Id,
  personId: Id,
  number: v.string(),
  form: v.picklist(FORMS),
  label: v.nullable(v.string()),
  status: v.picklist(STATUSES),
  validFrom: v.nullable(time),
  validUntil: v.nullable(time),
})

const canonical = {
  hex: { of: canonicalHex, expected: 'the card’s bytes in hex, 1 to 32 of them and not all zero, such as DE0BA996' },
  decimal: { of: canonicalDecimal, expected: 'decimal digits, not zero, such as 6159760' },
}

/** The one spelling of a number in its form; a form of its own is a mistake of the caller, not of a reader. */
const canonicalNumber = ({ form, number }: CardNumber): string =>
  canonical[form].of(number) ?? invalid('number', `must be ${canonical[form].expected}`)

const matches = (q: string) =>
  or(
    ilike(table.label, anywhere(q)),
    ilike(table.number, anywhere(canonicalHex(q) ?? canonicalDecimal(q) ?? q)),
    eq(table.number, canonicalDecimal(q) ?? q),
    sql`exists (select from ${people} where ${people.id} = ${table.personId} and ${people.name} ilike ${anywhere(q)})`,
  )

export const cards = new Hono<AppEnv>()
  .get(
    '/',
    may('cards:read', 'own:read'),
    doc('cards', 'List cards by number; `q` searches numbers, labels and holders', {
      schema: pageOf(Card),
      refusals: [401, 422],
    }),
    query(v.strictObject({ ...Paging, q: Search, personId: v.optional(Id), status: v.optional(v.picklist(STATUSES)) })),
    async (c) => {
      const { limit, cursor, q, personId, status } = c.req.valid('query')
      const rows = await c.env.db
        .select()
        .from(table)
        .where(
          and(
            q === undefined ? undefined : matches(q),
            is(table.personId, onlyOf(c)),
            is(table.personId, personId),
            is(table.status, status),
            after(cursor, [table.number, table.id]),
          ),
        )
        .orderBy(asc(table.number), asc(table.id))
        .limit(limit + 1)
      return c.json(toPage(rows, limit, (row) => [row.number, row.id]))
    },
  )
  .post(
    '/',
    may('cards:write'),
    doc('cards', 'Give a person a card', { status: 201, schema: Card }),
    body(v.strictObject(fields)),
    async (c) => {
      const { form = 'hex', ...input } = c.req.valid('json')
      const values = { ...input, form, number: canonicalNumber({ form, number: input.number }) }
      const card = await audited(c, 'cards.create', async (tx) => {
        const change = await added(tx, table, 'card', values)
        await writeKeys(tx, change.after)
        return change
      })
      return c.json(card, 201)
    },
  )
  .get('/:id', may('cards:read', 'own:read'), doc('cards', 'One card', { schema: Card }), param('id'), async (c) => {
    const { id } = c.req.valid('param')
    const [row] = await c.env.db
      .select()
      .from(table)
      .where(and(eq(table.id, id), is(table.personId, onlyOf(c))))
    return c.json(found(row, 'card'))
  })
  .patch(
    '/:id',
    may('cards:write'),
    doc('cards', 'Change a card', { schema: Card }),
    param('id'),
    body(change(fields)),
    async (c) => {
      const { id } = c.req.valid('param')
      const input = c.req.valid('json')
      const card = await audited(c, 'cards.update', async (tx) => {
        const before = await locked(tx, table, 'card', id)
        const { form = before.form, number = before.number } = input
        const values = { ...input, form, number: canonicalNumber({ form, number }) }
        const change = await changed(tx, table, 'card', id, values)
        if (form === before.form && values.number === before.number) return change
        await tx.delete(cardKeys).where(eq(cardKeys.cardId, id))
        await writeKeys(tx, change.after)
        return change
      })
      return c.json(card)
    },
  )
  .delete(
    '/:id',
    may('cards:write'),
    doc('cards', 'Delete a card; the record keeps its scans', { status: 204 }),
    param('id'),
    async (c) => {
      const { id } = c.req.valid('param')
      await audited(c, 'cards.delete', (tx) => removed(tx, table, 'card', id))
      return c.body(null, 204)
    },
  )
