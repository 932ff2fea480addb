import { beforeEach, expect, test, vi } from 'vitest'
import type { Command, Outcome } from '../api/contract/commands.ts'
import { sealingKey } from '../api/contract/envelope.ts'
import { type Api, Refused } from './ask.ts'
import { apiClock } from './clock.ts'
import { followCommands } from './commands.ts'
import type { Done, Doors } from './doors/doors.ts'
import { type Answers, answerAt } from './testing/answers.ts'

// What a bridge does with what doors are told, with an API and doors that do as each test wants.

const ID = '018f4dcd-1111-7000-8000-000000000001'
const DOOR = '018f4dcd-1111-7000-8000-000000000002'
const clock = apiClock()

/** The API of one test: what comes late of another test is not said to it. */
const anApi = () => ({
  /** Commands for the next question; without any it waits, as the API would have it wait. */
  next: [] as Command[][],
  version: 'first',
  over: false,
  asked: [] as unknown[],
  /** What was said to it, message by message, and with what it refuses that. */
  said: [] as Outcome[][],
  away: undefined as number | undefined,
})
let its = anApi()

const answersOf = (its: ReturnType<typeof anApi>): Answers => ({
  async commands({ version: has }) {
    its.asked.push(has)
    const isNews = () => its.over || its.next.length > 0 || has !== its.version
    await vi.waitUntil(isNews, { timeout: 60_000, interval: 5 })
    return { version: its.version, commands: its.next.shift() ?? [] }
  },
  outcomes({ outcomes }) {
    if (its.away !== undefined) return its.away
    its.said.push(outcomes as Outcome[])
    return { noted: its.said.length }
  },
})
const known = { id: ID, key: sealingKey(new Uint8Array(32).fill(7)), clock }
let api: Api

let made = 0
const command = (more: Partial<Command> = {}, lifeMs = 10_000): Command => ({
  id: `018f4dcd-1111-7000-8000-${String(++made).padStart(12, '0')}`,
  action: 'open',
  doorId: DOOR,
  readerId: null,
  expiresAt: new Date(clock.now().getTime() + lifeMs).toISOString(),
  ...more,
})

const delivered: Done = { state: 'delivered', detail: 'opened' }
const doors = { open: vi.fn<Doors['open']>(), settle: vi.fn<Doors['settle']>() }
const site = { look: vi.fn<() => Promise<boolean>>(), version: () => 'first' }
const link = { up: vi.fn<() => void>(), failedAside: vi.fn<(error: unknown) => void>() }
let log: [event: string, fields: unknown][] = []

let stop = () => {}
const follow = () => {
  ;({ stop } = followCommands({ api, doors, site, link, log: (_, event, fields) => log.push([event, fields]) }))
}
const eventually = (check: () => void) => vi.waitFor(check, { timeout: 20_000, interval: 5 })
const outcomes = () => its.said.flat()

beforeEach(async () => {
  its = anApi()
  api = await answerAt(known, answersOf(its))
  log = []
  for (const mock of [doors.open, doors.settle, link.up, link.failedAside]) mock.mockReset()
  site.look.mockReset().mockResolvedValue(true)
  doors.open.mockResolvedValue(delivered)
  doors.settle.mockResolvedValue(delivered)
  return () => {
    stop()
    its.over = true
  }
})

test('a door is opened until the command expires, and what came of it is said', async () => {
  const one = command()
  const before = performance.now()
  its.next = [[one]]
  follow()
  await eventually(() => expect(outcomes()).toEqual([{ id: one.id, state: 'delivered', detail: 'opened' }]))
  const [door, until = 0, by] = doors.open.mock.calls[0] ?? []
  expect({ door, by }).toEqual({ door: { doorId: DOOR }, by: { by: 'command', commandId: one.id } })
  expect(until).toBeGreaterThan(before)
  expect(until).toBeLessThanOrEqual(performance.now() + 10_000)
})

test('a reader that has no door is opened by its own name', async () => {
  its.next = [[command({ doorId: null, readerId: DOOR })]]
  follow()
  await eventually(() => expect(doors.open).toHaveBeenCalledOnce())
  expect(doors.open.mock.calls[0]?.[0]).toEqual({ readerId: DOOR })
})

test('what comes too late opens nothing, and is refused', async () => {
  const late = [command({}, 0), command({}, -60_000), command({ action: 'hold' }, -1)]
  its.next = [late]
  follow()
  const refused = late.map(({ id }) => ({ id, state: 'refused', detail: 'expired' }))
  await eventually(() => expect(outcomes()).toEqual(refused))
  expect(doors.open).not.toHaveBeenCalled()
  expect(doors.settle).not.toHaveBeenCalled()
})

test('a command that comes again is not carried out again', async () => {
  const [one, other] = [command(), command()]
  its.next = [[one], [one, other], [one]]
  follow()
  await eventually(() => expect(log.filter(([event]) => event === 'command_again')).toHaveLength(2))
  await eventually(() => expect(outcomes()).toHaveLength(2))
  expect(doors.open.mock.calls.map(([, , by]) => by)).toEqual(
    [one, other].map(({ id }) => ({ by: 'command', commandId: id })),
  )
})

test('all doors are told at once, and one that takes its time holds up no other', async () => {
  const many = Array.from({ length: 50 }, () => command())
  let answer: (done: Done) => void = () => {}
  doors.open.mockImplementationOnce(() => new Promise((resolve) => (answer = resolve)))
  its.next = [many]
  follow()
  await eventually(() => expect(outcomes()).toHaveLength(49))
  expect(doors.open).toHaveBeenCalledTimes(50)
  expect(its.said.length).toBeLessThan(10)
  answer({ state: 'delivered', detail: 'no_answer' })
  await eventually(() =>
    expect(outcomes().at(-1)).toEqual({ id: many[0]?.id, state: 'delivered', detail: 'no_answer' }),
  )
})

test.each(['hold', 'lock', 'release'] as const)(
  'before a door is said to %s, the site has been seen',
  async (action) => {
    its.next = [[command({ action })]]
    const done: string[] = []
    site.look.mockResolvedValueOnce(true).mockResolvedValueOnce(false)
    site.look.mockImplementation(async () => {
      done.push('look')
      return true
    })
    doors.settle.mockImplementation(async (_, what) => {
      done.push(what)
      return delivered
    })
    follow()
    await eventually(() => expect(outcomes()).toMatchObject([{ state: 'delivered', detail: 'opened' }]))
    expect(done).toEqual(['look', action])
  },
)

test('where the site cannot be seen in time, nobody says that a door is as it was ordered', async () => {
  its.next = [[command({ action: 'lock' }, 700)]]
  site.look.mockResolvedValueOnce(true).mockResolvedValue(false)
  follow()
  await eventually(() => expect(outcomes()).toMatchObject([{ state: 'refused', detail: 'expired' }]))
  expect(doors.settle).not.toHaveBeenCalled()
})

test('another version of the site is looked at, once', async () => {
  follow()
  await eventually(() => expect(its.asked).toEqual(['first']))
  const looks = site.look.mock.calls.length
  its.version = 'second'
  await eventually(() => expect(its.asked).toEqual(['first', 'second']))
  expect(site.look.mock.calls.length).toBe(looks + 1)
})

test('a door is opened by a command that came with another version of the site only when that has been seen', async () => {
  follow()
  await eventually(() => expect(its.asked).toEqual(['first']))
  const seen: string[] = []
  site.look.mockImplementation(async () => seen.push('looked') > 0)
  doors.open.mockImplementation(async () => {
    seen.push('opened')
    return delivered
  })
  its.version = 'second'
  its.next = [[command()]]
  await eventually(() => expect(outcomes()).toHaveLength(1))
  expect(seen.slice(0, seen.indexOf('opened'))).toContain('looked')
})

test('what came of it is said again while the API is away', async () => {
  its.away = 503
  its.next = [[command()]]
  follow()
  await eventually(() => expect(link.failedAside).toHaveBeenCalledWith(new Refused(503)))
  expect(its.said).toEqual([])
  its.away = undefined
  await eventually(() => expect(outcomes()).toHaveLength(1))
  expect(doors.open).toHaveBeenCalledOnce()
})

test('what the API has something against is not said again', async () => {
  its.away = 422
  const one = command()
  its.next = [[one]]
  follow()
  await eventually(() => expect(log).toContainEqual(['outcomes_lost', { commands: [one.id], error: 'http_422' }]))
  its.away = undefined
  const other = command()
  its.next = [[other]]
  await eventually(() => expect(outcomes().map(({ id }) => id)).toEqual([other.id]))
})

test('a door of which nobody knows what it did is left to time out', async () => {
  doors.open.mockRejectedValueOnce(new Error('broken'))
  const [one, other] = [command(), command()]
  its.next = [[one], [other]]
  follow()
  await eventually(() => expect(outcomes().map(({ id }) => id)).toEqual([other.id]))
  expect(log.map(([event]) => event)).toContain('command_failed')
})

test('nothing is asked before the API has said what time it is, and nothing after the end', async () => {
  site.look.mockResolvedValueOnce(false)
  follow()
  await eventually(() => expect(its.asked).toHaveLength(1))
  expect(site.look).toHaveBeenCalledTimes(2)
  stop()
  its.next = [[command()]]
  await eventually(() => expect(log).toContainEqual(['no_commands', expect.anything()]))
  expect(its.asked).toHaveLength(1)
  expect(link.failedAside).not.toHaveBeenCalled()
  expect(doors.open).not.toHaveBeenCalled()
})
