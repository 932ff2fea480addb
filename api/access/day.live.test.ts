import fc from 'fast-check'
import { beforeAll, expect, test } from 'vitest'
import { type CardNumber, type CardView, keysOfCard } from '../contract/card-views.ts'
import { decide, explain, STATUSES } from '../contract/decide.ts'
import type { Reason } from '../contract/scan.ts'
import type { SiteReader } from '../contract/site.ts'
import { hashingKey, type Snapshot, snapshotOf, withSite } from '../contract/snapshot.ts'
import { wallClock } from '../contract/window.ts'
import { cardKeys, cards, groupPeople, lockdownReaders, lockdowns, people } from '../db/schema.ts'
import { startTestApi, type TestApi } from '../testing/api.ts'
import { type Caller, signIn } from '../testing/caller.ts'
import { keyOf, registerBridge } from '../testing/sealed.ts'

// A day of a whole site by the snapshot and what the site tells of its readers, and that the API would have told everybody
// the same.

/** The same site and the same days each time. */
const seed = 20_261_025
const sample = <T>(arbitrary: fc.Arbitrary<T>, numRuns: number) => fc.sample(fc.noBias(arbitrary), { seed, numRuns })

const PEOPLE = 300
/** Of the views two that are unlike: what each of them reads is tested beside card-views.ts. */
const VIEWS: readonly CardView[] = ['hex', 'decimal']
/** As many as it takes to meet every word on each day. */
const SCANS = 500
/** Of a busy machine: every scan is a request. Milliseconds. */
const PATIENCE_MS = 180_000
const AT_ONCE = 10

const HOUR = 3_600_000
const ISO_WEEK = [1, 2, 3, 4, 5, 6, 7]

/** From midnight to midnight in Prague, whose clocks are changed on these days: the hour from 2 to 3 is not, or is twice. */
const DAYS = {
  skips: { midnight: Date.parse('2026-03-29T00:00:00+01:00'), hours: 23, nights: [] as number[] },
  repeats: { midnight: Date.parse('2026-10-25T00:00:00+02:00'), hours: 25, nights: [0, 1] },
}

let api: TestApi
let admin: Caller
let snapshot: Snapshot
let smallHours: string
/** As a bridge is told of them: after the snapshot, and with lockdowns of which that knows nothing. */
let told: Map<string, SiteReader>
const readers: { id: string; cardView: CardView; timezone: string }[] = []
const known: CardNumber[] = []

const keysOf = (card: CardNumber) => keysOfCard(card).filter(({ view }) => VIEWS.includes(view))

const add = async (noun: string, fields: object): Promise<string> => {
  const { status, body } = await admin.post(noun, fields)
  expect({ status, body }).toMatchObject({ status: 201 })
  return body.id
}

const mostly = <T>(usual: T, ...others: T[]) =>
  fc.oneof({ weight: 12, arbitrary: fc.constant(usual) }, ...others.map((other) => fc.constant(other)))

/** For most without end; for some it is over, or begins or ends about the time of one of the days. */
const validity = fc.oneof(
  { weight: 6, arbitrary: fc.constant({ validFrom: null, validUntil: null }) },
  { weight: 1, arbitrary: fc.constant({ validFrom: null, validUntil: new Date('2026-01-01T00:00:00Z') }) },
  {
    weight: 2,
    arbitrary: fc
      .record({
        midnight: fc.constantFrom(DAYS.skips.midnight, DAYS.repeats.midnight),
        hours: fc.integer({ min: -12, max: 24 }),
        has: fc.constantFrom('from', 'until', 'both'),
      })
      .map(({ midnight, hours, has }) => ({
        validFrom: has === 'until' ? null : new Date(midnight + hours * HOUR),
        validUntil: has === 'from' ? null : new Date(midnight + (hours + 8) * HOUR),
      })),
  },
)
const bytes = fc.uint8Array({ minLength: 4, maxLength: 7 }).map((all) => Buffer.from(all).toString('hex').toUpperCase())
const person = fc.record({
  active: mostly(true, false),
  exemptFromLockdown: mostly(false, true),
  during: validity,
  groups: fc.subarray([0, 1, 2, 3, 4, 5, 6], { minLength: 1, maxLength: 3 }),
  numbers: fc.array(fc.oneof(bytes, bytes, bytes, bytes, fc.bigInt(1n, 10n ** 12n)), { minLength: 1, maxLength: 2 }),
  // In decimal a second card of somebody else's looks the same.
  twin: mostly(false, true),
  status: mostly(...STATUSES),
  cardDuring: validity,
})

beforeAll(async () => {
  api = await startTestApi()
  admin = await signIn(api, 'admin')
  const bridge = await registerBridge(api, admin)

  for (const timezone of ['Europe/Prague', 'America/New_York', 'Asia/Kolkata', 'Pacific/Kiritimati', 'UTC']) {
    for (const cardView of VIEWS) {
      const enabled = timezone !== 'UTC' || cardView !== 'hex'
      const fields = { name: timezone, topic: `day/${timezone}/${cardView}`, cardView, timezone, enabled }
      readers.push({ id: await add('/readers', fields), cardView, timezone })
    }
  }
  const windowsOf: [string, object[] | null][] = [
    ['Always', null],
    ['Office', [{ days: [1, 2, 3, 4, 5], from: '07:00', to: '17:30' }]],
    ['Weekend', [{ days: [6, 7], from: '08:00', to: '16:00' }]],
    ['Nights', [{ days: ISO_WEEK, from: '22:00', to: '06:00' }]],
    [
      'Parties',
      [
        { days: [6], from: '20:00', to: '02:30' },
        { days: [7], from: '23:00', to: '24:00' },
      ],
    ],
    ['Never', []],
  ]
  const groups: string[] = []
  for (const [n, [name, windows]] of windowsOf.entries()) {
    const groupId = await add('/groups', { name })
    const scheduleId = windows && (await add('/schedules', { name, windows }))
    const readerIds = readers.filter((_, at) => (at + n) % 4 !== 0).map(({ id }) => id)
    await add('/rules', { groupId, scheduleId, readerIds })
    groups.push(groupId)
  }
  groups.push(await add('/groups', { name: 'Without a rule' }))
  const everybody = await add('/groups', { name: 'Everybody' })
  smallHours = await add('/schedules', { name: 'Small hours', windows: [{ days: [7], from: '02:00', to: '03:00' }] })
  const [here] = readers
  await add('/rules', { groupId: everybody, scheduleId: smallHours, readerIds: [here?.id] })

  const made = sample(person, PEOPLE)
  const all = await api.db
    .insert(people)
    .values(
      made.map(({ active, exemptFromLockdown, during }, n) => ({
        name: `Person ${n}`,
        active,
        exemptFromLockdown,
        ...during,
      })),
    )
    .returning({ id: people.id })
  const idOf = (n: number) => all[n % all.length]?.id ?? ''
  const memberships = made.flatMap((one, n) => {
    const theirs = [everybody, ...one.groups.flatMap((at) => groups[at] ?? [])]
    return theirs.map((groupId) => ({ groupId, personId: idOf(n) }))
  })
  await api.db.insert(groupPeople).values(memberships)
  const carried = made.flatMap(({ numbers, twin, status, cardDuring }, n) => {
    const own = numbers.map((number, at) => ({
      ...(typeof number === 'string'
        ? { form: 'hex' as const, number }
        : { form: 'decimal' as const, number: `${number}` }),
      personId: idOf(n),
      ...(at === 0 ? { status, ...cardDuring } : {}),
    }))
    const [first] = own
    if (!twin || first?.form !== 'hex') return own
    return [...own, { form: 'hex' as const, number: `00${first.number}`, personId: idOf(n + 1) }]
  })
  const written = await api.db.insert(cards).values(carried).onConflictDoNothing().returning()
  await api.db
    .insert(cardKeys)
    .values(written.flatMap((card) => keysOf(card).map((found) => ({ ...found, cardId: card.id }))))
  known.push(...written.toSorted((a, b) => (a.number < b.number ? -1 : 1)))
  snapshot = snapshotOf(await bridge.pages(), hashingKey(await keyOf(bridge.key)))
  expect(snapshot.cards).toBe(written.length)

  const { skips, repeats } = DAYS
  await lockDown(null, { until: new Date(skips.midnight + 2.5 * HOUR) })
  await lockDown([0, 1], { until: new Date(skips.midnight + 12 * HOUR) })
  await lockDown([1], { until: new Date(repeats.midnight + 12 * HOUR) })
  await lockDown([3], {})
  await lockDown([5], { kind: 'evacuation' })
  await lockDown([6, 7], { endedAt: new Date(skips.midnight) })
  const { readers: site = [] } = await bridge.config()
  told = new Map(site.map((reader) => [reader.id, reader]))
})

/** Written as they would have been long ago; null is everywhere. */
const lockDown = async (at: number[] | null, more: Partial<typeof lockdowns.$inferInsert>) => {
  const values = {
    kind: 'lockdown',
    reason: 'Drill',
    everywhere: at === null,
    createdAt: new Date(0),
    ...more,
  } as const
  const [row] = await api.db.insert(lockdowns).values(values).returning()
  const links = at?.map((n) => ({ lockdownId: String(row?.id), readerId: String(readers[n]?.id) }))
  if (links) await api.db.insert(lockdownReaders).values(links)
}

const NOWHERE = '0198c0de-0009-7000-8000-000000000009'
const question = fc.record({
  // Much happens in Prague; and once in a while a reader publishes that was deleted.
  at: fc.oneof(
    { weight: 9, arbitrary: fc.nat({ max: 1 }) },
    { weight: 16, arbitrary: fc.integer({ min: 2, max: 9 }) },
    { weight: 1, arbitrary: fc.constant(-1) },
  ),
  card: fc.option(fc.nat(), { nil: undefined, freq: 12 }),
  spelling: fc.nat({ max: 2 }),
  within: fc.double({ min: 0, max: 0.999, noNaN: true }),
  edge: fc.option(fc.constantFrom(-1, 0, 1), { freq: 4 }),
})

const textOf = (card: CardNumber, view: CardView, spelling: number): string => {
  const text = keysOfCard(card).find((found) => found.view === view)?.key ?? card.number
  if (view === 'decimal') return [text, `00${text}`, ` ${text}`][spelling] ?? text
  return [text, text.toLowerCase(), text.replace(/..(?=.)/g, '$&-')][spelling] ?? text
}

const HALF_HOUR = HOUR / 2

/** A day of scans in their order; some right when some window begins or ends, or a moment before or after. */
const scansOf = ({ midnight, hours }: (typeof DAYS)[keyof typeof DAYS]) =>
  sample(question, SCANS).map(({ at, card, spelling, within, edge }, n) => {
    const ms = midnight + ((n + within) / SCANS) * hours * HOUR
    const { id, cardView, timezone } = readers[at] ?? { id: NOWHERE, cardView: 'hex' as const, timezone: 'UTC' }
    const found = card === undefined ? undefined : known[card % known.length]
    return {
      readerId: id,
      timezone,
      card: found ? textOf(found, cardView, spelling) : '987654',
      at: new Date(edge === null ? ms : Math.round(ms / HALF_HOUR) * HALF_HOUR + edge),
    }
  })
type DayScan = ReturnType<typeof scansOf>[number]

/** What matters of a decision: the word, the lockdown, the card and its person, and what each rule said. */
type Told = {
  reason: Reason
  lockdown: string | null | undefined
  cards: string[]
  person: string | undefined
  rules: string[]
}
const ruleLine = ({ id, open }: { id: string; open: boolean }) => `${id} ${open}`

const bySnapshot = ({ readerId, card, at }: DayScan): Told => {
  const reader = told.get(readerId)
  const known = snapshot.facts(readerId, card)
  const { facts } = reader ? withSite(known, reader) : known
  const { rules, lockdown } = explain({ ...facts, late: false, pin: 'none' }, at)
  const [one, second] = facts.cards
  return {
    reason: decide({ ...facts, late: false, pin: 'none' }, at),
    lockdown: lockdown?.until === null ? null : lockdown?.until.toISOString(),
    cards: facts.cards.flatMap(({ id }) => id ?? []).sort(),
    person: second ? undefined : one?.person.id,
    rules: second ? [] : rules.map(ruleLine).sort(),
  }
}

type Explained = {
  reason: Reason
  lockdown: { until: string | null } | null
  matches: string[]
  person: { id: string } | null
  rules: { id: string; scheduleId: string | null; open: boolean }[]
}
const byApi = async ({ readerId, card, at }: DayScan): Promise<{ told: Told; explained: Explained }> => {
  const query = new URLSearchParams({ readerId, card, at: at.toISOString() })
  const { status, body } = await admin.get(`/explain?${query}`)
  expect({ status, body }).toMatchObject({ status: 200 })
  const explained = body as unknown as Explained
  const { reason, lockdown, matches, person, rules } = explained
  const told = {
    reason,
    lockdown: lockdown?.until,
    cards: matches.toSorted(),
    person: person?.id,
    rules: matches.length > 1 ? [] : rules.map(ruleLine).sort(),
  }
  return { told, explained }
}

test.each([
  ['on which an hour is skipped', DAYS.skips],
  ['on which an hour comes twice', DAYS.repeats],
])(
  'property: on a day %s the snapshot tells everybody what the API would have told them',
  { timeout: PATIENCE_MS },
  async (_, day) => {
    const counts: Partial<Record<Reason, number>> = {}
    const nights = new Set<number>()
    let exempted = 0
    const scans = scansOf(day)
    for (let from = 0; from < scans.length; from += AT_ONCE) {
      const some = scans.slice(from, from + AT_ONCE)
      const answers = await Promise.all(some.map(byApi))
      for (const [n, scan] of some.entries()) {
        const online = answers[n]
        const offline = bySnapshot(scan)
        expect({ scan, ...offline }).toEqual({ scan, ...online?.told })
        counts[offline.reason] = (counts[offline.reason] ?? 0) + 1
        if (offline.lockdown !== undefined && offline.reason === 'granted') exempted += 1
        const open = online?.explained.rules.some((rule) => rule.scheduleId === smallHours && rule.open)
        if (open) nights.add(scan.at.getUTCHours())
        if (open) expect(wallClock(scan.at, scan.timezone).time).toMatch(/^02:/)
      }
    }

    // So that it did not all end in the same few words.
    const reasons = [
      'unknown_reader',
      'reader_disabled',
      'lockdown',
      'unknown_card',
      'ambiguous_card',
      'card_blocked',
      'card_lost',
    ]
    reasons.push('card_returned', 'card_not_yet_valid', 'card_expired', 'person_inactive', 'person_not_yet_valid')
    reasons.push('person_expired', 'no_rule', 'outside_schedule', 'granted')
    expect(Object.keys(counts).sort()).toEqual(reasons.sort())
    for (const often of ['granted', 'outside_schedule'] as const) expect(counts[often]).toBeGreaterThan(SCANS / 15)
    expect(exempted).toBeGreaterThan(0)
    expect([...nights].sort()).toEqual(day.nights)
  },
)
