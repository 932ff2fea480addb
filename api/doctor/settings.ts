import { SetupError } from '../contract/environment.ts'
import { days, fault, type Line, ok, some, warning } from './line.ts'

// What can be told from the environment and its file alone. Names are said, and never what they hold.

type Env = Record<string, unknown>

/** A variable that is set to something; empty counts as unset. */
export const setting = (env: Env, name: string): string | undefined => {
  const value = env[name]
  return typeof value === 'string' && value !== '' ? value : undefined
}

/** Does the API take this environment? It would not start with another. */
export const configuration = (read: () => unknown): Line => {
  try {
    read()
    return ok('configuration', 'The API starts with these settings.')
  } catch (error) {
    if (!(error instanceof SetupError)) throw error
    return fault('configuration', `The API does not start with these settings. ${error.message}`, 'Mend .env.')
  }
}

export const productionMode = (env: Env): Line =>
  setting(env, 'NODE_ENV') === 'production'
    ? ok('environment', 'NODE_ENV is production.')
    : fault('environment', 'NODE_ENV is not production, so that what protects is not all on.', 'NODE_ENV=production')

/** What stands in examples, and what people type in the meantime. */
const PLACEHOLDER =
  /change.?me|example|placeholder|password|passw0rd|secret|lintel|admin|postgres|default|letmein|12345|qwerty|todo|xxxx|your.?(key|token)/i

/** Nobody's chance gives so few different letters. */
export const isWeak = (secret: string, least: number): boolean =>
  [...secret].length < least || new Set(secret).size < Math.min(8, least) || PLACEHOLDER.test(secret)

const passwordIn = (env: Env, name: string): string | undefined => {
  const url = setting(env, name)
  if (url === undefined || !URL.canParse(url)) return undefined
  return decodeURIComponent(new URL(url).password) || undefined
}

/** The secrets that people choose, and how many letters each has at least. */
const chosen = (env: Env): [string, string | undefined, number][] => [
  ['METRICS_TOKEN', setting(env, 'METRICS_TOKEN'), 32],
  ['BROKER_TOKEN', setting(env, 'BROKER_TOKEN'), 32],
  ['MAIL_HOOK_TOKEN', setting(env, 'MAIL_HOOK_TOKEN'), 16],
  ['MQTT_PASSWORD', setting(env, 'MQTT_PASSWORD'), 16],
  ['the password in MQTT_URL', passwordIn(env, 'MQTT_URL'), 16],
  ['the password in DATABASE_URL', passwordIn(env, 'DATABASE_URL'), 16],
]

export const secrets = (env: Env): Line => {
  const there = chosen(env).filter(([, secret]) => secret !== undefined)
  const weak = there.filter(([, secret = '', least]) => isWeak(secret, least)).map(([name]) => name)
  return weak.length === 0
    ? ok('secrets', `None of the ${there.length} that are set is short, a placeholder or of few letters.`)
    : fault('secrets', `Easy to guess: ${weak.join(', ')}.`, 'openssl rand -hex 32')
}

export const bytesOf = (key: string | undefined): Uint8Array | undefined =>
  key !== undefined && /^[A-Za-z0-9+/_-]+={0,2}$/.test(key) ? new Uint8Array(Buffer.from(key, 'base64')) : undefined

/** `bytes` is undefined where APP_KEY is missing, or made up and kept in DATA_DIR. */
export const appKey = (bytes: Uint8Array | undefined, given: boolean): Line => {
  const mend = 'APP_KEY=$(openssl rand -base64 32)'
  if (!bytes) return fault('app-key', 'There is no APP_KEY that can be read.', mend)
  // 32 bytes of chance have fewer than 24 different ones once in a billion times.
  const weak = bytes.length < 32 || new Set(bytes).size < 24 || PLACEHOLDER.test(Buffer.from(bytes).toString('latin1'))
  if (weak) return fault('app-key', 'APP_KEY is no 32 random bytes.', mend)
  return ok('app-key', given ? 'APP_KEY has 32 random bytes or more.' : 'Made at the first start, kept in DATA_DIR.')
}

/** Once a year, as SECURITY.md says; a month is enough to finish with the one before. Days. */
const KEY_DAYS = 365
const PREVIOUS_DAYS = 30

export type KeyFound = {
  /** Of the APP_KEY here, and of the one that the API wrote down, with since when. */
  here: string
  there: string | undefined
  since: Date | undefined
  previous: boolean
  /** How many secrets of second factors are still encrypted under the one before. */
  behind: number
}

const ROTATE = 'Move APP_KEY to APP_KEY_PREVIOUS, set a new one, restart, npm run rekey'

export const keyAge = ({ here, there, since }: KeyFound, now: Date): Line => {
  if (there === undefined || since === undefined)
    return warning('app-key-age', 'The API has not written down since when this key is in use.', 'Start the API once.')
  if (there !== here)
    return fault(
      'app-key-age',
      'The API runs with another APP_KEY than the one here.',
      'Restart the API, or mend .env.',
    )
  const age = days(since, now)
  if (age > KEY_DAYS) return fault('app-key-age', `APP_KEY is in use for ${age} days.`, ROTATE)
  if (age > KEY_DAYS - PREVIOUS_DAYS) return warning('app-key-age', `APP_KEY is in use for ${age} days.`, ROTATE)
  return ok('app-key-age', `APP_KEY is in use for ${age} days that are known of.`)
}

export const previousKey = ({ previous, behind, since }: KeyFound, now: Date): Line => {
  const check = 'app-key-previous'
  if (behind > 0 && !previous)
    return fault(
      check,
      `${behind} second factors are under no key that is here.`,
      'Set APP_KEY_PREVIOUS, npm run rekey',
    )
  if (!previous) return ok(check, 'No key from before is still good.')
  if (since && days(since, now) > PREVIOUS_DAYS)
    return fault(
      check,
      `The key from before is still good after ${days(since, now)} days.`,
      'Take APP_KEY_PREVIOUS away',
    )
  const why = behind > 0 ? `${behind} second factors are still under it.` : 'Nothing needs it but bridges and readers.'
  const mend = behind > 0 ? 'npm run rekey' : 'Give bridges their new keys, then take APP_KEY_PREVIOUS away'
  return warning(check, `The key from before is still good. ${why}`, mend)
}

/** `opens`: is it still the password of that account? */
export const adminPassword = ({ set, opens }: { set: boolean; opens: boolean | undefined }): Line => {
  if (!set) return ok('admin-password', 'The first password is not in the environment.')
  const mend = 'Change it (POST /api/v1/me/password), and take ADMIN_PASSWORD away'
  return opens === false
    ? warning('admin-password', 'ADMIN_PASSWORD is still set, though it opens nothing any more.', mend)
    : fault('admin-password', 'ADMIN_PASSWORD is still set, and may still let somebody in.', mend)
}

export type EnvFile = { path: string; mode: number } | undefined

/** Files with secrets, whose modes somebody looked up. */
export const envFile = (files: readonly NonNullable<EnvFile>[]): Line => {
  if (files.length === 0) return ok('env-file', 'There is no .env: the environment comes from elsewhere.')
  const open = files.filter(({ mode }) => (mode & 0o077) !== 0).map(({ path }) => path)
  return open.length === 0
    ? ok('env-file', `Only its owner reads ${some(files.map(({ path }) => path))}.`)
    : fault('env-file', `Others on this machine may read ${some(open)}.`, `chmod 600 ${open.join(' ')}`)
}

/** `tracked`: git knows the file; `ignored`: it never will. Undefined where there is no git. */
export const envInGit = (git: { tracked: boolean; ignored: boolean } | undefined): Line => {
  if (!git) return ok('env-in-git', 'No .env lies in a git repository.')
  if (git.tracked)
    return fault(
      'env-in-git',
      '.env is in git, and with it every secret.',
      'git rm --cached .env, then replace every secret',
    )
  return git.ignored
    ? ok('env-in-git', 'git ignores .env.')
    : warning('env-in-git', 'git does not ignore .env: one “git add .” puts it in.', 'echo .env >> .gitignore')
}
