import { connectAsync, type MqttClient } from 'mqtt'
import { SetupError } from '../../api/contract/environment.ts'

/** A site to scan at: where its readers publish and listen, and which cards it knows. */
export type Site = {
  name: string
  scanTopic(reader: number): string
  replyTopic(reader: number): string
  cards: number
  readers: number
  /** Readers of every profile that are there besides, and silent. */
  idle: number
}

export const READERS = 50

/** The n-th card of a site, as a decimal reader publishes it. */
export const FIRST_CARD = 1_000_000_000
const cardText = (n: number) => String(FIRST_CARD + n)

export type Run = {
  /** Milliseconds from the scan to its answer, as the reader sees them, shortest first. */
  latencies: Float64Array
  /** Scans answered per second. */
  throughput: number
  refused: number
}

export type Load = {
  /** `scans` scans at a site, never more than `inFlight` of them unanswered, and never two at one reader. */
  run(site: Site, scans: number, inFlight: number): Promise<Run>
  /** How many scans a site has answered, and how many of them opened. */
  total(site: Site): { scans: number; opened: number }
  close(): Promise<void>
}

/** An answer that takes longer never comes: a bridge has given up long before. Milliseconds. */
const PATIENCE_MS = 10_000

/** MQTT.js leaves Nagle's algorithm on, which would measure the delayed ACK of the broker: some 40 ms on Linux. */
export const connectReader = async (url: string): Promise<MqttClient> => {
  const client = await connectAsync(url, { connectTimeout: 5_000, reconnectPeriod: 0 })
  const { stream } = client
  if ('setNoDelay' in stream && typeof stream.setNoDelay === 'function') stream.setNoDelay(true)
  return client
}

/** All readers of all sites, behind one connection. */
export const loadOn = async (url: string, sites: Site[]): Promise<Load> => {
  const client = await connectReader(url)
  await client.subscribeAsync(sites.flatMap((site) => each(site.readers, (reader) => site.replyTopic(reader))))
  const waiting = new Map<string, (payload: Buffer) => void>()
  client.on('message', (topic, payload) => {
    const answered = waiting.get(topic)
    waiting.delete(topic)
    answered?.(payload)
  })

  const scan = (site: Site, reader: number, card: string): Promise<{ ms: number; opened: boolean }> =>
    new Promise((resolve, reject) => {
      const topic = site.replyTopic(reader)
      const started = performance.now()
      const giveUp = setTimeout(() => {
        waiting.delete(topic)
        reject(new SetupError(`A scan at ${site.name} was not answered within ${PATIENCE_MS / 1000} s.`))
      }, PATIENCE_MS)
      waiting.set(topic, (payload) => {
        const ms = performance.now() - started
        clearTimeout(giveUp)
        resolve({ ms, opened: payload.length === 1 && payload[0] === 0x31 })
      })
      client.publish(site.scanTopic(reader), card)
    })

  const totals = new Map(sites.map((site) => [site, { scans: 0, opened: 0, turn: each(site.readers, () => 0) }]))
  const totalOf = (site: Site) => totals.get(site) ?? { scans: 0, opened: 0, turn: [] }

  /**
   * Each reader walks through all cards of its site before one comes again: the bridge takes a card that comes again
   * within seconds for the same scan. Large prime steps, so that a walk strays over the whole site.
   */
  const nextCard = (site: Site, reader: number): string => {
    const { turn } = totalOf(site)
    const n = turn[reader] ?? 0
    turn[reader] = n + 1
    return cardText((n * 7_919 + reader * 104_729) % site.cards)
  }

  return {
    async run(site, scans, inFlight) {
      const latencies = new Float64Array(scans)
      const total = totalOf(site)
      const before = { ...total }
      let sent = 0
      const worker = async (first: number) => {
        for (let reader = first; sent < scans; reader = (reader + inFlight) % site.readers) {
          const slot = sent++
          const { ms, opened } = await scan(site, reader, nextCard(site, reader))
          latencies[slot] = ms
          total.scans += 1
          if (opened) total.opened += 1
        }
      }
      const started = performance.now()
      await Promise.all(each(inFlight, worker))
      const seconds = (performance.now() - started) / 1_000
      const opened = total.opened - before.opened
      return { latencies: latencies.sort(), throughput: scans / seconds, refused: scans - opened }
    },
    total: totalOf,
    close: () => client.endAsync(),
  }
}

export const each = <T>(count: number, make: (n: number) => T): T[] => Array.from({ length: count }, (_, n) => make(n))
