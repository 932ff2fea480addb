import { and, eq, isNull } from 'drizzle-orm'
import type { Tx } from '../audit/audited.ts'
import { recoveryCodes } from '../db/schema.ts'
import { hashOf } from './tokens.ts'

/** Crockford's base 32: 32 letters of 5 bits each, none of which looks like another. */
const LETTERS = '0123456789abcdefghjkmnpqrstvwxyz'
const GROUPS = 4
const GROUP = 6
const HOW_MANY = 10

/** 120 random bits, so that a plain hash keeps them (OWASP ASVS 5.0, 6.5.2 asks for 112): `4x7k2m-9q…`. */
const newCode = (): string => {
  const letters = [...crypto.getRandomValues(new Uint8Array(GROUPS * GROUP))].map((byte) => LETTERS[byte % 32])
  return Array.from({ length: GROUPS }, (_, i) => letters.slice(i * GROUP, (i + 1) * GROUP).join('')).join('-')
}

/** As it is hashed: case, dashes and spaces do not matter, and what looks like a letter counts as that letter. */
const plainOf = (code: string): string =>
  code.toLowerCase().replaceAll(/[\s-]/g, '').replaceAll('o', '0').replaceAll(/[il]/g, '1')

/** Ten new ones for an account, to be shown once; the old ones are not good any more. */
export const newRecoveryCodes = async (tx: Tx, accountId: string): Promise<string[]> => {
  const codes = Array.from({ length: HOW_MANY }, newCode)
  const rows = await Promise.all(codes.map(async (code) => ({ accountId, hash: await hashOf(plainOf(code)) })))
  await endRecoveryCodes(tx, accountId)
  await tx.insert(recoveryCodes).values(rows)
  return codes
}

export const endRecoveryCodes = async (tx: Tx, accountId: string): Promise<void> => {
  await tx.delete(recoveryCodes).where(eq(recoveryCodes.accountId, accountId))
}

/** Use one up. False when it is not this account's, or was used. */
export const spendRecoveryCode = async (tx: Tx, accountId: string, code: string, at: Date): Promise<boolean> => {
  const spent = await tx
    .update(recoveryCodes)
    .set({ usedAt: at })
    .where(
      and(
        eq(recoveryCodes.accountId, accountId),
        eq(recoveryCodes.hash, await hashOf(plainOf(code))),
        isNull(recoveryCodes.usedAt),
      ),
    )
    .returning({ id: recoveryCodes.id })
  return spent.length > 0
}
