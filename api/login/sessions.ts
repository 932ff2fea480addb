import { and, eq, gt, isNull, lt, ne } from 'drizzle-orm'
import type { Context } from 'hono'
import { note, type Tx } from '../audit/audited.ts'
import { accounts, refreshTokens, sessions } from '../db/schema.ts'
import type { AppEnv, Platform } from '../platform.ts'
import { hashOf, issue, newSecret } from './tokens.ts'

/** What whoever signed in gets, as OAuth spells it (RFC 6749, section 5.1). */
export type Tokens = { access_token: string; token_type: 'Bearer'; expires_in: number; refresh_token: string }

type Session = { id: string; accountId: string }

const tokensFor = async (platform: Platform, tx: Tx, session: Session): Promise<Tokens> => {
  const refreshToken = newSecret()
  await tx.insert(refreshTokens).values({ hash: await hashOf(refreshToken), sessionId: session.id })
  const { token, seconds } = await issue(platform, { accountId: session.accountId, sessionId: session.id })
  return { access_token: token, token_type: 'Bearer', expires_in: seconds, refresh_token: refreshToken }
}

/** Somebody has just shown who they are: a new session, and its first tokens. */
export const startSession = async (
  platform: Platform,
  tx: Tx,
  accountId: string,
  from: { address: string | null; userAgent: string | null },
): Promise<{ session: Session; tokens: Tokens }> => {
  const at = platform.now()
  const expiresAt = new Date(at.getTime() + platform.config.SESSION_HOURS * 3_600_000)
  const values = { accountId, createdAt: at, usedAt: at, provenAt: at, expiresAt, ...from }
  const [session] = await tx
    .insert(sessions)
    .values(values)
    .returning({ id: sessions.id, accountId: sessions.accountId })
  if (!session) throw new Error('the session was not written')
  return { session, tokens: await tokensFor(platform, tx, session) }
}

/** A session that is neither over nor idle for too long. */
export const isLive = ({ config, now }: Platform) =>
  and(
    gt(sessions.expiresAt, now()),
    gt(sessions.usedAt, new Date(now().getTime() - config.SESSION_IDLE_MINUTES * 60_000)),
  )

/**
 * Exchange a refresh token. It is good once. Used again it ends its session, as somebody has a copy and nobody can tell
 * who; unless that request was already under way when the first was answered (`asked` is when it came in): two tabs of one
 * browser do that, and each gets tokens of its own. Undefined when the token is not good. What is exchanged is on record,
 * and whose session ended.
 */
export const exchange = (c: Context<AppEnv>, refreshToken: string): Promise<Tokens | undefined> => {
  const {
    env: platform,
    var: { asked },
  } = c
  return platform.db.transaction(async (tx) => {
    const hash = await hashOf(refreshToken)
    const [session] = await tx
      .select({ id: sessions.id, accountId: sessions.accountId, exchangedAt: refreshTokens.exchangedAt })
      .from(refreshTokens)
      .innerJoin(sessions, eq(sessions.id, refreshTokens.sessionId))
      .innerJoin(accounts, and(eq(accounts.id, sessions.accountId), eq(accounts.disabled, false)))
      .where(and(eq(refreshTokens.hash, hash), isLive(platform)))
      .for('update', { of: [refreshTokens, sessions] })
    if (!session) return undefined
    const account = { kind: 'account', id: session.accountId } as const
    if (session.exchangedAt && session.exchangedAt < asked) {
      await tx.delete(sessions).where(eq(sessions.id, session.id))
      await note(tx, c, 'login.refresh.reused', { target: account, before: { sessionId: session.id } })
      return undefined
    }
    const at = platform.now()
    await tx
      .update(refreshTokens)
      .set({ exchangedAt: at })
      .where(and(eq(refreshTokens.hash, hash), isNull(refreshTokens.exchangedAt)))
    await tx.update(sessions).set({ usedAt: at }).where(eq(sessions.id, session.id))
    const tokens = await tokensFor(platform, tx, session)
    await note(tx, c, 'login.refresh', { actor: account, target: { kind: 'session', id: session.id } })
    return tokens
  })
}

/** End the sessions of an account, at once and on all nodes; the one to spare goes on. */
export const endSessions = async (tx: Tx, accountId: string, spare?: string): Promise<void> => {
  await tx
    .delete(sessions)
    .where(and(eq(sessions.accountId, accountId), spare === undefined ? undefined : ne(sessions.id, spare)))
}

/** Once a minute is often enough to know since when a session has been idle. */
const NOTE_USE_MS = 60_000

export const noteUse = async ({ db, now }: Platform, session: { id: string; usedAt: Date }): Promise<void> => {
  if (now().getTime() - session.usedAt.getTime() < NOTE_USE_MS) return
  await db
    .update(sessions)
    .set({ usedAt: now() })
    .where(and(eq(sessions.id, session.id), lt(sessions.usedAt, now())))
}
