import { and, eq, isNull, lt, or } from 'drizzle-orm'
import * as v from 'valibot'
import type { Tx } from '../audit/audited.ts'
import { accounts } from '../db/schema.ts'
import type { Platform } from '../platform.ts'
import { endRecoveryCodes, spendRecoveryCode } from './recovery-codes.ts'
import { decryptSecret } from './secrets.ts'
import { digitsOf, stepOf } from './totp.ts'

/** A code as somebody types it: six digits of an authenticator, or a recovery code. */
export const Code = v.pipe(v.string(), v.minLength(1, 'must not be empty'), v.maxLength(64))

type WithFactor = Pick<typeof accounts.$inferSelect, 'id' | 'totp' | 'totpSecret'>

/**
 * Is this a code of the account's authenticator, or one of its recovery codes? Each is good once, on all nodes: who asks
 * again gets false. False too where there is no second factor. `account` is the row as this transaction read it; a code
 * that was taken is used up when the transaction commits.
 */
export const checkCode = async (platform: Platform, tx: Tx, account: WithFactor, code: string): Promise<boolean> => {
  const { id, totp, totpSecret } = account
  if (!totp || totpSecret === null) return false
  if (digitsOf(code) === undefined) return spendRecoveryCode(tx, id, code, platform.now())

  const step = stepOf(await decryptSecret(platform.config, totpSecret, id), code, platform.now())
  if (step === undefined) return false
  const taken = await tx
    .update(accounts)
    .set({ totpStep: step })
    .where(
      and(
        eq(accounts.id, id),
        eq(accounts.totpSecret, totpSecret),
        or(isNull(accounts.totpStep), lt(accounts.totpStep, step)),
      ),
    )
    .returning({ id: accounts.id })
  return taken.length > 0
}

/** Take the second factor away, and what belongs to it. */
export const removeFactor = async (tx: Tx, accountId: string): Promise<void> => {
  const none = { totp: false, totpSecret: null, totpNext: null, totpStep: null }
  await tx.update(accounts).set(none).where(eq(accounts.id, accountId))
  await endRecoveryCodes(tx, accountId)
}
