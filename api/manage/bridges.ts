import { and, asc, eq, ilike, sql } from 'drizzle-orm'
import { Hono } from 'hono'
import { base64url } from 'jose'
import * as v from 'valibot'
import { isOnline } from '../access/bridges-away.ts'
import { bridgeKey } from '../access/keys.ts'
import { audited } from '../audit/audited.ts'
import { added, changed, removed } from '../audit/rows.ts'
import { bridges as table } from '../db/schema.ts'
import { doc, pageOf } from '../docs.ts'
import { found } from '../errors.ts'
import { may } from '../login/guard.ts'
import { recentProof } from '../login/proof.ts'
import type { AppEnv, Platform } from '../platform.ts'
import { body, change, Id, line, param, query, time } from '../validate.ts'
import { after, anywhere, Paging, Search, toPage } from './page.ts'

const fields = { name: line() }
/** How long the old key is still good, so that the bridge can be given the new one without a pause. */
const Rotation = v.strictObject({
  keepMinutes: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(7 * 24 * 60)), 60),
})

const Bridge = v.object({ id: Id, name: v.string(), lastSeenAt: v.nullable(time) })
/** Where it is asked for: `online` is whether it asked within the last seconds, as it does every other one. */
const BridgeNow = v.object({ ...Bridge.entries, online: v.boolean() })
const BridgeWithKey = v.object({ ...Bridge.entries, key: v.string() })

const columns = { id: table.id, name: table.name, lastSeenAt: table.lastSeenAt }

/** Of which generation its key is, is for the audit log only. */
const shown = ({ id, name, lastSeenAt }: typeof table.$inferSelect) => ({ id, name, lastSeenAt })

/** The only two answers that carry a key: it is derived, never stored, so it cannot be shown again. */
const withKey = async ({ config }: Platform, row: typeof table.$inferSelect) => ({
  ...shown(row),
  key: base64url.encode(await bridgeKey(config.APP_KEY, row.id, row.generation)),
})

export const bridges = new Hono<AppEnv>()
  .get(
    '/',
    may('bridges:read'),
    doc('bridges', 'List bridges by name', { schema: pageOf(BridgeNow), refusals: [401, 422] }),
    query(v.strictObject({ ...Paging, q: Search })),
    async (c) => {
      const { limit, cursor, q } = c.req.valid('query')
      const rows = await c.env.db
        .select(columns)
        .from(table)
        .where(and(q === undefined ? undefined : ilike(table.name, anywhere(q)), after(cursor, [table.name, table.id])))
        .orderBy(asc(table.name), asc(table.id))
        .limit(limit + 1)
      const page = toPage(rows, limit, (row) => [row.name, row.id])
      const at = c.env.now()
      return c.json({ ...page, items: page.items.map((row) => ({ ...row, online: isOnline(row, at) })) })
    },
  )
  .post(
    '/',
    may('bridges:write'),
    recentProof,
    doc('bridges', 'Register a bridge; its key is in this answer and never again', {
      status: 201,
      schema: BridgeWithKey,
    }),
    body(v.strictObject(fields)),
    async (c) => {
      const row = await audited(c, 'bridges.create', (tx) => added(tx, table, 'bridge', c.req.valid('json')))
      return c.json(await withKey(c.env, row), 201)
    },
  )
  .get('/:id', may('bridges:read'), doc('bridges', 'One bridge', { schema: BridgeNow }), param('id'), async (c) => {
    const { id } = c.req.valid('param')
    const [row] = await c.env.db.select(columns).from(table).where(eq(table.id, id))
    const bridge = found(row, 'bridge')
    return c.json({ ...bridge, online: isOnline(bridge, c.env.now()) })
  })
  .patch(
    '/:id',
    may('bridges:write'),
    doc('bridges', 'Rename a bridge', { schema: Bridge }),
    param('id'),
    body(change(fields)),
    async (c) => {
      const { id } = c.req.valid('param')
      const row = await audited(c, 'bridges.update', (tx) => changed(tx, table, 'bridge', id, c.req.valid('json')))
      return c.json(shown(row))
    },
  )
  .post(
    '/:id/rotate',
    may('bridges:write'),
    recentProof,
    doc('bridges', 'Give a bridge a new key; the old one is good for `keepMinutes` more (60; 0 ends it at once)', {
      schema: BridgeWithKey,
    }),
    param('id'),
    body(Rotation),
    async (c) => {
      const { id } = c.req.valid('param')
      const { keepMinutes } = c.req.valid('json')
      const values = {
        generation: sql`${table.generation} + 1`,
        previousUntil: new Date(c.env.now().getTime() + keepMinutes * 60_000),
      }
      const row = await audited(c, 'bridges.rotate', (tx) => changed(tx, table, 'bridge', id, values))
      return c.json(await withKey(c.env, row))
    },
  )
  .delete(
    '/:id',
    may('bridges:write'),
    recentProof,
    doc('bridges', 'Delete a bridge; its key stops working at once', { status: 204 }),
    param('id'),
    async (c) => {
      const { id } = c.req.valid('param')
      await audited(c, 'bridges.delete', (tx) => removed(tx, table, 'bridge', id))
      return c.body(null, 204)
    },
  )
