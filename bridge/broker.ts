import type { ClientRequest } from 'node:http'
import { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { connect, type IPublishPacket, type MqttClient } from 'mqtt'
import { type BrokerConfig, brokerOptions } from './broker-options.ts'
import { type Log, nameOf } from './log.ts'
import { keepsNothing } from './outgoing-store.ts'
import { statusTopic } from './topics.ts'

const ONLINE = 'online'
const OFFLINE = 'offline'

/** For how long a broker that speaks MQTT 5 keeps scans for a bridge that is away: a long weekend. Seconds. */
const SESSION_S = 4 * 24 * 3600

/**
 * A connection to the broker that lasts: MQTT 5 where the broker speaks it, else 3.1.1. With a session, what is published
 * while the bridge is away waits for it, and is recorded as late; in a group of bridges another one takes it, and no
 * session is kept. Nothing of ours is queued while the broker is away, so no old answer waits for a door. It begins with
 * `client.connect()`.
 */
export const connectToBroker = (config: BrokerConfig, bridgeId: string, session: boolean, log: Log): MqttClient => {
  const url = config.MQTT_URL
  const topic = statusTopic(bridgeId)
  const will = { topic, payload: Buffer.from(OFFLINE), qos: 1, retain: true } as const
  const options = brokerOptions(config)
  const finishRequest = (request: ClientRequest) => {
    request.once('socket', (socket) => underWebSocket.set(client, socket))
    request.end()
  }
  const client = connect(url, {
    ...options,
    wsOptions: { ...options.wsOptions, finishRequest },
    clientId: `lintel-${bridgeId}`,
    protocolVersion: 5,
    // A session sends what it has at once: not before the bridge knows whose topics these are.
    manualConnect: true,
    clean: !session,
    ...(session && { properties: { sessionExpiryInterval: SESSION_S } }),
    resubscribe: false,
    queueQoSZero: false,
    outgoingStore: keepsNothing(),
    reconnectPeriod: 1_000,
    reconnectOnConnackError: true,
    connectTimeout: 5_000,
    keepalive: 15,
    will,
  })
  let trouble: string | undefined
  const away = (error: string) => {
    if (trouble === undefined) log('warn', 'broker_away', { error, say: sayAway(url) })
    trouble = error
  }

  let answered = false
  let failed = false
  client.on('connect', ({ sessionPresent }) => {
    answered = true
    trouble = undefined
    sendAtOnce(client)
    log('info', 'broker_connected', { mqtt: speaksFive(client) ? '5' : '3.1.1', resumed: sessionPresent })
    client.publish(topic, ONLINE, { qos: 1, retain: true })
  })
  client.on('error', (error) => {
    const code = 'code' in error ? error.code : undefined
    if (code === REFUSED_VERSION.mqtt3 || code === REFUSED_VERSION.mqtt5) return
    failed = true
    away(code === undefined ? error.message : String(code))
  })
  client.on('close', () => {
    // Hung up on without a word, or with "unacceptable protocol version": the next attempt speaks the other version.
    if (!answered && !failed) client.options.protocolVersion = speaksFive(client) ? 4 : 5
    else away('closed')
    answered = false
    failed = false
  })
  return client
}

export const speaksFive = ({ options }: MqttClient): boolean => options.protocolVersion === 5

/** What the return code says when a broker does not speak the version asked for, in either version's table. */
const REFUSED_VERSION = { mqtt3: 1, mqtt5: 132 } as const

const sayAway = (url: string) => {
  const { protocol, host } = new URL(url)
  return `The broker at ${protocol}//${host} cannot be reached; trying again every second. Check that it runs and that MQTT_URL is right.`
}

/** "offline", by word: a clean end sends no will. */
export const leaveBroker = async (client: MqttClient, bridgeId: string): Promise<void> => {
  // Where the API never said whose topics these are, there is nothing to leave.
  if (client.stream === undefined) return
  if (client.connected) await client.publishAsync(statusTopic(bridgeId), OFFLINE, { qos: 1, retain: true })
  await client.endAsync(!client.connected)
}

/** End the connection without letting what was written on it arrive: a door must not open by it later. */
export const cutOff = (client: MqttClient): void => {
  const socket = socketOf(client)
  if (socket instanceof TLSSocket) resetAtEnd(socket)
  else socket?.resetAndDestroy()
  client.stream.destroy()
}

/**
 * Node resets a TCP connection, but not one that carries TLS: there what carries it has to be told by the name that it has
 * inside Node. Where that is another one some day, the connection is closed as any.
 */
const resetAtEnd = (socket: TLSSocket): void => {
  const handle: unknown = Reflect.get(socket, '_handle')
  const carrier: unknown = isObject(handle) ? Reflect.get(handle, '_parent') : undefined
  if (isObject(carrier) && 'close' in carrier && 'reset' in carrier) carrier.close = carrier.reset
}

/** A message as it came. With QoS 1 it has an id, and the broker sends it again until it is acknowledged. */
export type Message = {
  id: number | undefined
  topic: string
  payload: Buffer
  retained: boolean
  acknowledge(): void
  /** If the same message came before, and is in our hands, when that one is safe. `what` tells it from another one. */
  known(what: string): Promise<unknown> | undefined
  /** The message is in our hands until it is acknowledged. With several scans in it this is said of each. */
  hold(what: string, safe: Promise<unknown>): void
}

/** By the ids of messages: what was in each, and when that is safe. */
export type InHand = Map<number, Map<string, Promise<unknown>>>

export const handInto = (hand: InHand, id: number, what: string, safe: Promise<unknown>): void => {
  const held = hand.get(id)
  if (held) held.set(what, safe)
  else hand.set(id, new Map([[what, safe]]))
}

/** So many messages are remembered after they were acknowledged: more than a broker has under way at once. */
const MOST_REMEMBERED = 1_000

/**
 * Hear what comes, and acknowledge each message of QoS 1 when told to instead of at once, in any order. A message whose
 * acknowledgement the broker did not get comes again on the next connection of the same session, under the same id: it
 * is then the same. That one was sent does not say that it arrived, so what was acknowledged is remembered for a while.
 */
export const hearFrom = (
  client: MqttClient,
  { inHand, acknowledged }: { inHand: InHand; acknowledged: InHand },
  hear: (message: Message) => void,
  log: Log,
): void => {
  const remember = (id: number) => {
    const message = inHand.get(id)
    if (!message) return
    inHand.delete(id)
    acknowledged.set(id, message)
    const [oldest] = acknowledged.keys()
    if (acknowledged.size > MOST_REMEMBERED && oldest !== undefined) acknowledged.delete(oldest)
  }

  let connection = 0
  client.on('close', () => {
    connection += 1
  })
  client.on('connect', ({ sessionPresent }) => {
    if (sessionPresent) return
    // A new session has new ids.
    inHand.clear()
    acknowledged.clear()
  })
  // MQTT.js acknowledges when this calls back without an error; with one it goes on to the next message.
  client.handleMessage = (packet, done) => done(packet.qos === 1 ? new Error('acknowledged later') : undefined)

  client.on('message', (topic, payload, { retain, qos, messageId, dup }: IPublishPacket) => {
    const id = qos === 1 ? messageId : undefined
    const mine = connection
    // An id that is free again is given to the next message; only one that is sent again says so (`dup`).
    let others = !dup
    hear({
      id,
      topic,
      payload,
      retained: retain,
      acknowledge() {
        if (id === undefined || mine !== connection || !client.connected) return
        remember(id)
        client['_sendPacket']({ cmd: 'puback', messageId: id, reasonCode: 0 }, (error?: Error) => {
          if (error) log('warn', 'not_acknowledged', { error: nameOf(error) })
        })
      },
      known(what) {
        if (id === undefined) return undefined
        return inHand.get(id)?.get(what) ?? (dup ? acknowledged.get(id)?.get(what) : undefined)
      },
      hold(what, safe) {
        if (id === undefined) return
        if (others) {
          inHand.delete(id)
          acknowledged.delete(id)
        }
        others = false
        handInto(inHand, id, what, safe)
      },
    })
  })
}

/**
 * MQTT.js leaves Nagle's algorithm on, and each answer then waits for the broker's delayed ACK: 44 ms instead of 3 on
 * Linux.
 */
const sendAtOnce = (client: MqttClient) => socketOf(client)?.setNoDelay(true)

/** Of clients whose URL says ws: or wss:, what carries the WebSocket: their stream does not tell. */
const underWebSocket = new WeakMap<MqttClient, Socket>()

const socketOf = (client: MqttClient): Socket | undefined =>
  client.stream instanceof Socket ? client.stream : underWebSocket.get(client)

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null
