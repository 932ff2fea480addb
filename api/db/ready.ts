import { sql } from 'drizzle-orm'
import journal from '../../drizzle/meta/_journal.json' with { type: 'json' }
import type { Db } from '../platform.ts'

const newest = Math.max(...journal.entries.map((entry) => entry.when))

/** Has the database every migration that this code was written against? Throws when it cannot be reached. */
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
