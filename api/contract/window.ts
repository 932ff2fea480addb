import * as v from 'valibot'

/** Wall-clock time of day, `HH:MM`. */
const TIME = /^([01]\d|2[0-3]):[0-5]\d$/

/**
 * One weekly window: ISO days (Monday is 1), `from` inclusive, `to` exclusive, `24:00` allowed as an end.
 * `to <= from` runs over midnight and belongs to the day on which it starts.
 */
export const Window = v.strictObject({
  days: v.pipe(
    v.array(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(7))),
    v.minLength(1),
    v.maxLength(7),
    v.check((days) => new Set(days).size === days.length, 'each day once'),
  ),
  from: v.pipe(v.string(), v.regex(TIME, 'a time of day as HH:MM')),
  to: v.pipe(v.string(), v.regex(/^(([01]\d|2[0-3]):[0-5]\d|24:00)$/, 'a time of day as HH:MM, or 24:00')),
})
export type Window = v.InferOutput<typeof Window>

const Windows = v.array(Window)

/**
 * The windows of a schedule as the database keeps them. SQL can write there what nobody can read: none of such a schedule
 * counts, so it is never open, and no other rule suffers by it.
 */
export const readWindows = (kept: unknown): Window[] => {
  const read = v.safeParse(Windows, kept)
  return read.success ? read.output : []
}

/** Every minute of the week. */
const ALWAYS: Window = { days: [1, 2, 3, 4, 5, 6, 7], from: '00:00', to: '24:00' }

/**
 * The same of a schedule that says when more is asked of somebody, such as a PIN: there it is what nobody can read that
 * must not open, so it is asked at any time. Null where there is no schedule.
 */
export const readAsking = (kept: unknown): Window[] | null => {
  if (kept === null || kept === undefined) return null
  const read = v.safeParse(Windows, kept)
  return read.success ? read.output : [ALWAYS]
}

/** What a clock on the wall of `timezone` shows at an instant: ISO weekday and `HH:MM`. */
export type WallClock = { day: number; time: string }

/** Is the wall clock inside any of the windows? Compares what the clock shows, so it never needs an offset. */
export const insideAny = (windows: readonly Window[], { day, time }: WallClock): boolean => {
  const yesterday = day === 1 ? 7 : day - 1
  return windows.some(({ days, from, to }) =>
    from < to
      ? days.includes(day) && from <= time && time < to
      : (days.includes(day) && from <= time) || (days.includes(yesterday) && time < to),
  )
}

export const wallClock = (at: Date, timezone: string): WallClock => {
  const parts = clockOf(timezone).formatToParts(at)
  const part = (type: Intl.DateTimeFormatPartTypes) => parts.find((p) => p.type === type)?.value ?? ''
  return { day: DAYS.indexOf(part('weekday')) + 1, time: `${part('hour')}:${part('minute')}` }
}

/** An IANA zone that this runtime knows; offsets such as `+02:00` are not zones. */
export const isTimezone = (name: string): boolean => {
  if (!/^[A-Za-z][A-Za-z0-9_+/-]*$/.test(name) || name.length > 64) return false
  try {
    clockOf(name)
    return true
  } catch {
    return false
  }
}

const DAYS = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun']

/** Making a formatter costs some fifty times as much as using one; there are at most a few hundred zones. */
const clocks = new Map<string, Intl.DateTimeFormat>()

const clockOf = (timezone: string): Intl.DateTimeFormat => {
  const known = clocks.get(timezone)
  if (known) return known
  const made = new Intl.DateTimeFormat('en-GB', {
    timeZone: timezone,
    weekday: 'short',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  })
  clocks.set(timezone, made)
  return made
}
