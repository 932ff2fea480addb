import { setTimeout as sleep } from 'node:timers/promises'
import { connectAsync, type MqttClient } from 'mqtt'
import { now, type Phase, type Scan } from './ledger.ts'
import { type Random, shuffled } from './random.ts'
import type { Reader, Site } from './site.ts'

/** `duplicates` publishes each scan twice or thrice within a second; `swapped` lets two readers' scans change places. */
export type Manner = 'plain' | 'duplicates' | 'swapped'

export type Fleet = {
  ledger: Scan[]
  /** What is published from now on belongs to this. */
  mark(fault: { name: string; redelivers?: boolean }, phase: Phase): void
  behave(manner: Manner): void
  /** Makes a card the next one at a reader; resolves when it is published. */
  aim(reader: Reader, card: string): Promise<void>
  /** Publishes something that is no scan. */
  publish: MqttClient['publishAsync']
  /** Cards at a reader all at once, with QoS 0: nobody promises anything about them, but that none counts twice. */
  flood(reader: Reader, cards: string[]): void
  /** No more scans; resolves when every reader has waited for its answer. */
  stop(): Promise<void>
  close(): Promise<void>
}

/** After this a reader no longer waits for an answer. The bridge has given up long before. Milliseconds. */
const PATIENCE_MS = 4_000
/** An answer that belongs to an earlier scan comes in a burst with others; after this much silence the burst is over. */
const SILENCE_MS = 1_000

type Place = {
  reader: Reader
  walk: string[]
  aimed: { card: string; published: () => void }[]
  current?: Scan
  /** Scans went unanswered: their answers may still come, so the next scan waits its whole time and hears them too. */
  doubtful: boolean
  wake: () => void
}

/** All readers behind one connection of their own to the broker. They scan from now on, `rate` times a second together. */
export const startFleet = async (url: string, site: Site, rate: number, random: Random): Promise<Fleet> => {
  const client = await connectAsync(url, { protocolVersion: 4, clean: true, keepalive: 60, reconnectPeriod: 500 })
  const places = site.readers.map(
    (reader): Place => ({ reader, walk: shuffled(site.cards, random), aimed: [], doubtful: false, wake: () => {} }),
  )
  const byTopic = new Map(places.map((place) => [place.reader.replyTopic, place]))
  const ledger: Scan[] = []
  let mark: { fault: string; phase: Phase; redelivers: boolean }
  let manner: Manner = 'plain'
  let running = true
  let calmFrom = 0

  const sendAtOnce = () => {
    if ('setNoDelay' in client.stream && typeof client.stream.setNoDelay === 'function') client.stream.setNoDelay(true)
  }
  sendAtOnce()
  client.on('message', (topic, payload) => {
    const place = byTopic.get(topic)
    place?.current?.answers.push({ at: now(), opened: payload.toString() === '1' })
    place?.wake()
  })
  // MQTT.js sends again what has no PUBACK yet; until the dust has settled, nobody scans anew.
  client.on('connect', () => {
    sendAtOnce()
    calmFrom = now() + PATIENCE_MS
    for (const scan of ledger.filter(({ acked, published }) => acked === undefined && published.length > 0)) {
      scan.resent += scan.published.length
      scan.published.push(now())
    }
  })
  client.on('error', () => {})
  await client.subscribeAsync([...byTopic.keys()])

  const held: (() => void)[] = []
  const release = () => {
    for (const send of held.splice(0)) send()
  }
  /** At once; or, when scans are to change places, after the next one. */
  const inTurn = (send: () => void) => {
    if (manner === 'swapped' && held.length === 0) {
      held.push(send)
      setTimeout(release, 100)
    } else {
      send()
      release()
    }
  }

  const send = (scan: Scan, topic: string) =>
    new Promise<void>((sent) =>
      inTurn(() => {
        scan.published.push(now())
        client.publishAsync(topic, scan.card, { qos: 1 }).then(
          () => {
            scan.acked ??= now()
          },
          () => {},
        )
        sent()
      }),
    )

  const enter = (reader: Reader, card: string): Scan => {
    const [expected, denies] = [site.expected(reader, card), reader.denies]
    const blank = { published: [], resent: 0, acked: undefined, answers: [] }
    const scan: Scan = { ...mark, ...blank, n: ledger.length, reader: reader.id, card, expected, denies }
    ledger.push(scan)
    return scan
  }

  const scanAt = async (place: Place): Promise<Scan> => {
    const { reader } = place
    const aimed = place.aimed.shift()
    const card = aimed?.card ?? place.walk.shift() ?? ''
    if (!aimed) place.walk.push(card)
    const scan = enter(reader, card)
    place.current = scan
    await send(scan, reader.topic)
    aimed?.published()
    for (let more = manner === 'duplicates' ? 1 + Math.round(random()) : 0; more > 0; more--) {
      await sleep(50 + random() * 400)
      await send(scan, reader.topic)
    }
    return scan
  }

  const listen = async (place: Place, scan: Scan): Promise<void> => {
    const left = () => Number(scan.published.at(-1)) + PATIENCE_MS - now()
    const isAnswered = () => !place.doubtful && scan.answers.length >= scan.published.length
    while (left() > 0 && !isAnswered()) {
      await new Promise<void>((heard) => {
        const enough = setTimeout(heard, Math.max(1, left()))
        place.wake = () => {
          clearTimeout(enough)
          heard()
        }
      })
    }
    if (!isAnswered()) place.doubtful = !(Number(scan.answers.at(-1)?.at) < now() - SILENCE_MS)
  }

  const scanOn = async (place: Place): Promise<void> => {
    while (running) {
      await sleep((-Math.log(1 - random()) * 1_000 * places.length) / rate)
      while (running && (!client.connected || now() < calmFrom)) await sleep(50)
      if (running) await listen(place, await scanAt(place))
    }
  }

  mark = { fault: 'start', phase: 'healthy', redelivers: false }
  const loops = Promise.all(places.map(scanOn))
  return {
    ledger,
    mark({ name, redelivers = false }, phase) {
      mark = { fault: name, phase, redelivers }
    },
    behave(how) {
      manner = how
    },
    aim: (reader, card) => new Promise((published) => byTopic.get(reader.replyTopic)?.aimed.push({ card, published })),
    publish: client.publishAsync.bind(client),
    flood(reader, cards) {
      for (const card of cards) {
        enter(reader, card).published.push(now())
        client.publish(reader.topic, card)
      }
    },
    async stop() {
      running = false
      await loops
    },
    close: () => client.endAsync(true),
  }
}
