import { sealingKey } from '../api/contract/envelope.ts'
import { environment, SetupError } from '../api/contract/environment.ts'
import type { SiteReader } from '../api/contract/site.ts'
import { bridgeOn, nameOf } from './bridge.ts'
import { connectToBroker, leaveBroker } from './broker.ts'
import { apiClock } from './clock.ts'
import { type Config, readConfig } from './config.ts'
import { logger } from './log.ts'
import { followSite } from './site.ts'

const start = async (config: Config) => {
  const log = logger(config.LOG_LEVEL)
  const api = { url: config.API_URL, id: config.BRIDGE_ID, key: sealingKey(config.BRIDGE_KEY), clock: apiClock() }
  const client = connectToBroker(config.MQTT_URL, config.BRIDGE_ID, log)
  const bridge = bridgeOn(client, api, log)
  client.on('message', (topic, payload, packet) => bridge.receive(topic, payload, packet.retain))

  let wanted: string[] | undefined
  const subscribed = new Set<string>()
  /** Subscribed is what is wanted, and nothing else; called when either side may have changed. */
  const subscribe = async () => {
    if (!wanted || !client.connected) return
    const topics = wanted
    const gone = [...subscribed].filter((topic) => !topics.includes(topic))
    const fresh = topics.filter((topic) => !subscribed.has(topic))
    if (gone.length > 0) await client.unsubscribeAsync(gone)
    // As published (MQTT 5): a message that was published to be retained is known as one even when it comes live.
    if (fresh.length > 0) await client.subscribeAsync(fresh, { qos: 1, rap: true })
    for (const topic of gone) subscribed.delete(topic)
    for (const topic of fresh) subscribed.add(topic)
    log('info', 'listening', { topics: subscribed.size })
    process.send?.('listening')
  }
  let last = Promise.resolve()
  /** One at a time, and again when the broker would not. */
  const keepSubscribed = () => {
    last = last.then(subscribe).catch((error: unknown) => {
      log('warn', 'not_subscribed', { error: nameOf(error) })
      setTimeout(keepSubscribed, 2_000).unref()
    })
  }

  client.on('connect', () => {
    subscribed.clear()
    keepSubscribed()
  })
  const site = followSite(api, log, (readers: SiteReader[]) => {
    bridge.use(readers)
    wanted = readers.map(({ topic }) => topic)
    keepSubscribed()
  })

  return async () => {
    site.stop()
    await bridge.settle()
    await leaveBroker(client, config.BRIDGE_ID)
  }
}

const run = async (): Promise<void> => {
  try {
    const stop = await start(readConfig(environment()))
    let stopping = false
    const leave = () => {
      if (stopping) return
      stopping = true
      setTimeout(() => process.exit(1), 5_000).unref()
      stop().then(
        () => process.exit(0),
        () => process.exit(1),
      )
    }
    // `disconnect`: whoever started this process is gone.
    process.on('SIGINT', leave).on('SIGTERM', leave).on('disconnect', leave)
  } catch (error) {
    console.error(error instanceof SetupError ? `lintel bridge: ${error.message}` : error)
    process.exit(1)
  }
}

if (import.meta.main) await run()
