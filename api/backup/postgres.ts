import type { Sql } from 'postgres'
import { SetupError } from '../contract/environment.ts'
import { connect } from '../db/connect.ts'
import { type Facts, factsOf, SCHEMAS, tablesOf } from './manifest.ts'
import { dump, load, requireProgram } from './programs.ts'

/** Numbers of our own choosing, for advisory locks: one backup of a database at a time, and one trial. */
const BACKING_UP = 0x6c696e76
const TRYING = 0x6c696e77

/** A connection that no timeout interrupts, for as long as it is used. */
export const withSql = async <T>(where: Parameters<typeof connect>[0], use: (sql: Sql) => Promise<T>): Promise<T> => {
  const sql = connect(where, 'command')
  try {
    return await use(sql)
  } finally {
    await sql.end({ timeout: 5 })
  }
}

/**
 * What the database says of itself and its archive, of one and the same snapshot whatever is written meanwhile. Throws a
 * SetupError where another backup is being made.
 */
export const dumpPostgres = <T>(url: string, use: (facts: Facts, body: AsyncIterable<Uint8Array>) => Promise<T>) =>
  withSql({ url }, async (sql) => {
    const [server] = await sql<{ server_version: string }[]>`show server_version`
    await requireProgram('pg_dump', server?.server_version ?? '')
    return sql.begin('isolation level repeatable read read only', async (tx) => {
      await tx`set local idle_in_transaction_session_timeout = 0`
      const [lock] = await tx<{ mine: boolean }[]>`select pg_try_advisory_xact_lock(${BACKING_UP}) as mine`
      if (!lock?.mine)
        throw new SetupError('Another backup of this database is being made. Try again when that is done.')
      const [exported] = await tx<{ snapshot: string }[]>`select pg_export_snapshot() as snapshot`
      const facts = await factsOf(tx)
      return use(facts, dump(url, exported?.snapshot ?? '', SCHEMAS))
    })
  })

export const isEmpty = (url: string): Promise<boolean> =>
  withSql({ url }, async (sql) => (await tablesOf(sql)).length === 0)

/** Throws a SetupError unless what is in the database is Lintel's, and no Lintel is at work there. */
export const requireOurs = (url: string): Promise<void> =>
  withSql({ url }, async (sql) => {
    const [it] = await sql<{ ours: boolean; others: number }[]>`
      select to_regclass('drizzle.__drizzle_migrations') is not null and to_regclass('public.audit') is not null as ours,
        (select count(*)::int from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
          and application_name ~ '^lintel ') as others`
    if (!it?.ours) throw new SetupError('What is in this database is not Lintel’s, and so it stays. Name another one.')
    if (it.others > 0) throw new SetupError('Lintel is still connected to this database. Stop it, then restore.')
  })

/** Throws a SetupError where there is no pg_restore, or one that is older than the server. */
export const requireRestoring = (url: string): Promise<void> =>
  withSql({ url }, async (sql) => {
    const [server] = await sql<{ server_version: string }[]>`show server_version`
    await requireProgram('pg_restore', server?.server_version ?? '')
  })

/** Puts an archive into an empty database, all of it or nothing. */
export const loadPostgres = async (url: string, body: AsyncIterable<Uint8Array>): Promise<void> => {
  await requireRestoring(url)
  await withSql({ url }, async (sql) => {
    // Every database has a schema `public`; what pg_restore is to restore is only what is in the two.
    await sql`create schema if not exists drizzle`
  })
  await load(url, body, SCHEMAS)
}

/** Takes away every table and function of Lintel's schemas, or, where one is somebody else's, none. */
export const emptyPostgres = (url: string): Promise<void> =>
  withSql({ url }, async (sql) => {
    await sql.begin(async (tx) => {
      await tx`drop schema if exists drizzle cascade`
      for (const { schema, name } of await tablesOf(tx)) await tx`drop table ${tx(schema)}.${tx(name)} cascade`
      const functions = await tx<{ name: string }[]>`
        select p.oid::regprocedure::text as name from pg_proc p where p.pronamespace = 'public'::regnamespace
          and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e')`
      for (const { name } of functions) await tx.unsafe(`drop routine if exists ${name} cascade`)
    })
  })

const SCRATCH = 'lintel_verify_'

/**
 * An empty database for a trial: a new one on the same server, or `given`. Whatever becomes of the trial, the one is dropped
 * and the other emptied; one that a killed process left is dropped by the next.
 */
export const withScratch = <T>(
  { url, given }: { url: string; given: string | undefined },
  use: (url: string) => Promise<T>,
): Promise<T> => (given === undefined ? withNew(url, use) : withGiven(given, use))

const withGiven = async <T>(url: string, use: (url: string) => Promise<T>): Promise<T> => {
  if (!(await isEmpty(url))) throw new SetupError('SCRATCH_DATABASE_URL names a database that is not empty.')
  try {
    return await use(url)
  } finally {
    await emptyPostgres(url)
  }
}

const withNew = <T>(url: string, use: (url: string) => Promise<T>): Promise<T> =>
  withSql({ url }, async (sql) => {
    const [lock] = await sql<{ mine: boolean }[]>`select pg_try_advisory_lock(${TRYING}) as mine`
    if (!lock?.mine)
      throw new SetupError('Another backup of this database is being tried. Try again when that is done.')
    const left = await sql<{ name: string }[]>`
      select datname as name from pg_database d where datname ~ ${`^${SCRATCH}[0-9a-f]{16}$`} and pg_has_role(datdba, 'usage')
        and not exists (select from pg_stat_activity a where a.datname = d.datname)`
    for (const { name } of left) await sql`drop database ${sql(name)} with (force)`
    const name = `${SCRATCH}${crypto.randomUUID().replaceAll('-', '').slice(0, 16)}`
    await sql`create database ${sql(name)} template template0`.catch((error: unknown) => {
      if (!(error instanceof Error && 'code' in error && error.code === '42501')) throw error
      throw new SetupError(
        'This role may not make a database to try the backup in. Set SCRATCH_DATABASE_URL to an empty one, or: alter role … createdb',
      )
    })
    const scratch = new URL(url)
    scratch.pathname = `/${name}`
    try {
      return await use(scratch.href)
    } finally {
      await sql`drop database if exists ${sql(name)} with (force)`
    }
  })
