import { randomBytes } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { sealingKey } from '../api/contract/envelope.ts'
import type { HandedOver } from '../api/contract/hand-over.ts'
import { type Api, Refused } from './ask.ts'
import { keepIn } from './keep.ts'
import { linkToApi } from './link.ts'
import type { Spool } from './spool.ts'
import { answerAt } from './testing/answers.ts'

const uuid = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`
const event = (n: number): HandedOver => ({
  id: uuid(n),
  readerId: uuid(0),
  card: '04A1B2C3',
  at: '2026-06-01T12:00:00.000Z',
  reason: 'unknown_card',
  openMs: 0,
  answered: true,
})

/** In the middle of what chance makes of it: within it each event that waits is tried once. Milliseconds. */
const ONE_TRY = 1_000

let full: boolean
/** What the disk was asked to take, what it has, and what the API has. */
let tries: number
let onDisk: HandedOver[]
let atApi: HandedOver[]
let status: number
let lines: string[]

const clock = { now: () => new Date('2026-06-01T12:00:00.000Z'), set: () => {} }
const me = { id: uuid(1), key: sealingKey(randomBytes(32)), clock }
const api: Api = await answerAt(me, {
  events: ({ events }) => {
    if (status !== 200) return status
    const all = events as HandedOver[]
    atApi.push(...all)
    return { recorded: all.length }
  },
})

const spool: Spool<HandedOver> = {
  async put(kept) {
    tries += 1
    if (full) throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
    onDisk.push(kept)
  },
  oldest: async () => undefined,
  waiting: () => 0,
  bytes: () => 0,
  damaged: () => 0,
  close: async () => {},
}

/** The keep of a bridge whose API is up, or away. */
const keepOf = (state: 'up' | 'down', into = spool) => {
  const link = linkToApi(() => {})
  if (state === 'down') link.failed(new Error('ECONNREFUSED'))
  return { link, keep: keepIn(into, api, link, (_, said) => lines.push(said)) }
}

/** How a promise stands, without waiting for it. */
const standing = (work: Promise<unknown>) => {
  const seen = { now: 'waiting' }
  work.then(
    () => (seen.now = 'safe'),
    () => (seen.now = 'lost'),
  )
  return seen
}

/** Waits for what goes over the network, while the clock that is tested stands still. */
const until = async (holds: () => boolean) => {
  for (let turns = 0; !holds() && turns < 200_000; turns++) await setImmediate()
  expect(holds()).toBe(true)
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  vi.spyOn(Math, 'random').mockReturnValue(0.5)
  full = false
  status = 200
  tries = 0
  ;[onDisk, atApi, lines] = [[], [], []]
})
afterEach(() => {
  vi.useRealTimers()
  vi.restoreAllMocks()
})

test.each(['up', 'down'] as const)(
  'what the disk takes is safe there, once, whether or not the API could have it: it is %s',
  async (state) => {
    const { keep } = keepOf(state)
    await keep.atLast(event(1))
    await keep.now(event(2))
    await vi.advanceTimersByTimeAsync(10 * ONE_TRY)
    expect([onDisk, atApi, lines]).toEqual([[event(1), event(2)], [], []])
  },
)

test('what is on its way to the disk is not safe yet', async () => {
  const { promise, resolve } = Promise.withResolvers<void>()
  const { keep } = keepOf('up', { ...spool, put: () => promise })
  const [opens, refuses] = [standing(keep.now(event(1))), standing(keep.atLast(event(2)))]
  await vi.advanceTimersByTimeAsync(10 * ONE_TRY)
  expect([opens.now, refuses.now]).toEqual(['waiting', 'waiting'])
  resolve()
  await until(() => opens.now === 'safe' && refuses.now === 'safe')
})

test('what must be on the disk now is lost when the disk refuses it, and neither waits nor goes to the API', async () => {
  full = true
  const { keep } = keepOf('up')
  await expect(keep.now(event(1))).rejects.toThrow('no space')
  full = false
  await vi.advanceTimersByTimeAsync(10 * ONE_TRY)
  expect([tries, onDisk, atApi]).toEqual([1, [], []])
})

test('what the disk refuses goes to the API while that is up, once, and is safe when the API has it', async () => {
  full = true
  const { keep } = keepOf('up')
  const kept = standing(keep.atLast(event(1)))
  await setImmediate()
  expect([lines, atApi, kept.now]).toEqual([['not_kept'], [], 'waiting'])
  await vi.advanceTimersByTimeAsync(ONE_TRY)
  await until(() => kept.now === 'safe')
  full = false
  await vi.advanceTimersByTimeAsync(10 * ONE_TRY)
  expect([atApi, onDisk]).toEqual([[event(1)], []])
})

test('what the disk refuses while the API is away waits, and is safe when the disk takes it', async () => {
  full = true
  const { keep } = keepOf('down')
  const kept = standing(keep.atLast(event(1)))
  for (let round = 1; round <= 5; round++) {
    await vi.advanceTimersByTimeAsync(ONE_TRY)
    expect([tries, kept.now]).toEqual([1 + round, 'waiting'])
  }
  full = false
  await vi.advanceTimersByTimeAsync(ONE_TRY)
  expect(kept.now).toBe('safe')
  await vi.advanceTimersByTimeAsync(10 * ONE_TRY)
  expect([onDisk, atApi]).toEqual([[event(1)], []])
})

test('what waited for the disk goes to the API when that is back first', async () => {
  full = true
  const { keep, link } = keepOf('down')
  const kept = standing(keep.atLast(event(1)))
  await vi.advanceTimersByTimeAsync(3 * ONE_TRY)
  link.up()
  await vi.advanceTimersByTimeAsync(ONE_TRY)
  await until(() => kept.now === 'safe')
  expect([onDisk, atApi]).toEqual([[], [event(1)]])
})

test.each([
  ['that cannot record', 503],
  ['that has something against the event', 422],
])('an API %s makes nothing safe: it is tried again', async (_, refusal) => {
  full = true
  status = refusal
  const { keep } = keepOf('up')
  const kept = standing(keep.atLast(event(1)))
  for (let round = 1; round <= 3; round++) {
    await vi.advanceTimersByTimeAsync(ONE_TRY)
    await until(() => lines.length === 1 + round)
  }
  expect([lines.slice(1), atApi, kept.now]).toEqual([Array(3).fill('still_not_kept'), [], 'waiting'])
  status = 200
  await vi.advanceTimersByTimeAsync(ONE_TRY)
  await until(() => kept.now === 'safe')
  expect([onDisk, atApi]).toEqual([[], [event(1)]])
})

test.each([
  ['cannot record', 503],
  ['has something against the event', 422],
])('an API that %s keeps nothing from the disk, as soon as that takes it', async (_, refusal) => {
  full = true
  status = refusal
  const { keep } = keepOf('up')
  const kept = standing(keep.atLast(event(1)))
  await vi.advanceTimersByTimeAsync(ONE_TRY)
  await until(() => lines.length === 2)
  full = false
  await vi.advanceTimersByTimeAsync(ONE_TRY)
  await until(() => kept.now === 'safe')
  await vi.advanceTimersByTimeAsync(10 * ONE_TRY)
  expect([onDisk, atApi]).toEqual([[event(1)], []])
})

test('a bridge that the API no longer knows keeps what it decided on its disk, as soon as that takes it', async () => {
  full = true
  const { keep, link } = keepOf('up')
  link.failed(new Refused(401))
  const kept = standing(keep.atLast(event(1)))
  await vi.advanceTimersByTimeAsync(ONE_TRY)
  full = false
  await vi.advanceTimersByTimeAsync(ONE_TRY)
  expect([kept.now, onDisk, atApi]).toEqual(['safe', [event(1)], []])
})

test('a thousand wait, one more is lost at once, and when one of them is safe there is room again', async () => {
  full = true
  const { keep } = keepOf('down')
  const all = Array.from({ length: 1_000 }, (_, n) => standing(keep.atLast(event(n))))
  await setImmediate()
  await expect(keep.atLast(event(1_000))).rejects.toThrow('no space')
  await vi.advanceTimersByTimeAsync(3 * ONE_TRY)
  await expect(keep.atLast(event(1_001))).rejects.toThrow('no space')
  expect(new Set(all.map(({ now }) => now))).toEqual(new Set(['waiting']))

  full = false
  await vi.advanceTimersByTimeAsync(ONE_TRY)
  expect(new Set(all.map(({ now }) => now))).toEqual(new Set(['safe']))
  expect(onDisk.map(({ id }) => id).sort()).toEqual(Array.from({ length: 1_000 }, (_, n) => uuid(n)))

  full = true
  const more = standing(keep.atLast(event(1_002)))
  await vi.advanceTimersByTimeAsync(ONE_TRY)
  expect(more.now).toBe('waiting')
})

test('of many that wait each is tried by itself, and those that are safe are not tried again', async () => {
  full = true
  const odd = (id: string) => Number(id.slice(-1)) % 2 === 1
  const { keep } = keepOf('down', {
    ...spool,
    async put(kept) {
      if (odd(kept.id)) return spool.put(kept)
      onDisk.push(kept)
    },
  })
  const all = [1, 2, 3, 4].map((n) => standing(keep.atLast(event(n))))
  await vi.advanceTimersByTimeAsync(2 * ONE_TRY)
  expect(all.map(({ now }) => now)).toEqual(['waiting', 'safe', 'waiting', 'safe'])
  full = false
  await vi.advanceTimersByTimeAsync(2 * ONE_TRY)
  expect(onDisk.map(({ id }) => id).sort()).toEqual([1, 2, 3, 4].map(uuid))
})

test('however often it is tried in vain, that takes no memory', async () => {
  // The mock would remember each call.
  vi.restoreAllMocks()
  setFlagsFromString('--expose-gc')
  const collect: () => void = runInNewContext('gc')
  const link = linkToApi(() => {})
  link.failed(new Error('ECONNREFUSED'))
  full = true
  const keep = keepIn(spool, api, link, () => {})
  const all = Array.from({ length: 20 }, (_, n) => standing(keep.atLast(event(n))))
  const used = async () => {
    await vi.advanceTimersByTimeAsync(100 * ONE_TRY)
    collect()
    return process.memoryUsage().heapUsed
  }
  const before = await used()
  await vi.advanceTimersByTimeAsync(2_000 * ONE_TRY)
  expect(await used()).toBeLessThan(before + 1_000_000)
  expect(tries).toBeGreaterThan(40_000)
  expect(new Set(all.map(({ now }) => now))).toEqual(new Set(['waiting']))
})
