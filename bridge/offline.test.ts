import { randomBytes } from 'node:crypto'
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test, vi } from 'vitest'
import { keysOfCard } from '../api/contract/card-views.ts'
import { sealingKey } from '../api/contract/envelope.ts'
import type { SiteReader } from '../api/contract/site.ts'
import {
  hashingKey,
  hashOfKey,
  type SnapshotPage,
  type SnapshotRow,
  type SnapshotSite,
} from '../api/contract/snapshot.ts'
import type { Api } from './ask.ts'
import { type Offline, startOffline } from './offline.ts'
import { type Answers, answerAt } from './testing/answers.ts'
import { readerOf } from './testing/reader.ts'

const root = mkdtempSync(join(tmpdir(), 'lintel-offline-'))
afterAll(() => rmSync(root, { recursive: true }))

const id = (kind: number, n = 0) => `0198c0de-000${kind}-7000-8000-${String(n).padStart(12, '0')}`
const [READER, STAFF, ALWAYS, CARD, ADA] = [id(1), id(2), id(3), '04A1B2C3', id(6)]

const SECOND = 1_000
const HOUR = 3_600 * SECOND

/** A Monday, midnight in Prague. */
const START = Date.parse('2026-06-01T00:00:00+02:00')

const SITE: SnapshotSite = {
  readers: [{ id: READER, enabled: true, timezone: 'Europe/Prague', cardView: 'hex', openMs: 1_500, pin: null }],
  groups: [STAFF],
  schedules: [],
  rules: [{ id: ALWAYS, groupId: STAFF, scheduleId: null, readerIds: [READER] }],
}

const door = (more: Partial<SiteReader> = {}): SiteReader =>
  readerOf({ id: READER, profile: 'plain', topic: 'door', cardView: 'hex', openMs: 1_500, ...more })

type Row = Partial<SnapshotRow> & { number?: string }
type Facts = Partial<SnapshotSite> & { pages?: Row[][]; cards?: number }

/** A bridge's folder, its clock, and an API that tells it of the facts as they are. */
const setUp = async () => {
  const folder = join(root, String(randomBytes(4).readUInt32LE()))
  const key = sealingKey(randomBytes(32))
  const lines: [string, Record<string, unknown>][] = []
  let now = START
  const clock = { now: () => new Date(now), set: () => {} }

  let told: SnapshotPage[] = []
  const facts = (version: string, { pages = [[{}]], cards, ...change }: Facts = {}) => {
    const rows = pages.map((page, at) =>
      page.map(({ number = CARD, ...more }, n) => ({
        card: id(5, at * 1_000 + n),
        status: 'active' as const,
        valid: [null, null] as [null, null],
        person: ADA,
        active: true,
        personValid: [null, null] as [null, null],
        groups: [0],
        keys: keysOfCard({ form: 'hex', number }).map((found) => hashOfKey(hashingKey(key), found.view, found.key)),
        ...more,
      })),
    )
    const count = cards ?? rows.flat().length
    told = rows.map((page, at) => ({
      version,
      now: '',
      rows: page,
      ...(at === 0 && { site: { ...SITE, ...change }, cards: count }),
      ...(at < rows.length - 1 && { next: page.at(-1)?.card }),
    }))
  }

  const asked: unknown[] = []
  const answers: Answers = {
    snapshot: ({ after }) => {
      asked.push(after)
      const page = after === undefined ? told[0] : told[told.findIndex(({ next }) => next === after) + 1]
      return { ...page, now: clock.now().toISOString() }
    },
  }
  const api = await answerAt({ id: id(9), key, clock }, answers)

  /** The bridge begins, with the network or without. */
  const start = (change: Partial<Api> = {}) =>
    startOffline({ ...api, ...change }, folder, (_, said, fields = {}) => lines.push([said, fields]))
  const restart = () => start({ url: 'http://127.0.0.1:1' })

  const said = (name: string) => lines.filter(([line]) => line === name).map(([, fields]) => fields)
  const until = (name: string, times: number) =>
    vi.waitFor(() => expect(said(name)).toHaveLength(times), { timeout: 5_000, interval: 2 })
  /** The API says again and again that this version is in force; resolves when the bridge has said what came of it. */
  const inForce = async (offline: Offline, version: string, line = 'snapshot') => {
    const before = said(line).length
    const say = () => {
      if (said(line).length > before) return
      rested()
      offline.inForce(version, clock.now())
      throw new Error(`the bridge never said ${line}`)
    }
    await vi.waitFor(say, { timeout: 5_000, interval: 5 })
  }
  return {
    path: (name: string) => join(folder, name),
    api,
    answers,
    asked,
    facts,
    start,
    restart,
    inForce,
    said,
    lines,
    until,
    at: (instant: number) => {
      now = instant
    },
    clock,
  }
}

const scan = (card = CARD) => ({ id: id(8), readerId: READER, card, at: new Date(START).toISOString() })
const reasonOf = (offline: Offline, reader = door(), card?: string) => offline.decide(reader, scan(card)).reason

/** As if the bridge had rested since it last took a snapshot. */
let skipped = 0
const monotonic = performance.now.bind(performance)
performance.now = () => monotonic() + skipped
const rested = () => {
  skipped += 3_001
}
afterAll(() => {
  performance.now = monotonic
})

/** A site with one card that may pass, known to the bridge and on its disk. */
const known = async (facts?: Facts) => {
  const site = await setUp()
  site.facts('one', facts)
  const offline = await site.start()
  await site.inForce(offline, 'one')
  return { ...site, offline }
}

test('where a PIN is asked for, nobody can decide here; at other times it is as without one', async () => {
  const site = await setUp()
  const day = { days: [1, 2, 3, 4, 5, 6, 7], from: '08:00', to: '20:00' }
  site.facts('one', { readers: SITE.readers.map((reader) => ({ ...reader, pin: [day] })) })
  const offline = await site.start()
  await site.inForce(offline, 'one')
  const typed = { ...scan(), pin: '4827' }
  for (const asked of [scan(), typed]) expect(offline.decide(door(), asked)).toMatchObject({ reason: 'granted' })
  expect(offline.decide(door(), scan('04A1B2C4'))).toMatchObject({ reason: 'unknown_card' })
  site.at(START + 9 * HOUR)
  for (const asked of [scan(), typed])
    expect(offline.decide(door(), asked)).toEqual({ reason: 'unavailable', openMs: 0 })
  expect(offline.decide(door(), scan('04A1B2C4'))).toMatchObject({ reason: 'unknown_card' })
})

test('a lockdown holds as soon as the site tells of it, until its end by the clock of the API, and after a restart', async () => {
  const GUARD = '04A1B2FF'
  const { offline, restart, at } = await known({ pages: [[{}, { number: GUARD, exempt: true }]] })
  const until = new Date(START + HOUR).toISOString()
  for (const one of [offline, await restart()]) {
    const told = (lockdown: SiteReader['lockdown'], card?: string) => one.decide(door({ lockdown }), scan(card))
    at(START)
    expect(told(null)).toMatchObject({ reason: 'granted' })
    expect(told({ until: null })).toMatchObject({ reason: 'lockdown', snapshot: 'one' })
    expect(told({ until: null }, GUARD)).toMatchObject({ reason: 'granted', openMs: 1_500 })
    expect(told({ until: null }, '04A1B2C4')).toMatchObject({ reason: 'lockdown' })
    at(START + HOUR - 1)
    expect(told({ until })).toMatchObject({ reason: 'lockdown' })
    at(START + HOUR)
    expect(told({ until })).toMatchObject({ reason: 'granted' })
  }
})

test('a door opens for as long as the site says, which is newer than the snapshot', async () => {
  const { offline } = await known()
  expect(offline.decide(door({ openMs: 700 }), scan())).toMatchObject({ reason: 'granted', openMs: 700 })
})

test('nobody is known by a PIN alone here', async () => {
  const site = await setUp()
  site.facts('one')
  const offline = await site.start()
  await site.inForce(offline, 'one')
  const alone = { ...scan('PIN'), pin: '4827' }
  expect(offline.decide(door({ pinAlone: true }), alone)).toEqual({ reason: 'unavailable', openMs: 0 })
  expect(offline.decide(door(), alone)).toMatchObject({ reason: 'unknown_card' })
})

test('what a reader decided stays so, with or without a snapshot; with one it is known whose card it was', async () => {
  const site = await setUp()
  site.facts('one', { pages: [[{ status: 'blocked' }]] })
  const offline = await site.start()
  const granted = { ...scan(), decided: 'granted' as const }
  expect(offline.decide(door(), granted)).toEqual({ reason: 'reader_granted', openMs: 0 })
  await site.inForce(offline, 'one')
  expect(offline.decide(door(), granted)).toEqual({ reason: 'reader_granted', openMs: 0, cardId: id(5), personId: ADA })
  expect(offline.decide(door(), { ...scan('04A1B2C4'), decided: 'denied' })).toEqual({
    reason: 'reader_denied',
    openMs: 0,
  })
  expect(offline.decide(door({ offline: 'deny' }), granted)).toEqual({ reason: 'reader_granted', openMs: 0 })
})

test('a bridge that has no snapshot decides nothing', async () => {
  const site = await setUp()
  const offline = await site.start()
  expect(offline.ready(door())).toBe(false)
  expect(offline.decide(door(), scan())).toEqual({ reason: 'unavailable', openMs: 0 })
  expect([site.lines, site.asked]).toEqual([[], []])
})

test('a snapshot is fetched when another version is in force, and then decides and says by what', async () => {
  const { offline, said, asked } = await known()
  expect(offline.ready(door())).toBe(true)
  expect(offline.decide(door(), scan())).toEqual({
    reason: 'granted',
    openMs: 1_500,
    snapshot: 'one',
    cardId: id(5),
    personId: ADA,
  })
  expect(offline.decide(door(), scan('04A1B2C4'))).toEqual({ reason: 'unknown_card', openMs: 1_500, snapshot: 'one' })
  expect(offline.decide(door(), { ...scan(), readerId: id(1, 7) })).toMatchObject({ reason: 'unknown_reader' })
  expect([said('snapshot'), asked]).toEqual([[{ version: 'one', cards: 1, from: 'api' }], [undefined]])
})

test('all its pages are fetched, each after the last card of the one before', async () => {
  const { offline, said, asked } = await known({ pages: [[{ keys: [] }, { keys: [] }], [{}], [{ keys: [] }]] })
  expect(asked).toEqual([undefined, id(5, 1), id(5, 1_000)])
  expect([said('snapshot')[0]?.['cards'], reasonOf(offline)]).toEqual([4, 'granted'])
})

test('a card at which two are meant is told as nobody’s', async () => {
  const { offline } = await known({ pages: [[{}], [{}]] })
  expect(offline.decide(door(), scan())).toEqual({ reason: 'ambiguous_card', openMs: 1_500, snapshot: 'one' })
})

test('a version that it has already is not fetched again, however long it is in force', async () => {
  const { offline, asked, clock } = await known()
  for (let n = 0; n < 3; n++) {
    skipped += 24 * HOUR
    offline.inForce('one', clock.now())
    await new Promise((done) => setTimeout(done, 20))
  }
  expect(asked).toHaveLength(1)
})

test('a card that is blocked is refused as soon as the new version is here, and stays so after a restart', async () => {
  const site = await known()
  site.facts('two', { pages: [[{ status: 'blocked' }]] })
  await site.inForce(site.offline, 'two')
  expect(site.offline.decide(door(), scan())).toMatchObject({ reason: 'card_blocked', snapshot: 'two' })
  expect(reasonOf(await site.restart())).toBe('card_blocked')
})

test('between two snapshots it rests, and then takes the one that is in force', async () => {
  const { offline, asked, facts, inForce, clock } = await known()
  facts('two', { pages: [[{ status: 'lost' }]] })
  offline.inForce('two', clock.now())
  await new Promise((done) => setTimeout(done, 50))
  expect([asked.length, reasonOf(offline)]).toEqual([1, 'granted'])
  await inForce(offline, 'two')
  expect([asked.length, reasonOf(offline)]).toEqual([2, 'card_lost'])
})

test('while one snapshot is on its way no second is asked for', async () => {
  const { offline, answers, asked, facts, inForce, clock, until } = await known()
  facts('two')
  const { promise, resolve } = Promise.withResolvers<void>()
  const answer = answers.snapshot
  answers.snapshot = async (message) => {
    await promise
    return answer?.(message) ?? 404
  }
  rested()
  for (let n = 0; n < 3; n++) {
    offline.inForce('two', clock.now())
    rested()
    await new Promise((done) => setTimeout(done, 20))
  }
  resolve()
  await until('snapshot', 2)
  expect(asked).toHaveLength(2)
  facts('three')
  await inForce(offline, 'three')
})

describe('after a restart without a network', () => {
  test('it decides by what is on the disk as it did before', async () => {
    const site = await known()
    const again = await site.restart()
    expect(again.ready(door())).toBe(true)
    for (const card of [CARD, '04A1B2C4', 'rubbish']) {
      expect(again.decide(door(), scan(card))).toEqual(site.offline.decide(door(), scan(card)))
    }
    expect(site.said('snapshot').at(-1)).toEqual({ version: 'one', cards: 1, from: 'disk' })
    expect(site.asked).toHaveLength(1)
  })

  test('a snapshot is as old as when it was last known to be in force, give or take a minute', async () => {
    const { offline, restart, at, clock, path } = await known()
    const before = readFileSync(path('snapshot-good'))
    const hear = async (ms: number) => {
      at(START + ms)
      offline.inForce('one', clock.now())
      await new Promise((done) => setTimeout(done, 50))
      return readFileSync(path('snapshot-good'))
    }
    expect((await hear(59_999)).equals(before)).toBe(true)
    await hear(HOUR)
    await vi.waitFor(() => expect(readFileSync(path('snapshot-good')).equals(before)).toBe(false), 4_000)
    const noted = readFileSync(path('snapshot-good'))
    expect((await hear(HOUR + 59_999)).equals(noted)).toBe(true)
    const again = await restart()
    at(START + HOUR + 24 * HOUR)
    expect([again.ready(door()), reasonOf(again)]).toEqual([true, 'granted'])
    at(START + HOUR + 24 * HOUR + 1)
    expect([again.ready(door()), reasonOf(again)]).toEqual([false, 'unavailable'])
    expect(offline.ready(door())).toBe(true)
  })

  test('what is on the disk holds no card number, and no name of what it is', async () => {
    const { path } = await known()
    for (const file of ['snapshot', 'snapshot-good']) {
      expect(readFileSync(path(file)).toString('latin1')).not.toMatch(/04A1B2C3|0198c0de|granted|version/i)
    }
  })

  const damages: [string, (path: string) => void][] = [
    [
      'flipped in one bit',
      (path) =>
        writeFileSync(
          path,
          readFileSync(path).map((byte, at) => (at === 40 ? byte ^ 1 : byte)),
        ),
    ],
    ['cut short', (path) => truncateSync(path, readFileSync(path).length - 1)],
    ['cut to nothing', (path) => truncateSync(path, 0)],
    ['longer than it was', (path) => appendFileSync(path, 'x')],
    ['gone', (path) => rmSync(path)],
    [
      'a folder',
      (path) => {
        rmSync(path)
        mkdirSync(path)
      },
    ],
  ]
  test.each(
    ['snapshot', 'snapshot-good'].flatMap((file) => damages.map(([how, damage]) => [file, how, damage] as const)),
  )('a file `%s` that is %s is not used, which is said, and another is fetched', async (file, _, damage) => {
    const site = await known()
    damage(site.path(file))
    const again = await site.start()
    expect([again.ready(door()), reasonOf(again)]).toEqual([false, 'unavailable'])
    expect(site.said('snapshot_unreadable')).toHaveLength(1)

    rmSync(site.path(file), { recursive: true, force: true })
    await site.inForce(again, 'one')
    expect(reasonOf(await site.restart())).toBe('granted')
  })

  test('a file that another key sealed is not used, which is said', async () => {
    const site = await known()
    const other = await site.start({ key: sealingKey(randomBytes(32)) })
    expect([other.ready(door()), reasonOf(other)]).toEqual([false, 'unavailable'])
    expect(site.said('snapshot_unreadable')).toHaveLength(1)
    expect(reasonOf(await site.restart())).toBe('granted')
  })

  test('one file in place of the other is not used', async () => {
    const site = await known()
    writeFileSync(site.path('snapshot-good'), readFileSync(site.path('snapshot')))
    expect((await site.restart()).ready(door())).toBe(false)
  })

  test('pages of one version are not good because another one was', async () => {
    const site = await known()
    const pages = readFileSync(site.path('snapshot'))
    site.facts('two', { pages: [[{ status: 'blocked' }]] })
    await site.inForce(site.offline, 'two')
    writeFileSync(site.path('snapshot'), pages)
    const again = await site.restart()
    expect([again.ready(door()), reasonOf(again)]).toEqual([false, 'unavailable'])
    expect(site.said('snapshot_unreadable')).toHaveLength(1)
  })
})

describe('a reader', () => {
  test.each([1, 24, 8_760])('with %i offlineHours is decided for up to that age, to the millisecond', async (hours) => {
    const { offline, at } = await known()
    const reader = door({ offlineHours: hours })
    at(START + hours * HOUR)
    expect([offline.ready(reader), reasonOf(offline, reader)]).toEqual([true, 'granted'])
    at(START + hours * HOUR + 1)
    expect([offline.ready(reader), offline.decide(reader, scan())]).toEqual([
      false,
      { reason: 'unavailable', openMs: 0 },
    ])
  })

  test('whose door stays shut is never decided here', async () => {
    const { offline, restart } = await known()
    const shut = door({ offline: 'deny' })
    for (const one of [offline, await restart()]) {
      expect([one.ready(shut), one.decide(shut, scan())]).toEqual([false, { reason: 'unavailable', openMs: 0 }])
      expect(one.ready(door())).toBe(true)
    }
  })

  test('is not decided by a clock that is a minute or more behind what was known', async () => {
    const { offline, restart, at } = await known()
    for (const one of [offline, await restart()]) {
      for (const [behind, ready] of [
        [0, true],
        [59_999, true],
        [60_000, false],
        [HOUR, false],
        [365 * 24 * HOUR, false],
      ] as const) {
        at(START - behind)
        expect([behind, one.ready(door()), reasonOf(one)]).toEqual([behind, ready, ready ? 'granted' : 'unavailable'])
      }
    }
  })

  test('in a zone of time that this machine does not know is refused, which is said', async () => {
    const readers = SITE.readers.map((reader) => ({ ...reader, timezone: 'Mars/Olympus' }))
    const { offline, said } = await known({ readers })
    expect(offline.decide(door(), scan())).toEqual({ reason: 'unavailable', openMs: 0 })
    expect(said('offline_failed')).toEqual([{ reader: READER, error: 'RangeError' }])
  })

  test('is decided for longer when the API says again that the facts are in force', async () => {
    const { offline, at, clock, asked } = await known()
    at(START + 20 * HOUR)
    offline.inForce('one', clock.now())
    at(START + 44 * HOUR)
    expect(reasonOf(offline)).toBe('granted')
    at(START + 44 * HOUR + 1)
    expect(reasonOf(offline)).toBe('unavailable')
    expect(asked).toHaveLength(1)
  })

  test('is decided no longer because of a new version that could not be fetched', async () => {
    const { offline, at, answers, inForce } = await known()
    answers.snapshot = () => 503
    at(START + 20 * HOUR)
    await inForce(offline, 'two', 'no_snapshot')
    expect(reasonOf(offline)).toBe('granted')
    at(START + 24 * HOUR + 1)
    expect(reasonOf(offline)).toBe('unavailable')
  })
})

describe('a new version that does not come whole', () => {
  const TWO: Facts = { pages: [[{ status: 'blocked' }], [{ keys: [] }]] }

  test.each<[string, (page: SnapshotPage) => Record<string, unknown> | number]>([
    ['changes on the way', (page) => ({ ...page, version: page.next ? 'two' : 'three' })],
    ['ends in a failure', (page) => (page.next ? page : 503)],
    ['ends in a refusal', (page) => (page.next ? page : 401)],
    ['is not what pages are', (page) => (page.next ? page : { ...page, rows: [{ card: 'AB' }] })],
    ['does not begin with the site', ({ site: _, ...page }) => page],
    ['does not say when it was', (page) => ({ ...page, now: 'today' })],
  ])('because it %s is not taken, and the old one stays, on the disk too', async (_, told) => {
    const site = await known()
    const answer = site.answers.snapshot
    site.facts('two', TWO)
    site.answers.snapshot = async (message) => {
      const page = await answer?.(message)
      return typeof page === 'object' ? told(page as SnapshotPage) : 404
    }
    await site.inForce(site.offline, 'two', 'no_snapshot')
    for (const one of [site.offline, await site.restart()]) {
      expect(one.decide(door(), scan())).toMatchObject({ reason: 'granted', snapshot: 'one' })
    }

    if (answer) site.answers.snapshot = answer
    await site.inForce(site.offline, 'two')
    for (const one of [site.offline, await site.restart()]) {
      expect(one.decide(door(), scan())).toMatchObject({ reason: 'card_blocked', snapshot: 'two' })
    }
  })

  test('is not taken from somebody who has another key', async () => {
    const site = await known()
    site.facts('two', { pages: [[{ status: 'blocked' }]] })
    const { url } = await answerAt({ ...site.api, key: sealingKey(randomBytes(32)) }, site.answers)
    const again = await site.start({ url })
    await site.inForce(again, 'two', 'no_snapshot')
    expect(again.decide(door(), scan())).toMatchObject({ reason: 'granted', snapshot: 'one' })
  })
})

describe('a site of more than 100,000 cards', () => {
  test('has no snapshot, which is said once, and no page more is asked for', async () => {
    const site = await setUp()
    site.facts('one', { pages: [[{}], [{}]], cards: 100_001 })
    const offline = await site.start()
    await site.inForce(offline, 'one', 'snapshot_too_large')
    expect(site.said('snapshot_too_large')).toEqual([
      { cards: 100_001, say: expect.stringMatching(/more than 100000 cards.*doors stay shut/) },
    ])
    expect([offline.ready(door()), reasonOf(offline)]).toEqual([false, 'unavailable'])
    rested()
    offline.inForce('one', site.clock.now())
    await new Promise((done) => setTimeout(done, 50))
    expect([site.asked, site.said('snapshot_too_large').length]).toEqual([[undefined], 1])
  })

  test('by one is one, and by none is not', async () => {
    const { offline } = await known({ cards: 100_000 })
    expect(reasonOf(offline)).toBe('granted')
  })

  test('does not go by what it was when it was smaller, nor after a restart', async () => {
    const site = await known()
    site.facts('two', { cards: 100_001 })
    await site.inForce(site.offline, 'two', 'snapshot_too_large')
    expect(reasonOf(site.offline)).toBe('unavailable')
    await vi.waitFor(async () => expect(reasonOf(await site.restart())).toBe('unavailable'), 4_000)
  })

  test('has a snapshot again when it is smaller again', async () => {
    const site = await known({})
    site.facts('two', { cards: 100_001 })
    await site.inForce(site.offline, 'two', 'snapshot_too_large')
    site.facts('three')
    await site.inForce(site.offline, 'three')
    expect([reasonOf(site.offline), reasonOf(await site.restart())]).toEqual(['granted', 'granted'])
  })
})

describe('while the disk takes nothing', () => {
  test('the snapshot in memory decides all the same, and is on the disk when that takes it again', async () => {
    const site = await setUp()
    site.facts('one')
    const offline = await site.start()
    mkdirSync(site.path('snapshot.new'), { recursive: true })
    await site.inForce(offline, 'one', 'no_snapshot')
    expect(reasonOf(offline)).toBe('granted')
    rmSync(site.path('snapshot.new'), { recursive: true })

    site.at(START + 60 * SECOND)
    skipped += 60 * SECOND
    await site.inForce(offline, 'one')
    expect(reasonOf(await site.restart())).toBe('granted')
  })
})

describe('a day without the API', () => {
  const [OFFICE, NIGHT] = [id(2, 2), id(2, 3)]
  const [BY_DAY, BY_NIGHT] = [id(4, 2), id(4, 3)]
  const windows = {
    day: [{ days: [1, 2, 3, 4, 5], from: '07:00', to: '17:30' }],
    night: [{ days: [1], from: '22:00', to: '06:00' }],
  }
  const rule = (n: number, groupId: string, scheduleId: string | null) => ({
    id: id(3, n),
    groupId,
    scheduleId,
    readerIds: [READER],
  })
  const instant = (hours: number) => new Date(START + hours * HOUR).toISOString()

  /** Who comes, and what they are told so many hours after the midnight on which the day begins. */
  const COMERS: [string, Row, (hours: number) => string][] = [
    ['0A01', {}, () => 'granted'],
    ['0A02', { groups: [1] }, (h) => (h % 24 >= 7 && h % 24 < 17.5 ? 'granted' : 'outside_schedule')],
    ['0A03', { groups: [2] }, (h) => (h >= 22 && h < 30 ? 'granted' : 'outside_schedule')],
    ['0A04', { groups: [] }, () => 'no_rule'],
    ['0A05', { status: 'blocked' }, () => 'card_blocked'],
    ['0A06', { valid: [null, instant(12)] }, (h) => (h < 12 ? 'granted' : 'card_expired')],
    ['0A07', { personValid: [instant(15), null] }, (h) => (h < 15 ? 'person_not_yet_valid' : 'granted')],
    ['0A08', { active: false }, () => 'person_inactive'],
  ]
  const FACTS: Facts = {
    groups: [STAFF, OFFICE, NIGHT],
    schedules: [
      { id: BY_DAY, windows: windows.day },
      { id: BY_NIGHT, windows: windows.night },
    ],
    rules: [rule(1, STAFF, null), rule(2, OFFICE, BY_DAY), rule(3, NIGHT, BY_NIGHT)],
    pages: [COMERS.map(([number, row]) => ({ ...row, number }))],
  }

  test.each([
    ['that goes on', undefined],
    ['that is started again in between', 5],
  ])(
    'at a bridge %s: all are told what is so at that hour, for as long as the reader’s age allows',
    async (_, restartAt) => {
      const site = await known(FACTS)
      let offline = site.offline
      const told = new Set<string>()
      for (let hours = 0; hours <= 50; hours += 0.25) {
        site.at(START + hours * HOUR)
        if (hours === restartAt) offline = await site.restart()
        for (const offlineHours of [8, 24, 48]) {
          for (const [number, , expected] of [...COMERS, ['0A99', {}, () => 'unknown_card'] as const]) {
            const reason = reasonOf(offline, door({ offlineHours }), number)
            const right = hours <= offlineHours ? expected(hours) : 'unavailable'
            if (reason !== right) expect({ hours, offlineHours, number, reason }).toEqual({ reason: right })
            told.add(`${offlineHours} ${reason}`)
          }
        }
        expect(reasonOf(offline, door({ offline: 'deny' }), '0A01')).toBe('unavailable')
      }
      const reasons = ['card_blocked', 'card_expired', 'granted', 'no_rule', 'outside_schedule', 'person_inactive']
      reasons.push('person_not_yet_valid', 'unavailable', 'unknown_card')
      expect([...told].filter((each) => each.startsWith('24')).sort()).toEqual(reasons.map((each) => `24 ${each}`))
      expect(site.asked).toHaveLength(1)
    },
  )
})
