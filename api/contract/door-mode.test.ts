import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DOOR_MODES, type DoorMode, doorMode, isOpenMode, MODES } from './door-mode.ts'
import type { SiteDoor } from './site.ts'
import { insideAny, type Window, wallClock } from './window.ts'

type Ordered = Parameters<typeof doorMode>[0]

/** A Thursday, 13:00 in Prague. */
const AT = '2026-01-01T12:00:00.000Z'
const LATER = '2026-01-01T12:00:00.001Z'
const EARLIER = '2026-01-01T11:59:59.999Z'
const WORK: Window[] = [{ days: [1, 2, 3, 4, 5], from: '08:00', to: '18:00' }]

const door = (more: Partial<Ordered> = {}): Ordered => ({
  timezone: 'Europe/Prague',
  hold: null,
  mode: 'scheduled',
  modeUntil: null,
  lockdown: null,
  evacuation: null,
  ...more,
})

test.each<[string, Partial<Ordered>, DoorMode]>([
  ['a door of which nobody said anything', {}, 'normal'],
  ['one within its schedule', { hold: WORK }, 'held'],
  ['one outside its schedule', { hold: [{ days: [4], from: '14:00', to: '15:00' }] }, 'normal'],
  ['one whose schedule is never', { hold: [] }, 'normal'],
  ['one within its schedule elsewhere', { hold: [{ days: [4], from: '13:00', to: '13:01' }] }, 'held'],
  ['one at the end of its schedule', { hold: [{ days: [4], from: '12:00', to: '13:00' }] }, 'normal'],
  ['one that somebody holds open', { mode: 'held' }, 'held'],
  ['one that somebody holds open a moment longer', { mode: 'held', modeUntil: LATER }, 'held'],
  ['one that somebody held open until now', { mode: 'held', modeUntil: AT }, 'normal'],
  ['one that somebody locked, within its schedule', { mode: 'locked', hold: WORK }, 'locked'],
  ['one that was locked until now, within its schedule', { mode: 'locked', modeUntil: AT, hold: WORK }, 'held'],
  ['one that nobody ordered anything of, whatever the time', { modeUntil: LATER, hold: WORK }, 'held'],
  ['one in a lockdown', { lockdown: { until: null } }, 'lockdown'],
  ['one in a lockdown, held open by somebody', { lockdown: { until: LATER }, mode: 'held' }, 'lockdown'],
  ['one in a lockdown, within its schedule', { lockdown: { until: LATER }, hold: WORK }, 'lockdown'],
  ['one after a lockdown, held open by somebody', { lockdown: { until: AT }, mode: 'held' }, 'held'],
  ['one after a lockdown, locked by somebody', { lockdown: { until: EARLIER }, mode: 'locked' }, 'locked'],
  ['one in an evacuation', { evacuation: { until: null } }, 'evacuation'],
  ['one in an evacuation, locked', { evacuation: { until: LATER }, mode: 'locked' }, 'evacuation'],
  ['one in both', { evacuation: { until: LATER }, lockdown: { until: null } }, 'evacuation'],
  ['one after an evacuation, in a lockdown', { evacuation: { until: AT }, lockdown: { until: null } }, 'lockdown'],
  ['one after both', { evacuation: { until: AT }, lockdown: { until: AT } }, 'normal'],
])('the mode of %s', (_, ordered, expected) => {
  expect(doorMode(door(ordered), new Date(AT))).toBe(expected)
})

test('is open when it is held or in an evacuation, and in no other mode', () => {
  expect(DOOR_MODES.filter(isOpenMode)).toEqual(['held', 'evacuation'])
})

describe('a door that is held open from 2 to 3 at night', () => {
  const nights = door({ hold: [{ days: [7], from: '02:00', to: '03:00' }] })
  const heldAt = (from: string, hours: number) => {
    const held: number[] = []
    for (let half = 0; half < 2 * hours; half++) {
      const at = new Date(Date.parse(from) + half * 1_800_000)
      if (doorMode(nights, at) === 'held') held.push(half / 2)
    }
    return held
  }
  test.each([
    ['is, for an hour, on other days', '2026-06-07T00:00:00+02:00', [2, 2.5]],
    ['is not on the day on which that hour is skipped', '2026-03-29T00:00:00+01:00', []],
    ['is twice on the day on which it comes twice', '2026-10-25T00:00:00+02:00', [2, 2.5, 3, 3.5]],
  ])('%s', (_, midnight, held) => {
    expect(heldAt(midnight, 24)).toEqual(held)
  })
})

const FROM = Date.parse('2026-03-28T00:00:00Z')
const instant = fc.integer({ min: 0, max: 2 * 24 * 60 }).map((minutes) => new Date(FROM + minutes * 60_000))
const until = fc.option(
  instant.map((at) => at.toISOString()),
  { freq: 3 },
)
const inForce = fc.option(fc.record({ until }))
const time = fc.nat({ max: 47 }).map((half) => `${String(half >> 1).padStart(2, '0')}:${half % 2 ? '30' : '00'}`)
const days = fc.subarray([1, 2, 3, 4, 5, 6, 7], { minLength: 1 })
const anyDoor: fc.Arbitrary<Ordered> = fc.record({
  timezone: fc.constantFrom('Europe/Prague', 'America/New_York', 'Asia/Kolkata', 'UTC'),
  hold: fc.option(fc.array(fc.record({ days, from: time, to: time }), { maxLength: 3 }), { freq: 3 }),
  mode: fc.constantFrom<SiteDoor['mode']>(...MODES),
  modeUntil: until,
  lockdown: inForce,
  evacuation: inForce,
})
const holds = (order: { until: string | null } | null, at: Date) =>
  order !== null && (order.until === null || at.getTime() < Date.parse(order.until))
const property = (check: (one: Ordered, at: Date) => void) =>
  fc.assert(fc.property(anyDoor, instant, check), { numRuns: 500 })

test('property: an evacuation comes before a lockdown, that before an order, and an order before the schedule', () => {
  property((one, at) => {
    const within = one.hold !== null && insideAny(one.hold, wallClock(at, one.timezone))
    const ordered = one.mode !== 'scheduled' && holds({ until: one.modeUntil }, at) ? one.mode : undefined
    const expected = holds(one.evacuation, at)
      ? 'evacuation'
      : holds(one.lockdown, at)
        ? 'lockdown'
        : (ordered ?? (within ? 'held' : 'normal'))
    expect(doorMode(one, at)).toBe(expected)
  })
})

test('property: no lockdown opens a door, and no evacuation shuts one', () => {
  property((one, at) => {
    const isOpen = (more: Partial<Ordered>) => isOpenMode(doorMode({ ...one, ...more }, at))
    if (isOpen({ lockdown: { until: null } })) expect(isOpen({})).toBe(true)
    if (isOpen({ evacuation: null })) expect(isOpen({ evacuation: { until: null } })).toBe(true)
  })
})

test('property: what is over counts as if it had never been', () => {
  property((one, at) => {
    const clean = door({
      ...one,
      ...(!holds({ until: one.modeUntil }, at) && { mode: 'scheduled', modeUntil: null }),
      lockdown: holds(one.lockdown, at) ? one.lockdown : null,
      evacuation: holds(one.evacuation, at) ? one.evacuation : null,
    })
    expect(doorMode(one, at)).toBe(doorMode(clean, at))
  })
})
