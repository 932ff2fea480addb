import { fileURLToPath } from 'node:url'
import { migrate as migrateWith } from 'drizzle-orm/postgres-js/migrator'
import { database } from '../platform.ts'
import { writeMissingKeys } from './card-keys.ts'
import { connect } from './connect.ts'

const migrationsFolder = fileURLToPath(new URL('../../drizzle', import.meta.url))

/** A number of our own choosing: whoever holds this advisory lock migrates, everybody else waits. */
const LOCK = 0x6c696e74

/** Bring a database up to date, and what is made of its rows too, on a connection of its own that no statement timeout interrupts. */
export const migrate = async (where: Parameters<typeof connect>[0]): Promise<void> => {
  const sql = connect(where, 'command')
  try {
    await sql`select pg_advisory_lock(${LOCK})`
    await migrateWith(database(sql), { migrationsFolder })
    await writeMissingKeys(sql)
    await sql`select pg_advisory_unlock(${LOCK})`
  } finally {
    await sql.end({ timeout: 5 })
  }
}
