import fc from 'fast-check'
import { beforeEach, expect, test, vi } from 'vitest'
import { echoThrough, isLate } from './echo.ts'

beforeEach(() => {
  vi.useFakeTimers({
    now: new Date('2026-01-01T12:00:00Z'),
    toFake: ['Date', 'performance', 'setInterval', 'clearInterval'],
  })
  return () => vi.useRealTimers()
})

const FOREVER = Number.POSITIVE_INFINITY

/** A way through a broker that gives back, at once, later or never, what is sent through it. */
const through = () => {
  const sent: string[] = []
  let lost = 0
  const echo = echoThrough(
    (payload) => sent.push(payload),
    () => {
      lost += 1
    },
  )
  const back = () => echo.heard(sent.at(-1) ?? '')
  return { echo, sent, back, lost: () => lost }
}

test('before the first echo of a connection a message may be of any age', async () => {
  const { echo, back } = through()
  expect(echo.age()).toBe(FOREVER)
  const opened = echo.open()
  expect(echo.age()).toBe(FOREVER)
  back()
  await opened
  expect(echo.age()).toBe(0)
})

test('a message is at most as old as the sending of the last echo that came back', () => {
  const { echo, back, sent } = through()
  void echo.open()
  vi.advanceTimersByTime(200)
  back()
  expect(echo.age()).toBe(200)
  vi.advanceTimersByTime(100)
  expect(echo.age()).toBe(300)
  vi.advanceTimersByTime(200)
  expect(sent).toHaveLength(2)
  expect(echo.age()).toBe(500)
  back()
  expect(echo.age()).toBe(0)
})

test('there is never more than one under way, so one that comes back late makes nothing young', () => {
  const { echo, back, sent } = through()
  void echo.open()
  back()
  vi.advanceTimersByTime(500)
  vi.advanceTimersByTime(10_000)
  expect(sent).toHaveLength(2)
  expect(echo.age()).toBe(10_500)
  back()
  expect(isLate(echo.age())).toBe(true)
})

test('after a way that was slow, what waited beside the echo is late for a second more', () => {
  const { echo, back } = through()
  void echo.open()
  vi.advanceTimersByTime(1_100)
  back()
  expect(echo.age()).toBe(FOREVER)
  vi.advanceTimersByTime(500)
  back()
  expect(echo.age()).toBe(FOREVER)
  vi.advanceTimersByTime(500)
  back()
  // The last one was sent at 2.0 s, and it is 2.1 s.
  expect(echo.age()).toBe(100)
})

test('a new connection begins anew, and does not take an echo of the one before', () => {
  const { echo, back, sent } = through()
  void echo.open()
  back()
  vi.advanceTimersByTime(500)
  const old = sent.at(-1) ?? ''
  echo.reset()
  expect(echo.age()).toBe(FOREVER)
  void echo.open()
  echo.heard(old)
  expect(echo.age()).toBe(FOREVER)
  back()
  expect(echo.age()).toBe(0)
})

test('nothing is sent before the connection is there', () => {
  const { echo, sent } = through()
  vi.advanceTimersByTime(5_000)
  expect(sent).toEqual([])
  void echo.open()
  expect(sent).toHaveLength(1)
})

test('an echo that does not come back in time is said to be lost, but the first may take its time', () => {
  const { echo, back, lost } = through()
  void echo.open()
  vi.advanceTimersByTime(60_000)
  expect(lost()).toBe(0)
  back()
  vi.advanceTimersByTime(2_500)
  expect(lost()).toBe(0)
  vi.advanceTimersByTime(1_000)
  expect(lost()).toBeGreaterThan(0)
})

test('a wall clock that jumps forward makes what comes now late, and one that jumps back makes nothing young', () => {
  const { echo, back } = through()
  void echo.open()
  back()
  vi.setSystemTime(new Date('2026-01-01T13:00:00Z'))
  expect(isLate(echo.age())).toBe(true)
  vi.advanceTimersByTime(500)
  back()
  vi.setSystemTime(new Date('2020-01-01T00:00:00Z'))
  vi.advanceTimersByTime(400)
  expect(echo.age()).toBe(400)
})

test('whatever the way does, no message is ever taken for younger than it is', () => {
  // A broker that keeps its order: messages and echoes wait in one queue, which is let through now and then.
  const step = fc.oneof(
    fc.record({ wait: fc.integer({ min: 1, max: 3_000 }) }),
    fc.constant('publish' as const),
    fc.constant('flow' as const),
    fc.constant('break' as const),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      vi.setSystemTime(new Date('2026-01-01T12:00:00Z'))
      let queue: ({ echo: string } | { published: number })[] = []
      const echo = echoThrough(
        (payload) => queue.push({ echo: payload }),
        () => {},
      )
      void echo.open()
      for (const what of steps) {
        if (what === 'publish') queue.push({ published: performance.now() })
        else if (what === 'break') {
          // The session keeps the messages, not what was ours.
          queue = queue.filter((waiting) => 'published' in waiting)
          echo.reset()
          void echo.open()
        } else if (what === 'flow') {
          const waiting = queue
          queue = []
          for (const one of waiting) {
            if ('echo' in one) echo.heard(one.echo)
            else expect(echo.age()).toBeGreaterThanOrEqual(performance.now() - one.published)
          }
        } else vi.advanceTimersByTime(what.wait)
      }
      echo.stop()
    }),
  )
})
