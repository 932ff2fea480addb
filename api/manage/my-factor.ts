import { eq } from 'drizzle-orm'
import { Hono } from 'hono'
import * as v from 'valibot'
import { audited, note, type Tx } from '../audit/audited.ts'
import { sessions, accounts as table } from '../db/schema.ts'
import { doc } from '../docs.ts'
import { found, invalid, refuse } from '../errors.ts'
import { Code, checkCode, removeFactor } from '../login/codes.ts'
import { accountOf } from '../login/guard.ts'
import { limited } from '../login/limits.ts'
import { NOBODY, Typed } from '../login/passwords.ts'
import { needsFactor } from '../login/permissions.ts'
import { recentProof } from '../login/proof.ts'
import { newRecoveryCodes } from '../login/recovery-codes.ts'
import { decryptSecret, encryptSecret } from '../login/secrets.ts'
import { endSessions } from '../login/sessions.ts'
import { newTotpSecret, stepOf, uriOf } from '../login/totp.ts'
import type { AppEnv } from '../platform.ts'
import { body } from '../validate.ts'

const NewSecret = v.object({ secret: v.string(), uri: v.string() })
const RecoveryCodes = v.object({ recoveryCodes: v.array(v.string()) })

const Proof = v.pipe(
  v.strictObject({ password: v.optional(Typed), code: v.optional(Code) }),
  v.check(({ password, code }) => password !== undefined || code !== undefined, 'send the password or a code'),
)

const lockMine = async (tx: Tx, id: string) => {
  const [account] = await tx.select().from(table).where(eq(table.id, id)).for('update')
  return found(account, 'account')
}

const mine = (id: string) => ({ target: { kind: 'account', id } })

/** The second factor of the account that is signed in, and the proof that it is still the same person. */
export const myFactor = new Hono<AppEnv>()
  .post(
    '/proof',
    doc('me', 'Show again who I am, with the password or a code, before a sensitive action', {
      status: 204,
      refusals: [401, 403, 415, 422],
    }),
    body(Proof),
    async (c) => {
      const { password, code } = c.req.valid('json')
      const { id, sessionId } = accountOf(c)
      const { db, now } = c.env
      let wrong: 'password' | 'code' | undefined
      await limited(c, 'proof', id, async () => {
        const [known] = await db.select({ hash: table.passwordHash }).from(table).where(eq(table.id, id))
        const wrongPassword = password !== undefined && !(await c.env.password.verify(password, known?.hash ?? NOBODY))
        wrong = await db.transaction(async (tx) => {
          const account = await lockMine(tx, id)
          const wrongCode = !wrongPassword && code !== undefined && !(await checkCode(c.env, tx, account, code))
          const failed = wrongPassword ? 'password' : wrongCode ? 'code' : undefined
          if (!failed) await tx.update(sessions).set({ provenAt: now() }).where(eq(sessions.id, sessionId))
          await note(tx, c, failed ? 'me.proof.failed' : 'me.proof', mine(id))
          return failed
        })
        return wrong === undefined || undefined
      })
      if (wrong) invalid(wrong, `is not the ${wrong} of this account`)
      return c.body(null, 204)
    },
  )
  .post(
    '/totp',
    recentProof,
    doc('me', 'Make a secret for an authenticator app; a present one stays until a code of the new one is confirmed', {
      schema: NewSecret,
      refusals: [401, 403, 415, 422],
    }),
    body(v.strictObject({ code: v.optional(Code) })),
    async (c) => {
      const { code } = c.req.valid('json')
      const { id, email } = accountOf(c)
      const { db, config } = c.env
      const secret = newTotpSecret()
      const totpNext = await encryptSecret(config, secret, id)
      const replace = () =>
        db.transaction(async (tx) => {
          const account = await lockMine(tx, id)
          if (account.totp && code === undefined) {
            return invalid('code', 'is needed to replace an authenticator: one of the present one, or a recovery code')
          }
          const ok = !account.totp || code === undefined || (await checkCode(c.env, tx, account, code))
          if (ok) await tx.update(table).set({ totpNext }).where(eq(table.id, id))
          await note(tx, c, ok ? 'me.totp.create' : 'me.totp.failed', mine(id))
          return ok || undefined
        })
      const done = await (code === undefined ? replace() : limited(c, 'code', id, replace))
      if (!done) invalid('code', 'is not a code of the present authenticator')
      return c.json({ secret, uri: uriOf(secret, email) })
    },
  )
  .post(
    '/totp/confirm',
    recentProof,
    doc(
      'me',
      'Turn the new authenticator on with a code of it; gives ten recovery codes, once, and ends other sessions',
      {
        schema: RecoveryCodes,
        refusals: [401, 403, 409, 415, 422],
      },
    ),
    body(v.strictObject({ code: Code })),
    async (c) => {
      const { code } = c.req.valid('json')
      const { id, sessionId } = accountOf(c)
      const { config, now } = c.env
      const recoveryCodes = await audited(c, 'me.totp.enable', async (tx) => {
        const { totp, totpNext } = await lockMine(tx, id)
        if (totpNext === null) return refuse(409, 'There is no new secret. Make one with POST /api/v1/me/totp.')
        const step = stepOf(await decryptSecret(config, totpNext, id), code, now())
        if (step === undefined) return invalid('code', 'is not the code of the new secret at this moment')
        const enabled = { totp: true, totpSecret: totpNext, totpNext: null, totpStep: step }
        await tx.update(table).set(enabled).where(eq(table.id, id))
        await tx.update(sessions).set({ provenAt: now() }).where(eq(sessions.id, sessionId))
        await endSessions(tx, id, sessionId)
        return { ...mine(id), before: { totp }, after: { totp: true }, answer: await newRecoveryCodes(tx, id) }
      })
      return c.json({ recoveryCodes })
    },
  )
  .delete(
    '/totp',
    recentProof,
    doc('me', 'Turn my authenticator off; ends my other sessions', { status: 204, refusals: [401, 403, 404] }),
    async (c) => {
      const { id, role, sessionId } = accountOf(c)
      if (c.env.config.REQUIRE_MFA && needsFactor(role)) {
        refuse(
          403,
          'Your role needs a second factor here. To change to another device: POST /api/v1/me/totp with a code.',
        )
      }
      await audited(c, 'me.totp.disable', async (tx) => {
        const { totp } = await lockMine(tx, id)
        if (!totp) refuse(404, 'There is no second factor on this account.')
        await removeFactor(tx, id)
        await endSessions(tx, id, sessionId)
        return { ...mine(id), before: { totp }, after: { totp: false }, answer: undefined }
      })
      return c.body(null, 204)
    },
  )
  .post(
    '/recovery-codes',
    recentProof,
    doc('me', 'Ten new recovery codes, shown once; the old ones end', {
      schema: RecoveryCodes,
      refusals: [401, 403, 409],
    }),
    async (c) => {
      const { id } = accountOf(c)
      const recoveryCodes = await audited(c, 'me.recovery-codes.create', async (tx) => {
        const { totp } = await lockMine(tx, id)
        if (!totp) refuse(409, 'There is no second factor on this account yet. Begin with POST /api/v1/me/totp.')
        return { ...mine(id), answer: await newRecoveryCodes(tx, id) }
      })
      return c.json({ recoveryCodes })
    },
  )
