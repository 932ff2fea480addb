import { and, eq } from 'drizzle-orm'
import { Hono } from 'hono'
import * as v from 'valibot'
import { audited, type Tx } from '../audit/audited.ts'
import { accounts, sessions as table } from '../db/schema.ts'
import { doc, pageOf } from '../docs.ts'
import { found, refuse } from '../errors.ts'
import { removeFactor } from '../login/codes.ts'
import { accountOf, may } from '../login/guard.ts'
import { recentProof } from '../login/proof.ts'
import { endSessions } from '../login/sessions.ts'
import type { AppEnv, Caller } from '../platform.ts'
import { param, query } from '../validate.ts'
import { lockAccount, requireGrant } from './accounts.ts'
import { columns, pageOfSessions, Session } from './my-sessions.ts'
import { Paging } from './page.ts'

/** The account, locked, for whoever may change an account of its role. */
const lockGranted = async (tx: Tx, caller: Caller, id: string) => {
  const account = await lockAccount(tx, id)
  requireGrant(caller, account.role)
  return account
}

/** How other people get in: where they are signed in, and the second factor that somebody lost. */
export const accountAccess = new Hono<AppEnv>()
  .get(
    '/:id/sessions',
    may('accounts:read'),
    doc('accounts', 'Where an account is signed in, newest first', { schema: pageOf(Session) }),
    param('id'),
    query(v.strictObject(Paging)),
    async (c) => {
      const { id } = c.req.valid('param')
      const { caller } = c.var
      const [account] = await c.env.db.select({ id: accounts.id }).from(accounts).where(eq(accounts.id, id))
      found(account, 'account')
      const current = caller.kind === 'account' ? caller.sessionId : undefined
      return c.json(await pageOfSessions(c.env, id, c.req.valid('query'), current))
    },
  )
  .delete(
    '/:id/sessions',
    may('accounts:write'),
    doc('accounts', 'Sign an account out everywhere', { status: 204 }),
    param('id'),
    async (c) => {
      const { id } = c.req.valid('param')
      await audited(c, 'accounts.sessions.delete', async (tx) => {
        await lockGranted(tx, c.var.caller, id)
        const before = await tx.delete(table).where(eq(table.accountId, id)).returning(columns)
        return { target: { kind: 'account', id }, before, answer: undefined }
      })
      return c.body(null, 204)
    },
  )
  .delete(
    '/:id/sessions/:sessionId',
    may('accounts:write'),
    doc('accounts', 'End one session of an account', { status: 204 }),
    param('id', 'sessionId'),
    async (c) => {
      const { id, sessionId } = c.req.valid('param')
      await audited(c, 'accounts.sessions.delete', async (tx) => {
        await lockGranted(tx, c.var.caller, id)
        const one = and(eq(table.id, sessionId), eq(table.accountId, id))
        const [before] = await tx.delete(table).where(one).returning(columns)
        return { target: { kind: 'account', id }, before: [found(before, 'session')], answer: undefined }
      })
      return c.body(null, 204)
    },
  )
  .delete(
    '/:id/totp',
    may('accounts:write'),
    recentProof,
    doc('accounts', 'Take the second factor of somebody who lost it away, and sign them out everywhere', {
      status: 204,
    }),
    param('id'),
    async (c) => {
      const { id } = c.req.valid('param')
      if (id === accountOf(c).id) refuse(409, 'This is your own account: see /api/v1/me/totp.')
      await audited(c, 'accounts.totp.delete', async (tx) => {
        const { totp } = await lockGranted(tx, c.var.caller, id)
        if (!totp) refuse(404, 'There is no second factor on this account.')
        await removeFactor(tx, id)
        await endSessions(tx, id)
        return { target: { kind: 'account', id }, before: { totp }, after: { totp: false }, answer: undefined }
      })
      return c.body(null, 204)
    },
  )
