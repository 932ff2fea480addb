import type { MqttClient } from 'mqtt'
import { speaksFive } from './broker.ts'
import type { Config } from './config.ts'
import { type Log, nameOf } from './log.ts'
import { echoTopic, sharedTopic } from './topics.ts'

const AGAIN_MS = 2_000

/** Keeps subscribed to what is wanted and nothing else, over every connection. `listening` is called after a change. */
export const keepSubscribed = (
  client: MqttClient,
  { BRIDGE_ID, BRIDGE_GROUP }: Pick<Config, 'BRIDGE_ID' | 'BRIDGE_GROUP'>,
  log: Log,
  listening: (topics: number) => Promise<void>,
) => {
  const echo = echoTopic(BRIDGE_ID)
  let wanted: string[] | undefined
  const subscribed = new Set<string>()
  let last = Promise.resolve()

  const asked = (topic: string) =>
    BRIDGE_GROUP === undefined || topic === echo ? topic : sharedTopic(BRIDGE_GROUP, topic)

  const update = async () => {
    if (!wanted || !client.connected) return
    if (BRIDGE_GROUP !== undefined && !speaksFive(client)) {
      const say = 'This broker has no shared subscriptions (MQTT 5): take BRIDGE_GROUP away and run one bridge.'
      return log('error', 'no_group', { say })
    }
    const topics = [echo, ...wanted]
    const gone = [...subscribed].filter((topic) => !topics.includes(topic))
    const fresh = topics.filter((topic) => !subscribed.has(topic))
    if (gone.length > 0) await client.unsubscribeAsync(gone.map(asked))
    // As published (MQTT 5): a message that was published to be retained is known as one even when it comes live.
    if (fresh.length > 0) await client.subscribeAsync(fresh.map(asked), { qos: 1, rap: true })
    for (const topic of gone) subscribed.delete(topic)
    for (const topic of fresh) subscribed.add(topic)
    // Not waited for here: should the connection end meanwhile, the next one has to be subscribed too.
    void listening(subscribed.size - 1)
  }

  /** One at a time, and again when the broker would not. */
  const run = () => {
    last = last.then(update).catch((error: unknown) => {
      log('warn', 'not_subscribed', { error: nameOf(error) })
      setTimeout(run, AGAIN_MS).unref()
    })
  }

  client.on('connect', ({ sessionPresent }) => {
    // A session knows what it was subscribed to. What an earlier process left in it is dropped as foreign.
    if (!sessionPresent) subscribed.clear()
    run()
  })

  return {
    want(topics: string[]) {
      wanted = topics
      run()
    },
    /** In a group: let the others have what comes from now on. */
    async leave() {
      wanted = undefined
      await last
      if (BRIDGE_GROUP !== undefined && client.connected) await client.unsubscribeAsync([...subscribed].map(asked))
    },
  }
}
