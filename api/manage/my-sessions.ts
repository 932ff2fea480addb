import { and, desc, eq, ne } from 'drizzle-orm'
import { Hono } from 'hono'
import * as v from 'valibot'
import { audited } from '../audit/audited.ts'
import { sessions as table } from '../db/schema.ts'
import { doc, pageOf } from '../docs.ts'
import { found } from '../errors.ts'
import { accountOf } from '../login/guard.ts'
import { isLive } from '../login/sessions.ts'
import type { AppEnv, Platform } from '../platform.ts'
import { Id, param, query, time } from '../validate.ts'
import { after, Paging, toPage } from './page.ts'

export const Session = v.object({
  id: Id,
  createdAt: time,
  usedAt: time,
  expiresAt: time,
  address: v.nullable(v.string()),
  userAgent: v.nullable(v.string()),
  /** The one that asks. */
  current: v.boolean(),
})

/** What of a session may be shown. */
export const columns = {
  id: table.id,
  createdAt: table.createdAt,
  usedAt: table.usedAt,
  expiresAt: table.expiresAt,
  address: table.address,
  userAgent: table.userAgent,
}

type Page = { limit: number; cursor?: string | undefined }

/** A page of the sessions of an account that are not over, newest first. */
export const pageOfSessions = async (platform: Platform, accountId: string, page: Page, current?: string) => {
  const rows = await platform.db
    .select(columns)
    .from(table)
    .where(and(eq(table.accountId, accountId), isLive(platform), after(page.cursor, [table.createdAt, table.id], true)))
    .orderBy(desc(table.createdAt), desc(table.id))
    .limit(page.limit + 1)
  const shown = rows.map((row) => ({ ...row, current: row.id === current }))
  return toPage(shown, page.limit, (row) => [row.createdAt.toISOString(), row.id])
}

/** Where the account is signed in. */
export const mySessions = new Hono<AppEnv>()
  .get(
    '/sessions',
    doc('me', 'Where I am signed in, newest first', { schema: pageOf(Session), refusals: [401, 403, 422] }),
    query(v.strictObject(Paging)),
    async (c) => {
      const { id, sessionId } = accountOf(c)
      return c.json(await pageOfSessions(c.env, id, c.req.valid('query'), sessionId))
    },
  )
  .delete(
    '/sessions',
    doc('me', 'End all my sessions but this one', { status: 204, refusals: [401, 403] }),
    async (c) => {
      const { id, sessionId } = accountOf(c)
      await audited(c, 'me.sessions.delete', async (tx) => {
        const others = and(eq(table.accountId, id), ne(table.id, sessionId))
        const before = await tx.delete(table).where(others).returning(columns)
        return { target: { kind: 'account', id }, before, answer: undefined }
      })
      return c.body(null, 204)
    },
  )
  .delete(
    '/sessions/:id',
    doc('me', 'End one of my sessions', { status: 204, refusals: [401, 403, 404, 422] }),
    param('id'),
    async (c) => {
      const { id } = c.req.valid('param')
      await audited(c, 'me.sessions.delete', async (tx) => {
        const one = and(eq(table.id, id), eq(table.accountId, accountOf(c).id))
        const [before] = await tx.delete(table).where(one).returning(columns)
        return { target: { kind: 'session', id }, before: found(before, 'session'), answer: undefined }
      })
      return c.body(null, 204)
    },
  )
