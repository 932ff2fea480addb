import { and, eq, gt, notExists, sql } from 'drizzle-orm'
import type { Tx } from '../audit/audited.ts'
import { accounts, mailTokens } from '../db/schema.ts'
import type { Platform } from '../platform.ts'
import { hashOf, newSecret } from './tokens.ts'

// What a mail carries, once, to whoever reads that mailbox: 256 random bits, of which only the hash stays here.

const MINUTE_MS = 60_000
const LASTS_MS = { invitation: 72 * 60 * MINUTE_MS, reset: 30 * MINUTE_MS }
const REST_MS = 5 * MINUTE_MS

export type Purpose = keyof typeof LASTS_MS

/** Nothing that was mailed for this account is good any more. The hashes of what there was until now. */
export const endMailTokens = async (tx: Tx, accountId: string): Promise<string[]> => {
  const ended = await tx
    .delete(mailTokens)
    .where(eq(mailTokens.accountId, accountId))
    .returning({ hash: mailTokens.hash })
  return ended.map(({ hash }) => hash)
}

/** A new token, in place of all older ones of this account. */
export const newMailToken = async ({ now }: Platform, tx: Tx, accountId: string, purpose: Purpose): Promise<string> => {
  const token = newSecret()
  await endMailTokens(tx, accountId)
  const expiresAt = new Date(now().getTime() + LASTS_MS[purpose])
  await tx.insert(mailTokens).values({ hash: await hashOf(token), accountId, purpose, expiresAt })
  return token
}

/**
 * A token to reset the password of whoever has this address, or undefined: for an unknown or disabled account, and while
 * the last one is not five minutes old. The same two statements for everybody, so that the time tells nothing. Older
 * tokens stay good: a stranger who asks again must not make the mail useless that is on its way.
 */
export const newResetToken = async ({ now }: Platform, tx: Tx, email: string) => {
  const token = newSecret()
  const hash = await hashOf(token)
  const expiresAt = new Date(now().getTime() + LASTS_MS.reset)
  const known = and(eq(accounts.email, email), eq(accounts.disabled, false))
  // Locked, so that of two who ask at once the second sees what the first was given.
  await tx.select({ id: accounts.id }).from(accounts).where(known).for('update')
  const recent = tx
    .select({ one: sql`1` })
    .from(mailTokens)
    .where(
      and(
        eq(mailTokens.accountId, accounts.id),
        eq(mailTokens.purpose, 'reset'),
        gt(mailTokens.expiresAt, new Date(expiresAt.getTime() - REST_MS)),
      ),
    )
  const [row] = await tx
    .insert(mailTokens)
    .select(
      tx
        .select({
          hash: sql<string>`${hash}::text`.as('hash'),
          accountId: accounts.id,
          purpose: sql<Purpose>`'reset'`.as('purpose'),
          expiresAt: sql<Date>`${expiresAt.toISOString()}::timestamptz`.as('expires_at'),
        })
        .from(accounts)
        .where(and(known, notExists(recent))),
    )
    .returning({ accountId: mailTokens.accountId })
  return row && { token, accountId: row.accountId }
}

/** The account that this token is for, while it is good: not used, not expired, the account not disabled. */
export const accountOfToken = async ({ now }: Platform, tx: Tx, hash: string) => {
  const [row] = await tx
    .select({ account: accounts })
    .from(mailTokens)
    .innerJoin(accounts, and(eq(accounts.id, mailTokens.accountId), eq(accounts.disabled, false)))
    .where(and(eq(mailTokens.hash, hash), gt(mailTokens.expiresAt, now())))
    .for('update', { of: accounts })
  return row?.account
}
