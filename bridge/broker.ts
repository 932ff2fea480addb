import { connect, type MqttClient } from 'mqtt'
import type { Log } from './log.ts'
import { statusTopic } from './topics.ts'

const ONLINE = 'online'
const OFFLINE = 'offline'

/**
 * A connection to the broker that lasts: MQTT 5 where the broker speaks it, else 3.1.1. No session outlives it, so no
 * old scan waits for us, and nothing is queued while it is away, so no old answer waits for a door.
 */
export const connectToBroker = (url: string, bridgeId: string, log: Log): MqttClient => {
  const topic = statusTopic(bridgeId)
  const will = { topic, payload: Buffer.from(OFFLINE), qos: 1, retain: true } as const
  const client = connect(url, {
    clientId: `lintel-${bridgeId}`,
    protocolVersion: 5,
    clean: true,
    resubscribe: false,
    queueQoSZero: false,
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
  client.on('connect', () => {
    answered = true
    trouble = undefined
    sendAtOnce(client)
    log('info', 'broker_connected', { mqtt: client.options.protocolVersion === 5 ? '5' : '3.1.1' })
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
    if (!answered && !failed) client.options.protocolVersion = client.options.protocolVersion === 5 ? 4 : 5
    else away('closed')
    answered = false
    failed = false
  })
  return client
}

/** What the return code says when a broker does not speak the version asked for, in either version's table. */
const REFUSED_VERSION = { mqtt3: 1, mqtt5: 132 } as const

const sayAway = (url: string) => {
  const { protocol, host } = new URL(url)
  return `The broker at ${protocol}//${host} cannot be reached; trying again every second. Check that it runs and that MQTT_URL is right.`
}

/** "offline", by word: a clean end sends no will. */
export const leaveBroker = async (client: MqttClient, bridgeId: string): Promise<void> => {
  if (client.connected) await client.publishAsync(statusTopic(bridgeId), OFFLINE, { qos: 1, retain: true })
  await client.endAsync(!client.connected)
}

/**
 * MQTT.js leaves Nagle's algorithm on, and each answer then waits for the broker's delayed ACK: 44 ms instead of 3 on
 * Linux. The stream is a socket, or wraps one, by the kind of URL.
 */
const sendAtOnce = ({ stream }: MqttClient) => {
  const socket = 'setNoDelay' in stream ? stream : 'socket' in stream ? stream.socket : undefined
  const raw = isObject(socket) && '_socket' in socket ? socket._socket : socket
  if (isObject(raw) && 'setNoDelay' in raw && typeof raw.setNoDelay === 'function') raw.setNoDelay(true)
}

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null
