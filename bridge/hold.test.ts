import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { hold } from './hold.ts'

/** A hold on a clock of our own, that numbers the firsts it was asked for. */
const holding = () => {
  let now = 0
  let firsts = 0
  const once = hold<number>(() => now)
  return {
    wait: (ms: number) => {
      now += ms
    },
    scan: (key: string, ms = 3000) => once(key, ms, () => ++firsts),
  }
}

test.for([
  ['at once', 'what the first got', 0, 1],
  ['in the last millisecond', 'what the first got', 2999, 1],
  ['after the hold time', 'an answer of its own', 3000, 2],
  ['long after', 'an answer of its own', 3_000_000, 2],
] as const)('the same card again %s gets %s', ([, , ms, expected]) => {
  const { scan, wait } = holding()
  scan('reader card')
  wait(ms)
  expect(scan('reader card')).toBe(expected)
})

test('coming again does not make the hold longer', () => {
  const { scan, wait } = holding()
  const got = [0, 1000, 1000, 1000, 1000, 1000, 1000].map((ms) => {
    wait(ms)
    return scan('reader card')
  })
  expect(got).toEqual([1, 1, 1, 2, 2, 2, 3])
})

test('another card and another reader are scans of their own', () => {
  const { scan } = holding()
  expect(['door A', 'door B', 'gate A', 'door A'].map((key) => scan(key))).toEqual([1, 2, 3, 1])
})

test('a hold time of nothing holds nothing', () => {
  const { scan } = holding()
  expect([scan('door A', 0), scan('door A', 0)]).toEqual([1, 2])
})

test('a first that fails is not held', () => {
  const once = hold<number>(() => 0)
  const fail = () => {
    throw new Error('no answer')
  }
  expect(() => once('door A', 3000, fail)).toThrow('no answer')
  expect(once('door A', 3000, () => 1)).toBe(1)
})

test('who comes again while the first is under way waits for the same answer', async () => {
  const once = hold<Promise<string>>(() => 0)
  const first = once('door A', 3000, async () => 'granted')
  const again = once('door A', 3000, async () => 'denied')
  expect(again).toBe(first)
  expect(await again).toBe('granted')
})

test('its own clock runs in milliseconds', async () => {
  const once = hold<number>()
  const [soon, late] = [once('door A', 5000, () => 1), once('door B', 5, () => 1)]
  await new Promise((resolve) => setTimeout(resolve, 20))
  expect([once('door A', 5000, () => 2), once('door B', 5, () => 2)]).toEqual([soon, late + 1])
})

test('what has ended is let go, without its card ever coming again', async () => {
  setFlagsFromString('--expose-gc')
  const collect: () => void = runInNewContext('gc')
  let now = 0
  const once = hold<object>(() => now)
  const kept = Array.from({ length: 1000 }, (_, n) => new WeakRef(once(`door ${n}`, 3000, () => ({ n }))))
  const alive = async () => {
    await new Promise((resolve) => setTimeout(resolve))
    collect()
    return kept.filter((ref) => ref.deref() !== undefined).length
  }
  expect(await alive()).toBe(1000)
  now = 3000
  once('gate', 3000, () => ({}))
  expect(await alive()).toBe(0)
})

test('property: a scan gets the newest first of its key that is still held, else it is a first', () => {
  const step = fc.record({ wait: fc.nat(4), key: fc.constantFrom('a', 'b', 'c'), ms: fc.nat(8) })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const { scan, wait } = holding()
      const firsts: { key: string; until: number }[] = []
      let now = 0
      for (const { wait: ms, key, ms: held } of steps) {
        wait(ms)
        now += ms
        const still = firsts.findLastIndex((first) => first.key === key)
        const known = (firsts[still]?.until ?? 0) > now
        if (!known) firsts.push({ key, until: now + held })
        expect(scan(key, held)).toBe(known ? still + 1 : firsts.length)
      }
    }),
  )
})
