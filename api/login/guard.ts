import { and, eq, gt, isNull, or } from 'drizzle-orm'
import type { Context } from 'hono'
import { createMiddleware } from 'hono/factory'
import { noteRefusal } from '../audit/refusals.ts'
import { accounts, apiKeys, sessions } from '../db/schema.ts'
import { refuse } from '../errors.ts'
import { spend } from '../per-minute.ts'
import type { AppEnv, Caller, Platform } from '../platform.ts'
import { countWrongSecret } from './limits.ts'
import { type Permission, permissionsOf } from './permissions.ts'
import { isLive, noteUse } from './sessions.ts'
import { hashOf, KEY_PREFIX, verify } from './tokens.ts'

const strangers = () => refuse(401, 'Sign in: send a current access token as a Bearer token.')

/** An access token whose session still lives and whose account is not disabled. */
const byToken = async (platform: Platform, token: string): Promise<Caller | undefined> => {
  const claims = await verify(platform, token).catch(() => undefined)
  if (!claims) return undefined
  const { accountId, sessionId } = claims
  const [row] = await platform.db
    .select({
      session: { id: sessions.id, usedAt: sessions.usedAt, provenAt: sessions.provenAt },
      account: {
        id: accounts.id,
        email: accounts.email,
        role: accounts.role,
        personId: accounts.personId,
        totp: accounts.totp,
      },
    })
    .from(sessions)
    .innerJoin(accounts, and(eq(accounts.id, sessions.accountId), eq(accounts.disabled, false)))
    .where(and(eq(sessions.id, sessionId), eq(sessions.accountId, accountId), isLive(platform)))
  if (!row) return undefined
  await noteUse(platform, row.session)
  const { session, account } = row
  return {
    kind: 'account',
    ...account,
    permissions: permissionsOf(account.role),
    sessionId: session.id,
    provenAt: session.provenAt,
  }
}

/** Once a minute is often enough to know that a key is in use. */
const NOTE_USE_MS = 60_000

const byKey = async ({ db, now }: Platform, key: string): Promise<Caller | undefined> => {
  const at = now()
  const [row] = await db
    .select()
    .from(apiKeys)
    .where(and(eq(apiKeys.hash, await hashOf(key)), or(isNull(apiKeys.expiresAt), gt(apiKeys.expiresAt, at))))
  if (!row) return undefined
  if (at.getTime() - (row.lastUsedAt?.getTime() ?? 0) > NOTE_USE_MS) {
    await db.update(apiKeys).set({ lastUsedAt: at }).where(eq(apiKeys.id, row.id))
  }
  return { kind: 'key', id: row.id, role: row.role, personId: null, permissions: permissionsOf(row.role, row) }
}

/**
 * Who asks: an account with an access token, or a program with an API key. Asked of the database each time, so that a
 * logout, a changed role or a revoked key counts at once. What they are refused is on record.
 */
export const signedIn = createMiddleware<AppEnv>(async (c, next) => {
  const [, token = ''] = /^Bearer ([\w.-]+)$/i.exec(c.req.header('authorization') ?? '') ?? []
  const isKey = token.startsWith(KEY_PREFIX)
  const caller = await (isKey ? byKey(c.env, token) : byToken(c.env, token))
  if (caller) c.set('caller', caller)
  spend(c)
  if (!caller && isKey) await countWrongSecret(c, 'key')
  if (!caller) strangers()
  await next()
  await noteRefusal(c)
})

/** Is who was let in a while ago still there, with the same rights? For an answer that goes on for longer than a moment. */
export const isStill = async (platform: Platform, caller: Caller): Promise<boolean> => {
  const { db, now } = platform
  if (caller.kind === 'key') {
    const [key] = await db
      .select()
      .from(apiKeys)
      .where(and(eq(apiKeys.id, caller.id), or(isNull(apiKeys.expiresAt), gt(apiKeys.expiresAt, now()))))
    if (!key) return false
    const may = permissionsOf(key.role, key)
    return may.size === caller.permissions.size && [...may].every((one) => caller.permissions.has(one))
  }
  // To watch is not to use: a session that does nothing else ends as idle.
  const [account] = await db
    .select({ role: accounts.role, personId: accounts.personId })
    .from(sessions)
    .innerJoin(accounts, and(eq(accounts.id, sessions.accountId), eq(accounts.disabled, false)))
    .where(and(eq(sessions.id, caller.sessionId), isLive(platform)))
  return account?.role === caller.role && account.personId === caller.personId
}

/** Whoever asks about themselves: an account, as a program has no self. */
export const accountOf = (c: Context<AppEnv>) => {
  const { caller } = c.var
  return caller.kind === 'account' ? caller : refuse(403, 'This is for accounts: an API key has none.')
}

/** Stops a program before a route that is about whoever asks, whatever it sent. */
export const accountsOnly = createMiddleware<AppEnv>(async (c, next) => {
  accountOf(c)
  await next()
})

/** The routes that say whom they let in; a test asks that all of management does. */
export const guards = new WeakSet<object>()

/** Lets in whoever has this permission, or one of these. */
export const may = (...permissions: readonly [Permission, ...Permission[]]) => {
  const guard = createMiddleware<AppEnv>(async (c, next) => {
    const { caller } = c.var
    if (!permissions.some((one) => caller.permissions.has(one))) refuse(403, 'This role may not do that.')
    await next()
  })
  guards.add(guard)
  return guard
}

const NOBODY = '00000000-0000-0000-0000-000000000000'

/** The only person whose data a member may see; undefined for everybody else, who may see everybody's. */
export const onlyOf = ({ var: { caller } }: Context<AppEnv>): string | undefined =>
  caller.permissions.has('own:read') ? (caller.personId ?? NOBODY) : undefined
