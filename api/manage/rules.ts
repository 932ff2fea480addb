import { and, asc, eq, exists, inArray, notInArray } from 'drizzle-orm'
import { Hono } from 'hono'
import * as v from 'valibot'
import { audited } from '../audit/audited.ts'
import { added, locked, removed } from '../audit/rows.ts'
import { ruleReaders, rules as table } from '../db/schema.ts'
import { doc, pageOf } from '../docs.ts'
import { found } from '../errors.ts'
import { may } from '../login/guard.ts'
import type { AppEnv, Db } from '../platform.ts'
import { body, change, Id, param, query } from '../validate.ts'
import { after, is, Paging, toPage } from './page.ts'

const fields = {
  groupId: Id,
  readerIds: v.pipe(
    v.array(Id),
    v.minLength(1, 'name at least one reader'),
    v.maxLength(500),
    v.transform((ids) => [...new Set(ids)]),
  ),
  scheduleId: v.nullish(Id),
}
const Rule = v.object({ id: Id, groupId: Id, readerIds: v.array(Id), scheduleId: v.nullable(Id) })

type Tx = Pick<Db, 'select' | 'insert' | 'delete'>

const withReaders = async (db: Tx, rows: (typeof table.$inferSelect)[]) => {
  const ids = rows.map((row) => row.id)
  const links = ids.length === 0 ? [] : await db.select().from(ruleReaders).where(inArray(ruleReaders.ruleId, ids))
  return rows.map((row) => ({
    ...row,
    readerIds: links
      .filter((link) => link.ruleId === row.id)
      .map((link) => link.readerId)
      .sort(),
  }))
}

const setReaders = async (tx: Tx, ruleId: string, readerIds: string[]) => {
  // Those that stay are not touched: every bridge would read its snapshot again for them.
  await tx.delete(ruleReaders).where(and(eq(ruleReaders.ruleId, ruleId), notInArray(ruleReaders.readerId, readerIds)))
  await tx
    .insert(ruleReaders)
    .values(readerIds.map((readerId) => ({ ruleId, readerId })))
    .onConflictDoNothing()
}

const ruleById = async (db: Tx, id: string) => {
  const [rule] = await withReaders(db, await db.select().from(table).where(eq(table.id, id)))
  return found(rule, 'rule')
}

export const rules = new Hono<AppEnv>()
  .get(
    '/',
    may('rules:read'),
    doc('rules', 'List rules, oldest first', { schema: pageOf(Rule), refusals: [401, 422] }),
    query(
      v.strictObject({
        ...Paging,
        groupId: v.optional(Id),
        readerId: v.optional(Id),
        scheduleId: v.optional(Id),
      }),
    ),
    async (c) => {
      const { limit, cursor, groupId, readerId, scheduleId } = c.req.valid('query')
      const { db } = c.env
      const forReader = (reader: string) =>
        exists(
          db
            .select()
            .from(ruleReaders)
            .where(and(eq(ruleReaders.ruleId, table.id), eq(ruleReaders.readerId, reader))),
        )
      const rows = await db
        .select()
        .from(table)
        .where(
          and(
            is(table.groupId, groupId),
            is(table.scheduleId, scheduleId),
            readerId === undefined ? undefined : forReader(readerId),
            after(cursor, [table.id]),
          ),
        )
        .orderBy(asc(table.id))
        .limit(limit + 1)
      const { items, nextCursor } = toPage(rows, limit, (row) => [row.id])
      return c.json({ items: await withReaders(db, items), nextCursor })
    },
  )
  .post(
    '/',
    may('rules:write'),
    doc('rules', 'Let a group pass readers, always or during a schedule', { status: 201, schema: Rule }),
    body(v.strictObject(fields)),
    async (c) => {
      const { readerIds, ...values } = c.req.valid('json')
      const rule = await audited(c, 'rules.create', async (tx) => {
        const { target } = await added(tx, table, 'rule', values)
        await setReaders(tx, target.id, readerIds)
        const after = await ruleById(tx, target.id)
        return { target, after, answer: after }
      })
      return c.json(rule, 201)
    },
  )
  .get('/:id', may('rules:read'), doc('rules', 'One rule', { schema: Rule }), param('id'), async (c) =>
    c.json(await ruleById(c.env.db, c.req.valid('param').id)),
  )
  .patch(
    '/:id',
    may('rules:write'),
    doc('rules', 'Change a rule', { schema: Rule }),
    param('id'),
    body(change(fields)),
    async (c) => {
      const { id } = c.req.valid('param')
      const { readerIds, ...values } = c.req.valid('json')
      const rule = await audited(c, 'rules.update', async (tx) => {
        await locked(tx, table, 'rule', id)
        const before = await ruleById(tx, id)
        if (Object.keys(values).length > 0) await tx.update(table).set(values).where(eq(table.id, id))
        if (readerIds) await setReaders(tx, id, readerIds)
        const after = await ruleById(tx, id)
        return { target: { kind: 'rule', id }, before, after, answer: after }
      })
      return c.json(rule)
    },
  )
  .delete('/:id', may('rules:write'), doc('rules', 'Delete a rule', { status: 204 }), param('id'), async (c) => {
    const { id } = c.req.valid('param')
    await audited(c, 'rules.delete', async (tx) => {
      await locked(tx, table, 'rule', id)
      const before = await ruleById(tx, id)
      return { ...(await removed(tx, table, 'rule', id)), before }
    })
    return c.body(null, 204)
  })
