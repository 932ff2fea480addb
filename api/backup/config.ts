import { existsSync, readFileSync } from 'node:fs'
import * as v from 'valibot'
import { readEnvironment, SetupError } from '../contract/environment.ts'

const postgresUrl = v.pipe(v.string(), v.regex(/^postgres(ql)?:\/\//), v.url())

/** `age1…`, several by commas: whoever holds the key of one can read the backup. */
export const Recipients = v.pipe(v.string(), v.regex(/^age1[0-9a-z]{50,4000}(,age1[0-9a-z]{50,4000})*$/))

/** Whole days; of its own files the daily job keeps what is younger. */
export const KeepDays = v.pipe(v.string(), v.regex(/^\d{1,5}$/), v.transform(Number), v.minValue(1), v.maxValue(36_500))

export const HINTS = {
  DATABASE_URL: 'postgres://user:password@host:5432/database',
  SCRATCH_DATABASE_URL: 'an empty database to try backups in, postgres://user:password@host:5432/scratch',
  BACKUP_RECIPIENT: 'a public key, age1…, as npm run backup -- --key makes one',
  BACKUP_KEEP_DAYS: 'whole days from 1 to 36500',
}

const BackupConfig = v.object({
  DATABASE_URL: v.optional(postgresUrl),
  SCRATCH_DATABASE_URL: v.optional(postgresUrl),
  DATA_DIR: v.optional(v.string(), '.data'),
  BACKUP_DIR: v.optional(v.string()),
  BACKUP_RECIPIENT: v.optional(Recipients),
  BACKUP_IDENTITY: v.optional(v.string()),
})

/** What backing up and restoring need of the environment: no APP_KEY, so that any machine that reaches the database will do. */
export const readBackupConfig = (env: Record<string, unknown>): BackupConfig => {
  const { BACKUP_RECIPIENT, BACKUP_IDENTITY, ...rest } = readEnvironment(BackupConfig, HINTS, env)
  return { ...rest, recipients: BACKUP_RECIPIENT?.split(',') ?? [], identities: identitiesOf(BACKUP_IDENTITY) }
}
export type BackupConfig = Omit<v.InferOutput<typeof BackupConfig>, 'BACKUP_RECIPIENT' | 'BACKUP_IDENTITY'> & {
  recipients: readonly string[]
  identities: readonly string[]
}

/** AGE-SECRET-KEY-…, or a file that holds such lines, as age itself writes them. */
const identitiesOf = (given: string | undefined): string[] => {
  if (given === undefined) return []
  if (!given.startsWith('AGE-SECRET-KEY-') && !existsSync(given)) {
    throw new SetupError('BACKUP_IDENTITY is not usable: AGE-SECRET-KEY-…, or the path of a file that holds it.')
  }
  const text = given.startsWith('AGE-SECRET-KEY-') ? given : readFileSync(given, 'utf8')
  const keys = text.split(/\s*\n/).filter((line) => /^AGE-SECRET-KEY-[0-9A-Z-]+$/.test(line))
  if (keys.length === 0) throw new SetupError('BACKUP_IDENTITY holds no key: a line AGE-SECRET-KEY-… is wanted.')
  return keys
}
