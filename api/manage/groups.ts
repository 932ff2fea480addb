import { and, asc, eq, getTableColumns, ilike, inArray } from 'drizzle-orm'
import { Hono } from 'hono'
import * as v from 'valibot'
import { audited } from '../audit/audited.ts'
import { added, changed, removed } from '../audit/rows.ts'
import { groupPeople, people, groups as table } from '../db/schema.ts'
import { doc, pageOf } from '../docs.ts'
import { found } from '../errors.ts'
import { may } from '../login/guard.ts'
import type { AppEnv, Db } from '../platform.ts'
import { body, change, Id, line, param, query } from '../validate.ts'
import { after, anywhere, Paging, Search, toPage } from './page.ts'
import { Person } from './people.ts'

const fields = { name: line() }
const Group = v.object({ id: Id, name: v.string() })

const groupById = async (db: Pick<Db, 'select'>, id: string) => {
  const [row] = await db.select().from(table).where(eq(table.id, id))
  return found(row, 'group')
}

/** What the audit log says of who is in a group; to put somebody there twice changes nothing, and is on record. */
const membership = (groupId: string, personId: string, member: { before: boolean; after: boolean }) => ({
  target: { kind: 'group', id: groupId },
  before: { personId, member: member.before },
  after: { personId, member: member.after },
  answer: null,
})

export const groups = new Hono<AppEnv>()
  .get(
    '/',
    may('groups:read'),
    doc('groups', 'List groups by name, all or those of one person', { schema: pageOf(Group), refusals: [401, 422] }),
    query(v.strictObject({ ...Paging, q: Search, personId: v.optional(Id) })),
    async (c) => {
      const { limit, cursor, q, personId } = c.req.valid('query')
      const { db } = c.env
      const groupsOf = (person: string) =>
        db.select({ id: groupPeople.groupId }).from(groupPeople).where(eq(groupPeople.personId, person))
      const rows = await db
        .select()
        .from(table)
        .where(
          and(
            q === undefined ? undefined : ilike(table.name, anywhere(q)),
            personId === undefined ? undefined : inArray(table.id, groupsOf(personId)),
            after(cursor, [table.name, table.id]),
          ),
        )
        .orderBy(asc(table.name), asc(table.id))
        .limit(limit + 1)
      return c.json(toPage(rows, limit, (row) => [row.name, row.id]))
    },
  )
  .post(
    '/',
    may('groups:write'),
    doc('groups', 'Add a group', { status: 201, schema: Group }),
    body(v.strictObject(fields)),
    async (c) => {
      const row = await audited(c, 'groups.create', (tx) => added(tx, table, 'group', c.req.valid('json')))
      return c.json(row, 201)
    },
  )
  .get('/:id', may('groups:read'), doc('groups', 'One group', { schema: Group }), param('id'), async (c) =>
    c.json(await groupById(c.env.db, c.req.valid('param').id)),
  )
  .patch(
    '/:id',
    may('groups:write'),
    doc('groups', 'Rename a group', { schema: Group }),
    param('id'),
    body(change(fields)),
    async (c) => {
      const { id } = c.req.valid('param')
      const row = await audited(c, 'groups.update', (tx) => changed(tx, table, 'group', id, c.req.valid('json')))
      return c.json(row)
    },
  )
  .delete(
    '/:id',
    may('groups:write'),
    doc('groups', 'Delete a group that no rule names', { status: 204 }),
    param('id'),
    async (c) => {
      const { id } = c.req.valid('param')
      await audited(c, 'groups.delete', (tx) => removed(tx, table, 'group', id))
      return c.body(null, 204)
    },
  )
  .get(
    '/:id/people',
    may('groups:read'),
    doc('groups', 'The people of a group, by name', { schema: pageOf(Person) }),
    param('id'),
    query(v.strictObject(Paging)),
    async (c) => {
      const { limit, cursor } = c.req.valid('query')
      const { id } = await groupById(c.env.db, c.req.valid('param').id)
      const rows = await c.env.db
        .select(getTableColumns(people))
        .from(groupPeople)
        .innerJoin(people, eq(people.id, groupPeople.personId))
        .where(and(eq(groupPeople.groupId, id), after(cursor, [people.name, people.id])))
        .orderBy(asc(people.name), asc(people.id))
        .limit(limit + 1)
      return c.json(toPage(rows, limit, (row) => [row.name, row.id]))
    },
  )
  .put(
    '/:id/people/:personId',
    may('groups:write'),
    doc('groups', 'Put a person into a group; doing it twice changes nothing', { status: 204 }),
    param('id', 'personId'),
    async (c) => {
      const { id, personId } = c.req.valid('param')
      await audited(c, 'groups.people.add', async (tx) => {
        await groupById(tx, id)
        const [person] = await tx.select({ id: people.id }).from(people).where(eq(people.id, personId))
        found(person, 'person')
        const added = await tx.insert(groupPeople).values({ groupId: id, personId }).onConflictDoNothing().returning()
        return membership(id, personId, { before: added.length === 0, after: true })
      })
      return c.body(null, 204)
    },
  )
  .delete(
    '/:id/people/:personId',
    may('groups:write'),
    doc('groups', 'Take a person out of a group', { status: 204 }),
    param('id', 'personId'),
    async (c) => {
      const { id, personId } = c.req.valid('param')
      await audited(c, 'groups.people.remove', async (tx) => {
        const [row] = await tx
          .delete(groupPeople)
          .where(and(eq(groupPeople.groupId, id), eq(groupPeople.personId, personId)))
          .returning()
        found(row, 'person in this group')
        return membership(id, personId, { before: true, after: false })
      })
      return c.body(null, 204)
    },
  )
