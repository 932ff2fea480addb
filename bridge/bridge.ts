import type { MqttClient } from 'mqtt'
import { v7 } from 'uuid'
import { keyOfScan } from '../api/contract/card-views.ts'
import { type Answer, DEADLINE_MS, type Scan } from '../api/contract/scan.ts'
import type { SiteReader } from '../api/contract/site.ts'
import { type Api, askAboutScan } from './ask.ts'
import { decode, PROFILES } from './decode.ts'
import { hold } from './hold.ts'
import { dropCounter, type Log } from './log.ts'

export type Bridge = {
  /** Every message of the broker's goes through here. */
  receive(topic: string, payload: Buffer, retained: boolean): void
  /** The readers in force from now on. */
  use(readers: readonly SiteReader[]): void
  /** Resolves when every scan that arrived has been answered. */
  settle(): Promise<void>
}

type Asked = Promise<Pick<Answer, 'decision' | 'reason' | 'expiresAt'>>

/** One scan, one way: topic → decode → ask → publish. */
export const bridgeOn = (client: MqttClient, api: Api, log: Log): Bridge => {
  const byTopic = new Map<string, SiteReader>()
  const drops = dropCounter(log)
  const once = hold<Asked>()
  const underWay = new Set<Promise<void>>()

  const receive: Bridge['receive'] = (topic, payload, retained) => {
    const arrived = performance.now()
    const reader = byTopic.get(topic)
    const read = decode(reader, payload, retained)
    if ('dropped' in read || !reader) return drops.drop('dropped' in read ? read.dropped : 'foreign_topic')

    const { card } = read
    const asked = once(`${reader.id} ${keyOfScan(reader.cardView, card)}`, reader.holdMs, () =>
      ask({ id: v7(), readerId: reader.id, card, at: api.clock.now().toISOString() }),
    )
    const answered = asked.then((answer) => publish(reader, answer, arrived)).finally(() => underWay.delete(answered))
    underWay.add(answered)
  }

  /** Whatever goes wrong on the way to an answer becomes a refusal here, and only here. */
  const ask = async (scan: Scan): Asked => {
    const started = performance.now()
    const answer = await askAboutScan(api, scan, DEADLINE_MS).catch((error: unknown) => {
      log('warn', 'unavailable', { scan: scan.id, reader: scan.readerId, error: nameOf(error) })
      return { decision: 'denied', reason: 'unavailable', expiresAt: scan.at } as const
    })
    const ms = Math.round(performance.now() - started)
    log('info', 'scan', { scan: scan.id, reader: scan.readerId, decision: answer.decision, reason: answer.reason, ms })
    return answer
  }

  /** What opens goes out now or never: not after its expiry, not into a queue, not to be kept by the broker. */
  const publish = async (reader: SiteReader, answer: Awaited<Asked>, arrived: number): Promise<void> => {
    const late = performance.now() - arrived > DEADLINE_MS || api.clock.now().getTime() >= Date.parse(answer.expiresAt)
    const decision = late ? 'denied' : answer.decision
    const message = PROFILES[reader.profile].reply({ decision }, reader)
    if (!message) return
    if (!client.connected) return log('warn', 'unanswered', { reader: reader.id, decision })
    await client
      .publishAsync(message.topic, message.payload, { qos: 0, retain: false })
      .catch((error: unknown) => log('warn', 'unanswered', { reader: reader.id, decision, error: nameOf(error) }))
  }

  return {
    receive,
    use(readers) {
      byTopic.clear()
      for (const reader of readers) byTopic.set(reader.topic, reader)
    },
    async settle() {
      await Promise.allSettled(underWay)
      drops.stop()
    },
  }
}

/** What kind of error it was; its message may hold what was being sent. */
export const nameOf = (error: unknown): string => {
  if (!(error instanceof Error)) return 'unknown'
  if ('status' in error) return `http_${error.status}`
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name
}
