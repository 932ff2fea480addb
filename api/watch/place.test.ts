import fc from 'fast-check'
import { expect, test } from 'vitest'
import { advance, type Place } from './place.ts'

const T0 = Date.parse('2026-01-05T08:00:00Z')
const START: Place = { top: 0, gaps: [] }

test('numbers that are there are taken once, and what is between them is looked for', () => {
  const moment = { oldest: 5, next: 9, at: new Date(T0) }
  const first = advance(START, [1, 2, 5, 6], moment)
  expect(first.taken).toEqual([1, 2, 5, 6])
  expect(first.place).toEqual({ top: 6, gaps: [{ from: 3, to: 4, next: 9, since: T0 }] })
  const second = advance(first.place, [4, 7], { oldest: 9, next: 12, at: new Date(T0 + 20_000) })
  expect(second).toEqual({ place: { top: 7, gaps: [] }, taken: [4, 7] })
})

test('a gap stays for as long as a transaction of then is under way, and a moment longer', () => {
  const { place } = advance(START, [2], { oldest: 7, next: 9, at: new Date(T0) })
  const gapsAt = (oldest: number, ms: number) =>
    advance(place, [], { oldest, next: 20, at: new Date(T0 + ms) }).place.gaps.length
  expect(gapsAt(8, 3_600_000)).toBe(1)
  expect(gapsAt(9, 1_000)).toBe(1)
  expect(gapsAt(9, 16_000)).toBe(0)
  // A clock that was set back keeps nobody waiting.
  expect(gapsAt(9, -3_600_000)).toBe(0)
})

test('with too many gaps nobody goes on, and takes nothing that would be lost', () => {
  const numbers = Array.from({ length: 1_000 }, (_, i) => 2 * (i + 1))
  const moment = { oldest: 1, next: 2, at: new Date(T0) }
  const { place, taken } = advance(START, numbers, moment)
  expect(place.gaps).toHaveLength(500)
  expect(taken).toEqual(numbers.slice(0, 500))
  expect(place.top).toBe(1_000)
  const later = advance(place, numbers.slice(500), { oldest: 3, next: 4, at: new Date(T0 + 60_000) })
  expect([...taken, ...later.taken]).toEqual(numbers)
})

/*
 * A database in small: each row takes a number and the next transaction's name, and is seen when that ends, in any order;
 * some never are. Somebody looks now and then, and sees so many at once.
 */
const row = fc.record({ ends: fc.integer({ min: 0, max: 40 }), commits: fc.boolean() })

test('whatever is committed when, each row is taken once and none is missed', () => {
  fc.assert(
    fc.property(fc.array(row, { minLength: 1, maxLength: 60 }), fc.integer({ min: 1, max: 7 }), (rows, most) => {
      let place = START
      const taken: number[] = []
      for (let step = 0; step < 400; step += 1) {
        // One begins at each step.
        const begun = rows.slice(0, step)
        const underWay = begun.flatMap(({ ends }, i) => (i + 1 + ends > step ? [i + 1] : []))
        const seen = begun.flatMap(({ ends, commits }, i) => (commits && i + 1 + ends <= step ? [i + 1] : []))
        const next = Math.min(step, rows.length) + 1
        const moment = { oldest: underWay[0] ?? next, next, at: new Date(T0 + step * 10_000) }
        const inGaps = seen.filter((number) => place.gaps.some(({ from, to }) => number >= from && number <= to))
        const after = seen.filter((number) => number > place.top).slice(0, most)
        const found = advance(place, [...inGaps, ...after], moment)
        place = found.place
        taken.push(...found.taken)
      }
      const committed = rows.flatMap(({ commits }, i) => (commits ? [i + 1] : []))
      expect(taken.toSorted((a, b) => a - b)).toEqual(committed)
      expect(place.gaps).toEqual([])
    }),
    { numRuns: 100 },
  )
})
