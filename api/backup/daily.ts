import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { and, eq } from 'drizzle-orm'
import { messageOf } from '../cause.ts'
import { upkeep } from '../db/schema.ts'
import type { NodeConfig } from '../node-config.ts'
import type { Db, Platform } from '../platform.ts'
import { lastOf } from '../upkeep.ts'
import { removeOldBackups } from './keep.ts'

const MAIN = fileURLToPath(new URL('main.ts', import.meta.url))

/** Three in the morning, on this machine's clock. */
const QUIET_HOUR = 3
const HOUR_MS = 3_600_000
const WEEK_MS = 7 * 24 * HOUR_MS
const LOOK_MS = 5 * 60_000

type Times = { triedAt: Date; doneAt: Date | null } | undefined

/** Once after each quiet hour, at any time when that was missed, and an hour after a try in vain. */
export const isDue = (now: Date, last: Times): boolean => {
  if (last === undefined) return true
  if (now.getTime() - last.triedAt.getTime() < HOUR_MS) return false
  const quiet = new Date(now)
  quiet.setHours(QUIET_HOUR, 0, 0, 0)
  if (quiet > now) quiet.setDate(quiet.getDate() - 1)
  return last.doneAt === null || last.doneAt < quiet
}

/** Of several processes that look at the same moment one gets it: whoever writes the time of the try first. */
const take = async (db: Db, now: Date, last: Times): Promise<boolean> => {
  const row = { task: 'backup' as const, triedAt: now }
  const taken = last
    ? await db
        .update(upkeep)
        .set(row)
        .where(and(eq(upkeep.task, 'backup'), eq(upkeep.triedAt, last.triedAt)))
        .returning()
    : await db.insert(upkeep).values(row).onConflictDoNothing().returning()
  return taken.length > 0
}

type Settings = Pick<
  NodeConfig,
  'DATABASE_URL' | 'DATA_DIR' | 'BACKUP_KEEP_DAYS' | 'BACKUP_RECIPIENT' | 'SCRATCH_DATABASE_URL'
> & {
  BACKUP_DIR: string
}

/**
 * A backup a day, by a process of its own, and once a week one that is tried out: of the embedded database, and of a Postgres
 * where SCRATCH_DATABASE_URL says where, since nobody has asked for a second copy on the server that doors wait for.
 */
export const backUpDaily = (
  platform: Pick<Platform, 'db' | 'log' | 'now'>,
  settings: Settings,
): { close(): Promise<void> } => {
  const { db, log, now } = platform
  let child: ChildProcess | undefined

  const look = async (): Promise<void> => {
    const last = await lastOf(db, 'backup')
    if (child !== undefined || !isDue(now(), last) || !(await take(db, now(), last))) return
    const verified = await lastOf(db, 'backup-verified')
    const canTry = settings.DATABASE_URL === undefined || settings.SCRATCH_DATABASE_URL !== undefined
    const isTrial = canTry && now().getTime() - (verified?.doneAt?.getTime() ?? 0) > WEEK_MS
    child = spawn(process.execPath, [MAIN, '--json', ...(isTrial ? ['--verify'] : [])], {
      env: { ...process.env, ...environmentOf(settings) },
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    const said = await sayingOf(child)
    child = undefined
    if (said.ok !== true) log('error', 'backup_failed', { say: said.error ?? 'The backup ended without a word.' })
    // One that was made but could not be tried out is a backup too: or the old ones would fill the disk.
    const made = await lastOf(db, 'backup')
    if (said.file === undefined || made?.error !== null || (made.doneAt ?? 0) <= (last?.doneAt ?? 0)) return
    const removed = await removeOldBackups(String(said.file), settings.BACKUP_KEEP_DAYS)
    log('info', 'backup', { bytes: said.bytes, removed: removed.length, verified: isTrial })
  }
  const tick = () => {
    look().catch((error: unknown) => {
      child = undefined
      log('error', 'backup_failed', { error: messageOf(error) })
    })
  }
  const timer = setInterval(tick, LOOK_MS)
  tick()
  return {
    async close() {
      clearInterval(timer)
      if (child?.exitCode !== null || child.signalCode !== null) return
      child.kill('SIGTERM')
      await once(child, 'exit')
    },
  }
}

const environmentOf = (settings: Settings): Record<string, string> => {
  const { DATABASE_URL = '', SCRATCH_DATABASE_URL = '', BACKUP_RECIPIENT = '', DATA_DIR, BACKUP_DIR } = settings
  return { DATABASE_URL, SCRATCH_DATABASE_URL, BACKUP_RECIPIENT, DATA_DIR, BACKUP_DIR }
}

type Said = { ok?: boolean; error?: string; file?: string; bytes?: number }

const sayingOf = async (child: ChildProcess): Promise<Said> => {
  let said = ''
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  await once(child, 'close')
  try {
    return JSON.parse(said)
  } catch {
    return {}
  }
}
