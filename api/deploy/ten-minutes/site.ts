import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Secret, TOTP } from 'otpauth'
import { programCalled } from './machine.ts'
import { until } from './processes.ts'

/** A request by whoever is signed in; throws what was answered when that is no success. */
export type Call = (method: string, path: string, body?: unknown) => Promise<Record<string, unknown> & { id: string }>

/** Signs the first account in, and turns its second factor on, as production wants it before anything else. */
export const signIn = async (url: string, email: string, password: string): Promise<Call> => {
  let token = ''
  const call: Call = async (method, path, body) => {
    const response = await fetch(`${url}/api/v1${path}`, {
      method,
      headers: {
        ...(token && { authorization: `Bearer ${token}` }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${text}`)
    return text === '' ? { id: '' } : JSON.parse(text)
  }
  token = String((await call('POST', '/login', { email, password }))['access_token'])
  const secret = String((await call('POST', '/me/totp'))['secret'])
  const code = new TOTP({ secret: Secret.fromBase32(secret) }).generate()
  await call('POST', '/me/totp/confirm', { code })
  return call
}

export type Account = { username: string; password: string }

export const brokerAccount = async (call: Call, kind: 'readers' | 'bridges', id: string): Promise<Account> => {
  const { username, password } = await call(
    'POST',
    `/${kind}/${id}/broker-account`,
    kind === 'readers' ? { rotate: false } : undefined,
  )
  return { username: String(username), password: String(password) }
}

export const READER = { topic: '/front-door/rfid/Tag', replyTopic: '/front-door/open' }
export const CARD = '6159760'

/** The first reader, and the first person, with a card that opens there. */
export const makeSite = async (call: Call): Promise<{ reader: string }> => {
  const reader = await call('POST', '/readers', { name: 'Front door', timezone: 'Europe/Prague', ...READER })
  const group = await call('POST', '/groups', { name: 'Everybody' })
  const person = await call('POST', '/people', { name: 'Ada Lovelace' })
  await call('PUT', `/groups/${group.id}/people/${person.id}`)
  await call('POST', '/cards', { personId: person.id, number: CARD, form: 'decimal' })
  await call('POST', '/rules', { groupId: group.id, readerIds: [reader.id] })
  return { reader: reader.id }
}

export type Broker = { port: number; ca: string }

const reach = ({ port, ca }: Broker, account: Account | undefined) => [
  ...['-h', 'localhost', '-p', String(port), '--cafile', ca],
  ...(account ? ['-u', account.username, '-P', account.password] : []),
]

const SECONDS = 5

/** One scan as the reader's own firmware would publish it, by the account of the reader; what the door hears. */
export const scan = async (broker: Broker, account: Account, card: string): Promise<string> => {
  const listening = [...reach(broker, account), '-t', READER.replyTopic, '-C', '1', '-W', String(SECONDS), '-d']
  // Into a pipe it would say all it says at its end.
  const door = spawn('stdbuf', ['-oL', programCalled('mosquitto_sub'), ...listening], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let said = ''
  for (const stream of [door.stdout, door.stderr]) stream.on('data', (text: Buffer) => (said += text))
  const ended = once(door, 'close')
  try {
    await until(
      'the door',
      async () => {
        if (!/Subscribed \(mid/.test(said)) throw new Error(said)
      },
      SECONDS,
    )
    await publish(broker, account, card)
    await ended
  } finally {
    door.kill()
  }
  const heard = said.split('\n').find((line) => /^[^ ]+$/.test(line))
  if (heard === undefined) throw new Error(`the door heard nothing: ${said}`)
  return heard
}

/** Throws where the broker refuses. */
export const publish = async (broker: Broker, account: Account | undefined, card: string): Promise<void> => {
  const said = [...reach(broker, account), '-q', '1', '-t', READER.topic, '-m', card]
  const reader = spawn(programCalled('mosquitto_pub'), said, { stdio: ['ignore', 'ignore', 'pipe'] })
  let why = ''
  reader.stderr.on('data', (text: Buffer) => (why += text))
  const [code] = await once(reader, 'close')
  if (code !== 0) throw new Error(`mosquitto_pub: ${why.trim()}`)
}
