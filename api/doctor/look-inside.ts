import { and, eq, inArray, isNotNull } from 'drizzle-orm'
import type { Sql } from 'postgres'
import { bridgeKey } from '../access/keys.ts'
import { verifyChain } from '../audit/verify.ts'
import type { Config } from '../config.ts'
import { accounts, apiKeys, bridges, upkeep } from '../db/schema.ts'
import { fingerprint } from '../key-age.ts'
import { rootKeys } from '../keys.ts'
import { bcrypt } from '../login/bcrypt.ts'
import { needsFactor } from '../login/permissions.ts'
import { isCurrent } from '../login/secrets.ts'
import { type Db, database } from '../platform.ts'
import { bridges as bridgesLine } from './bridges.ts'
import type { Line } from './line.ts'
import * as people from './people.ts'
import * as settings from './settings.ts'
import * as keep from './upkeep.ts'

type Env = Record<string, unknown>

const DAY_MS = 86_400_000
/** More rows than can be hashed while somebody waits. */
const MOST_AUDIT = 200_000

/** When an id of version 7 was given out (RFC 9562). */
const madeAt = (id: string): Date => new Date(Number.parseInt(id.replaceAll('-', '').slice(0, 12), 16))

const lookAtAccounts = async (sql: Sql, db: Db, config: Config, now: Date): Promise<Line[]> => {
  const all = await db
    .select({ id: accounts.id, role: accounts.role, totp: accounts.totp })
    .from(accounts)
    .where(and(eq(accounts.disabled, false), isNotNull(accounts.passwordHash)))
  const heard = await sql<{ id: string }[]>`
    select a.id from accounts a
    where exists (select from audit u where u.actor_id = a.id and u.at > ${new Date(now.getTime() - 90 * DAY_MS).toISOString()})
      or exists (select from sessions s where s.account_id = a.id)`
  const seen = new Set(heard.map(({ id }) => id))
  const isNew = (id: string) => now.getTime() - madeAt(id).getTime() < 90 * DAY_MS
  const keys = await db
    .select({
      id: apiKeys.id,
      createdAt: apiKeys.createdAt,
      expiresAt: apiKeys.expiresAt,
      lastUsedAt: apiKeys.lastUsedAt,
    })
    .from(apiKeys)
  const without = all.filter(({ role, totp }) => needsFactor(role) && !totp).map(({ id }) => id)
  return [
    people.factorRequired(config.REQUIRE_MFA),
    people.factor(without, config.REQUIRE_MFA),
    people.owners(all.filter(({ role }) => role === 'owner').map(({ id }) => id)),
    people.unused(all.map(({ id }) => id).filter((id) => !seen.has(id) && !isNew(id))),
    people.apiKeys(keys, now),
  ]
}

const lookAtKeys = async (db: Db, config: Config, env: Env, now: Date): Promise<Line[]> => {
  const [row] = await db.select().from(upkeep).where(eq(upkeep.task, 'keys'))
  const { fingerprint: there, since } = row?.detail ?? {}
  const held = await db.select({ secret: accounts.totpSecret }).from(accounts).where(isNotNull(accounts.totpSecret))
  const current = await Promise.all(held.map(({ secret }) => isCurrent(config, secret ?? '')))
  const found: settings.KeyFound = {
    here: await fingerprint(config.APP_KEY),
    there: typeof there === 'string' ? there : undefined,
    since: typeof since === 'string' ? new Date(since) : undefined,
    previous: config.APP_KEY_PREVIOUS !== undefined,
    behind: current.filter((is) => !is).length,
  }
  return [settings.keyAge(found, now), settings.previousKey(found, now), await lookAtPassword(db, env)]
}

const lookAtPassword = async (db: Db, env: Env): Promise<Line> => {
  const given = settings.setting(env, 'ADMIN_PASSWORD')
  if (given === undefined) return settings.adminPassword({ set: false, opens: undefined })
  const email = (settings.setting(env, 'ADMIN_EMAIL') ?? 'admin@lintel.local').toLowerCase()
  const [account] = await db.select({ hash: accounts.passwordHash }).from(accounts).where(eq(accounts.email, email))
  const opens = account?.hash ? await bcrypt.verify(given, account.hash).catch(() => undefined) : false
  return settings.adminPassword({ set: true, opens })
}

const lookAtBridges = async (sql: Sql, db: Db, config: Config, env: Env, now: Date): Promise<Line[]> => {
  const all = await db.select().from(bridges)
  const rotated = await sql<{ id: string; at: Date }[]>`
    select target_id as id, max(at) as at from audit
    where action in ('bridges.create', 'bridges.rotate') and target_id in (select id from bridges)
    group by target_id`
  const since = new Map(rotated.map(({ id, at }) => [id, new Date(at)]))
  return [
    bridgesLine(all, now),
    people.bridgeKeys(
      all.map(({ id }) => ({ id, since: since.get(id) ?? madeAt(id) })),
      now,
    ),
    people.ownBridgeKey(await ownKey(all, config, env)),
  ]
}

const ownKey = async (all: readonly { id: string; generation: number }[], { APP_KEY }: Config, env: Env) => {
  const [id, key] = [settings.setting(env, 'BRIDGE_ID')?.toLowerCase(), settings.setting(env, 'BRIDGE_KEY')]
  if (id === undefined || key === undefined) return 'unset'
  const bridge = all.find((one) => one.id === id)
  if (!bridge) return 'wrong'
  const of = async (generation: number) => Buffer.from(await bridgeKey(APP_KEY, id, generation)).toString('base64url')
  if (key === (await of(bridge.generation))) return 'current'
  return key === (await of(bridge.generation - 1)) ? 'previous' : 'wrong'
}

const TASKS = ['backup', 'backup-verified', 'retention', 'watch'] as const

const lookAtUpkeep = async (sql: Sql, db: Db, config: Config, env: Env, now: Date): Promise<Line[]> => {
  const rows = await db
    .select()
    .from(upkeep)
    .where(inArray(upkeep.task, [...TASKS]))
  const [audit] = await sql<{ rows: number }[]>`select count(*)::int as rows from audit`
  return [
    ...TASKS.map((task) =>
      keep.duty(
        task,
        rows.find((row) => row.task === task),
        now,
      ),
    ),
    keep.encrypted(settings.setting(env, 'BACKUP_RECIPIENT')),
    keep.auditChain(
      (audit?.rows ?? 0) > MOST_AUDIT ? undefined : await verifyChain(sql, undefined, () => rootKeys(config)),
    ),
  ]
}

/** What stands in the database about who may come in and what was done when. */
export const lookInside = async (sql: Sql, config: Config, env: Env, now: Date): Promise<Line[]> => {
  const db = database(sql)
  return [
    ...(await lookAtKeys(db, config, env, now)),
    ...(await lookAtAccounts(sql, db, config, now)),
    ...(await lookAtUpkeep(sql, db, config, env, now)),
    ...(await lookAtBridges(sql, db, config, env, now)),
  ]
}
