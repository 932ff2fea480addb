import { beforeEach, expect, test, vi } from 'vitest'
import { apiClock } from './clock.ts'

const machine = new Date('2026-01-01T12:00:00.000Z')
const its = new Date('2031-05-06T07:08:09.000Z')
const after = (date: Date, ms: number) => new Date(date.getTime() + ms)

beforeEach(() => {
  vi.useFakeTimers({ now: machine, toFake: ['Date', 'performance'] })
  return () => vi.useRealTimers()
})

test('before the API has said anything it is the machine’s clock', () => {
  const clock = apiClock()
  expect(clock.now()).toEqual(machine)
  vi.advanceTimersByTime(1234)
  expect(clock.now()).toEqual(after(machine, 1234))
})

const JUMPS = [
  ['forward', '2030-01-01T00:00:00Z'],
  ['back', '2020-01-01T00:00:00Z'],
] as const

test.for(JUMPS)('until then setting the machine’s time %s sets it right', ([, time]) => {
  const clock = apiClock()
  vi.setSystemTime(new Date(time))
  expect(clock.now()).toEqual(new Date(time))
})

test.for(JUMPS)('from then on setting the machine’s time %s does not move it', ([, time]) => {
  const clock = apiClock()
  clock.set(its, performance.now(), performance.now())
  vi.advanceTimersByTime(1000)
  vi.setSystemTime(new Date(time))
  expect(clock.now()).toEqual(after(its, 1000))
})

test.for([
  ['at once', 0],
  ['after 400 ms', 400],
] as const)('when the API answers %s, its word was true half way between question and answer', ([, ms]) => {
  const clock = apiClock()
  vi.advanceTimersByTime(5000)
  const asked = performance.now()
  vi.advanceTimersByTime(ms)
  clock.set(its, asked, performance.now())
  expect(clock.now()).toEqual(after(its, ms / 2))
})

test('it goes on from what the API said, and follows the next word, forward or back', () => {
  const clock = apiClock()
  clock.set(its, performance.now(), performance.now())
  vi.advanceTimersByTime(7000)
  expect(clock.now()).toEqual(after(its, 7000))
  for (const correction of [60_000, -60_000]) {
    clock.set(after(its, correction), performance.now(), performance.now())
    vi.advanceTimersByTime(10)
    expect(clock.now()).toEqual(after(its, correction + 10))
  }
})

test('a word that is used late counts from when it was said', () => {
  const clock = apiClock()
  const said = performance.now()
  vi.advanceTimersByTime(3000)
  clock.set(its, said, said)
  expect(clock.now()).toEqual(after(its, 3000))
})
