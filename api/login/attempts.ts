import { inArray, sql } from 'drizzle-orm'
import { base64url } from 'jose'
import { networkOf } from '../address.ts'
import { attempts } from '../db/schema.ts'
import { deriveMacKey } from '../keys.ts'
import type { Db, Platform } from '../platform.ts'

// The table of failures: one row for each thing that is limited and each whom. limits.ts says how much is too much.

/**
 * So many failures are free, then each makes the next attempt wait: `firstS` (1 s), twice that, four times … `mostS`. One is
 * forgotten each `forgetMs`.
 */
export type Pace = { free: number; firstS?: number; mostS: number; forgetMs: number }

/** Counted for somebody from one address, for somebody from everywhere, and for an address whoever it says it is. */
export type Kind = 'here' | 'anywhere' | 'address'
export type Paces = Partial<Record<Kind, Pace>>
export type Count = { key: string; pace: Pace; kind: Kind }
type Row = typeof attempts.$inferSelect

/** Nothing in the table can be read back: its keys are HMACs of what is limited and whom. */
export const keyFor = async (appKey: Uint8Array, parts: readonly (string | null)[]): Promise<string> => {
  const mac = await deriveMacKey(appKey, 'lintel attempts')
  const text = new TextEncoder().encode(JSON.stringify(parts))
  return base64url.encode(new Uint8Array(await crypto.subtle.sign('HMAC', mac, text)))
}

export const countsOf = async (
  { config, address }: Platform,
  what: string,
  paces: Paces,
  whom: string | null,
): Promise<Count[]> => {
  const network = networkOf(address)
  const told = { here: whom && [whom, network], anywhere: whom && [whom], address: [network] }
  const kinds = (['here', 'anywhere', 'address'] as const).map(async (kind) => {
    const [pace, parts] = [paces[kind], told[kind]]
    if (!pace || !parts) return []
    return [{ kind, pace, key: await keyFor(config.APP_KEY, [what, kind, ...parts]) }]
  })
  const counts = (await Promise.all(kinds)).flat()
  // Rows are locked in one order.
  return counts.sort((one, other) => (one.key < other.key ? -1 : 1))
}

/** Milliseconds until the next attempt may be made. */
const waitOf = ({ free, firstS = 1, mostS, forgetMs }: Pace, row: Row | undefined, at: Date): number => {
  if (!row) return 0
  const count = row.count - Math.floor((at.getTime() - row.since.getTime()) / forgetMs)
  if (count < free) return 0
  return row.lastAt.getTime() + Math.min(firstS * 2 ** (count - free), mostS) * 1000 - at.getTime()
}

/** The longest of the waits, in milliseconds; 0 or less is none. */
export const longestWait = (counts: Count[], rows: Row[], at: Date): number =>
  Math.max(
    ...counts.map(({ key, pace }) =>
      waitOf(
        pace,
        rows.find((row) => row.key === key),
        at,
      ),
    ),
  )

export type Reads = Pick<Db, 'select'>

export const rowsOf = (db: Reads, counts: Count[]) =>
  db
    .select()
    .from(attempts)
    .where(
      inArray(
        attempts.key,
        counts.map(({ key }) => key),
      ),
    )

/** One settles after the other, also where there is no row to lock yet. */
export const takeTurns = (tx: Pick<Db, 'execute'>, counts: Count[]) => {
  const keys = sql.join(
    counts.map(({ key }) => sql`(${key})`),
    sql`, `,
  )
  return tx.execute(
    sql`select pg_advisory_xact_lock(hashtextextended(k, 0)) from (values ${keys}) as counts (k) order by k`,
  )
}

const forgetS = (counts: Count[]) =>
  sql`case ${attempts.key} ${sql.join(
    counts.map(({ key, pace }) => sql`when ${key} then ${pace.forgetMs / 1000}::double precision`),
    sql` `,
  )} end`

/** One failure more in each count, less what has been forgotten since; one statement, so that none is lost. */
export const addFailure = async (db: Pick<Db, 'insert'>, counts: Count[], at: Date): Promise<void> => {
  const instant = sql`excluded.last_at`
  const forgotten = sql`floor(greatest(extract(epoch from ${instant} - ${attempts.since}), 0) / ${forgetS(counts)})`
  await db
    .insert(attempts)
    .values(counts.map(({ key }) => ({ key, count: 1, since: at, lastAt: at })))
    .onConflictDoUpdate({
      target: attempts.key,
      set: {
        count: sql`greatest(${attempts.count} - ${forgotten}, 0)::integer + 1`,
        since: sql`case when ${forgotten} >= ${attempts.count} then ${instant}
          else ${attempts.since} + ${forgotten} * ${forgetS(counts)} * interval '1 second' end`,
        lastAt: sql`greatest(${attempts.lastAt}, ${instant})`,
      },
    })
}

/** Whoever was right starts anew; the address does not, or one account of an attacker's own would clear it. */
export const clear = (db: Pick<Db, 'delete'>, counts: Count[]) => {
  const own = counts.filter(({ kind }) => kind !== 'address').map(({ key }) => key)
  return db.delete(attempts).where(inArray(attempts.key, own))
}
