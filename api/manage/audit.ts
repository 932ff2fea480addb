import { and, desc, eq, gte, lt } from 'drizzle-orm'
import { Hono } from 'hono'
import * as v from 'valibot'
import { BEGINNING, Checkpoint, sealed } from '../audit/checkpoint.ts'
import { ACTORS, audit as table } from '../db/schema.ts'
import { doc, pageOf } from '../docs.ts'
import { found } from '../errors.ts'
import { may } from '../login/guard.ts'
import type { AppEnv } from '../platform.ts'
import { Id, instant, numberParam, query, time } from '../validate.ts'
import { after, is, Paging, toPage } from './page.ts'

const Entry = v.object({
  number: v.number(),
  at: time,
  actor: v.object({ kind: v.picklist(ACTORS), id: v.nullable(Id) }),
  address: v.nullable(v.string()),
  action: v.string(),
  target: v.nullable(v.object({ kind: v.string(), id: Id })),
  before: v.unknown(),
  after: v.unknown(),
  hash: v.string(),
})

const entry = (row: typeof table.$inferSelect) => {
  const { number, at, address, action, before, after, hash } = row
  const target = row.targetKind === null ? null : { kind: row.targetKind, id: row.targetId }
  return { number, at, actor: { kind: row.actorKind, id: row.actorId }, address, action, target, before, after, hash }
}

/** A word as the log has them: the name of an action, or of a kind of target. */
const word = v.pipe(v.string(), v.regex(/^[a-z][a-z.-]{0,63}$/, 'not a word of the audit log'))

const filters = {
  from: v.optional(instant),
  to: v.optional(instant),
  actorId: v.optional(Id),
  targetId: v.optional(Id),
  targetKind: v.optional(word),
  action: v.optional(word),
}

/** Who did what. Only read here: what is on the audit log is written by what it speaks of. */
export const audit = new Hono<AppEnv>()
  .get(
    '/',
    may('audit:read'),
    doc('audit', 'The audit log, newest first; `from` inclusive, `to` exclusive', {
      schema: pageOf(Entry),
      refusals: [401, 403, 422],
    }),
    query(v.strictObject({ ...Paging, ...filters })),
    async (c) => {
      const { limit, cursor, from, to, actorId, targetId, targetKind, action } = c.req.valid('query')
      // Of a span of time in the order of time: by the chain's it would be found only by going back to it row by row.
      const order = from || to ? ([table.at, table.number] as const) : ([table.number] as const)
      const rows = await c.env.db
        .select()
        .from(table)
        .where(
          and(
            from && gte(table.at, from),
            to && lt(table.at, to),
            is(table.actorId, actorId),
            is(table.targetId, targetId),
            is(table.targetKind, targetKind),
            is(table.action, action),
            after(cursor, order, true),
          ),
        )
        .orderBy(...order.map((column) => desc(column)))
        .limit(limit + 1)
      const { items, nextCursor } = toPage(rows, limit, ({ at, number }) =>
        from || to ? [at.toISOString(), String(number)] : [String(number)],
      )
      return c.json({ items: items.map(entry), nextCursor })
    },
  )
  .get(
    '/checkpoint',
    may('audit:read'),
    doc('audit', 'The end of the chain, sealed: keep it elsewhere, and `npm run audit:verify` finds a cut-off end', {
      schema: Checkpoint,
      refusals: [401, 403],
    }),
    async (c) => {
      const [row] = await c.env.db
        .select({ number: table.number, hash: table.hash })
        .from(table)
        .orderBy(desc(table.number))
        .limit(1)
      const end = { ...(row ?? { number: 0, hash: BEGINNING }), at: c.env.now().toISOString() }
      return c.json(await sealed(c.env.config.APP_KEY, end))
    },
  )
  .get(
    '/:number',
    may('audit:read'),
    doc('audit', 'One row of the audit log', { schema: Entry }),
    numberParam,
    async (c) => {
      const { number } = c.req.valid('param')
      const [row] = await c.env.db.select().from(table).where(eq(table.number, number))
      return c.json(entry(found(row, 'row of the audit log')))
    },
  )
