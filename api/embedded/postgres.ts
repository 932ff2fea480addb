import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { PGlite } from '@electric-sql/pglite'
import { PGLiteSocketServer } from '@electric-sql/pglite-socket'
import { SetupError } from '../contract/environment.ts'

/** The folder of Postgres's own naming rule: clients append this to a socket's folder. */
const SOCKET = '.s.PGSQL.5432'

/** Where the embedded Postgres listens: a socket in DATA_DIR, or, when that path is too long for one, in a folder of its own. */
export const socketFolder = (dataDir: string): string => {
  const folder = resolve(dataDir)
  return folder.length + SOCKET.length + 1 < 100 ? folder : join(tmpdir(), `lintel-${shortName(folder)}`)
}

const shortName = (path: string) =>
  [...path].reduce((hash, letter) => (hash * 31 + letter.charCodeAt(0)) >>> 0, 7).toString(36)

export const socketPath = (dataDir: string): string => join(socketFolder(dataDir), SOCKET)

export type Embedded = { close(): Promise<void> }

/**
 * Postgres in this process (PGlite), kept in DATA_DIR, served on a local socket that only its owner can reach, to one
 * connection. One process at a time: two would destroy the files, and PGlite itself does not look.
 */
export const startEmbeddedPostgres = async (dataDir: string): Promise<Embedded> => {
  const release = holdDataDir(dataDir)
  const path = socketPath(dataDir)
  rmSync(path, { force: true })
  const db = await PGlite.create({ dataDir: join(dataDir, 'db') }).catch((error: unknown) => {
    release()
    throw new SetupError(
      `The database in ${join(dataDir, 'db')} does not start (${error instanceof Error ? error.message : String(error)}). ` +
        'Restore DATA_DIR from a backup, or move it away to begin anew.',
    )
  })
  const server = new PGLiteSocketServer({ db, path, maxConnections: 1 })
  await server.start()
  return {
    async close() {
      await server.stop()
      await db.close()
      release()
    },
  }
}

/** Makes DATA_DIR this process's until what it gives is called. Throws a SetupError where it is another's. */
export const holdDataDir = (dataDir: string): (() => void) => {
  const lock = join(dataDir, 'lock')
  const holder = existsSync(lock) ? Number(readFileSync(lock, 'utf8')) : 0
  if (holder > 0 && holder !== process.pid && isAlive(holder)) {
    throw new SetupError(
      `DATA_DIR (${dataDir}) is in use by process ${holder}. Stop that one, or set DATA_DIR to another folder.`,
    )
  }
  writeFileSync(lock, String(process.pid))
  return () => rmSync(lock, { force: true })
}

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}
