import { eq } from 'drizzle-orm'
import { Hono } from 'hono'
import * as v from 'valibot'
import { audited, note } from '../audit/audited.ts'
import { accounts } from '../db/schema.ts'
import { doc } from '../docs.ts'
import { refuse } from '../errors.ts'
import { send, tokenMail } from '../mail/mail.ts'
import type { AppEnv } from '../platform.ts'
import { body, email } from '../validate.ts'
import { checkCode } from './codes.ts'
import { counted, countWrongSecret, limited } from './limits.ts'
import { accountOfToken, endMailTokens, newResetToken } from './mail-tokens.ts'
import { Chosen, requireUncommon } from './passwords.ts'
import { endSessions } from './sessions.ts'
import { hashOf } from './tokens.ts'

const Asked = v.object({ detail: v.string() })

const NewPassword = v.strictObject({
  token: v.pipe(v.string(), v.minLength(1), v.maxLength(128)),
  password: Chosen,
  code: v.optional(v.pipe(v.string(), v.maxLength(64))),
})

const notGood = (): never => refuse(401, 'This link is not good, or not any more. Ask for a new one.')
const wrongCode = (): never =>
  refuse(401, 'This account has a second factor: send its current code, or a recovery code, as “code”.')

/** A forgotten password, and the first one: who reads the mailbox of an account chooses it anew. */
export const reset = new Hono<AppEnv>()
  .post(
    '/',
    doc('login', 'Ask for a mail to choose a new password with; the same answer for every address', {
      status: 202,
      schema: Asked,
      refusals: [415, 422],
      anybody: true,
    }),
    body(v.strictObject({ email })),
    async (c) => {
      const { email } = c.req.valid('json')
      const platform = c.env
      await counted(c, 'mail', email)
      const fresh = await audited(c, 'login.reset', async (tx) => {
        const answer = platform.mail && (await newResetToken(platform, tx, email))
        return { answer, ...(answer && { target: { kind: 'account', id: answer.accountId } }) }
      })
      if (!platform.mail)
        platform.log('warn', 'mail_off', { say: 'A reset was asked for: set SMTP_URL or MAIL_HOOK_URL.' })
      // After the answer, whose time then says nothing about who has an account.
      platform.later(async () => {
        if (fresh) await send(platform, tokenMail(platform, 'reset', email, fresh.token))
      })
      return c.json({ detail: 'If there is such an account, a mail is on its way to it.' }, 202)
    },
  )
  .post(
    '/confirm',
    doc('login', 'Choose a password with the token of a mail; ends all sessions of the account', {
      status: 204,
      refusals: [401, 415, 422],
      anybody: true,
    }),
    body(NewPassword),
    async (c) => {
      const { token, password, code } = c.req.valid('json')
      const { db } = c.env
      const hash = await hashOf(token)
      const account = await accountOfToken(c.env, db, hash)
      if (!account) {
        await countWrongSecret(c, 'confirm')
        return notGood()
      }
      requireUncommon(password, account)
      const passwordHash = await c.env.password.hash(password)

      const choose = () =>
        db.transaction(async (tx) => {
          const current = (await accountOfToken(c.env, tx, hash)) ?? notGood()
          const target = { kind: 'account', id: current.id }
          if (current.totp && !(await checkCode(c.env, tx, current, code ?? ''))) {
            await note(tx, c, 'login.reset.failed', { target })
            return undefined
          }
          await tx.update(accounts).set({ passwordHash }).where(eq(accounts.id, current.id))
          await endSessions(tx, current.id)
          // The account is locked, so of two who use the token at once the second finds it ended.
          if (!(await endMailTokens(tx, current.id)).includes(hash)) notGood()
          await note(tx, c, 'login.reset.confirm', { target })
          return true
        })
      const isDone = await (account.totp ? limited(c, 'code', account.id, choose) : choose())
      if (!isDone) wrongCode()
      return c.body(null, 204)
    },
  )
