import { lt, sql } from 'drizzle-orm'
import { attempts, mailTokens, sessions } from './db/schema.ts'
import type { Platform } from './platform.ts'

/** A number of our own choosing: whoever holds this advisory lock runs the jobs, nobody else does at the same time. */
const LOCK = 0x6c696e75

const DAY_MS = 86_400_000

/** What has to be done once a day, on Node by a timer and on Workers by cron. Never throws: tomorrow comes again. */
export const daily = async ({ db, now, log }: Pick<Platform, 'db' | 'now' | 'log'>): Promise<void> => {
  try {
    await db.transaction(async (tx) => {
      const [lock] = await tx.execute<{ mine: boolean }>(sql`select pg_try_advisory_xact_lock(${LOCK}) as mine`)
      if (!lock?.mine) return
      const gone = await tx.delete(sessions).where(lt(sessions.expiresAt, now())).returning({ id: sessions.id })
      await tx.delete(mailTokens).where(lt(mailTokens.expiresAt, now()))
      await tx.delete(attempts).where(lt(attempts.lastAt, new Date(now().getTime() - DAY_MS)))
      log('info', 'daily', { expiredSessions: gone.length })
    })
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
    log('error', 'daily_failed', { error: cause instanceof Error ? cause.message : 'unknown' })
  }
}
