import { and, desc, eq, sql } from 'drizzle-orm'
import { Hono } from 'hono'
import * as v from 'valibot'
import { audited } from '../audit/audited.ts'
import { locked } from '../audit/rows.ts'
import { CARD_VIEWS } from '../contract/card-views.ts'
import { profileNamed } from '../contract/profiles.ts'
import { readers, seenReaders as table } from '../db/schema.ts'
import { doc, pageOf } from '../docs.ts'
import { found } from '../errors.ts'
import { may } from '../login/guard.ts'
import type { AppEnv } from '../platform.ts'
import { Id, param, query, time } from '../validate.ts'
import { after, Paging, toPage } from './page.ts'

const UnknownReader = v.object({
  id: Id,
  profile: v.string(),
  title: v.pipe(v.string(), v.description('What people call the profile.')),
  topic: v.string(),
  unit: v.nullable(v.string()),
  firstSeenAt: time,
  lastSeenAt: time,
  messages: v.number(),
  suggestion: v.pipe(
    v.nullable(
      v.object({
        name: v.string(),
        profile: v.string(),
        topic: v.string(),
        unit: v.optional(v.string()),
        cardView: v.picklist(CARD_VIEWS),
      }),
    ),
    v.description(
      'A body for POST /api/v1/readers, to be looked over first. Null where the profile is not known here.',
    ),
  ),
})

type Row = typeof table.$inferSelect

/** As long as a name may be. */
const MOST_LETTERS = 200

const shown = ({ id, profile, topic, unit, firstSeenAt, lastSeenAt, messages }: Row) => {
  const info = profileNamed(profile)
  const title = info?.title ?? profile
  const cardView = info?.views[0]
  const name = [...`${unit ?? topic}`.trim()].slice(0, MOST_LETTERS / 2).join('') || profile
  const suggestion = cardView && { name, profile, topic, ...(unit !== null && { unit }), cardView }
  return { id, profile, title, topic, unit, firstSeenAt, lastSeenAt, messages, suggestion: suggestion ?? null }
}

/** Somebody set it up in the meantime. */
const isReader = sql`exists (select from ${readers}
  where ${readers.topic} = ${table.topic} and (${readers.unit} is null or ${readers.unit} = ${table.unit}))`

/**
 * Devices that bridges have heard speak a known profile, and that are no readers: for somebody to set up, or to dismiss.
 * What is here was published by anybody who may publish at the broker: it is shown, and believed nowhere.
 */
export const unknownReaders = new Hono<AppEnv>()
  .get(
    '/',
    may('readers:read'),
    doc('readers', 'List devices that could be set up as readers, the one heard last first', {
      schema: pageOf(UnknownReader),
      refusals: [401, 422],
    }),
    query(v.strictObject(Paging)),
    async (c) => {
      const { limit, cursor } = c.req.valid('query')
      const columns = [table.lastSeenAt, table.id] as const
      const rows = await c.env.db
        .select()
        .from(table)
        .where(and(eq(table.dismissed, false), sql`not ${isReader}`, after(cursor, columns, true)))
        .orderBy(desc(table.lastSeenAt), desc(table.id))
        .limit(limit + 1)
      const page = toPage(rows, limit, ({ lastSeenAt, id }) => [lastSeenAt.toISOString(), id])
      return c.json({ ...page, items: page.items.map(shown) })
    },
  )
  .delete(
    '/:id',
    may('readers:write'),
    doc('readers', 'Dismiss a device: it is not listed any more, even when it is heard again', { status: 204 }),
    param('id'),
    async (c) => {
      const { id } = c.req.valid('param')
      await audited(c, 'unknown-readers.dismiss', async (tx) => {
        const row = await locked(tx, table, 'device', id)
        const before = found(row.dismissed ? undefined : row, 'device')
        await tx.update(table).set({ dismissed: true }).where(eq(table.id, id))
        return { target: { kind: 'unknown-reader', id }, before, after: { ...before, dismissed: true }, answer: null }
      })
      return c.body(null, 204)
    },
  )
