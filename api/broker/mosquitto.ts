import { pbkdf2Sync, randomBytes } from 'node:crypto'
import { passwordOf } from './accounts.ts'
import type { Account, Rules } from './rules.ts'

/*
 * The files that Mosquitto 2 reads (mosquitto.conf(5), password_file and acl_file). It asks its rules when somebody publishes
 * and when somebody is to be given a message, and lets anybody subscribe to anything: who may not hear a topic hears nothing.
 */

/** Its own number. What is hashed has 144 bits of chance, so that nobody guesses it however cheap a try is. */
const ITERATIONS = 101
const SALT_BYTES = 12
const HASH_BYTES = 64

/** `$7$` is PBKDF2 with SHA-512. */
export const hashed = (password: string, salt = randomBytes(SALT_BYTES)): string => {
  const hash = pbkdf2Sync(password, salt, ITERATIONS, HASH_BYTES, 'sha512')
  return `$7$${ITERATIONS}$${salt.toString('base64')}$${hash.toString('base64')}`
}

const inOrder = ({ accounts }: Rules): Account[] =>
  [...accounts.values()].sort((a, b) => (a.username < b.username ? -1 : 1))

/** The salts of a file that was written before: with them a password that is the same has the same line. */
const saltsOf = (file: string) =>
  new Map(
    [...file.matchAll(/^([\w-]+):\$7\$\d+\$([\w+/=]+)\$/gm)].map(([, name = '', salt = '']) => [
      name,
      Buffer.from(salt, 'base64'),
    ]),
  )

/** A line for each account, with the password that is in force; the same as in `before` where that is the same. */
export const passwordsFile = async (rules: Rules, appKey: Uint8Array, before = ''): Promise<string> => {
  const salts = saltsOf(before)
  const lines = inOrder(rules).map(async ({ username, kind, id, generations: [generation = 0] }) => {
    return `${username}:${hashed(await passwordOf(appKey, kind, id, generation), salts.get(username))}\n`
  })
  return (await Promise.all(lines)).join('')
}

/** The file is read line by line, and what stands around a topic is cut off. */
export const canBeWritten = (topic: string): boolean => topic.trim() === topic

const lines = (access: 'read' | 'write', topics: readonly string[]): string =>
  topics
    .filter(canBeWritten)
    .map((topic) => `topic ${access} ${topic}\n`)
    .join('')

export const aclFile = (rules: Rules): string =>
  [
    '# Written by npm run broker:acl, which writes it anew. What is not allowed here is refused.\n',
    ...inOrder(rules).map(
      ({ username, publish, subscribe }) => `\nuser ${username}\n${lines('write', publish)}${lines('read', subscribe)}`,
    ),
  ].join('')

/** What mosquitto.conf needs, to begin with. */
export const exampleConf = (
  folder: string,
): string => `# To be included by mosquitto.conf, or put into it. Yours to change: it is written only where it is not there.
allow_anonymous false
password_file ${folder}/passwords
acl_file ${folder}/acl

# Each answer would wait some 40 ms without the first, and scans for a bridge that is away would be lost without the others.
set_tcp_nodelay true
persistence true
max_queued_messages 0
max_packet_size 262144

# With TLS, for the bridge and for every device that can:
#listener 8883
#certfile /etc/mosquitto/certs/broker.pem
#keyfile /etc/mosquitto/certs/broker.key

# Without it, for devices that cannot, on a network that has nothing else: their passwords are read by whoever is on it. A
# client id that is the account's name is nobody else's, so no device takes the place of another one.
#listener 1883 192.0.2.1
#use_username_as_clientid true
`
