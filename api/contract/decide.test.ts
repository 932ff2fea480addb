import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type CardFacts, decide, explain, type Facts, type PinFact, type RuleFacts } from './decide.ts'
import { REASONS, type Reason } from './scan.ts'

/** A Thursday, 13:00 in Prague. */
const at = new Date('2026-01-01T12:00:00.000Z')
const ms = (offset: number) => new Date(at.getTime() + offset)

const card: CardFacts = {
  id: 'card',
  status: 'active',
  validFrom: null,
  validUntil: null,
  person: { id: 'person', active: true, validFrom: null, validUntil: null },
}
const always: RuleFacts = { id: 'rule', groupId: 'group', scheduleId: null, windows: null }
const during = (days: number[], from: string, to: string): RuleFacts => ({
  ...always,
  scheduleId: 'schedule',
  windows: [{ days, from, to }],
})
const reader = { enabled: true, timezone: 'Europe/Prague', pinWindows: null }
const granted: Facts = { late: false, reader, cards: [card], rules: [always], pin: 'none' }

const withCards = (facts: Facts, change: (card: CardFacts) => CardFacts): Facts => ({
  ...facts,
  cards: facts.cards.map(change),
})
const withCard = (facts: Facts, change: Partial<CardFacts>) => withCards(facts, (one) => ({ ...one, ...change }))
const withPerson = (facts: Facts, change: Partial<CardFacts['person']>) =>
  withCards(facts, (one) => ({ ...one, person: { ...one.person, ...change } }))
const withReader = (facts: Facts, change: Partial<NonNullable<Facts['reader']>>): Facts => ({
  ...facts,
  reader: { ...(facts.reader ?? reader), ...change },
})

/** A PIN is asked for around the clock, and this is what became of the one that was typed. */
const asking = (facts: Facts, pin: PinFact): Facts => ({
  ...withReader(facts, { pinWindows: [{ days: [1, 2, 3, 4, 5, 6, 7], from: '00:00', to: '24:00' }] }),
  pin,
})

/** What is never decided, but said of what happened otherwise. */
const UNDECIDED = ['unavailable', 'superseded', 'enrolled', 'reader_granted', 'reader_denied'] as const
type Decided = Exclude<Reason, (typeof UNDECIDED)[number]>

/** In the design's order: what brings the reason about, and the naive test for it, blind to every other one. */
const ladder: [Decided, spoil: (facts: Facts) => Facts, holds: (facts: Facts, at: Date) => boolean][] = [
  ['late', (f) => ({ ...f, late: true }), (f) => f.late],
  ['unknown_reader', (f) => ({ ...f, reader: undefined }), (f) => f.reader === undefined],
  ['reader_disabled', (f) => withReader(f, { enabled: false }), (f) => f.reader?.enabled === false],
  [
    'lockdown',
    (f) => withReader(f, { lockdown: { until: null } }),
    (f) => f.reader?.lockdown != null && (f.cards.length !== 1 || !f.cards[0]?.person.exemptFromLockdown),
  ],
  ['unknown_card', (f) => ({ ...f, cards: [] }), (f) => f.cards.length === 0],
  ['ambiguous_card', (f) => ({ ...f, cards: [...f.cards, ...f.cards, card] }), (f) => f.cards.length > 1],
  ['card_blocked', (f) => withCard(f, { status: 'blocked' }), (f) => f.cards[0]?.status === 'blocked'],
  ['card_lost', (f) => withCard(f, { status: 'lost' }), (f) => f.cards[0]?.status === 'lost'],
  ['card_returned', (f) => withCard(f, { status: 'returned' }), (f) => f.cards[0]?.status === 'returned'],
  ['card_not_yet_valid', (f) => withCard(f, { validFrom: ms(1) }), (f, now) => begins(f.cards[0]) > +now],
  ['card_expired', (f) => withCard(f, { validUntil: ms(0) }), (f, now) => ends(f.cards[0]) <= +now],
  ['person_inactive', (f) => withPerson(f, { active: false }), (f) => f.cards[0]?.person.active === false],
  ['person_not_yet_valid', (f) => withPerson(f, { validFrom: ms(1) }), (f, now) => begins(f.cards[0]?.person) > +now],
  ['person_expired', (f) => withPerson(f, { validUntil: ms(0) }), (f, now) => ends(f.cards[0]?.person) <= +now],
  ['no_rule', (f) => ({ ...f, rules: [] }), (f) => f.rules.length === 0],
  [
    'outside_schedule',
    (f) => ({ ...f, rules: [during([4], '13:01', '18:00'), during([1, 2, 3, 5, 6, 7], '00:00', '24:00')] }),
    (f, now) =>
      !f.rules.some(({ windows }) => windows === null || windows.some(({ days }) => days.includes(day(f, now)))),
  ],
  ['pin_required', (f) => asking(f, 'none'), (f, now) => asks(f, now) && f.pin === 'none'],
  ['pin_locked', (f) => asking(f, 'locked'), (f, now) => asks(f, now) && f.pin === 'locked'],
  ['wrong_pin', (f) => asking(f, 'wrong'), (f, now) => asks(f, now) && f.pin === 'wrong'],
  ['granted', (f) => f, () => true],
]

type Dated = { validFrom: Date | null; validUntil: Date | null }
const begins = (dated: Dated | undefined) => dated?.validFrom?.getTime() ?? -Infinity
const ends = (dated: Dated | undefined) => dated?.validUntil?.getTime() ?? Infinity

/** The oracle's zones have no summer time, and its windows are whole days: it needs no clock on the wall. */
const HOURS: Record<string, number> = { UTC: 0, 'Etc/GMT+12': -12, 'Pacific/Kiritimati': 14 }
const day = ({ reader: where }: Facts, now: Date) =>
  new Date(now.getTime() + (HOURS[where?.timezone ?? ''] ?? Number.NaN) * 3_600_000).getUTCDay() || 7
const asks = (facts: Facts, now: Date) =>
  facts.reader?.pinWindows?.some(({ days }) => days.includes(day(facts, now))) === true
/** A PIN alone that is refused takes the place of the unknown card, as it names nobody. */
const NOBODYS: Partial<Record<PinFact, Decided>> = { locked: 'pin_locked', wrong: 'wrong_pin' }
const oracle = (facts: Facts, now: Date) => {
  const first = ladder.find(([, , holds]) => holds(facts, now))?.[0]
  return first === 'unknown_card' ? (NOBODYS[facts.pin] ?? first) : first
}

test('the ladder is every reason in the contract’s order, save those that are not decided', () => {
  expect([...ladder.map(([reason]) => reason), ...UNDECIDED]).toEqual(REASONS)
})

test.for(ladder)('%s, and nothing else being wrong', ([reason, spoil]) => {
  expect(decide(spoil(granted), at)).toBe(reason)
})

test.for(ladder)('%s, with everything after it being wrong too', ([reason]) => {
  const from = ladder.findIndex(([name]) => name === reason)
  const facts = ladder.slice(from).reduceRight((spoilt, [, spoil]) => spoil(spoilt), granted)
  expect(decide(facts, at)).toBe(reason)
})

const pairs = ladder.slice(0, -1).flatMap(([first, spoilFirst, firstHolds], n) =>
  ladder.slice(n + 1, -1).flatMap(([second, spoilSecond, secondHolds]) => {
    const both = spoilFirst(spoilSecond(granted))
    const takesItsPlace = first === 'unknown_card' && NOBODYS[both.pin] !== undefined
    return firstHolds(both, at) && secondHolds(both, at) && !takesItsPlace ? [[first, second, both] as const] : []
  }),
)

test.for(pairs)('%s comes before %s', ([first, , both]) => {
  expect(decide(both, at)).toBe(first)
})

test('nearly every pair of reasons can hold at once, so that the table above is not an empty one', () => {
  expect(pairs.length).toBeGreaterThan(130)
})

test.for([
  ['a card is valid from its first millisecond', withCard(granted, { validFrom: ms(0) }), 'granted'],
  ['a card is not valid a millisecond earlier', withCard(granted, { validFrom: ms(1) }), 'card_not_yet_valid'],
  ['a card is valid to its last millisecond', withCard(granted, { validUntil: ms(1) }), 'granted'],
  ['a card is not valid at its end', withCard(granted, { validUntil: ms(0) }), 'card_expired'],
  [
    'a card that ends as it begins is never valid',
    withCard(granted, { validFrom: ms(0), validUntil: ms(0) }),
    'card_expired',
  ],
  ['a person is valid from the first millisecond', withPerson(granted, { validFrom: ms(0) }), 'granted'],
  ['a person is not valid a millisecond earlier', withPerson(granted, { validFrom: ms(1) }), 'person_not_yet_valid'],
  ['a person is valid to the last millisecond', withPerson(granted, { validUntil: ms(1) }), 'granted'],
  ['a person is not valid at the end', withPerson(granted, { validUntil: ms(0) }), 'person_expired'],
  ['a rule opens within its window', { ...granted, rules: [during([4], '13:00', '13:01')] }, 'granted'],
  [
    'a rule’s window is on the reader’s clock',
    { ...granted, rules: [during([4], '12:00', '13:00')] },
    'outside_schedule',
  ],
  ['one open rule is enough', { ...granted, rules: [during([5], '00:00', '24:00'), always] }, 'granted'],
  ['a schedule without windows is never open', { ...granted, rules: [{ ...always, windows: [] }] }, 'outside_schedule'],
  [
    'a lockdown spares the exempt',
    withReader(withPerson(granted, { exemptFromLockdown: true }), { lockdown: { until: null } }),
    'granted',
  ],
  [
    'a lockdown holds for an unknown card',
    withReader({ ...granted, cards: [] }, { lockdown: { until: null } }),
    'lockdown',
  ],
  [
    'a lockdown holds for two exempt people with one number',
    withReader(withPerson({ ...granted, cards: [card, card] }, { exemptFromLockdown: true }), {
      lockdown: { until: null },
    }),
    'lockdown',
  ],
  [
    'being exempt from a lockdown opens nothing else',
    withReader(withPerson({ ...granted, rules: [] }, { exemptFromLockdown: true }), { lockdown: { until: null } }),
    'no_rule',
  ],
  ['a right PIN opens where one is asked for', asking(granted, 'right'), 'granted'],
  ['a right PIN opens nothing else', asking({ ...granted, rules: [] }, 'right'), 'no_rule'],
  ['a PIN that nobody asks for is not looked at', { ...granted, pin: 'wrong' }, 'granted'],
  ['nor is one whose schedule is never', withReader({ ...granted, pin: 'wrong' }, { pinWindows: [] }), 'granted'],
  [
    'a PIN is asked for by the reader’s clock',
    withReader(granted, { pinWindows: [{ days: [4], from: '13:00', to: '13:01' }] }),
    'pin_required',
  ],
  [
    'and not outside its window',
    withReader(granted, { pinWindows: [{ days: [4], from: '12:00', to: '13:00' }] }),
    'granted',
  ],
  ['a card that nobody has is unknown, with whatever PIN', { ...asking(granted, 'none'), cards: [] }, 'unknown_card'],
  ['a PIN alone that is nobody’s is a wrong one', { ...granted, cards: [], pin: 'wrong' }, 'wrong_pin'],
  ['a PIN alone is locked like any other', { ...granted, cards: [], pin: 'locked' }, 'pin_locked'],
  ['a PIN alone that is right says who it is', withCard({ ...granted, pin: 'right' }, { id: null }), 'granted'],
  [
    'a PIN alone is enough where a card and a PIN are asked for',
    withCard(asking(granted, 'right'), { id: null }),
    'granted',
  ],
  [
    'a PIN alone opens no more than a card',
    withPerson(withCard({ ...granted, pin: 'right' }, { id: null }), { active: false }),
    'person_inactive',
  ],
  [
    'a lockdown comes before a PIN alone that is wrong',
    withReader({ ...granted, cards: [], pin: 'wrong' }, { lockdown: { until: null } }),
    'lockdown',
  ],
] as const)('%s', ([, facts, reason]) => {
  expect(decide(facts, at)).toBe(reason)
})

test('an explanation says of each rule whether it is open, and by which clock', () => {
  const { reason, clock, rules } = explain({ ...granted, rules: [during([5], '00:00', '24:00'), always] }, at)
  expect({ reason, clock, open: rules.map((rule) => rule.open) }).toEqual({
    reason: 'granted',
    clock: { day: 4, time: '13:00' },
    open: [false, true],
  })
})

test('without a reader an explanation has no clock, and no rule is open', () => {
  const { reason, clock, rules, pinAsked } = explain({ ...granted, reader: undefined }, at)
  expect({ reason, clock, pinAsked, open: rules.map((rule) => rule.open) }).toEqual({
    reason: 'unknown_reader',
    clock: undefined,
    pinAsked: false,
    open: [false],
  })
})

test('an explanation says whether a PIN is asked for, also where something else refuses', () => {
  const shut = withCard(asking(granted, 'none'), { status: 'lost' })
  expect(explain(shut, at)).toMatchObject({ reason: 'card_lost', pinAsked: true })
  expect(explain(granted, at)).toMatchObject({ reason: 'granted', pinAsked: false })
})

const PIN_FACTS: readonly PinFact[] = ['none', 'right', 'wrong', 'locked']

/** True so often that every rung of the ladder is reached. */
const mostly = fc.integer({ min: 0, max: 15 }).map((n) => n !== 7)
const now = fc.integer({ min: 0, max: 7 * 24 }).map((hour) => ms(hour * 3_600_000))
const anyFacts = (instant: Date): fc.Arbitrary<Facts> => {
  const near = fc.option(fc.integer({ min: -1, max: 1 }).map((offset) => new Date(instant.getTime() + offset)))
  const validity = { validFrom: fc.oneof({ weight: 4, arbitrary: fc.constant(null) }, near), validUntil: near }
  const status = fc.oneof(
    { weight: 9, arbitrary: fc.constant('active' as const) },
    fc.constantFrom('blocked' as const, 'lost' as const, 'returned' as const),
  )
  const person = fc.record({ id: fc.uuid(), active: mostly, exemptFromLockdown: fc.boolean(), ...validity })
  const cards = fc.array(fc.record({ id: fc.uuid(), status, person, ...validity }), { maxLength: 2 })
  const wholeDays = fc
    .subarray([1, 2, 3, 4, 5, 6, 7], { minLength: 1 })
    .map((days) => ({ days, from: '00:00', to: '24:00' }))
  const windows = fc.option(fc.array(wholeDays, { maxLength: 2 }))
  const rule = fc.record({ id: fc.uuid(), groupId: fc.uuid(), scheduleId: fc.constant(null), windows })
  const where = fc.record({
    enabled: mostly,
    timezone: fc.constantFrom(...Object.keys(HOURS)),
    lockdown: fc.oneof({ weight: 3, arbitrary: fc.constant(null) }, fc.constant({ until: null })),
    pinWindows: fc.oneof(fc.constant(null), fc.array(wholeDays, { maxLength: 2 })),
  })
  return fc.record({
    late: mostly.map((not) => !not),
    reader: fc.option(where, { nil: undefined, freq: 15 }),
    cards: fc.oneof({ weight: 3, arbitrary: cards.filter((some) => some.length === 1) }, cards),
    rules: fc.array(rule, { maxLength: 3 }),
    pin: fc.constantFrom(...PIN_FACTS),
  })
}
const question = now.chain((instant) => fc.tuple(anyFacts(instant), fc.constant(instant)))

test('property: the decision is the first reason of the ladder that holds', () => {
  fc.assert(
    fc.property(question, ([facts, instant]) => {
      expect(decide(facts, instant)).toBe(oracle(facts, instant))
    }),
    { numRuns: 2000 },
  )
})

test('property: what is typed changes nothing but the three reasons of PINs, and a PIN that is right refuses nobody', () => {
  fc.assert(
    fc.property(question, ([facts, instant]) => {
      const [none, right, ...refused] = PIN_FACTS.map((pin) => decide({ ...facts, pin }, instant))
      expect(right === none || none === 'pin_required').toBe(true)
      for (const reason of refused) expect([none, 'pin_locked', 'wrong_pin']).toContain(reason)
    }),
  )
})

test('property: an explanation’s reason is the decision', () => {
  fc.assert(fc.property(question, ([facts, instant]) => explain(facts, instant).reason === decide(facts, instant)))
})

test('property: who is granted is on time, at an enabled reader, with one good card of one good person, an open rule, and the PIN if one is asked for', () => {
  let opened = 0
  fc.assert(
    fc.property(question, ([facts, instant]) => {
      if (decide(facts, instant) !== 'granted') return
      opened += 1
      expect(facts.late).toBe(false)
      expect(facts.reader).toMatchObject({ enabled: true })
      expect(facts.cards).toMatchObject([{ status: 'active', person: { active: true } }])
      for (const dated of facts.cards.flatMap((one) => [one, one.person])) {
        expect(begins(dated)).toBeLessThanOrEqual(instant.getTime())
        expect(ends(dated)).toBeGreaterThan(instant.getTime())
      }
      if (facts.reader?.lockdown) expect(facts.cards[0]?.person.exemptFromLockdown).toBe(true)
      const { rules, pinAsked } = explain(facts, instant)
      expect(rules.some((rule) => rule.open)).toBe(true)
      expect(!pinAsked || facts.pin === 'right').toBe(true)
    }),
    { numRuns: 1000 },
  )
  expect(opened).toBeGreaterThan(20)
})
