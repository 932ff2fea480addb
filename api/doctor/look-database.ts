import postgres, { type Sql } from 'postgres'
import { isLocal } from '../db/is-local.ts'
import { OWNERS_FUNCTIONS } from '../db/migrate.ts'
import { isMigrated } from '../db/ready.ts'
import { type Db, database as drizzleOver } from '../platform.ts'
import { codeOf } from './ask.ts'
import { clock, type Offset } from './clocks.ts'
import * as database from './database.ts'
import type { Line } from './line.ts'

const lookAtRole = async (sql: Sql): Promise<database.RoleFound> => {
  const [role] = await sql<Omit<database.RoleFound, 'mayChange' | 'mayNotCall' | 'mayNotUse'>[]>`
    select rolname as name, rolsuper as superuser, rolcreatedb as createdb, rolcreaterole as createrole,
      rolbypassrls as bypassrls, rolreplication as replication,
      exists (
        select from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = 'public' and c.relkind in ('r', 'p') and pg_has_role(current_user, c.relowner, 'member')
      ) as owner
    from pg_roles where rolname = current_user`
  if (!role) throw new Error('no such role')
  // What is only ever added to. Corrections of events are held to rules by a trigger.
  const may = await sql<{ what: string }[]>`
    select privilege || ' ' || name as what
    from (values ('audit'), ('event_corrections'), ('device_events'), ('events')) t (name),
      (values ('update'), ('delete'), ('truncate')) p (privilege)
    where has_table_privilege(current_user, 'public.' || name, privilege) and (name <> 'events' or privilege <> 'update')`
  const functions = await sql<{ what: string }[]>`
    select p.proname || '()' as what from pg_proc p join pg_namespace n on n.oid = p.pronamespace
    where n.nspname = 'public' and p.proname in ${sql(OWNERS_FUNCTIONS)}
      and not has_function_privilege(current_user, p.oid, 'execute')`
  const tables = await sql<{ what: string }[]>`
    select c.relname as what from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'public' and c.relkind in ('r', 'p')
      and not (has_table_privilege(current_user, c.oid, 'select') and has_table_privilege(current_user, c.oid, 'insert'))`
  const names = (rows: readonly { what: string }[]) => rows.map(({ what }) => what)
  return { ...role, mayChange: names(may), mayNotCall: names(functions), mayNotUse: names(tables) }
}

/** `in`, or how it was refused. */
const tryIn = async (url: string, change: (url: URL) => void): Promise<string> => {
  const other = new URL(url)
  change(other)
  const sql = postgres(other.href, { max: 1, connect_timeout: 5, fetch_types: false, onnotice: () => {} })
  return sql`select 1`
    .then(() => 'in')
    .catch(codeOf)
    .finally(() => sql.end({ timeout: 1 }))
}

const wrongly = (url: URL) => {
  url.password = 'not-the-password-of-this-role'
}

const inTheClear = (url: URL) => {
  // Never the true password: whoever takes it in the clear would have it.
  wrongly(url)
  for (const name of ['sslmode', 'ssl', 'sslrootcert', 'sslnegotiation']) url.searchParams.delete(name)
}

/** The driver gives an instant to the microsecond as text; milliseconds are all that is wanted. */
const offsetOf = async (sql: Sql): Promise<Offset> => {
  const offsets: Offset[] = []
  for (let i = 0; i < 3; i++) {
    const asked = Date.now()
    const [row] = await sql<{ at: number }[]>`select extract(epoch from clock_timestamp())::float8 * 1000 as at`
    offsets.push({ least: (row?.at ?? 0) - Date.now(), most: (row?.at ?? 0) - asked })
  }
  return offsets.reduce((best, one) => (one.most - one.least < best.most - best.least ? one : best))
}

const NO_SERVER = { most: 0, reserved: 0, used: 0, ssl: false, version: null, number: 0, limit: 0 }

type Server = {
  most: number
  reserved: number
  used: number
  ssl: boolean
  version: string | null
  number: number
  limit: number
}

/** What only a Postgres of its own can tell. */
export const lookAtDatabase = async (sql: Sql, url: string, isWorker: boolean, now: Date): Promise<Line[]> => {
  const [server = NO_SERVER] = await sql<Server[]>`
    select current_setting('max_connections')::int as most,
      current_setting('superuser_reserved_connections')::int
        + coalesce(current_setting('reserved_connections', true), '0')::int as reserved,
      (select coalesce(sum(numbackends), 0)::int from pg_stat_database) as used,
      coalesce(s.ssl, false) as ssl, s.version, current_setting('server_version_num')::int as number,
      coalesce((
        select (extract(epoch from split_part(one, '=', 2)::interval) * 1000)::int
        from pg_db_role_setting d, unnest(d.setconfig) one
        where d.setrole in (0, current_user::regrole) and one ~ '^statement_timeout=\d+\s*(ms|s|min)$'
        order by d.setrole desc limit 1
      ), 0) as limit
    from (select pg_backend_pid() as pid) me left join pg_stat_ssl s using (pid)`
  const found = await lookAtRole(sql)
  return [
    database.tls({ url, ...server }),
    ...database.stranger(
      { wrongPassword: await tryIn(url, wrongly), inTheClear: await tryIn(url, inTheClear) },
      isLocal(url),
    ),
    database.role(found),
    database.record(found),
    database.needed(found),
    database.version(server.number, now),
    database.connections(server),
    database.statementTimeout(server.limit, isWorker),
    clock('clock-database', 'The database’s clock', 'this machine’s', await offsetOf(sql), 'DATABASE_URL=…'),
  ]
}

export const lookAtMigrations = async (sql: Sql): Promise<Line> => {
  const db: Db = drizzleOver(sql)
  return database.migrations(await isMigrated(db))
}
