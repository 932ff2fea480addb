import { connect } from 'mqtt'
import { cutOff } from '../broker.ts'
import { type BrokerConfig, brokerOptions } from '../broker-options.ts'
import type { Config } from '../config.ts'
import { type Echo, echoThrough } from '../echo.ts'
import { type Log, nameOf } from '../log.ts'
import { keepsNothing } from '../outgoing-store.ts'
import { homeEchoTopic } from '../topics.ts'

/** A message as it came; `age` is how many milliseconds it can have waited at most. */
export type Heard = { topic: string; payload: Buffer; retained: boolean; age: number }
export type Said = { topic: string; payload: string; qos: 0 | 1; retain: boolean }

/** The connection that serves Home Assistant. */
export type Wire = {
  begin(to: { connected(is: boolean): void; heard(message: Heard): void }): void
  /** Hears these topics and no others, over every connection. `orders`: among them are some that open. */
  listen(topics: readonly string[], orders: boolean): void
  /** Out now or never; resolves when the broker has it (QoS 1), or when it was written. */
  publish(message: Said): Promise<void>
  stop(): Promise<void>
}

/**
 * A connection of its own, with nothing queued and nothing kept, so that it cannot hold up a door. How long an order can have
 * waited is found out as the bridge finds it out of scans: by an echo through the broker. One that hangs is ended.
 */
export const wireTo = (config: BrokerConfig & Pick<Config, 'BRIDGE_ID'>, log: Log): Wire => {
  const { BRIDGE_ID } = config
  const client = connect(config.MQTT_URL, {
    ...brokerOptions(config),
    clientId: `lintel-${BRIDGE_ID}-home-assistant`,
    // Every broker speaks it, and nothing here needs more.
    protocolVersion: 4,
    manualConnect: true,
    clean: true,
    resubscribe: false,
    queueQoSZero: false,
    outgoingStore: keepsNothing(),
    reconnectPeriod: 2_000,
    reconnectOnConnackError: true,
    connectTimeout: 5_000,
    keepalive: 15,
  })
  let trouble = false
  client.on('error', (error) => {
    if (!trouble) log('warn', 'home_assistant_away', { error: nameOf(error) })
    trouble = true
  })

  const echoed = homeEchoTopic(BRIDGE_ID)
  let echo: Echo | undefined
  const echoing = () =>
    echoThrough(
      (payload) => client.publish(echoed, payload, { qos: 0 }),
      () => {
        log('warn', 'home_assistant_hangs', { say: 'The way through the broker hangs: connecting anew.' })
        cutOff(client)
      },
    )

  let wanted: { topics: readonly string[]; orders: boolean } = { topics: [], orders: false }
  const subscribed = new Set<string>()
  let last: Promise<unknown> = Promise.resolve()
  const update = async () => {
    if (!client.connected) return
    const topics = [...(wanted.orders ? [echoed] : []), ...wanted.topics]
    const gone = [...subscribed].filter((topic) => !topics.includes(topic))
    for (const topic of gone) subscribed.delete(topic)
    if (gone.length > 0) await client.unsubscribeAsync(gone)
    for (const topic of topics) {
      if (subscribed.has(topic)) continue
      if (!client.connected) return
      subscribed.add(topic)
      // A broker may allow one and not the other: each is asked for by itself.
      await client
        .subscribeAsync(topic, { qos: 0 })
        .catch((error: unknown) => log('warn', 'home_assistant_refused', { topic, error: nameOf(error) }))
    }
    // Not waited for: what is heard before its first echo is of any age, and opens nothing.
    if (subscribed.has(echoed)) void echo?.open()
    else echo?.reset()
  }
  const run = () => {
    last = last
      .then(update)
      .catch((error: unknown) => log('debug', 'home_assistant_not_heard', { error: nameOf(error) }))
  }

  const underWay = new Set<number>()
  return {
    begin({ connected, heard }) {
      const through = echoing()
      echo = through
      client.on('connect', () => {
        trouble = false
        subscribed.clear()
        run()
        connected(true)
      })
      client.on('close', () => {
        through.reset()
        for (const id of underWay) client.removeOutgoingMessage(id)
        connected(false)
      })
      client.on('message', (topic, payload, { retain }) => {
        if (topic !== echoed) return heard({ topic, payload, retained: retain, age: through.age() })
        if (!retain) through.heard(payload.toString())
      })
      client.connect()
    },
    listen(topics, orders) {
      wanted = { topics, orders }
      run()
    },
    async publish({ topic, payload, qos, retain }) {
      if (!client.connected) throw new Error('the broker is away')
      let id: number | undefined
      try {
        await new Promise<void>((resolve, reject) => {
          client.publish(topic, payload, { qos, retain }, (error) => (error ? reject(error) : resolve()))
          // Of QoS 1: else who waits would wait for an acknowledgement that came on no connection.
          if (qos === 1) id = client.getLastMessageId()
          if (id !== undefined) underWay.add(id)
        })
      } finally {
        if (id !== undefined) underWay.delete(id)
      }
    },
    async stop() {
      echo?.stop()
      if (client.stream !== undefined) await client.endAsync(true)
    },
  }
}
