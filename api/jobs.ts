import { and, inArray, lt, sql } from 'drizzle-orm'
import { lookForBridges } from './access/bridges-away.ts'
import { messageOf } from './cause.ts'
import { attempts, commands, mailTokens, sessions } from './db/schema.ts'
import { noteKey } from './key-age.ts'
import type { Platform } from './platform.ts'
import { finishErasures } from './privacy/erase-events.ts'
import { removeOld } from './privacy/retention.ts'
import { watch } from './watch/watch.ts'
import { deliverDue } from './webhooks/deliver.ts'

/** A number of our own choosing: whoever holds this advisory lock runs the jobs, nobody else does at the same time. */
const LOCK = 0x6c696e75

const DAY_MS = 86_400_000
const MINUTE_MS = 60_000

/** What was done is on the audit log for good; what became of it is kept for so long. Days. */
const KEEP_COMMANDS = 90

/** What has to be done every few seconds on Node, and every minute on Workers. Never throws. */
export const look = async (platform: Platform): Promise<void> => {
  await lookForBridges(platform)
  await watch(platform)
  await deliverDue(platform)
}

/** What has to be done once a day, on Node by a timer and on Workers by cron. Never throws: tomorrow comes again. */
export const daily = async (platform: Platform): Promise<void> => {
  await tidy(platform)
  await noteKey(platform)
  await finishErasures(platform)
  await removeOld(platform)
}

/** What has expired goes. Never throws. */
export const tidy = async ({ db, now, log }: Pick<Platform, 'db' | 'now' | 'log'>): Promise<void> => {
  try {
    await db.transaction(async (tx) => {
      const [lock] = await tx.execute<{ mine: boolean }>(sql`select pg_try_advisory_xact_lock(${LOCK}) as mine`)
      if (!lock?.mine) return
      const gone = await tx.delete(sessions).where(lt(sessions.expiresAt, now())).returning({ id: sessions.id })
      await tx.delete(mailTokens).where(lt(mailTokens.expiresAt, now()))
      await tx.delete(attempts).where(lt(attempts.lastAt, new Date(now().getTime() - DAY_MS)))
      const ago = (ms: number) => new Date(now().getTime() - ms)
      // Given up by whoever waited for them, unless that process ended meanwhile.
      await tx
        .update(commands)
        .set({ state: 'timed_out', settledAt: now() })
        .where(and(inArray(commands.state, ['waiting', 'taken']), lt(commands.expiresAt, ago(MINUTE_MS))))
      await tx.delete(commands).where(lt(commands.createdAt, ago(KEEP_COMMANDS * DAY_MS)))
      log('info', 'daily', { expiredSessions: gone.length })
    })
  } catch (error) {
    log('error', 'daily_failed', { error: messageOf(error) })
  }
}
