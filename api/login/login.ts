import { and, eq, gt } from 'drizzle-orm'
import { Hono } from 'hono'
import * as v from 'valibot'
import { accounts, sessions } from '../db/schema.ts'
import { doc } from '../docs.ts'
import { refuse } from '../errors.ts'
import type { AppEnv, Platform } from '../platform.ts'
import { body, email } from '../validate.ts'
import { signedIn } from './guard.ts'
import { NOBODY, Typed } from './passwords.ts'
import { hashOf, issue, newRefreshToken } from './tokens.ts'

/** A sign-in ends after this, however often it is refreshed. */
const SESSION_DAYS = 30

const Tokens = v.object({
  access_token: v.string(),
  token_type: v.literal('Bearer'),
  expires_in: v.number(),
  refresh_token: v.string(),
})

const tokens = async (
  platform: Platform,
  session: { id: string; accountId: string },
  refreshToken: string,
): Promise<v.InferOutput<typeof Tokens>> => {
  const { token, seconds } = await issue(platform, { accountId: session.accountId, sessionId: session.id })
  return { access_token: token, token_type: 'Bearer', expires_in: seconds, refresh_token: refreshToken }
}

const Credentials = v.strictObject({
  email,
  password: Typed,
  code: v.optional(v.pipe(v.string(), v.maxLength(64))),
})

const Refresh = v.strictObject({ refresh_token: v.pipe(v.string(), v.minLength(1), v.maxLength(128)) })

export const login = new Hono<AppEnv>()
  .post(
    '/login',
    doc('login', 'Sign in', { schema: Tokens, refusals: [401, 415, 422], anybody: true }),
    body(Credentials),
    async (c) => {
      const { email, password } = c.req.valid('json')
      const { db, now } = c.env
      const [account] = await db.select().from(accounts).where(eq(accounts.email, email))
      const matches = await c.env.password.verify(password, account?.passwordHash ?? NOBODY)
      if (!account || !matches || account.disabled) return refuse(401, 'The e-mail or the password is wrong.')

      const refreshToken = newRefreshToken()
      const [session] = await db
        .insert(sessions)
        .values({
          accountId: account.id,
          refreshHash: await hashOf(refreshToken),
          refreshedAt: now(),
          expiresAt: new Date(now().getTime() + SESSION_DAYS * 86_400_000),
        })
        .returning()
      if (!session) throw new Error('the session was not written')
      return c.json(await tokens(c.env, session, refreshToken))
    },
  )
  .post(
    '/login/refresh',
    doc('login', 'Exchange a refresh token, once, for new tokens', {
      schema: Tokens,
      refusals: [401, 415, 422],
      anybody: true,
    }),
    body(Refresh),
    async (c) => {
      const { db, now } = c.env
      const used = await hashOf(c.req.valid('json').refresh_token)
      const refreshToken = newRefreshToken()
      const [session] = await db
        .update(sessions)
        .set({ refreshHash: await hashOf(refreshToken), previousHash: used, refreshedAt: now() })
        .where(and(eq(sessions.refreshHash, used), gt(sessions.expiresAt, now())))
        .returning()
      // A token that was already exchanged: somebody has a copy, and nobody can tell who. Both sign in again.
      if (!session) await db.delete(sessions).where(eq(sessions.previousHash, used))
      const [account] = session ? await db.select().from(accounts).where(eq(accounts.id, session.accountId)) : []
      if (!session || !account || account.disabled) return refuse(401, 'This refresh token is not good. Sign in again.')
      return c.json(await tokens(c.env, session, refreshToken))
    },
  )
  .post('/logout', doc('login', 'End this session', { status: 204, refusals: [401] }), signedIn, async (c) => {
    await c.env.db.delete(sessions).where(eq(sessions.id, c.var.account.sessionId))
    return c.body(null, 204)
  })
