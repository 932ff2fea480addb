import { isLocal } from '../db/is-local.ts'
import { fault, type Line, ok, some, unseen, warning } from './line.ts'

// The database as the API's own role finds it.

export const tls = ({ url, ssl, version }: { url: string; ssl: boolean; version: string | null }): Line => {
  const check = 'database-tls'
  const { searchParams } = new URL(url)
  const mode = searchParams.get('sslmode') ?? searchParams.get('ssl') ?? ''
  const verified = mode === 'verify-full' || mode === 'verify-ca' || searchParams.get('sslrootcert') === 'system'
  if (isLocal(url) && !ssl) return ok(check, 'It is on this machine.')
  const mend = 'sslmode=verify-full in DATABASE_URL, and NODE_EXTRA_CA_CERTS=(its authority)'
  if (!ssl) return fault(check, 'The connection is in the clear.', `ssl = on in postgresql.conf, ${mend}`)
  // The driver verifies none with these: whoever is in between can be the database.
  if (!verified) return fault(check, `sslmode=${mode || 'unset'} takes any certificate.`, mend)
  return ok(check, `${version ?? 'TLS'}, and the certificate is verified.`)
}

/** What became of a stranger: `in`, or the SQLSTATE or code that it was refused with. */
export const stranger = (
  { wrongPassword, inTheClear }: { wrongPassword: string; inTheClear: string },
  local: boolean,
): Line[] => {
  const open = 'No trust in pg_hba.conf: scram-sha-256, and hostssl for whatever is not on this machine'
  const password =
    wrongPassword === 'in'
      ? fault('database-password', 'The role gets in with any password.', open)
      : wrongPassword.startsWith('28')
        ? ok('database-password', `A wrong password is refused (${wrongPassword}).`)
        : unseen('database-password', `the database did not answer (${wrongPassword}).`, open)
  // 28P01 is “wrong password”: so one was asked for, without TLS.
  const asked = inTheClear === 'in' || inTheClear === '28P01'
  const plain =
    asked && !local
      ? warning(
          'database-plain',
          'The server takes passwords without TLS too.',
          'hostssl instead of host in pg_hba.conf',
        )
      : ok('database-plain', local ? 'It is on this machine.' : `Without TLS nobody gets in (${inTheClear}).`)
  return [password, plain]
}

export type RoleFound = {
  name: string
  superuser: boolean
  createdb: boolean
  createrole: boolean
  bypassrls: boolean
  replication: boolean
  /** Owns, or may act as the owner of, a table of ours or the schema. */
  owner: boolean
  /** What it may do to what is only added: `update audit` … */
  mayChange: string[]
  /** Functions that it needs and may not call. */
  mayNotCall: string[]
  /** Tables that it needs and may not read and write. */
  mayNotUse: string[]
}

const LEAST = 'psql "$OWNER_DATABASE_URL" -f api/db/least-privilege.sql, and DATABASE_URL with the role lintel_app'

export const role = (found: RoleFound): Line => {
  const is = [
    found.superuser && 'is superuser',
    found.owner && 'owns the tables, or may act as who does',
    found.createdb && 'may make databases',
    found.createrole && 'may make roles',
    found.replication && 'may replicate',
    found.bypassrls && 'passes row security',
  ].filter((one) => one !== false)
  return is.length === 0
    ? ok('database-role', `${found.name} owns nothing and may make nothing.`)
    : fault('database-role', `${found.name} ${is.join(', ')}: who has its password can undo the record.`, LEAST)
}

export const record = ({ name, mayChange }: RoleFound): Line =>
  mayChange.length === 0
    ? ok('database-record', `${name} can neither change nor remove what is on record.`)
    : fault('database-record', `${name} may ${some(mayChange)}.`, LEAST)

export const needed = ({ name, mayNotCall, mayNotUse }: RoleFound): Line => {
  const lacks = [...mayNotUse, ...mayNotCall]
  return lacks.length === 0
    ? ok('database-rights', `${name} may do all that Lintel does.`)
    : fault('database-rights', `${name} lacks ${some(lacks)}.`, LEAST)
}

export const migrations = (upToDate: boolean): Line =>
  upToDate
    ? ok('migrations', 'The database is up to date.')
    : fault('migrations', 'The database is behind.', 'npm run migrate')

/** When the community stops to mend a version (postgresql.org/support/versioning). */
const END: Record<number, string> = {
  14: '2026-11-12',
  15: '2027-11-11',
  16: '2028-11-09',
  17: '2029-11-08',
  18: '2030-11-14',
}

export const version = (number: number, now: Date): Line => {
  const major = Math.floor(number / 10_000)
  if (major < 14) return fault('database-version', `Postgres ${major} is too old.`, 'Postgres 14 or newer')
  const end = END[major]
  return end !== undefined && now >= new Date(end)
    ? warning('database-version', `Postgres ${major} gets no fixes since ${end}.`, 'pg_upgrade to a newer version')
    : ok('database-version', `Postgres ${major}.${number % 100}.`)
}

/** What a process of the API holds (db/connect.ts). */
const OF_A_PROCESS = 16

export const connections = ({ most, reserved, used }: { most: number; reserved: number; used: number }): Line => {
  const free = most - reserved
  const why = `${used} of ${free} connections are in use; a process of the API takes ${OF_A_PROCESS}.`
  if (free < OF_A_PROCESS) return fault('database-connections', why, 'max_connections = 100')
  // Room for a second process, as at an upgrade.
  return free - used < OF_A_PROCESS
    ? warning('database-connections', why, 'A higher max_connections, or a pool in front')
    : ok('database-connections', why)
}

/** `limit` is what the role itself has, in milliseconds; on Workers nobody else sets one. */
export const statementTimeout = (limit: number, isWorker: boolean): Line => {
  if (!isWorker) return ok('statement-timeout', 'The API sets its own with each connection.')
  return limit > 0 && limit <= 60_000
    ? ok('statement-timeout', `The role gives up after ${limit} ms.`)
    : fault('statement-timeout', 'A statement may take for ever.', "alter role lintel_app set statement_timeout = '5s'")
}

export const embedded = (): Line =>
  fault(
    'database',
    'The embedded database has one connection, and no backup of Postgres’s own.',
    'DATABASE_URL=postgres://…',
  )

export const running = (): Line =>
  unseen(
    'database',
    'the embedded database belongs to the process that runs.',
    'Stop Lintel and ask again, for what is in it',
  )
