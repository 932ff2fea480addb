import { eq } from 'drizzle-orm'
import { type Context, Hono } from 'hono'
import { audited } from '../audit/audited.ts'
import { accounts as table } from '../db/schema.ts'
import { doc } from '../docs.ts'
import { refuse } from '../errors.ts'
import { may } from '../login/guard.ts'
import { newMailToken, type Purpose } from '../login/mail-tokens.ts'
import { recentProof } from '../login/proof.ts'
import { requireMail, send, tokenMail } from '../mail/mail.ts'
import type { AppEnv } from '../platform.ts'
import { param } from '../validate.ts'
import { lockAccount, requireGrant } from './accounts.ts'

const ACTIONS = { invitation: 'accounts.invite', reset: 'accounts.reset' }

/** Mail whoever has this account the means to choose its password, and end what was mailed before. */
const mailTo = async (c: Context<AppEnv>, id: string, purpose: Purpose): Promise<void> => {
  requireMail(c.env)
  const { email, token } = await audited(c, ACTIONS[purpose], async (tx) => {
    const { role, disabled, email } = await lockAccount(tx, id)
    requireGrant(c.var.caller, role)
    if (disabled) refuse(409, 'This account is disabled. Enable it first.')
    const [row] = await tx.select({ passwordHash: table.passwordHash }).from(table).where(eq(table.id, id))
    if (purpose === 'invitation' && row?.passwordHash) {
      refuse(409, 'This account has a password already. Start a reset instead.')
    }
    const token = await newMailToken(c.env, tx, id, purpose)
    return { answer: { email, token }, target: { kind: 'account', id } }
  })
  if (!(await send(c.env, tokenMail(c.env, purpose, email, token)))) {
    refuse(503, 'The mail was not sent. Try again in a moment.')
  }
}

const answer = { status: 204, refusals: [401, 403, 404, 409, 422, 503] } as const

/** Passwords are chosen by whom they are for: administrators send mail, and never know one. */
export const invitations = new Hono<AppEnv>()
  .post(
    '/:id/invitation',
    may('accounts:write'),
    recentProof,
    doc('accounts', 'Mail a new invitation to an account without a password; older ones end', answer),
    param('id'),
    async (c) => {
      await mailTo(c, c.req.valid('param').id, 'invitation')
      return c.body(null, 204)
    },
  )
  .post(
    '/:id/reset',
    may('accounts:write'),
    recentProof,
    doc('accounts', 'Mail the means to choose a new password; the old one stays good until then', answer),
    param('id'),
    async (c) => {
      await mailTo(c, c.req.valid('param').id, 'reset')
      return c.body(null, 204)
    },
  )
