import { sql } from 'drizzle-orm'
import journal from '../../drizzle/meta/_journal.json' with { type: 'json' }
import { errorCode } from '../cause.ts'
import type { Db, Platform } from '../platform.ts'
import { inTime, shared } from '../waiting.ts'

const newest = Math.max(...journal.entries.map((entry) => entry.when))

/**
 * Has the database every migration that this code was written against? It may have more: a newer version is being rolled out,
 * and what is migrated is good for both. Throws when it cannot be reached.
 */
export const isMigrated = async (db: Db): Promise<boolean> => {
  const [table] = await db.execute<{ there: boolean }>(
    sql`select to_regclass('drizzle.__drizzle_migrations') is not null as there`,
  )
  if (!table?.there) return false
  const [row] = await db.execute<{ last: string | null }>(
    sql`select max(created_at) as last from drizzle.__drizzle_migrations`,
  )
  return Number(row?.last ?? 0) >= newest
}

/** A database that takes longer than this to say so little is none that a door could be opened by. Milliseconds. */
const PATIENCE_MS = 1_000

const AWAY = 'The database cannot be reached or is too slow. Check that it runs and that it can be reached from here.'
const BEHIND = 'The database is behind: run npm run migrate.'
const DRAINING = 'This process was told to end and takes no new work: ask another one.'

/**
 * Why a load balancer should send nobody here, as a sentence; undefined where it should. It asks by the way that scans go,
 * and takes a second at most.
 */
export const whyNotReady = async ({ doorDb, draining, log }: Looking): Promise<string | undefined> => {
  if (draining.aborted) return DRAINING
  const state = await inTime<State>(lookAt(doorDb, log), PATIENCE_MS, 'away')
  return state === 'ready' ? undefined : state === 'behind' ? BEHIND : AWAY
}
type Looking = Pick<Platform, 'doorDb' | 'draining' | 'log'>

type State = 'ready' | 'behind' | 'away'

/** On Workers each request has a database of its own, and so a look of its own. */
const looks = shared<State>()

/** One look at a time, on one connection. Never rejects. */
const lookAt = (db: Db, log: Looking['log']): Promise<State> =>
  looks(db, () =>
    isMigrated(db)
      .then((migrated): State => (migrated ? 'ready' : 'behind'))
      .catch((error: unknown): State => {
        log('warn', 'not_ready', { code: errorCode(error, 'no answer') })
        return 'away'
      }),
  )
