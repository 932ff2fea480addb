import { existsSync } from 'node:fs'
import { mkdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import type { Sql } from 'postgres'
import journal from '../../drizzle/meta/_journal.json' with { type: 'json' }
import { record } from '../audit/audited.ts'
import { SetupError } from '../contract/environment.ts'
import { migrate } from '../db/migrate.ts'
import { sessions, siteChanges } from '../db/schema.ts'
import { holdDataDir, socketPath, startEmbeddedPostgres } from '../embedded/postgres.ts'
import { openDataDir } from '../embedded/secrets.ts'
import { database } from '../platform.ts'
import { type Comparison, compare } from './compare.ts'
import { isPartOfIt } from './embedded.ts'
import { checkBackup, DamagedBackup, readBackup } from './file.ts'
import type { Manifest } from './manifest.ts'
import { emptyPostgres, isEmpty, loadPostgres, requireOurs, requireRestoring, withSql } from './postgres.ts'
import { unpack } from './tar.ts'

export type Restored = { manifest: Manifest; comparison: Comparison; migrated: boolean; notes: string[] }

type From = { file: string; identities: readonly string[]; replace: boolean; at: Date }

/** A backup that is whole and that this version of Lintel can bring up to date. Reads all of it. */
export const usable = async ({ file, identities }: Pick<From, 'file' | 'identities'>): Promise<Manifest> => {
  const { manifest } = await checkBackup(file, identities)
  const known = new Set(journal.entries.map(({ when }) => when))
  if (manifest.migrations.some((when) => !known.has(when))) {
    throw new SetupError(
      `${file} was made by a newer Lintel (${manifest.version}): its tables are unknown here. Update Lintel, then restore.`,
    )
  }
  return manifest
}

const isBehind = ({ migrations }: Manifest) => migrations.length < journal.entries.length

/**
 * What is not as it was on the day of the backup: nobody is signed in by a session that may have been ended since, every
 * bridge takes the facts anew, and the restoring is on record.
 */
const begin = (sql: Sql, { at: of, version }: Manifest, at: Date): Promise<void> =>
  database(sql).transaction(async (tx) => {
    await tx.delete(sessions)
    await tx.insert(siteChanges).values({})
    await record(tx, { at, address: null, actor: { kind: 'system', id: null } }, 'backup.restore', {
      after: { of, version },
    })
  })

/** Throws unless all is there, and makes of it what this version works with. */
const takeOver = async (where: Parameters<typeof withSql>[0], manifest: Manifest, at: Date): Promise<Comparison> => {
  const comparison = await withSql(where, (sql) => compare(sql, manifest))
  if (comparison.differences.length > 0) {
    const some = comparison.differences.slice(0, 5).join(' ')
    throw new DamagedBackup(`What was restored is not what was backed up. ${some}`)
  }
  await migrate(where)
  await withSql(where, (sql) => begin(sql, manifest, at))
  return comparison
}

/** Into a database that is empty, or is emptied first. Afterwards it is as this version wants it. */
export const restorePostgres = async (url: string, { replace, at, ...from }: From): Promise<Restored> => {
  const manifest = await usable(from)
  requireKind(manifest, 'postgres')
  if (!(await isEmpty(url))) {
    if (!replace) {
      throw new SetupError(
        'The database is not empty. Make a new one (createdb), or add --replace: what is in it goes.',
      )
    }
    await requireOurs(url)
    await requireRestoring(url)
    await emptyPostgres(url)
  }
  const { body } = await readBackup(from.file, from.identities)
  await loadPostgres(url, body)
  const comparison = await takeOver({ url }, manifest, at)
  const notes = [
    'APP_KEY is not in a backup of Postgres: Lintel needs the one that it had.',
    'If Lintel runs as a role of its own, run api/db/least-privilege.sql again.',
  ]
  return { manifest, comparison, migrated: isBehind(manifest), notes }
}

const requireKind = ({ kind }: Manifest, wanted: Manifest['kind']): void => {
  if (kind === wanted) return
  throw new SetupError(
    kind === 'embedded'
      ? 'This is a backup of the embedded database: it goes into a DATA_DIR (--into FOLDER), and not into a Postgres.'
      : 'This is a backup of a Postgres: it goes into one (--into postgres://…, or DATABASE_URL).',
  )
}

/** Lays a backup's files down in a folder. */
export const unpackEmbedded = async (folder: string, { file, identities }: Pick<From, 'file' | 'identities'>) => {
  const { body } = await readBackup(file, identities)
  const packedFiles = Readable.from(body)
  const files = createGunzip()
  packedFiles.on('error', (error) => files.destroy(error))
  await unpack(packedFiles.pipe(files), folder, isPartOfIt)
}

/** Into a DATA_DIR that has no database, or whose database is put aside first. */
export const restoreEmbedded = async (dataDir: string, { replace, at, ...from }: From): Promise<Restored> => {
  const manifest = await usable(from)
  requireKind(manifest, 'embedded')
  openDataDir(dataDir)
  const release = holdDataDir(dataDir)
  const [db, aside] = [join(dataDir, 'db'), join(dataDir, `db-before-${at.toISOString().replaceAll(':', '-')}`)]
  // A DATA_DIR within: only what is whole and compared takes the place of what was there.
  const within = join(dataDir, 'restoring')
  try {
    if (existsSync(db) && !replace) {
      throw new SetupError(
        `There is a database in ${dataDir}. Name another folder, or add --replace: that one is put aside.`,
      )
    }
    await rm(within, { recursive: true, force: true })
    await mkdir(within, { mode: 0o700 })
    await unpackEmbedded(within, from)
    const embedded = await startEmbeddedPostgres(within)
    const comparison = await takeOver({ socket: socketPath(within) }, manifest, at).finally(() => embedded.close())
    const notes: string[] = []
    if (existsSync(db)) {
      await rename(db, aside)
      notes.push(`The database that was there is in ${aside} now. Remove it when all is well.`)
    }
    await rename(join(within, 'db'), db)
    notes.push(...(await takeSecrets(within, dataDir)))
    return { manifest, comparison, migrated: isBehind(manifest), notes }
  } finally {
    await rm(within, { recursive: true, force: true })
    release()
  }
}

/** What holds keys goes where it was, but never in the place of what is there. */
const takeSecrets = async (from: string, dataDir: string): Promise<string[]> => {
  const kept: string[] = []
  for (const name of ['secrets.json', 'bridge.json']) {
    const [own, theirs] = [join(from, name), join(dataDir, name)]
    if (!existsSync(own)) continue
    if (existsSync(theirs)) kept.push(name)
    else await rename(own, theirs)
  }
  if (!existsSync(join(dataDir, 'secrets.json'))) {
    return [
      `APP_KEY is not in this backup: put secrets.json back into ${dataDir} before Lintel starts, or set APP_KEY. ` +
        'With another key bridges, PINs and second factors have to be set up anew.',
    ]
  }
  return kept.map((name) => `${join(dataDir, name)} was there and stays as it is; the backup has one too.`)
}
