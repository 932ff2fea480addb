import { eq, sql } from 'drizzle-orm'
import * as v from 'valibot'
import type { Tx } from '../audit/audited.ts'
import { errorCode } from '../cause.ts'
import { upkeep } from '../db/schema.ts'
import type { Db, Platform } from '../platform.ts'
import { failed } from '../upkeep.ts'
import { findDeviceAlerts, findStillAway } from './devices.ts'
import { findFailedSignIns } from './failed-sign-ins.ts'
import { findFarReaders } from './far-readers.ts'
import type { Finding } from './finding.ts'
import { beginning, newsSince } from './news.ts'
import { overdue } from './overdue.ts'
import { Place } from './place.ts'
import { raise } from './raise.ts'
import { findUnknownCards } from './unknown-cards.ts'

/** Where the last look ended, kept with the task; `told` is what has been said of other tasks. */
const Kept = v.object({
  events: Place,
  deviceEvents: Place,
  audit: v.pipe(v.number(), v.integer()),
  told: v.array(v.string()),
})
type Kept = v.InferOutput<typeof Kept>

/** In one look at most so many thousand rows of each table: whoever has been away for long catches up in several. */
const MOST_PASSES = 10
/** Where nothing happens it is written down this often that somebody looked. Milliseconds. */
const ALIVE_MS = 60_000

type World = Pick<Platform, 'db' | 'now' | 'log' | 'metrics'>

/**
 * Looks through what was recorded since it last looked, and raises alerts. Whichever process looks goes on where another
 * ended: of two at once, one finds its place taken and leaves what it found to the other. No lock is held, no transaction
 * is open while it looks, and nothing waits for it. Never throws: it looks again in a moment.
 */
export const watch = async (world: World): Promise<void> => {
  const { db, now, log } = world
  try {
    for (let pass = 0; pass < MOST_PASSES && (await lookOnce(world)); pass += 1);
  } catch (error) {
    const why = errorCode(error, 'unknown')
    log('warn', 'watch_failed', { error: why })
    await failed(db, 'watch', now(), why).catch(() => {})
  }
}

/** True when there may be more. */
const lookOnce = async ({ db, now, log, metrics }: World): Promise<boolean> => {
  const at = now()
  const tasks = await db.select({ ...columns, text: sql<string>`${upkeep.detail}::text` }).from(upkeep)
  const mine = tasks.find(({ task }) => task === 'watch')
  if (!mine || !v.is(Kept, mine.detail)) {
    await begin(db, mine?.text, at)
    return false
  }
  const before = v.parse(Kept, mine.detail)
  const { places, news, more } = await newsSince(db, at, before)
  const late = overdue(tasks, at)
  const kept: Kept = { ...places, told: late.map(nameOf) }
  const findings = [
    ...(news.audit.length > 0 ? await findFailedSignIns(db, news.audit) : []),
    ...(news.events.length > 0 ? await findUnknownCards(db, news.events) : []),
    ...(news.events.length > 0 ? await findFarReaders(db, news.events) : []),
    ...(news.deviceEvents.length > 0 ? await findDeviceAlerts(db, news.deviceEvents) : []),
    ...(await findStillAway(db, at)),
    ...late.filter((one) => !before.told.includes(nameOf(one))),
  ]
  if (findings.length === 0) {
    const isSame = JSON.stringify(kept) === JSON.stringify(before)
    const isFresh = mine.error === null && at.getTime() - (mine.doneAt?.getTime() ?? 0) < ALIVE_MS
    return (isSame && isFresh) || (await keep(db, mine.text, kept, at)) ? more : false
  }
  const raised = await db.transaction(async (tx) =>
    (await keep(tx, mine.text, kept, at)) ? raise(tx, at, findings) : undefined,
  )
  for (const { id, kind } of raised ?? []) {
    log('warn', 'alert', { alert: id, kind })
    metrics.alert(kind)
  }
  return raised !== undefined && more
}

const columns = {
  task: upkeep.task,
  triedAt: upkeep.triedAt,
  doneAt: upkeep.doneAt,
  error: upkeep.error,
  detail: upkeep.detail,
}

const nameOf = ({ about, since }: Finding): string => `${about} ${since.toISOString()}`

/** The place is this one now, if it still is the one that was read: of two who look at once the second does nothing. */
const keep = async (tx: Tx, read: string, kept: Kept, at: Date): Promise<boolean> => {
  const written = await tx
    .update(upkeep)
    .set({ triedAt: at, doneAt: at, error: null, detail: kept })
    .where(sql`${eq(upkeep.task, 'watch')} and ${upkeep.detail} = ${read}::jsonb`)
    .returning({ task: upkeep.task })
  return written.length > 0
}

/** For the first time; or nobody can read any more where the last one ended. */
const begin = async (db: Db, read: string | undefined, at: Date): Promise<void> => {
  const kept = { ...(await beginning(db, at)), told: [] }
  if (read !== undefined) await keep(db, read, kept, at)
  else await db.insert(upkeep).values({ task: 'watch', triedAt: at, doneAt: at, detail: kept }).onConflictDoNothing()
}
