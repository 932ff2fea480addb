import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { Seen } from '../api/contract/seen.ts'
import type { SiteReader } from '../api/contract/site.ts'
import type { Profile } from './profiles/profile.ts'
import { type Watch, watch } from './watch.ts'

const profile: Profile = {
  name: 'tag',
  title: 'Text',
  sources: [],
  decides: 'lintel',
  topics: ['{node...}/Tag'],
  unit: '/unit',
  views: ['hex'],
  settings: {},
  hears: [{ json: true, is: 'scan', card: { at: '/card' } }],
  grant: [],
  deny: [],
  noticed: ['+/Tag'],
}

let now = 0
let state: 'up' | 'down' = 'up'
let reports: Seen[][] = []
let subscribed: (readonly string[])[] = []
let log: string[] = []
let watching: Watch

beforeEach(() => {
  vi.useFakeTimers()
  now = 0
  state = 'up'
  reports = []
  subscribed = []
  log = []
  watching = watch({
    clock: { now: () => new Date(1_772_000_000_000 + now), set() {} },
    link: { state: () => state, up() {}, failed: () => false, failedAside() {} },
    log: (_, event, fields) => void log.push(JSON.stringify({ event, ...fields })),
    profiles: [profile],
    report: async (seen) => reports.push([...seen]),
    subscribe: (filters) => void subscribed.push(filters),
    monotonic: () => now,
  })
  watching.use([])
})
afterEach(() => {
  watching.stop()
  vi.useRealTimers()
})

const pass = async (ms: number) => {
  now += ms
  await vi.advanceTimersByTimeAsync(ms)
}
const say = (topic: string, unit = 'one', retained = false) =>
  watching.look({ topic, payload: Buffer.from(JSON.stringify({ card: 'DE0BA996', unit })), retained })

test('a device is reported within seconds, once in ten minutes however much it says, and never its card', async () => {
  for (let i = 0; i < 3; i++) say('east/Tag', 'one')
  await pass(5_000)
  expect(reports).toEqual([[{ profile: 'tag', topic: 'east/Tag', unit: 'one', at: expect.any(String), messages: 3 }]])
  for (let i = 0; i < 9; i++) {
    say('east/Tag', 'one')
    await pass(60_000)
  }
  expect(reports).toHaveLength(1)
  say('east/Tag', 'one')
  await pass(60_000)
  expect(reports[1]).toMatchObject([{ messages: 10 }])
  expect(JSON.stringify([reports, log])).not.toContain('DE0BA996')
})

test('what is a reader is not reported: of a shared topic only the unit that is none', async () => {
  const reader = { profile: 'plain', topic: 'east/Tag', unit: 'one', settings: {}, cardView: 'hex' } as SiteReader
  watching.use([
    { ...reader, replyTopic: null },
    { ...reader, topic: 'west/Tag', unit: null, replyTopic: null },
  ])
  say('east/Tag', 'one')
  say('east/Tag', 'two')
  say('west/Tag', 'three')
  await pass(5_000)
  expect(reports.flat()).toMatchObject([{ topic: 'east/Tag', unit: 'two' }])
})

test('what the broker had kept is not believed, and nothing is said while the API is away', async () => {
  say('east/Tag', 'kept', true)
  state = 'down'
  say('west/Tag')
  await pass(5_000)
  expect(reports).toEqual([])
  state = 'up'
  await pass(5_000)
  expect(reports.flat()).toMatchObject([{ topic: 'west/Tag' }])
})

test('no more than fifty are said at once, and two hundred remembered', async () => {
  for (let i = 0; i < 150; i++) say(`east${i}/Tag`)
  await pass(2_000)
  for (let i = 0; i < 100; i++) say(`west${i}/Tag`)
  await pass(60_000)
  expect(reports.map((one) => one.length)).toEqual([50, 50, 50, 50])
  expect(log.join()).toContain('watch_full')
})

test('when too much is said nobody is watched for a minute', async () => {
  for (let i = 0; i < 201; i++) say('east/Tag')
  expect(subscribed).toEqual([['+/Tag'], []])
  expect(log.join()).toContain('watch_busy')
  await pass(60_000)
  expect(subscribed).toEqual([['+/Tag'], [], ['+/Tag']])
})
