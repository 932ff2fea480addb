import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { environment, SetupError } from '../contract/environment.ts'
import { newKeyPair } from './age.ts'
import { sentenceOf as comparisonOf } from './compare.ts'
import { type BackupConfig, readBackupConfig } from './config.ts'
import { newestIn } from './keep.ts'
import { type Made, makeBackup, noteIn, rowsOf } from './make.ts'
import { command, type Outcome, outcomeOf, sentenceOf, sizeOf } from './say.ts'
import { verifyBackup } from './verify.ts'

// `npm run backup`: of DATABASE_URL or of the embedded database, while Lintel runs or not. Exits with 0 when all is well, with
// 1 when a backup is not as it should be, with 2 when nothing could be found out or made.

const USAGE = 'npm run backup -- [--out FOLDER] [--verify [FILE | --newest]] [--json], or npm run backup -- --key'

const options = () => {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        out: { type: 'string' },
        verify: { type: 'boolean', default: false },
        newest: { type: 'boolean', default: false },
        key: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
      },
    })
    const [file, more] = positionals
    if (more !== undefined || ((file !== undefined || values.newest) && !values.verify)) throw new Error()
    return { ...values, file }
  } catch {
    return undefined
  }
}

const now = () => new Date()

const key = async (): Promise<Outcome> => {
  const { identity, recipient } = await newKeyPair()
  const say = [
    'A new pair of keys, shown only now.',
    '',
    `  BACKUP_RECIPIENT=${recipient}`,
    '    Public: into the .env of what makes backups.',
    '',
    `  BACKUP_IDENTITY=${identity}`,
    '    Secret: into a password manager and onto paper, never where the backups are. Without it no backup can be restored.',
  ]
  return { code: 0, say, json: { ok: true, recipient, identity } }
}

const outOf = ({ BACKUP_DIR }: BackupConfig, out: string | undefined): string => {
  const folder = out ?? BACKUP_DIR
  if (folder === undefined) throw new SetupError('Where to? Set BACKUP_DIR, or add --out FOLDER.')
  return resolve(folder)
}

const made = ({ file, bytes, encrypted, manifest, noted }: Made): Outcome => {
  const kept = encrypted ? 'encrypted for BACKUP_RECIPIENT' : 'not encrypted: whoever has it can read all of it'
  const say = [`${file}: ${sizeOf(bytes)}, ${rowsOf(manifest)} rows, ${kept}.`]
  if (manifest.kind === 'postgres')
    say.push('APP_KEY is not in it: keep that apart, or bridges, PINs and second factors are lost.')
  else if (!manifest.secrets)
    say.push('Keys are not in it: keep secrets.json of DATA_DIR (or APP_KEY) apart, for it is needed too.')
  if (!noted) say.push('That it was made could not be written down in the database.')
  return { code: 0, say, json: { ok: true, file, bytes, encrypted, manifest } }
}

const make = async (config: BackupConfig, folder: string, recipients = config.recipients): Promise<Made> => {
  const at = now()
  try {
    return await makeBackup(config, { folder, at, recipients })
  } catch (error) {
    await noteIn(config, { task: 'backup', at: at.toISOString(), error: sentenceOf(error) })
    throw error
  }
}

const verify = async (config: BackupConfig, file: string, identities = config.identities): Promise<Outcome> => {
  const { manifest, comparison, noted } = await verifyBackup(config, { file, identities, at: now() })
  const ok = comparison.differences.length === 0
  const say = ok
    ? [`${file}, of ${manifest.at}, was restored into a scratch database: ${comparisonOf(comparison)}`]
    : [`${file} was restored, and is not what was backed up:`, ...comparison.differences]
  if (!noted) say.push('There is no database here to write that down in.')
  return { code: ok ? 0 : 1, say, json: { ok, file, manifest, comparison } }
}

/**
 * A new one, tried out. Where the secret key is elsewhere, as it should be, the file is encrypted for one more key, which this
 * process makes and forgets.
 */
const makeAndVerify = async (config: BackupConfig, folder: string): Promise<Outcome> => {
  const { recipients, identities } = config
  const once = recipients.length > 0 && identities.length === 0 ? await newKeyPair() : undefined
  const one = await make(config, folder, once ? [...recipients, once.recipient] : recipients)
  const first = made(one)
  const second = await verify(config, one.file, once ? [once.identity] : identities).catch(outcomeOf)
  return { code: second.code, say: [...first.say, ...second.say], json: { ...first.json, ...second.json } }
}

const newest = async (folder: string): Promise<string> => {
  const file = await newestIn(folder)
  if (file === undefined) throw new SetupError(`There is no backup in ${folder}.`)
  return file
}

const asked = options()
await command(asked?.json ?? false, async () => {
  if (asked === undefined) throw new SetupError(`Not understood. ${USAGE}`)
  if (asked.key) return key()
  const config = readBackupConfig(environment())
  if (asked.file !== undefined) return verify(config, resolve(asked.file))
  const folder = outOf(config, asked.out)
  if (asked.newest) return verify(config, await newest(folder))
  return asked.verify ? makeAndVerify(config, folder) : made(await make(config, folder))
})
