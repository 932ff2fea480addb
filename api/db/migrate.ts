import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { migrate as migrateWith } from 'drizzle-orm/postgres-js/migrator'
import type { Sql } from 'postgres'
import { errorCode } from '../cause.ts'
import { SetupError } from '../contract/environment.ts'
import { database } from '../platform.ts'
import { writeMissingKeys } from './card-keys.ts'
import { connect } from './connect.ts'

const FOLDER = fileURLToPath(new URL('../../drizzle', import.meta.url))

/** A number of our own choosing: whoever holds this advisory lock migrates, everybody else waits. */
const LOCK = 0x6c696e74

/**
 * Whoever waits for a table behind a long report makes every door wait behind itself: so a migration waits for half of what a
 * scan does, lets go of everything (all of them are one transaction) and comes again when the doors had their turn.
 * Milliseconds.
 */
const LOCK_TIMEOUT_MS = 500
const PAUSE_MS = 2_000
const TRIES = 60

/** Postgres: a lock was not free in time; two waited for each other. */
const IN_THE_WAY = ['55P03', '40P01']

type Patience = Omit<typeof USUAL, 'migrationsFolder'>

const USUAL = { migrationsFolder: FOLDER, tries: TRIES, pauseMs: PAUSE_MS, say: (text: string) => console.error(text) }

/** Bring a database up to date, and what is made of its rows too, on a connection of its own that no statement timeout interrupts. */
export const migrate = async (where: Parameters<typeof connect>[0], how: Partial<typeof USUAL> = {}): Promise<void> => {
  const { migrationsFolder, ...patience } = { ...USUAL, ...how }
  const sql = connect(where, 'command')
  try {
    await sql`select pg_advisory_lock(${LOCK})`
    await sql.unsafe(`set lock_timeout = ${LOCK_TIMEOUT_MS}`)
    await untilItFits(() => migrateWith(database(sql), { migrationsFolder }), patience, sql)
    await sql`set lock_timeout = 0`
    await keepToOwner(sql)
    await writeMissingKeys(sql)
    await sql`select pg_advisory_unlock(${LOCK})`
  } finally {
    await sql.end({ timeout: 5 })
  }
}

/** What shortens the record, or takes a person out of it: functions of the tables' owner, as least-privilege.sql names them too. */
export const OWNERS_FUNCTIONS = ['remove_events', 'remove_device_events', 'remove_audit', 'erase_events', 'erase_audit']

/** As the migration has it; but a database that was restored has functions that anybody may call, and is not migrated anew. */
const keepToOwner = (sql: Sql) => sql`revoke all on function ${sql(OWNERS_FUNCTIONS)} from public`

const untilItFits = async (work: () => Promise<void>, { tries, pauseMs, say }: Patience, sql: Sql): Promise<void> => {
  for (let tried = 1; ; tried++) {
    try {
      return await work()
    } catch (error) {
      if (!IN_THE_WAY.includes(errorCode(error, ''))) throw error
      const who = await inTheWay(sql)
      if (tried === tries) {
        throw new SetupError(
          `The database was not brought up to date, and nothing was changed: a table that has to be changed was never free${who}. ` +
            'End what holds it, with pg_terminate_backend(pid), or wait until it has ended, and migrate again.',
        )
      }
      say(`A table that has to be changed is in use${who}; trying again (${tried} of ${tries}).`)
      await pause(pauseMs)
    }
  }
}

/** Which transactions have been open for longer than a request may take. */
const inTheWay = async (sql: Sql): Promise<string> => {
  const rows = await sql<{ pid: number; seconds: number }[]>`
    select pid, extract(epoch from now() - xact_start)::int as seconds from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid() and xact_start < now() - interval '5 seconds'
    order by xact_start limit 3`
  if (rows.length === 0) return ''
  return `; open for long: ${rows.map(({ pid, seconds }) => `process ${pid} for ${seconds} s`).join(', ')}`
}
