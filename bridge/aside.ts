import { connect } from 'mqtt'
import type { SiteReader } from '../api/contract/site.ts'
import { accessLists } from './access-lists.ts'
import { type Api, askForAccessList, reportSeen } from './ask.ts'
import { type BrokerConfig, brokerOptions } from './broker-options.ts'
import type { Config } from './config.ts'
import type { Link } from './link.ts'
import { type Log, nameOf } from './log.ts'
import type { Profile } from './profiles/profile.ts'
import { known, PROFILES } from './profiles/profiles.ts'
import { watch } from './watch.ts'

type Options = {
  config: BrokerConfig & Pick<Config, 'BRIDGE_ID' | 'WATCH'>
  api: Api
  link: Link
  log: Log
  folder: string
  profiles?: readonly Profile[]
}

/**
 * What is no scan has a connection of its own, with nothing kept and QoS 0, so that it cannot hold up a door: looking out
 * for unknown readers, and telling readers that decide by themselves whom to let in.
 */
export const aside = ({ config, api, link, log, folder, profiles = PROFILES }: Options) => {
  const client = connect(config.MQTT_URL, {
    ...brokerOptions(config),
    clientId: `lintel-${config.BRIDGE_ID}-watch`,
    // Every broker speaks it, and nothing here needs more.
    protocolVersion: 4,
    manualConnect: true,
    clean: true,
    resubscribe: false,
    queueQoSZero: false,
    reconnectPeriod: 5_000,
    reconnectOnConnackError: true,
    connectTimeout: 5_000,
  })
  let trouble = false
  client.on('error', (error) => {
    if (!trouble) log('warn', 'watch_away', { error: nameOf(error) })
    trouble = true
  })

  const wanted: Record<'watch' | 'lists', readonly string[]> = { watch: [], lists: [] }
  const subscribed = new Set<string>()
  let last: Promise<unknown> = Promise.resolve()
  const update = async () => {
    if (!client.connected) return
    const topics = [...new Set([...wanted.watch, ...wanted.lists])]
    const gone = [...subscribed].filter((topic) => !topics.includes(topic))
    const fresh = topics.filter((topic) => !subscribed.has(topic))
    for (const topic of gone) subscribed.delete(topic)
    if (gone.length > 0) await client.unsubscribeAsync(gone)
    for (const topic of fresh) subscribed.add(topic)
    // A broker may allow one and not the other: each is asked for by itself.
    for (const topic of fresh) {
      await client
        .subscribeAsync(topic, { qos: 0 })
        .catch((error: unknown) => log('debug', 'watch_refused', { error: nameOf(error) }))
    }
  }
  const run = () => {
    last = last.then(update).catch((error: unknown) => log('warn', 'watch_not_subscribed', { error: nameOf(error) }))
  }
  const begin = () => {
    // Nothing to do is no connection.
    if (client.stream === undefined && wanted.watch.length + wanted.lists.length > 0) client.connect()
    run()
  }
  client.on('connect', () => {
    trouble = false
    subscribed.clear()
    run()
  })

  const listen = (who: keyof typeof wanted) => (topics: readonly string[]) => {
    wanted[who] = topics
    begin()
  }
  const lists = accessLists({
    key: api.key,
    ask: (readerId, after) => askForAccessList(api, readerId, after),
    link,
    log,
    folder,
    known,
    subscribe: listen('lists'),
    async publish({ topic, payload, qos }) {
      if (!client.connected) throw new Error('the broker is away')
      await client.publishAsync(topic, payload, { qos, retain: false })
    },
  })
  const watching =
    config.WATCH === 'off'
      ? undefined
      : watch({
          clock: api.clock,
          link,
          log,
          profiles,
          report: (seen) => reportSeen(api, seen),
          subscribe: listen('watch'),
        })
  client.on('message', (topic, payload, { retain }) => {
    const message = { topic, payload, retained: retain }
    lists.came(message)
    watching?.look(message)
  })

  return {
    readers(readers: readonly SiteReader[]) {
      watching?.use(readers)
      lists.use(readers)
    },
    facts: (version: string) => lists.facts(version),
    async stop() {
      watching?.stop()
      lists.stop()
      if (client.stream !== undefined) await client.endAsync(true)
    },
  }
}
