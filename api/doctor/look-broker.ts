import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { connectAsync, type IClientOptions, type MqttClient } from 'mqtt'
import { isLocal } from '../db/is-local.ts'
import { codeOf, handshake, takesOldTls } from './ask.ts'
import * as broker from './broker.ts'
import { certificate } from './front.ts'
import type { Line } from './line.ts'

/** An account of a bridge, with the id that its client ids and topics begin with. */
export type BridgeAccount = { id: string; username?: string | undefined; password?: string | undefined }

export type BrokerAt = {
  url: string
  /** Where it would speak without TLS. */
  plainPort: number
  /** Paths of PEM files, as the bridge has them. */
  ca?: string | undefined
  cert?: string | undefined
  key?: string | undefined
}

const PATIENCE_MS = 5_000
/** For so long a message that should not come is waited for, after one that should has come. */
const QUIET_MS = 500

const isSecure = (url: string) => /^(mqtts|wss|ssl|tls):/.test(url)

const read = (path: string | undefined) => (path === undefined ? undefined : readFileSync(path))

const withoutLogin = (url: string): string => {
  const bare = new URL(url)
  bare.username = ''
  bare.password = ''
  return bare.href
}

/** Nobody is there, or nobody speaks MQTT. */
const UNHEARD = /ECONNREFUSED|ENOTFOUND|EHOSTUNREACH|ENETUNREACH|ETIMEDOUT|EAI_AGAIN|connack timeout/

type Came = { came: broker.Came; client?: MqttClient }

/** Comes once, and does not come again. A broker that hangs up without a word has refused. */
const come = async (url: string, options: IClientOptions): Promise<Came> => {
  const patience = {
    connectTimeout: PATIENCE_MS,
    reconnectPeriod: 0,
    queueQoSZero: false,
    clean: true,
    protocolVersion: 4,
  } as const
  try {
    const client = await connectAsync(withoutLogin(url), { ...options, ...patience, resubscribe: false }, false)
    client.on('error', () => {})
    return { came: 'in', client }
  } catch (error) {
    return { came: UNHEARD.test(`${codeOf(error)} ${error}`) ? 'unreachable' : 'refused' }
  }
}

const leave = async ({ client }: Came): Promise<void> => {
  await client?.endAsync(true).catch(() => {})
}

/** What comes on these topics, as texts. */
const listen = async (client: MqttClient, topics: string[]): Promise<Set<string>> => {
  const heard = new Set<string>()
  client.on('message', (_, payload) => void heard.add(payload.toString()))
  await client.subscribeAsync(topics, { qos: 0 }).catch(() => {})
  return heard
}

const until = async (isSo: () => boolean): Promise<boolean> => {
  for (let left = PATIENCE_MS; left > 0 && !isSo(); left -= 50) await sleep(50)
  return isSo()
}

/** What a broker without rules is told by, and does no harm: no door and no reader has a topic there. */
const nowhere = () => `lintel/doctor/${randomUUID()}`

const say = (client: MqttClient, topic: string, text: string) =>
  // Where it is forbidden some brokers say so and some hang up: neither is news here.
  client.publishAsync(topic, text, { qos: 0, retain: false }).catch(() => {})

/**
 * A bridge says one thing that it may, and by a second connection one that nobody may: some brokers hang up on whoever says
 * what is forbidden (Mosquitto does, over TLS), and silence proves something only where there still is somebody who listens.
 * Somebody without an account, if let in, listens and says one too.
 */
const tryRules = async (
  id: string,
  { listener, speaker, stranger }: Record<'listener' | 'speaker', MqttClient> & { stranger: MqttClient | undefined },
) => {
  const [its, forbidden, strangers] = [`lintel/bridge/${id}/doctor`, nowhere(), nowhere()]
  const [may, mayNot, strange, still] = [randomUUID(), randomUUID(), randomUUID(), randomUUID()]
  const heard = await listen(listener, [its, forbidden, strangers])
  const overheard = stranger && (await listen(stranger, ['#']))
  await say(listener, its, may)
  const isKnown = await until(() => heard.has(may))
  await say(speaker, forbidden, mayNot)
  if (stranger) await say(stranger, strangers, strange)
  await sleep(QUIET_MS)
  await say(listener, its, still)
  const allowed = isKnown && (await until(() => heard.has(still)))
  return {
    acl: { allowed, forbidden: heard.has(mayNot) },
    reach: { hears: overheard && allowed ? overheard.has(may) : undefined, isHeard: stranger && heard.has(strange) },
  }
}

/** Tries the broker as a stranger, with a wrong password, and as a bridge. Never says anything where a door or a reader listens. */
export const lookAtBroker = async (at: BrokerAt, account: BridgeAccount | undefined, now: Date): Promise<Line[]> => {
  const { url } = at
  const ca = read(at.ca)
  const anybody = { ...(ca && { ca }), rejectUnauthorized: false }
  const { hostname, port } = new URL(url)
  const server = { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || 8883), ca }
  const stranger = () => `doctor-${randomUUID().slice(0, 13)}`

  const nobody = await come(url, { ...anybody, clientId: stranger() })
  const wrong = { ...anybody, password: 'not-the-password-of-this-one' }
  const wrongly = await Promise.all(
    [account?.username ?? 'admin', stranger()].map((username) =>
      come(url, { ...wrong, username, clientId: stranger() }),
    ),
  )
  const [cert, key] = [read(at.cert), read(at.key)]
  const login = account?.username === undefined ? {} : { username: account.username, password: account.password ?? '' }
  const known = account && (account.username !== undefined || cert !== undefined) ? account : undefined
  const asBridge = (clientId: string) =>
    // A true password is for a broker that shows who it is.
    come(url, { ...anybody, rejectUnauthorized: true, ...login, ...(cert && key && { cert, key }), clientId })
  const bridge = known && (await asBridge(`lintel-${known.id}-doctor`))
  const speaker = known && bridge?.client && (await asBridge(`lintel-${known.id}-doctor-says`))
  const tried =
    known && bridge?.client && speaker?.client
      ? await tryRules(known.id, { listener: bridge.client, speaker: speaker.client, stranger: nobody.client })
      : undefined
  const plainly = isSecure(url) ? await come(`mqtt://${hostname}:${at.plainPort}`, { clientId: stranger() }) : undefined
  const lines = [
    broker.reached(bridge?.came),
    broker.tls({
      secure: isSecure(url),
      local: isLocal(url.replace(/^\w+:/, 'http:')),
      takesOld: isSecure(url) && (await takesOldTls(server)),
    }),
    ...(isSecure(url) ? [certificate('broker-certificate', await handshake(server).catch(() => undefined), now)] : []),
    broker.anonymous(nobody.came, tried?.reach ?? { hears: undefined, isHeard: undefined }),
    broker.wrongPassword(wrongly.map(({ came }) => came)),
    broker.acl(tried?.acl ?? { allowed: false }),
    broker.plain(plainly?.came, at.plainPort),
  ]
  for (const one of [nobody, bridge, speaker, plainly, ...wrongly]) if (one) await leave(one)
  return lines
}
