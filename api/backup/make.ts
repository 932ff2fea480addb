import { mkdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { SetupError } from '../contract/environment.ts'
import { database } from '../platform.ts'
import type { BackupConfig } from './config.ts'
import { archiveOf, type Copy, copyEmbedded, withEmbedded } from './embedded.ts'
import { writeBackup } from './file.ts'
import { nameOf } from './keep.ts'
import { type Facts, type Manifest, VERSION } from './manifest.ts'
import { type Note, write } from './note.ts'
import { dumpPostgres, withSql } from './postgres.ts'
import { callRunning } from './serve.ts'

export type Made = { file: string; bytes: number; encrypted: boolean; manifest: Manifest; noted: boolean }

type How = { folder: string; at: Date; recipients: readonly string[] }

/** Makes a backup of DATABASE_URL, or of the embedded database, whether Lintel runs or not, and notes that in it. */
export const makeBackup = async (config: BackupConfig, how: How): Promise<Made> => {
  await mkdir(how.folder, { recursive: true, mode: 0o700 }).catch((error: unknown) => {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
    throw new SetupError(`${how.folder} cannot be made a folder for backups (${code}).`)
  })
  const made =
    config.DATABASE_URL === undefined ? await ofEmbedded(config, how) : await ofPostgres(config.DATABASE_URL, how)
  const { file, bytes, encrypted, manifest } = made
  const detail = { file: basename(file), bytes, encrypted, rows: rowsOf(manifest) }
  const noted = await noteIn(config, { task: 'backup', at: how.at.toISOString(), detail })
  return { ...made, noted }
}

export const rowsOf = ({ counts }: Pick<Manifest, 'counts'>): number =>
  Object.values(counts).reduce((sum, count) => sum + count, 0)

const manifestOf = (kind: Manifest['kind'], at: Date, facts: Facts, secrets: boolean): Manifest => ({
  format: 1,
  kind,
  at: at.toISOString(),
  version: VERSION,
  ...facts,
  secrets,
})

const ofPostgres = (url: string, { folder, at, recipients }: How): Promise<Omit<Made, 'noted'>> =>
  dumpPostgres(url, async (facts, body) => {
    const file = join(folder, nameOf(at))
    const manifest = manifestOf('postgres', at, facts, false)
    const bytes = await writeBackup(file, { manifest, body, recipients })
    return { file, bytes, encrypted: recipients.length > 0, manifest }
  })

const ofEmbedded = async (
  { DATA_DIR }: BackupConfig,
  { folder, at, recipients }: How,
): Promise<Omit<Made, 'noted'>> => {
  const encrypted = recipients.length > 0
  const keep = async ({ folder: copy, facts }: Copy) => {
    const file = join(folder, nameOf(at))
    const manifest = manifestOf('embedded', at, facts, encrypted)
    // Keys lie in no file that whoever finds it can read.
    const body = archiveOf(copy, encrypted ? DATA_DIR : undefined)
    return { file, bytes: await writeBackup(file, { manifest, body, recipients }), encrypted, manifest }
  }
  const running = await callRunning(DATA_DIR)
  if (running) {
    try {
      return await keep(await running.copy())
    } finally {
      running.close()
    }
  }
  // Nobody else is at its files while this process holds them.
  return withEmbedded(DATA_DIR, async (sql) => keep(await copyEmbedded(sql, DATA_DIR)))
}

/**
 * Writes down, in the live database, what became of a backup or of its trial. False where that cannot be: it is away, there
 * is none here, or it is of a version that does not write this down.
 */
export const noteIn = async ({ DATABASE_URL, DATA_DIR }: BackupConfig, note: Note): Promise<boolean> => {
  const noteHere = async (): Promise<void> => {
    if (DATABASE_URL !== undefined) return withSql({ url: DATABASE_URL }, (sql) => write(database(sql), note))
    const running = await callRunning(DATA_DIR)
    if (!running) return withEmbedded(DATA_DIR, (sql) => write(database(sql), note))
    return running.note(note).finally(() => running.close())
  }
  return noteHere().then(
    () => true,
    () => false,
  )
}
