import fc from 'fast-check'
import * as v from 'valibot'
import { describe, expect, test } from 'vitest'
import { insideAny, isTimezone, type WallClock, Window, wallClock } from './window.ts'

const WEEK = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun']
const EVERY_DAY = [1, 2, 3, 4, 5, 6, 7]

/** `Mon Tue 07:00-17:30` as a window, and `Mon 07:00` as what a wall clock shows. */
const windowOf = (text: string): Window => {
  const words = text.split(' ')
  const [from = '', to = ''] = words.pop()?.split('-') ?? []
  return { days: words.map((day) => WEEK.indexOf(day) + 1), from, to }
}
const clockOf = (text: string): WallClock => ({ day: WEEK.indexOf(text.slice(0, 3)) + 1, time: text.slice(4) })

test.for([
  ['opens at the minute it begins', 'Mon 07:00-17:30', 'Mon 07:00', true],
  ['is shut a minute before it begins', 'Mon 07:00-17:30', 'Mon 06:59', false],
  ['is open in its last minute', 'Mon 07:00-17:30', 'Mon 17:29', true],
  ['is shut at the minute it ends', 'Mon 07:00-17:30', 'Mon 17:30', false],
  ['says nothing of the next day', 'Mon 07:00-17:30', 'Tue 12:00', false],
  ['says nothing of the day before', 'Mon 07:00-17:30', 'Sun 12:00', false],
  ['to 24:00 is open in the last minute of its day', 'Mon 07:00-24:00', 'Mon 23:59', true],
  ['to 24:00 is shut at the next midnight', 'Mon 07:00-24:00', 'Tue 00:00', false],
  ['from 00:00 to 24:00 is open at the midnight that starts its day', 'Mon 00:00-24:00', 'Mon 00:00', true],
  ['from 00:00 to 24:00 is shut in the minute before it', 'Mon 00:00-24:00', 'Sun 23:59', false],
  ['over midnight is open in the evening of its day', 'Mon 22:00-06:00', 'Mon 22:00', true],
  ['over midnight is open on the following morning', 'Mon 22:00-06:00', 'Tue 05:59', true],
  ['over midnight is shut at its end on that morning', 'Mon 22:00-06:00', 'Tue 06:00', false],
  ['over midnight is shut on the morning of its own day', 'Mon 22:00-06:00', 'Mon 05:59', false],
  ['over midnight is shut on the following evening', 'Mon 22:00-06:00', 'Tue 22:00', false],
  ['over midnight from Sunday is open on Monday morning', 'Sun 22:00-06:00', 'Mon 05:59', true],
  ['over midnight from Saturday is shut on Monday morning', 'Sat 22:00-06:00', 'Mon 05:59', false],
  ['that ends at 00:00 is open in the last minute of its day', 'Mon 22:00-00:00', 'Mon 23:59', true],
  ['that ends at 00:00 is shut at that midnight', 'Mon 22:00-00:00', 'Tue 00:00', false],
  ['that ends when it begins is open at that time', 'Mon 08:00-08:00', 'Mon 08:00', true],
  ['that ends when it begins is open up to the same time of the next day', 'Mon 08:00-08:00', 'Tue 07:59', true],
  ['that ends when it begins is shut 24 hours later', 'Mon 08:00-08:00', 'Tue 08:00', false],
  ['that ends when it begins is shut just before it', 'Mon 08:00-08:00', 'Mon 07:59', false],
  ['from 00:00 to 00:00 is its whole day', 'Mon 00:00-00:00', 'Mon 23:59', true],
  ['from 00:00 to 00:00 is not the next day', 'Mon 00:00-00:00', 'Tue 00:00', false],
] as const)('a window %s', ([, text, shown, open]) => {
  expect(insideAny([windowOf(text)], clockOf(shown))).toBe(open)
})

test.for(WEEK)('a window on %s is open on that day and on no other', (day) => {
  const open = WEEK.filter((other) => insideAny([windowOf(`${day} 09:00-10:00`)], clockOf(`${other} 09:30`)))
  expect(open).toEqual([day])
})

test.for([
  ['where they overlap', 'Mon 09:30', true],
  ['where only the first is open', 'Mon 08:30', true],
  ['where only the second is open', 'Mon 10:30', true],
  ['after both', 'Mon 11:00', false],
] as const)('two overlapping windows, %s', ([, shown, open]) => {
  expect(insideAny([windowOf('Mon 08:00-10:00'), windowOf('Mon 09:00-11:00')], clockOf(shown))).toBe(open)
})

test('a schedule without windows is never open', () => {
  expect(WEEK.some((day) => insideAny([], clockOf(`${day} 12:00`)))).toBe(false)
})

test.for([
  ['a Thursday noon in Prague', 'Europe/Prague', '2026-01-01T11:00:00Z', 'Thu 12:00'],
  ['midnight, as 00:00 and not 24:00', 'Europe/Prague', '2025-12-31T23:00:00Z', 'Thu 00:00'],
  ['the minute before midnight, still the old day', 'Europe/Prague', '2025-12-31T22:59:59.999Z', 'Wed 23:59'],
  ['summer time', 'Europe/Prague', '2026-07-01T10:00:00Z', 'Wed 12:00'],
  ['an offset of 5:45', 'Asia/Kathmandu', '2026-01-01T18:15:00Z', 'Fri 00:00'],
  ['an offset of 5:30', 'Asia/Kolkata', '2026-01-01T18:30:00Z', 'Fri 00:00'],
  ['an offset of 12:45, with its own summer time', 'Pacific/Chatham', '2026-01-01T10:15:00Z', 'Fri 00:00'],
  ['the furthest east', 'Pacific/Kiritimati', '2026-01-01T10:00:00Z', 'Fri 00:00'],
  ['the furthest west', 'Etc/GMT+12', '2026-01-01T11:59:00Z', 'Wed 23:59'],
  ['the last minute before the spring change', 'Europe/Prague', '2026-03-29T00:59:00Z', 'Sun 01:59'],
  ['the first minute after the spring change', 'Europe/Prague', '2026-03-29T01:00:00Z', 'Sun 03:00'],
  ['the autumn hour for the first time', 'Europe/Prague', '2026-10-25T00:30:00Z', 'Sun 02:30'],
  ['the autumn hour again', 'Europe/Prague', '2026-10-25T01:30:00Z', 'Sun 02:30'],
] as const)('a wall clock shows %s (%s, %s)', ([, zone, at, shown]) => {
  expect(wallClock(new Date(at), zone)).toEqual(clockOf(shown))
})

const MINUTE = 60_000

/** For how many minutes a window is really open in the three days around a noon (UTC). */
const minutesOpen = (text: string, zone: string, noon: string) => {
  const start = Date.parse(`${noon}T12:00:00Z`) - 36 * 60 * MINUTE
  const minutes = Array.from({ length: 72 * 60 }, (_, n) => new Date(start + n * MINUTE))
  return minutes.filter((at) => insideAny([windowOf(text)], wallClock(at, zone))).length
}

test.for([
  ['the skipped hour never comes', 'Europe/Prague', '2026-03-29', 'Sun 02:00-03:00', 0],
  ['a morning with the skipped hour is an hour shorter', 'Europe/Prague', '2026-03-29', 'Sun 01:00-05:00', 180],
  ['a night with the skipped hour is an hour shorter', 'Europe/Prague', '2026-03-29', 'Sat 22:00-06:00', 420],
  ['the day of the spring change has 23 hours', 'Europe/Prague', '2026-03-29', 'Sun 00:00-24:00', 1380],
  ['the repeated hour comes twice', 'Europe/Prague', '2026-10-25', 'Sun 02:00-03:00', 120],
  ['the repeated half hour comes twice', 'Europe/Prague', '2026-10-25', 'Sun 02:15-02:45', 60],
  ['a night with the repeated hour is an hour longer', 'Europe/Prague', '2026-10-25', 'Sat 22:00-06:00', 540],
  ['the day of the autumn change has 25 hours', 'Europe/Prague', '2026-10-25', 'Sun 00:00-24:00', 1500],
  ['the skipped hour never comes', 'America/New_York', '2026-03-08', 'Sun 02:00-03:00', 0],
  ['the hour after it comes once', 'America/New_York', '2026-03-08', 'Sun 03:00-04:00', 60],
  ['the repeated hour comes twice', 'America/New_York', '2026-11-01', 'Sun 01:00-02:00', 120],
  ['the skipped half hour never comes', 'Australia/Lord_Howe', '2026-10-04', 'Sun 02:00-02:30', 0],
  ['the half hour after it comes once', 'Australia/Lord_Howe', '2026-10-04', 'Sun 02:30-03:00', 30],
  ['the repeated half hour comes twice', 'Australia/Lord_Howe', '2026-04-05', 'Sun 01:30-02:00', 60],
  ['no hour is skipped or repeated', 'Asia/Kathmandu', '2026-03-29', 'Sun 02:00-03:00', 60],
] as const)('%s in %s on %s: %s is %i minutes', ([, zone, noon, text, minutes]) => {
  expect(minutesOpen(text, zone, noon)).toBe(minutes)
})

// The oracle compares no times of day: it asks how far round the week a minute lies behind a window's beginning, and it
// reads the clock from another formatter.
const WHOLE_WEEK = 7 * 1440
const minuteOf = (time: string) => Number(time.slice(0, 2)) * 60 + Number(time.slice(3))
const oracle = (windows: readonly Window[], minuteOfWeek: number): boolean =>
  windows.some(({ days, from, to }) => {
    const length = (minuteOf(to) - minuteOf(from) + 1440) % 1440 || 1440
    const begins = days.map((day) => (day - 1) * 1440 + minuteOf(from))
    return begins.some((begin) => (minuteOfWeek - begin + WHOLE_WEEK) % WHOLE_WEEK < length)
  })

const minuteOfWeek = (at: Date, zone: string): number => {
  const shown = new Date(`${at.toLocaleString('sv-SE', { timeZone: zone }).replace(' ', 'T')}Z`)
  return ((shown.getUTCDay() + 6) % 7) * 1440 + shown.getUTCHours() * 60 + shown.getUTCMinutes()
}

/** Half hours, so that windows and clocks meet at the very edges. */
const halfHour = (most: number) =>
  fc.nat(most).map((n) => `${String(n >> 1).padStart(2, '0')}:${n % 2 === 0 ? '00' : '30'}`)
const someWindow = fc.record({ days: fc.subarray(EVERY_DAY, { minLength: 1 }), from: halfHour(47), to: halfHour(48) })
const windows = fc.array(someWindow, { maxLength: 4 })

test('property: what a clock shows is inside a window when the oracle says so', () => {
  const clock = fc.record({ day: fc.constantFrom(...EVERY_DAY), time: halfHour(47) })
  fc.assert(
    fc.property(windows, clock, (some, shown) => {
      expect(insideAny(some, shown)).toBe(oracle(some, (shown.day - 1) * 1440 + minuteOf(shown.time)))
    }),
    { numRuns: 1000 },
  )
})

test('property: at any instant, near a change of time too, in any zone, the windows say what the oracle says', () => {
  const zones = ['Europe/Prague', 'America/New_York', 'Australia/Lord_Howe', 'Asia/Kathmandu', 'Africa/Cairo', 'UTC']
  const changes = ['2026-03-29T01:00Z', '2026-10-25T01:00Z', '2026-03-08T07:00Z', '2026-04-04T15:00Z']
  const nearChange = fc
    .tuple(fc.constantFrom(...changes), fc.integer({ min: -600, max: 600 }))
    .map(([change, minutes]) => new Date(Date.parse(change) + minutes * MINUTE))
  const anyTime = fc.date({ min: new Date('1980-01-01'), max: new Date('2099-12-31'), noInvalidDate: true })
  fc.assert(
    fc.property(windows, fc.oneof(nearChange, anyTime), fc.constantFrom(...zones), (some, at, zone) => {
      expect(insideAny(some, wallClock(at, zone))).toBe(oracle(some, minuteOfWeek(at, zone)))
    }),
    { numRuns: 500 },
  )
})

describe('what is a window', () => {
  test.for([
    ['a working day', [1, 5], '07:00', '17:30', true],
    ['an end at 24:00', [1], '00:00', '24:00', true],
    ['a night', [7], '22:00', '06:00', true],
    ['a beginning at 24:00', [1], '24:00', '06:00', false],
    ['an end after 24:00', [1], '07:00', '24:01', false],
    ['an hour of one digit', [1], '7:00', '17:30', false],
    ['seconds', [1], '07:00:00', '17:30', false],
    ['a minute 60', [1], '07:00', '07:60', false],
    ['a line after the time', [1], '07:00\n', '17:30', false],
    ['no day', [], '07:00', '17:30', false],
    ['a day 0', [0], '07:00', '17:30', false],
    ['a day 8', [8], '07:00', '17:30', false],
    ['half a day', [1.5], '07:00', '17:30', false],
    ['a day named twice', [1, 1], '07:00', '17:30', false],
  ] as const)('%s', ([, days, from, to, good]) => {
    expect(v.is(Window, { days, from, to })).toBe(good)
  })
})

test.for([
  ['Europe/Prague', true],
  ['America/Argentina/Buenos_Aires', true],
  ['Australia/Lord_Howe', true],
  ['America/Port-au-Prince', true],
  ['Etc/GMT+12', true],
  ['UTC', true],
  ['', false],
  ['+02:00', false],
  ['UTC+2', false],
  ['Z', false],
  ['Prague', false],
  ['Europe/Praha', false],
  ['Europe/Prague ', false],
  ['Europe/Prague\n', false],
  ['Europe/Prague\0', false],
  ['../etc/passwd', false],
  ['undefined', false],
  [`Europe/${'a'.repeat(100)}`, false],
] as const)('%j is a timezone: %s', ([name, good]) => {
  expect(isTimezone(name)).toBe(good)
})

test('property: isTimezone answers any text, and what it takes a wall clock can show', () => {
  const anyText = fc.uint16Array().map((units) => String.fromCharCode(...units))
  const text = fc.oneof(anyText, fc.string(), fc.constantFrom(...Intl.supportedValuesOf('timeZone')))
  fc.assert(
    fc.property(text, (name) => {
      if (!isTimezone(name)) return
      const { day, time } = wallClock(new Date('2026-01-01T00:00:00Z'), name)
      expect(EVERY_DAY).toContain(day)
      expect(time).toMatch(/^([01]\d|2[0-3]):[0-5]\d$/)
    }),
  )
})
