import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { SetupError } from '../contract/environment.ts'

// pg_dump and pg_restore, told by their environment where to go: what stands on a command line everybody on the machine sees.

type Bytes = AsyncIterable<Uint8Array>

/** What of the environment libpq and the programs themselves may know; nothing of Lintel's. */
const OURS = /^(PATH|HOME|TZ|PG[A-Z]+)$/

/** What postgres.js takes and libpq calls otherwise. */
const SSLMODES: Record<string, string> = { true: 'require', false: 'disable', 'no-verify': 'require' }

const environmentFor = (url: string): Record<string, string> => {
  const { hostname, port, username, password, searchParams } = new URL(url)
  const inherited = Object.entries(process.env).filter(([name]) => OURS.test(name))
  const ssl = searchParams.get('sslmode') ?? searchParams.get('ssl')
  const said = {
    PGHOST: searchParams.get('host') ?? hostname.replace(/^\[(.*)\]$/, '$1'),
    PGPORT: port,
    PGUSER: decodeURIComponent(username),
    PGPASSWORD: decodeURIComponent(password),
    PGDATABASE: databaseOf(url),
    PGSSLMODE: SSLMODES[ssl ?? ''] ?? ssl ?? '',
    PGSSLROOTCERT: searchParams.get('sslrootcert') ?? '',
  }
  const given = Object.entries(said).filter(([, value]) => value !== '')
  return { ...Object.fromEntries([...inherited, ...given]), LC_ALL: 'C', PGAPPNAME: 'lintel', PGCONNECT_TIMEOUT: '5' }
}

const databaseOf = (url: string) => decodeURIComponent(new URL(url).pathname.slice(1))

const start = (program: string, args: string[], url: string) => {
  const child = spawn(program, args, { env: environmentFor(url), stdio: ['pipe', 'pipe', 'pipe'] })
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(0, 10_000)
  })
  const ended = once(child, 'close').then(
    ([code]) => {
      if (code !== 0) throw new SetupError(`${program} could not do it${why(program, said)}.`)
    },
    (error: unknown) => {
      throw error instanceof Error && 'code' in error && error.code === 'ENOENT'
        ? new SetupError(missing(program))
        : error
    },
  )
  // Whoever is told to end waits for it no longer, and so undoes what was begun.
  const stop = () => child.kill('SIGTERM')
  process.on('SIGTERM', stop).on('SIGINT', stop)
  void ended.catch(() => {}).finally(() => process.off('SIGTERM', stop).off('SIGINT', stop))
  child.stdin.on('error', () => {})
  return { child, ended }
}

/** The program's first complaint, and only its own words: what follows may quote rows. */
const why = (program: string, said: string): string => {
  const line = said.split('\n').find((line) => line.startsWith(`${program}: error:`))
  return line === undefined ? '' : `: ${line.slice(program.length + 9, 300)}`
}

const missing = (program: string) =>
  `${program} is not on this machine. Install PostgreSQL's client programs (Debian: apt install postgresql-client).`

/** Throws unless the program is there and as new as that server: an older one does not know what a newer server has. */
export const requireProgram = async (program: string, serverVersion: string): Promise<void> => {
  const { child, ended } = start(program, ['--version'], 'postgres://')
  let said = ''
  for await (const text of child.stdout.setEncoding('utf8')) said += text
  await ended
  const [own, server] = [said, serverVersion].map((text) => Number(/(\d+)(\.|devel|beta|rc|\s|$)/.exec(text)?.[1] ?? 0))
  if (Number(own) < Number(server)) {
    throw new SetupError(
      `${program} is of PostgreSQL ${own} and the server of ${server}. Install postgresql-client-${server}, or a newer one.`,
    )
  }
}

/** An archive in pg_dump's custom format, compressed, of what a snapshot sees; without owners and grants. */
export const dump = async function* (url: string, snapshot: string, schemas: readonly string[]): Bytes {
  const what = schemas.map((schema) => `--schema=${schema}`)
  const how = ['--format=custom', '--no-owner', '--no-privileges', '--lock-wait-timeout=60s', `--snapshot=${snapshot}`]
  const { child, ended } = start('pg_dump', [...how, ...what], url)
  try {
    yield* child.stdout
    await ended
  } finally {
    end(child)
  }
}

/** All of an archive or, when anything fails, nothing. */
export const load = async (url: string, archive: Bytes, schemas: readonly string[]): Promise<void> => {
  const what = schemas.map((schema) => `--schema=${schema}`)
  const how = ['--no-owner', '--no-privileges', '--exit-on-error', '--single-transaction']
  const database = `--dbname=dbname='${databaseOf(url).replaceAll(/['\\]/g, '\\$&')}'`
  const { child, ended } = start('pg_restore', [...how, ...what, database], url)
  try {
    child.stdout.resume()
    const fed = await pipeline(Readable.from(archive), child.stdin).then(
      () => undefined,
      (error: unknown) => error,
    )
    // It ends early when it has failed, and says why; the pipe only says that it broke.
    if (fed !== undefined && !isBroken(fed)) throw fed
    await ended
  } finally {
    end(child)
  }
}

const isBroken = (error: unknown) =>
  error instanceof Error &&
  'code' in error &&
  ['EPIPE', 'ECONNRESET', 'ERR_STREAM_PREMATURE_CLOSE'].includes(String(error.code))

const end = (child: ChildProcess) => {
  if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
}
