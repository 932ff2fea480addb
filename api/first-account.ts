import { record } from './audit/audited.ts'
import { added } from './audit/rows.ts'
import { SetupError } from './contract/environment.ts'
import { accounts } from './db/schema.ts'
import { newPassword } from './embedded/secrets.ts'
import { objection } from './login/blocklist.ts'
import type { NodeConfig } from './node-config.ts'
import type { Platform } from './platform.ts'

export type FirstAccount = { email: string; password: string | undefined }

/**
 * The first account, an owner, when there is none. A password is made up only where nothing is at stake; it is in the
 * answer once, to be shown once. Undefined when there are accounts already.
 */
export const makeFirstAccount = async (
  { db, password, now }: Platform,
  config: Pick<NodeConfig, 'ADMIN_EMAIL' | 'ADMIN_PASSWORD' | 'production'>,
): Promise<FirstAccount | undefined> => {
  const [anyone] = await db.select({ id: accounts.id }).from(accounts).limit(1)
  if (anyone) return undefined
  const given = config.ADMIN_PASSWORD
  if (given === undefined && config.production) {
    throw new SetupError(
      'ADMIN_PASSWORD is not set, and there is no account yet: set ADMIN_EMAIL and ADMIN_PASSWORD for the first start (openssl rand -base64 18).',
    )
  }
  const chosen = given ?? newPassword()
  const email = config.ADMIN_EMAIL
  const reason = config.production ? objection(chosen, { email }) : undefined
  if (reason !== undefined)
    throw new SetupError(`ADMIN_PASSWORD ${reason}: choose another one (openssl rand -base64 18).`)
  const passwordHash = await password.hash(chosen)
  await db.transaction(async (tx) => {
    const { target } = await added(tx, accounts, 'account', { email, role: 'owner', passwordHash })
    const system = { at: now(), address: null, actor: { kind: 'system', id: null } } as const
    await record(tx, system, 'accounts.create', { target, after: { id: target.id, email, role: 'owner' } })
  })
  return { email, password: given === undefined ? chosen : undefined }
}
