import { and, eq } from 'drizzle-orm'
import { type Context, Hono } from 'hono'
import * as v from 'valibot'
import { audited, note } from '../audit/audited.ts'
import { accounts, sessions } from '../db/schema.ts'
import { doc } from '../docs.ts'
import { refuse, refuseAs } from '../errors.ts'
import type { AppEnv } from '../platform.ts'
import { body, email } from '../validate.ts'
import { Code, checkCode } from './codes.ts'
import { accountOf, signedIn } from './guard.ts'
import { countWrongSecret, limited } from './limits.ts'
import { NOBODY, Typed } from './passwords.ts'
import { reset } from './reset.ts'
import { exchange, type Tokens as SignedIn, startSession } from './sessions.ts'

const Tokens = v.object({
  access_token: v.string(),
  token_type: v.literal('Bearer'),
  expires_in: v.number(),
  refresh_token: v.string(),
})

const Credentials = v.strictObject({
  email,
  password: Typed,
  code: v.optional(Code),
})

const Refresh = v.strictObject({ refresh_token: v.pipe(v.string(), v.minLength(1), v.maxLength(128)) })

const accountTarget = (id: string) => ({ target: { kind: 'account', id } })

/**
 * Whoever gave the right password signs in, with a code where there is a second factor. Their account is read again: to
 * check a password takes long, and what was changed meanwhile counts.
 */
const signIn = (c: Context<AppEnv>, known: { id: string; passwordHash: string }, code: string | undefined) =>
  c.env.db.transaction(async (tx): Promise<SignedIn | 'code-required' | undefined> => {
    const unchanged = and(eq(accounts.id, known.id), eq(accounts.passwordHash, known.passwordHash))
    const [account] = await tx
      .select()
      .from(accounts)
      .where(and(unchanged, eq(accounts.disabled, false)))
      .for('update')
    if (!account) return undefined
    if (account.totp && code === undefined) {
      await note(tx, c, 'login.code-required', accountTarget(account.id))
      return 'code-required'
    }
    if (account.totp && !(await checkCode(c.env, tx, account, code ?? ''))) return undefined

    const from = { address: c.env.address, userAgent: c.req.header('user-agent')?.slice(0, 300) ?? null }
    const { session, tokens } = await startSession(c.env, tx, account.id, from)
    const actor = { kind: 'account', id: account.id } as const
    await note(tx, c, 'login', { actor, target: { kind: 'session', id: session.id } })
    return tokens
  })

export const login = new Hono<AppEnv>()
  .route('/login/reset', reset)
  .post(
    '/login',
    doc('login', 'Sign in', { schema: Tokens, refusals: [401, 415, 422], anybody: true }),
    body(Credentials),
    async (c) => {
      const { email, password, code } = c.req.valid('json')
      const { db } = c.env
      let tried: string | undefined
      const account = await limited(c, 'login', email, async () => {
        const [row] = await db.select().from(accounts).where(eq(accounts.email, email))
        const matches = await c.env.password.verify(password, row?.passwordHash ?? NOBODY)
        const { id, passwordHash = null, disabled, totp } = row ?? {}
        tried = id
        return id && passwordHash !== null && matches && !disabled ? { id, passwordHash, totp } : undefined
      })
      const enter = (known: { id: string; passwordHash: string }) => signIn(c, known, code)
      const guesses = account?.totp && code !== undefined
      const outcome =
        account && (guesses ? await limited(c, 'code', account.id, () => enter(account)) : await enter(account))
      if (outcome === 'code-required') {
        return refuseAs('code-required', 'Send the code of your authenticator too, as `code`.')
      }
      if (outcome === undefined) {
        // Whatever else was typed as an e-mail may be anything, a password too: of that nothing is kept.
        await note(db, c, 'login.failed', tried === undefined ? {} : accountTarget(tried))
        c.env.metrics.signIn('failed')
        return refuse(401, 'The e-mail, the password or the code is wrong.')
      }
      c.env.metrics.signIn('ok')
      return c.json(outcome)
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
      const tokens = await exchange(c, c.req.valid('json').refresh_token)
      if (!tokens) await countWrongSecret(c, 'refresh')
      return c.json(tokens ?? refuse(401, 'This refresh token is not good. Sign in again.'))
    },
  )
  .post('/logout', doc('login', 'End this session', { status: 204, refusals: [401] }), signedIn, async (c) => {
    const { sessionId: id } = accountOf(c)
    await audited(c, 'logout', async (tx) => {
      await tx.delete(sessions).where(eq(sessions.id, id))
      return { target: { kind: 'session', id }, answer: null }
    })
    return c.body(null, 204)
  })
