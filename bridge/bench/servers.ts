import { execFileSync } from 'node:child_process'
import { chownSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import postgres from 'postgres'
import { SetupError } from '../../api/contract/environment.ts'
import { connectReader } from './load.ts'
import { findProgram, freePort, type Processes, runToEnd, type Start, until } from './processes.ts'

export type Postgres = {
  /** The server, by the URL of a database from which others can be created. */
  url: string
  /** Everything the server has said so far; undefined when it is not the bench's own. */
  log?: () => string
}

const LOOPBACK = '127.0.0.1'

/** The Postgres of DATABASE_URL, or one of our own with the settings it comes with: every commit reaches the disk. */
export const aPostgres = async (processes: Processes, folder: string, given: string | undefined): Promise<Postgres> => {
  if (given) {
    await askVersion(given).catch((error: Error) => {
      throw new SetupError(`The Postgres of DATABASE_URL does not answer (${error.message || error.name}).`)
    })
    return { url: given }
  }
  const server = findProgram('postgres', '/usr/lib/postgresql/*/bin', '/usr/pgsql-*/bin')
  if (!server) {
    throw new SetupError('There is no postgres on this machine. Install PostgreSQL, or set DATABASE_URL to one.')
  }
  const data = join(folder, 'postgres')
  const logFile = join(folder, 'postgres.log')
  mkdirSync(data, { mode: 0o700 })
  const user = unprivileged()
  if (user) chownSync(data, user.uid, user.gid)
  const as: Start = { env: { LC_ALL: 'C' }, ...(user && { user }) }

  const init = ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync']
  await runToEnd('initdb', join(dirname(server), 'initdb'), init, as)
  const port = await freePort()
  const settings = [`listen_addresses=${LOOPBACK}`, `port=${port}`, 'unix_socket_directories=', 'max_wal_size=4GB']
  const args = ['-D', data, ...settings.flatMap((setting) => ['-c', setting])]
  // SIGQUIT ends it at once, without a last checkpoint of what is thrown away anyway.
  processes.start('Postgres', server, args, { ...as, stopWith: 'SIGQUIT', log: openSync(logFile, 'a') })
  const url = `postgres://postgres@${LOOPBACK}:${port}/postgres`
  await Promise.race([until('Postgres', () => askVersion(url)), processes.failed])
  return { url, log: () => readFileSync(logFile, 'utf8') }
}

export const askVersion = async (url: string): Promise<string> => {
  const sql = postgres(url, { max: 1, connect_timeout: 5, onnotice: () => {} })
  try {
    const [row] = await sql<{ server_version: string }[]>`show server_version`
    return row?.server_version ?? ''
  } finally {
    await sql.end({ timeout: 1 })
  }
}

/** Postgres refuses to run as root; then it runs as the user that its package made, or as nobody. */
const unprivileged = (): Start['user'] => {
  if (process.getuid?.() !== 0) return undefined
  const idOf = (what: '-u' | '-g', name: string) =>
    Number(execFileSync('id', [what, name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }))
  for (const name of ['postgres', 'nobody']) {
    try {
      return { uid: idOf('-u', name), gid: idOf('-g', name) }
    } catch {
      // There is no such user: then the next one.
    }
  }
  throw new SetupError('Postgres does not run as root, and there is no user postgres. Run the bench as another user.')
}

/** The broker of MQTT_URL, or a Mosquitto of our own on a port of this machine only. */
export const aBroker = async (processes: Processes, folder: string, given: string | undefined): Promise<string> => {
  if (given) {
    await answers(given).catch((error: Error) => {
      throw new SetupError(`The broker of MQTT_URL does not answer (${error.message || error.name}).`)
    })
    return given
  }
  const mosquitto = findProgram('mosquitto', '/usr/sbin', '/usr/local/sbin')
  if (!mosquitto) {
    throw new SetupError('There is no mosquitto on this machine. Install Mosquitto, or set MQTT_URL to a broker.')
  }
  const port = await freePort()
  const config = join(folder, 'mosquitto.conf')
  const lines = [`listener ${port} ${LOOPBACK}`, 'allow_anonymous true', 'set_tcp_nodelay true', 'log_type error']
  writeFileSync(config, `${lines.join('\n')}\n`)
  processes.start('Mosquitto', mosquitto, ['-c', config])
  const url = `mqtt://${LOOPBACK}:${port}`
  await Promise.race([until('Mosquitto', () => answers(url)), processes.failed])
  return url
}

const answers = async (url: string) => (await connectReader(url)).endAsync()
