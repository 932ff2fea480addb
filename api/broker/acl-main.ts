import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { messageOf } from '../cause.ts'
import { environment, SetupError } from '../contract/environment.ts'
import { openDatabase } from '../db/open.ts'
import { database } from '../platform.ts'
import { readSite } from './current.ts'
import { aclFile, canBeWritten, exampleConf, passwordsFile } from './mosquitto.ts'
import { type Rules, rulesOf } from './rules.ts'

// `npm run broker:acl`, against DATABASE_URL, or against the embedded database while Lintel is stopped. Exits with 0 when the
// files are written, and with 1 when they are not: then those from before are still there, whole.

const USAGE = 'npm run broker:acl -- [--out DIR]'

const options = (): { out?: string } => {
  try {
    const { out } = parseArgs({ options: { out: { type: 'string' } } }).values
    return out === undefined ? {} : { out }
  } catch {
    throw new SetupError(`Not understood. ${USAGE}`)
  }
}

const textOf = (file: string): string => (existsSync(file) ? readFileSync(file, 'utf8') : '')

/** All or nothing, and for its owner's eyes. What is there already is left alone, so that whoever watches it has nothing to do. */
const writeWhole = (file: string, text: string): void => {
  if (existsSync(file) && textOf(file) === text) return
  const beside = `${file}.${process.pid}`
  writeFileSync(beside, text, { mode: 0o600 })
  chmodSync(beside, 0o600)
  renameSync(beside, file)
}

/** What somebody added by hand, for clients that are none of Lintel's: it stands behind what is written here. */
const added = (file: string): string => (existsSync(`${file}.more`) ? `\n${readFileSync(`${file}.more`, 'utf8')}` : '')

/** What some profile wants and does not get, a sentence for each device and topic. */
const leftOut = ({ accounts }: Rules): string[] =>
  [...accounts.values()].flatMap(({ username, name, publish, subscribe, refused }) => [
    ...refused.map(({ action, topic, reason }) => `  ${username} (${name}) may not ${action} ${topic}: ${reason}`),
    ...[...publish, ...subscribe]
      .filter((topic) => !canBeWritten(topic))
      .map((topic) => `  ${username} (${name}) gets no line for “${topic}”: Mosquitto cuts off the blanks around it.`),
  ])

const write = async (out: string): Promise<string[]> => {
  const { sql, config, close } = await openDatabase(environment())
  try {
    const { APP_KEY } = config()
    const rules = rulesOf(await readSite(database(sql)), new Date())
    mkdirSync(out, { recursive: true, mode: 0o700 })
    const [acl, passwords] = [join(out, 'acl'), join(out, 'passwords')]
    writeWhole(acl, aclFile(rules) + added(acl))
    writeWhole(passwords, (await passwordsFile(rules, APP_KEY, textOf(passwords))) + added(passwords).trimStart())
    const conf = join(out, 'lintel.conf')
    if (!existsSync(conf)) writeWhole(conf, exampleConf(out))

    const refused = leftOut(rules)
    return [
      `Wrote passwords and acl of ${rules.accounts.size} accounts to ${out}, and an example of what mosquitto.conf needs to lintel.conf.`,
      'Mosquitto must be able to read them, and reads them again when it gets SIGHUP.',
      ...(refused.length > 0 ? ['Left out, so that nobody reaches what is not theirs:', ...refused] : []),
    ]
  } finally {
    await close()
  }
}

try {
  const { out } = options()
  const folder = resolve(out ?? join(environment()['DATA_DIR'] || '.data', 'mosquitto'))
  console.log((await write(folder)).join('\n'))
  process.exit(0)
} catch (error) {
  const why = messageOf(error, String(error))
  console.error(error instanceof SetupError ? error.message : `The files could not be written: ${why}`)
  process.exit(1)
}
