import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { SetupError } from '../contract/environment.ts'
import { type Comparison, compare } from './compare.ts'
import type { BackupConfig } from './config.ts'
import { withEmbedded } from './embedded.ts'
import { readBackup } from './file.ts'
import { noteIn } from './make.ts'
import type { Manifest } from './manifest.ts'
import { loadPostgres, withScratch, withSql } from './postgres.ts'
import { unpackEmbedded, usable } from './restore.ts'

type What = { file: string; identities: readonly string[] }

/** Restores a backup where nobody works with it, and compares. What it was restored into is gone afterwards. */
const tryOut = async (config: BackupConfig, what: What): Promise<{ manifest: Manifest; comparison: Comparison }> => {
  const manifest = await usable(what)
  const comparison =
    manifest.kind === 'embedded' ? await inFolder(what, manifest) : await inScratch(config, what, manifest)
  return { manifest, comparison }
}

const inFolder = async (what: What, manifest: Manifest): Promise<Comparison> => {
  const folder = await mkdtemp(join(tmpdir(), 'lintel-verify-'))
  try {
    await unpackEmbedded(folder, what)
    return await withEmbedded(folder, (sql) => compare(sql, manifest))
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

const inScratch = (config: BackupConfig, { file, identities }: What, manifest: Manifest): Promise<Comparison> => {
  const { DATABASE_URL: url = config.SCRATCH_DATABASE_URL, SCRATCH_DATABASE_URL: given } = config
  if (url === undefined) {
    throw new SetupError(
      'A backup of a Postgres is tried in one: set DATABASE_URL, or SCRATCH_DATABASE_URL to an empty database.',
    )
  }
  return withScratch({ url, given }, async (scratch) => {
    const { body } = await readBackup(file, identities)
    await loadPostgres(scratch, body)
    return withSql({ url: scratch }, (sql) => compare(sql, manifest))
  })
}

export type Verified = { manifest: Manifest; comparison: Comparison; noted: boolean }

/** Tries a backup out, and writes down in the live database what came of it. */
export const verifyBackup = async (config: BackupConfig, what: What & { at: Date }): Promise<Verified> => {
  const about = { task: 'backup-verified' as const, at: what.at.toISOString() }
  try {
    const verified = await tryOut(config, what)
    const { manifest, comparison } = verified
    const [error] = comparison.differences
    const detail = { file: basename(what.file), of: manifest.at, rows: comparison.rows, audit: comparison.audit }
    return { ...verified, noted: await noteIn(config, { ...about, error, detail }) }
  } catch (error) {
    const why = error instanceof Error ? error.message : 'unknown'
    await noteIn(config, { ...about, error: why })
    throw error
  }
}
