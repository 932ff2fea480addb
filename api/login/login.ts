import { eq } from 'drizzle-orm'
import { Hono } from 'hono'
import * as v from 'valibot'
import { accounts, sessions } from '../db/schema.ts'
import { doc } from '../docs.ts'
import { refuse } from '../errors.ts'
import type { AppEnv } from '../platform.ts'
import { body, email } from '../validate.ts'
import { accountOf, signedIn } from './guard.ts'
import { NOBODY, Typed } from './passwords.ts'
import { exchange, startSession } from './sessions.ts'

const Tokens = v.object({
  access_token: v.string(),
  token_type: v.literal('Bearer'),
  expires_in: v.number(),
  refresh_token: v.string(),
})

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
      const { db } = c.env
      const [account] = await db.select().from(accounts).where(eq(accounts.email, email))
      const matches = await c.env.password.verify(password, account?.passwordHash ?? NOBODY)
      if (!account?.passwordHash || !matches || account.disabled)
        return refuse(401, 'The e-mail or the password is wrong.')

      const from = { address: c.env.address, userAgent: c.req.header('user-agent')?.slice(0, 300) ?? null }
      const { tokens } = await db.transaction((tx) => startSession(c.env, tx, account.id, from))
      return c.json(tokens)
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
      const tokens = await exchange(c.env, c.req.valid('json').refresh_token, c.var.asked)
      return c.json(tokens ?? refuse(401, 'This refresh token is not good. Sign in again.'))
    },
  )
  .post('/logout', doc('login', 'End this session', { status: 204, refusals: [401] }), signedIn, async (c) => {
    await c.env.db.delete(sessions).where(eq(sessions.id, accountOf(c).sessionId))
    return c.body(null, 204)
  })
