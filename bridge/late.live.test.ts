import { once } from 'node:events'
import { beforeAll, expect, test, vi } from 'vitest'
import { KNOWN_CARD, type Site, startSite } from './testing/site.ts'

// A scan that waited, wherever it waited, opens nothing; and it is on record, once.

let site: Site

beforeAll(async () => {
  site = await startSite()
})

const eventually = <T>(check: () => T | Promise<T>) => vi.waitFor(check, { timeout: 20_000, interval: 50 })
const quiet = (ms: number) => new Promise((done) => setTimeout(done, ms))
const scan = (topic: string, card: string) => site.mqtt.publishAsync(topic, card, { qos: 1 })

/** The bridge is there again: a scan of now is decided. Gives how many it took, as the first may count as late, too. */
const decidesAgain = async (door: { topic: string }, heard: string[]): Promise<number> => {
  let scans = 0
  await vi.waitFor(
    async () => {
      scans += 1
      await scan(door.topic, KNOWN_CARD)
      await quiet(300)
      expect(heard.at(-1)).toBe('1')
    },
    { timeout: 20_000, interval: 3_100 },
  )
  return scans
}

const killBridge = async () => {
  site.bridge.child.kill('SIGKILL')
  await once(site.bridge.child, 'exit')
}
const startBridge = () => site.startBridge().said(/"listening"/)

const ways: [string, () => unknown, () => unknown][] = [
  ['the bridge is cut off from the broker', () => site.toBroker.cut(), () => site.toBroker.flow()],
  ['the way to the broker hangs', () => site.toBroker.stall(), () => site.toBroker.flow()],
  ['the bridge is dead', killBridge, startBridge],
  [
    'the bridge is stopped in its tracks',
    () => site.bridge.child.kill('SIGSTOP'),
    () => site.bridge.child.kill('SIGCONT'),
  ],
]

test.each(ways)(
  'while %s nothing is lost; what waited is recorded as late, once, and opens nothing',
  async (_, fail, mend) => {
    const door = await site.door()
    const heard = await site.hear(door.replyTopic)

    await fail()
    const cards = [KNOWN_CARD, '81', '82', KNOWN_CARD]
    for (const card of cards) await scan(door.topic, card)
    await quiet(3_000)
    await mend()

    await eventually(async () => {
      const record = await site.events(door)
      expect(record.map(({ cardNumber, reason }) => `${cardNumber} ${reason}`).sort()).toEqual(
        cards.map((card) => `${card} late`).sort(),
      )
    })
    expect(heard).not.toContain('1')
    const scans = await decidesAgain(door, heard)
    await eventually(async () => expect(await site.events(door)).toHaveLength(cards.length + scans))
  },
)

test('a bridge that is killed with a scan in its hands has it on record afterwards, once', async () => {
  const door = await site.door({ offline: 'deny' })
  const heard = await site.hear(door.replyTopic)

  site.toApi.stall()
  for (const card of [KNOWN_CARD, '83']) await scan(door.topic, card)
  await quiet(500)
  await killBridge()
  site.toApi.flow()
  await startBridge()

  await eventually(async () => expect(await site.events(door)).toHaveLength(2))
  await decidesAgain(door, heard)
  const record = (await site.events(door)).map(({ cardNumber, reason }) => `${cardNumber} ${reason}`)
  // Before the stall the API may have had the question whole: then its decision is the record, though no door heard it.
  expect(record).toHaveLength(3)
  expect(record.at(0)).toBe(`${KNOWN_CARD} granted`)
  expect(record.filter((line) => line.startsWith('83'))).toHaveLength(1)
})

test('a bridge that ends on request leaves nothing unanswered or unrecorded', async () => {
  const door = await site.door()
  const heard = await site.hear(door.replyTopic)

  const cards = Array.from({ length: 60 }, (_, i) => String(5_000 + i))
  const published = cards.map((card) => scan(door.topic, card))
  await quiet(5)
  site.bridge.child.kill('SIGTERM')
  const [code] = await once(site.bridge.child, 'exit')
  await Promise.all(published)
  expect(code).toBe(0)
  await startBridge()

  await eventually(async () => {
    const { items } = await site.call('GET', `/events?readerId=${door.id}&limit=500`)
    expect(items.map(({ cardNumber }) => cardNumber).sort()).toEqual(cards)
  })
  await decidesAgain(door, heard)
})
