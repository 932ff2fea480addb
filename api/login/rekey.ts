import { eq, isNotNull, or } from 'drizzle-orm'
import { record } from '../audit/audited.ts'
import type { Config } from '../config.ts'
import { accounts, webhooks } from '../db/schema.ts'
import type { Db } from '../platform.ts'
import { decryptSecret, encryptSecret, isCurrent } from './secrets.ts'

/**
 * Encrypt anew what is encrypted under APP_KEY_PREVIOUS, so that it can be taken away: one account or webhook at a time, on
 * record as Lintel's own doing. Gives how many there were; run again, none. Throws at the first that no key opens.
 */
export const rekey = async (db: Db, config: Config, now: Date): Promise<number> => {
  const held = or(isNotNull(accounts.totpSecret), isNotNull(accounts.totpNext))
  const ids = await db.select({ id: accounts.id }).from(accounts).where(held)
  let count = 0
  for (const { id } of ids) if (await rekeyAccount(db, config, id, now)) count += 1
  const hooks = await db.select({ id: webhooks.id }).from(webhooks)
  for (const { id } of hooks) if (await rekeyWebhook(db, config, id, now)) count += 1
  return count
}

const bySystem = (at: Date) => ({ at, address: null, actor: { kind: 'system', id: null } }) as const

const rekeyAccount = (db: Db, config: Config, id: string, now: Date): Promise<boolean> =>
  db.transaction(async (tx) => {
    const [account] = await tx.select().from(accounts).where(eq(accounts.id, id)).for('update')
    const { totpSecret = null, totpNext = null } = account ?? {}
    const anew = async (stored: string | null) =>
      stored === null || (await isCurrent(config, stored))
        ? stored
        : encryptSecret(config, await decryptSecret(config, stored, id), id)
    const secrets = { totpSecret: await anew(totpSecret), totpNext: await anew(totpNext) }
    if (secrets.totpSecret === totpSecret && secrets.totpNext === totpNext) return false
    await tx.update(accounts).set(secrets).where(eq(accounts.id, id))
    await record(tx, bySystem(now), 'accounts.rekey', { target: { kind: 'account', id } })
    return true
  })

const rekeyWebhook = (db: Db, config: Config, id: string, now: Date): Promise<boolean> =>
  db.transaction(async (tx) => {
    const [hook] = await tx.select().from(webhooks).where(eq(webhooks.id, id)).for('update')
    if (!hook || (await isCurrent(config, hook.secret))) return false
    const secret = await encryptSecret(config, await decryptSecret(config, hook.secret, id), id)
    await tx.update(webhooks).set({ secret }).where(eq(webhooks.id, id))
    await record(tx, bySystem(now), 'webhooks.rekey', { target: { kind: 'webhook', id } })
    return true
  })
