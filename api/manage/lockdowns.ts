import { and, desc, eq, inArray, isNull, lte, type SQL, sql } from 'drizzle-orm'
import { Hono } from 'hono'
import * as v from 'valibot'
import { audited, type Tx } from '../audit/audited.ts'
import { locked } from '../audit/rows.ts'
import { LOCKDOWN_KINDS, lockdownReaders, lockdowns as table } from '../db/schema.ts'
import { doc, pageOf } from '../docs.ts'
import { found, invalid, refuse } from '../errors.ts'
import { may } from '../login/guard.ts'
import type { AppEnv } from '../platform.ts'
import { body, Id, instant, line, param, query, time } from '../validate.ts'
import { after, is, Paging, toPage } from './page.ts'

const Kind = v.picklist(LOCKDOWN_KINDS)

const NewLockdown = v.strictObject({
  kind: Kind,
  readerIds: v.optional(
    v.pipe(
      v.array(Id),
      v.minLength(1, 'name at least one reader, or leave it out: that is everywhere'),
      v.maxLength(500),
      v.transform((ids) => [...new Set(ids)]),
    ),
  ),
  reason: line(),
  until: v.nullish(instant),
})

const Lockdown = v.object({
  id: Id,
  kind: Kind,
  everywhere: v.boolean(),
  /** None where it is everywhere; those that were deleted meanwhile are not among them. */
  readerIds: v.array(Id),
  reason: v.string(),
  createdAt: time,
  createdBy: v.nullable(Id),
  until: v.nullable(time),
  /** When it was over; nobody ended it where `endedBy` is null. */
  endedAt: v.nullable(time),
  endedBy: v.nullable(Id),
  inForce: v.boolean(),
})

type Row = typeof table.$inferSelect

const isOver = ({ until, endedAt }: Row, now: Date) => endedAt !== null || (until !== null && until <= now)

/** One that ended by itself says so, whether or not it was noted since. */
const shown = async (tx: Pick<Tx, 'select'>, rows: Row[], now: Date): Promise<(Row & { readerIds: string[] })[]> => {
  const ids = rows.map(({ id }) => id)
  const links = await tx.select().from(lockdownReaders).where(inArray(lockdownReaders.lockdownId, ids))
  return rows.map((row) => ({
    ...row,
    readerIds: links.flatMap(({ lockdownId, readerId }) => (lockdownId === row.id ? [readerId] : [])).sort(),
    endedAt: row.endedAt ?? (isOver(row, now) ? row.until : null),
    inForce: !isOver(row, now),
  }))
}
const one = async (tx: Pick<Tx, 'select'>, row: Row | undefined, now: Date) =>
  found((await shown(tx, row ? [row] : [], now))[0], 'lockdown')

/** What is over by itself is put with what is over, so that no scan has to look past it. */
const noteEnds = (tx: Tx, now: Date) =>
  tx
    .update(table)
    .set({ endedAt: sql`${table.until}` })
    .where(and(isNull(table.endedAt), lte(table.until, now)))

const inForceAt = (now: Date): SQL =>
  sql`${table.endedAt} is null and (${table.until} is null or ${table.until} > ${now.toISOString()})`

export const lockdowns = new Hono<AppEnv>()
  .get(
    '/',
    may('lockdowns:read'),
    doc('lockdowns', 'List lockdowns and evacuations, newest first; with `inForce=true` those that are not over', {
      schema: pageOf(Lockdown),
      refusals: [401, 422],
    }),
    query(v.strictObject({ ...Paging, kind: v.optional(Kind), inForce: v.optional(v.picklist(['true', 'false'])) })),
    async (c) => {
      const { limit, cursor, kind, inForce } = c.req.valid('query')
      const { db } = c.env
      const now = c.env.now()
      const force = { true: inForceAt(now), false: sql`not (${inForceAt(now)})` }
      const rows = await db
        .select()
        .from(table)
        .where(and(is(table.kind, kind), inForce && force[inForce], after(cursor, [table.createdAt, table.id], true)))
        .orderBy(desc(table.createdAt), desc(table.id))
        .limit(limit + 1)
      const { items, nextCursor } = toPage(rows, limit, (row) => [row.createdAt.toISOString(), row.id])
      return c.json({ items: await shown(db, items, now), nextCursor })
    },
  )
  .post(
    '/',
    may('lockdowns:write'),
    doc(
      'lockdowns',
      'Shut readers to everybody who is not exempt, or open their doors and keep them open; all, where none are named',
      { status: 201, schema: Lockdown },
    ),
    body(NewLockdown),
    async (c) => {
      const { readerIds, ...input } = c.req.valid('json')
      const now = c.env.now()
      if (input.until && input.until <= now) invalid('until', 'must be in the future')
      const values = { ...input, everywhere: readerIds === undefined, createdAt: now, createdBy: c.var.caller.id }
      const answer = await audited(c, 'lockdowns.create', async (tx) => {
        await noteEnds(tx, now)
        const [row] = await tx.insert(table).values(values).returning()
        const { id } = found(row, 'lockdown')
        const links = readerIds?.map((readerId) => ({ lockdownId: id, readerId }))
        if (links) await tx.insert(lockdownReaders).values(links)
        const after = await one(tx, row, now)
        return { target: { kind: 'lockdown', id }, after, answer: after }
      })
      return c.json(answer, 201)
    },
  )
  .get(
    '/:id',
    may('lockdowns:read'),
    doc('lockdowns', 'One lockdown', { schema: Lockdown }),
    param('id'),
    async (c) => {
      const { id } = c.req.valid('param')
      const [row] = await c.env.db.select().from(table).where(eq(table.id, id))
      return c.json(await one(c.env.db, row, c.env.now()))
    },
  )
  .delete(
    '/:id',
    may('lockdowns:write'),
    doc('lockdowns', 'End a lockdown; it stays on the list. Others that are in force go on', { status: 204 }),
    param('id'),
    async (c) => {
      const { id } = c.req.valid('param')
      const now = c.env.now()
      await audited(c, 'lockdowns.end', async (tx) => {
        const row = await locked(tx, table, 'lockdown', id)
        const before = await one(tx, row, now)
        if (before.endedAt !== null) refuse(409, `It is over already, since ${before.endedAt.toISOString()}.`)
        const [ended] = await tx
          .update(table)
          .set({ endedAt: now, endedBy: c.var.caller.id })
          .where(eq(table.id, id))
          .returning()
        return { target: { kind: 'lockdown', id }, before, after: await one(tx, ended, now), answer: null }
      })
      return c.body(null, 204)
    },
  )
