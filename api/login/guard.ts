import { and, eq, gt } from 'drizzle-orm'
import { createMiddleware } from 'hono/factory'
import { HTTPException } from 'hono/http-exception'
import { accounts, sessions } from '../db/schema.ts'
import { refuse } from '../errors.ts'
import type { AppEnv, SignedIn } from '../platform.ts'
import { verify } from './tokens.ts'

const strangers = (cause?: unknown): never => {
  throw new HTTPException(401, { message: 'Sign in: send a current access token as a Bearer token.', cause })
}

/**
 * Who asks: a valid access token whose session still exists and whose account is not disabled. Asked of the database
 * each time, so that a logout or a changed role counts at once.
 */
export const signedIn = createMiddleware<AppEnv>(async (c, next) => {
  const [, token] = /^Bearer ([\w.-]+)$/i.exec(c.req.header('authorization') ?? '') ?? strangers()
  const { accountId, sessionId } = await verify(c.env, token ?? '').catch(strangers)
  const [account] = await c.env.db
    .select({ id: accounts.id, email: accounts.email, role: accounts.role, disabled: accounts.disabled })
    .from(sessions)
    .innerJoin(accounts, eq(accounts.id, sessions.accountId))
    .where(and(eq(sessions.id, sessionId), eq(sessions.accountId, accountId), gt(sessions.expiresAt, c.env.now())))
  if (!account || account.disabled) return strangers()
  const { disabled: _, ...known } = account
  c.set('account', { ...known, sessionId })
  await next()
})

/** Reading is for every account; changing anything is for those who administer. */
const CHANGES: readonly SignedIn['role'][] = ['owner', 'admin']

export const changesByAdministrators = createMiddleware<AppEnv>(async (c, next) => {
  const reads = c.req.method === 'GET' || c.req.method === 'HEAD'
  if (!reads && !CHANGES.includes(c.var.account.role)) refuse(403, 'Only an owner or an administrator may change this.')
  await next()
})
