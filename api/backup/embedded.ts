import { constants, existsSync } from 'node:fs'
import { cp, mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { createGzip } from 'node:zlib'
import type { Sql } from 'postgres'
import { SetupError } from '../contract/environment.ts'
import { socketPath, startEmbeddedPostgres } from '../embedded/postgres.ts'
import { type Facts, factsOf } from './manifest.ts'
import { withSql } from './postgres.ts'
import { end, packed } from './tar.ts'

/** A copy of the database's files at rest, and what the database says of itself as it is in them. */
export type Copy = { folder: string; facts: Facts }

const COPY = 'copy-'

/**
 * Copies the embedded database's files while nobody else is at its one connection: scans wait meanwhile (some tenths of a
 * second; a bridge with a snapshot decides itself after one). The copy is the caller's to remove.
 */
export const copyEmbedded = (sql: Sql, dataDir: string): Promise<Copy> =>
  sql.begin('isolation level repeatable read read only', async (tx) => {
    await tx`set local statement_timeout = 0`
    await tx`set local idle_in_transaction_session_timeout = 0`
    const facts = await factsOf(tx)
    await tx`checkpoint`
    const folder = join(dataDir, `${COPY}${crypto.randomUUID()}`)
    await mkdir(folder, { mode: 0o700 })
    try {
      await cp(join(dataDir, 'db'), folder, { recursive: true, mode: constants.COPYFILE_FICLONE })
      await rm(join(folder, 'postmaster.pid'), { force: true })
    } catch (error) {
      await rm(folder, { recursive: true, force: true })
      throw error
    }
    return { folder, facts }
  }) as Promise<Copy>

/** What a process that was killed has left. */
export const removeCopies = async (dataDir: string): Promise<void> => {
  const left = (await readdir(dataDir)).filter((name) => name.startsWith(COPY))
  for (const name of left) await rm(join(dataDir, name), { recursive: true, force: true })
}

/** Of DATA_DIR beside the database: they hold keys. */
const SECRETS = ['secrets.json', 'bridge.json']

export const isPartOfIt = (name: string): boolean => /^db\/[\w./-]*$/.test(name) || SECRETS.includes(name)

/** The files as a compressed archive, with what holds keys where that is wanted. */
export const archiveOf = (folder: string, secretsOf: string | undefined): AsyncIterable<Uint8Array> => {
  const files = async function* () {
    yield* packed(folder, 'db')
    for (const name of secretsOf === undefined ? [] : SECRETS) {
      const path = join(String(secretsOf), name)
      if (existsSync(path)) yield* packed(path, name)
    }
    yield end()
  }
  const plain = Readable.from(files())
  const small = createGzip()
  plain.on('error', (error) => small.destroy(error))
  return plain.pipe(small)
}

/** For a command, while Lintel is stopped. */
export const withEmbedded = async <T>(dataDir: string, use: (sql: Sql) => Promise<T>): Promise<T> => {
  if (!existsSync(join(dataDir, 'db'))) {
    throw new SetupError(`There is no database in DATA_DIR (${dataDir}), and no DATABASE_URL.`)
  }
  const embedded = await startEmbeddedPostgres(dataDir)
  try {
    return await withSql({ socket: socketPath(dataDir) }, use)
  } finally {
    await embedded.close()
  }
}
