import { pbkdf2Sync } from 'node:crypto'
import { fault, type Line, ok, some, unseen } from './line.ts'

// The broker, as a stranger finds it and as a bridge does.

/** What became of whoever tried: let in, refused by name, or never heard. */
export type Came = 'in' | 'refused' | 'unreachable'

export const reached = (as: Came | undefined): Line => {
  if (as === 'in') return ok('broker', 'A bridge’s account is let in.')
  if (as === undefined) return unseen('broker', 'there is no account to come with.', 'MQTT_USERNAME and MQTT_PASSWORD')
  return as === 'refused'
    ? fault('broker', 'The broker refuses the bridge’s account.', 'npm run broker:acl, and SIGHUP to Mosquitto')
    : fault('broker', 'The broker does not answer.', 'Start it, and see that MQTT_URL is right')
}

export const tls = ({ secure, local, takesOld }: { secure: boolean; local: boolean; takesOld: boolean }): Line => {
  const check = 'broker-tls'
  const mend = 'A listener with certfile and keyfile, and MQTT_URL=mqtts://…'
  if (!secure && local) return ok(check, 'It is on this machine.')
  if (!secure) return fault(check, 'The connection is in the clear, with cards and passwords in it.', mend)
  return takesOld
    ? fault(check, 'TLS 1.1 or older is taken.', 'tls_version tlsv1.2')
    : ok(check, 'By TLS 1.2 or newer alone.')
}

/** What somebody without an account could do once in; undefined where that could not be told. */
export type Reach = { hears: boolean | undefined; isHeard: boolean | undefined }

export const anonymous = (came: Came, { hears, isHeard }: Reach): Line => {
  const check = 'broker-anonymous'
  if (came === 'refused') return ok(check, 'Nobody gets in without an account.')
  if (came === 'unreachable')
    return unseen(check, 'the broker did not answer.', 'Start it, and see that MQTT_URL is right')
  const may = [hears && 'hears every card', isHeard && 'is heard'].filter((one) => typeof one === 'string')
  const what = may.length > 0 ? `, and ${may.join(' and ')}` : ''
  return fault(check, `Whoever comes without an account is let in${what}.`, 'allow_anonymous false')
}

export const wrongPassword = (came: readonly Came[]): Line => {
  const check = 'broker-password'
  if (came.includes('in'))
    return fault(check, 'Any password will do.', 'password_file, or auth by HTTP with BROKER_TOKEN')
  return came.includes('unreachable')
    ? unseen(check, 'the broker did not answer.', 'Start it, and see that MQTT_URL is right')
    : ok(check, 'Wrong passwords and made-up names are refused.')
}

/**
 * `allowed`: what a bridge may publish was heard, so that the way is known to work. `forbidden`: so was what nobody may
 * publish. Not tried where a door listens: if that were allowed, it would open.
 */
export const acl = ({
  allowed,
  forbidden,
}: { allowed: boolean; forbidden: boolean } | { allowed: false; forbidden?: never }): Line => {
  const check = 'broker-acl'
  const mend = 'acl_file as npm run broker:acl writes it, and SIGHUP to Mosquitto'
  if (!allowed) return unseen(check, 'the broker gave nothing back.', mend)
  return forbidden
    ? fault(check, 'A bridge is heard where nobody may publish: there are no rules, or others.', mend)
    : ok(check, 'What nobody may publish is heard by nobody.')
}

/** At the port for connections without TLS: who gets in without an account. Undefined where MQTT_URL is that port. */
export const plain = (came: Came | undefined, port: number): Line => {
  const check = 'broker-plain'
  const mend = `No listener on ${port}, or on a network of its own that has nothing else`
  if (came === undefined) return ok(check, 'It is what MQTT_URL names: see broker-tls.')
  if (came === 'unreachable') return ok(check, `Port ${port} is closed.`)
  const whom = came === 'in' ? ', to anybody' : ': passwords are read by whoever is in between'
  return fault(check, `Port ${port} speaks MQTT without TLS${whom}.`, mend)
}

const matches = (stored: string, password: string): boolean => {
  const [, iterations, salt = '', hash = ''] = /^\$7\$(\d+)\$([^$]+)\$(.+)$/.exec(stored) ?? []
  if (iterations === undefined || Number(iterations) > 1_000_000) return false
  const bytes = Buffer.from(hash, 'base64')
  return pbkdf2Sync(password, Buffer.from(salt, 'base64'), Number(iterations), bytes.length, 'sha512').equals(bytes)
}

export type Files = { acl: string | undefined; passwords: string | undefined }

/** The files of Mosquitto against those that would be written now: `acl` is the text, `accounts` names and passwords. */
export const files = (
  found: Files,
  now: { acl: string; accounts: readonly { username: string; password: string }[] },
  askedByHttp: boolean,
): Line => {
  const check = 'broker-acl-file'
  const mend = 'npm run broker:acl, and SIGHUP to Mosquitto'
  if (found.acl === undefined || found.passwords === undefined)
    return askedByHttp
      ? ok(check, 'The broker asks the API, which knows.')
      : unseen(
          check,
          'the files of npm run broker:acl are not where they were looked for.',
          'npm run doctor -- --acl DIR',
        )
  if (!found.acl.startsWith(now.acl)) return fault(check, 'The rules of the broker are not those of now.', mend)
  const lines = new Map(
    found.passwords.split('\n').map((line) => [line.split(':')[0], line.slice(line.indexOf(':') + 1)]),
  )
  const old = now.accounts.filter(({ username, password }) => !matches(lines.get(username) ?? '', password))
  return old.length === 0
    ? ok(check, `Rules and passwords of ${now.accounts.length} accounts are those of now.`)
    : fault(check, `Passwords are missing or old: ${some(old.map(({ username }) => username))}.`, mend)
}
