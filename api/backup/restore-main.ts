import { resolve } from 'node:path'
import { createInterface } from 'node:readline/promises'
import { parseArgs } from 'node:util'
import { environment, SetupError } from '../contract/environment.ts'
import { sentenceOf } from './compare.ts'
import { readBackupConfig } from './config.ts'
import { type Restored, restoreEmbedded, restorePostgres } from './restore.ts'
import { command, type Outcome } from './say.ts'

// `npm run restore`: a backup into an empty database or DATA_DIR, while Lintel is stopped. Exits as `npm run backup` does.

const USAGE = 'npm run restore -- FILE [--into postgres://… | --into FOLDER] [--replace] [--yes] [--json]'

const options = () => {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        into: { type: 'string' },
        replace: { type: 'boolean', default: false },
        yes: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
      },
    })
    const [file, more] = positionals
    return file === undefined || more !== undefined ? undefined : { ...values, file: resolve(file) }
  } catch {
    return undefined
  }
}

const isUrl = (into: string) => /^postgres(ql)?:\/\//.test(into)

/** A URL without what is secret in it. */
const named = (into: string): string => {
  if (!isUrl(into)) return into
  const { hostname, pathname } = new URL(into)
  return `the database ${pathname.slice(1)} on ${hostname}`
}

const confirm = async (question: string): Promise<void> => {
  if (!process.stdin.isTTY) throw new SetupError('Nobody can be asked here. If it is meant, add --yes.')
  const terminal = createInterface({ input: process.stdin, output: process.stdout })
  const answer = await terminal.question(`${question} (yes or no) `).finally(() => terminal.close())
  if (answer.trim().toLowerCase() !== 'yes') throw new SetupError('Nothing was changed.')
}

const restored = (file: string, into: string, { manifest, comparison, migrated, notes }: Restored): Outcome => {
  const say = [
    `${file}, of ${manifest.at}, is in ${into} now. ${sentenceOf(comparison)}`,
    ...(migrated ? [`It was of Lintel ${manifest.version} and has been brought up to date.`] : []),
    `What was changed since then is as it was then: look at cards and accounts that were blocked. Everybody signs in again.`,
    ...notes,
  ]
  return { code: 0, say, json: { ok: true, file, manifest, comparison, migrated, notes } }
}

const asked = options()
await command(asked?.json ?? false, async () => {
  if (asked === undefined) throw new SetupError(`Not understood. ${USAGE}`)
  const { identities, DATABASE_URL, DATA_DIR } = readBackupConfig(environment())
  const { file, replace, yes } = asked
  const into = asked.into ?? DATABASE_URL ?? DATA_DIR
  if (!yes) await confirm(`Restore ${file} into ${named(into)}${replace ? ', in the place of what is there' : ''}?`)
  const from = { file, identities, replace, at: new Date() }
  const done = isUrl(into) ? await restorePostgres(into, from) : await restoreEmbedded(into, from)
  return restored(file, named(into), done)
})
