import { createHmac } from 'node:crypto'
import fc from 'fast-check'
import * as v from 'valibot'
import { describe, expect, test } from 'vitest'
import { type CardNumber, keysOfCard } from './card-views.ts'
import { decide } from './decide.ts'
import { sealingKey } from './envelope.ts'
import {
  hashingKey,
  hashOfKey,
  SnapshotPage,
  type SnapshotRow,
  type SnapshotSite,
  snapshotOf,
  withSite,
} from './snapshot.ts'

const bytes = Uint8Array.from({ length: 32 }, (_, n) => n)
const key = hashingKey(sealingKey(bytes))
const id = (kind: number, n = 0) => `0198c0de-000${kind}-7000-8000-${String(n).padStart(12, '0')}`

/** A Thursday, 13:00 in Prague. */
const at = new Date('2026-01-01T12:00:00.000Z')

const [HEX, DECIMAL, CLOSED, NOWHERE] = [id(1, 1), id(1, 2), id(1, 3), id(1, 9)]
const [STAFF, GUESTS] = [id(2, 1), id(2, 2)]
const [DAY, NEVER] = [id(3, 1), id(3, 2)]
const [ALWAYS, BY_DAY] = [id(4, 1), id(4, 2)]

const site: SnapshotSite = {
  readers: [
    { id: HEX, enabled: true, timezone: 'Europe/Prague', cardView: 'hex', openMs: 1_500, pin: null },
    { id: DECIMAL, enabled: true, timezone: 'UTC', cardView: 'decimal', openMs: 0, pin: null },
    { id: CLOSED, enabled: false, timezone: 'UTC', cardView: 'hex', openMs: 3_000, pin: null },
  ],
  groups: [STAFF, GUESTS],
  schedules: [
    { id: DAY, windows: [{ days: [4], from: '13:00', to: '14:00' }] },
    { id: NEVER, windows: [] },
  ],
  rules: [
    { id: ALWAYS, groupId: STAFF, scheduleId: null, readerIds: [HEX, CLOSED] },
    { id: BY_DAY, groupId: GUESTS, scheduleId: DAY, readerIds: [HEX, DECIMAL] },
  ],
}

/** The row of a card as the API writes it. */
const row = (n: number, card: CardNumber, more: Partial<SnapshotRow> = {}): SnapshotRow => ({
  card: id(5, n),
  status: 'active',
  valid: [null, null],
  person: id(6, n),
  active: true,
  personValid: [null, null],
  groups: [0],
  keys: keysOfCard(card).map((found) => hashOfKey(key, found.view, found.key)),
  ...more,
})
const hex = (number: string): CardNumber => ({ form: 'hex', number })
const legacy = (number: string): CardNumber => ({ form: 'decimal', number })

const page = (rows: SnapshotRow[], more: Partial<SnapshotPage> = {}): SnapshotPage => ({
  version: 'one',
  now: at.toISOString(),
  rows,
  ...more,
})
const whole = (rows: SnapshotRow[], change: Partial<SnapshotSite> = {}) =>
  snapshotOf([page(rows, { site: { ...site, ...change }, cards: rows.length })], key)
const reason = (snapshot: ReturnType<typeof whole>, readerId: string, card: string, when = at) =>
  decide({ ...snapshot.facts(readerId, card).facts, late: false, pin: 'none' }, when)

describe('what is known about a card at a reader', () => {
  const card = row(1, hex('DE0BA996'), {
    valid: ['2025-01-01T00:00:00.000Z', '2027-01-01T00:00:00.000Z'],
    personValid: [null, '2026-06-01T00:00:00.000Z'],
    groups: [1, 0],
  })

  test('is what the decision needs, with times as dates, and how long the door opens', () => {
    const { facts, openMs } = whole([card]).facts(HEX, 'de-0b-a9-96')
    expect(openMs).toBe(1_500)
    expect(facts).toEqual({
      reader: { enabled: true, timezone: 'Europe/Prague', pinWindows: null },
      cards: [
        {
          id: card.card,
          status: 'active',
          validFrom: new Date('2025-01-01T00:00:00.000Z'),
          validUntil: new Date('2027-01-01T00:00:00.000Z'),
          person: {
            ...{ id: card.person, active: true, exemptFromLockdown: false },
            ...{ validFrom: null, validUntil: new Date('2026-06-01T00:00:00.000Z') },
          },
        },
      ],
      rules: [
        { id: ALWAYS, groupId: STAFF, scheduleId: null, windows: null },
        {
          id: BY_DAY,
          groupId: GUESTS,
          scheduleId: DAY,
          windows: [{ days: [4], from: '13:00', to: '14:00' }],
        },
      ],
    })
  })

  test('has only the rules that name the reader and one of the person’s groups', () => {
    const snapshot = whole([row(1, hex('AA')), row(2, hex('BB'), { groups: [1] }), row(3, hex('CC'), { groups: [] })])
    const rules = (readerId: string, text: string) => snapshot.facts(readerId, text).facts.rules.map((rule) => rule.id)
    expect([rules(HEX, 'AA'), rules(HEX, 'BB'), rules(HEX, 'CC')]).toEqual([[ALWAYS], [BY_DAY], []])
    expect([rules(DECIMAL, '170'), rules(DECIMAL, '187'), rules(DECIMAL, '204')]).toEqual([[], [BY_DAY], []])
  })

  test.for<[string, string, string, string]>([
    ['a reader that is not told of', NOWHERE, 'DE0BA996', 'unknown_reader'],
    ['a reader that is disabled', CLOSED, 'DE0BA996', 'reader_disabled'],
    ['a card', HEX, 'DE0BA996', 'granted'],
    ['a card in the usual spellings', HEX, ' de:0b:a9:96 ', 'granted'],
    ['a card in the other view', DECIMAL, '3725306262', 'outside_schedule'],
    ['a card with zeros in front, where they do not count', DECIMAL, '003725306262', 'outside_schedule'],
    ['a card with zeros in front, where they count', HEX, '00DE0BA996', 'unknown_card'],
    ['a card in a view that is not the reader’s', HEX, '3725306262', 'unknown_card'],
    ['a card in the other view that is not the reader’s', DECIMAL, 'DE0BA996', 'unknown_card'],
    ['a card that is not told of', HEX, 'DE0BA997', 'unknown_card'],
    ['what is no card', DECIMAL, 'Ada', 'unknown_card'],
    ['zero', DECIMAL, '000', 'unknown_card'],
  ])('says of %s the right thing', ([, readerId, text, expected]) => {
    expect(reason(whole([card, row(2, hex('AB'))]), readerId, text)).toBe(expected)
  })

  test('is nothing but the reader when the card is unknown, and nothing at all when the reader is', () => {
    const snapshot = whole([card])
    expect(snapshot.facts(HEX, 'AB')).toEqual({
      facts: { reader: { enabled: true, timezone: 'Europe/Prague', pinWindows: null }, cards: [], rules: [] },
      openMs: 1_500,
    })
    expect(snapshot.facts(NOWHERE, 'DE0BA996')).toEqual({
      facts: { reader: undefined, cards: [], rules: [] },
      openMs: 0,
    })
  })

  test.for<[string, Partial<SnapshotRow>, string]>([
    ['blocked', { status: 'blocked' }, 'card_blocked'],
    ['lost', { status: 'lost' }, 'card_lost'],
    ['returned', { status: 'returned' }, 'card_returned'],
    ['valid a moment later', { valid: ['2026-01-01T12:00:00.001Z', null] }, 'card_not_yet_valid'],
    ['valid since this moment', { valid: ['2026-01-01T12:00:00.000Z', null] }, 'granted'],
    ['valid until this moment', { valid: [null, '2026-01-01T12:00:00.000Z'] }, 'card_expired'],
    ['of a person who is inactive', { active: false }, 'person_inactive'],
    ['of a person of tomorrow', { personValid: ['2026-01-02T00:00:00Z', null] }, 'person_not_yet_valid'],
    ['of a person of yesterday', { personValid: [null, '2025-12-31T00:00:00Z'] }, 'person_expired'],
    ['of a person without a group', { groups: [] }, 'no_rule'],
    ['of a person in a group that is not told of', { groups: [7] }, 'no_rule'],
  ])('leads to the right reason when the card is %s', ([, change, expected]) => {
    expect(reason(whole([row(1, hex('DE0BA996'), change)]), HEX, 'DE0BA996')).toBe(expected)
  })
})

describe('a card is ambiguous', () => {
  const two = [row(1, hex('DE0BA996')), row(2, hex('00DE0BA996'))]

  test('when two rows have one hash, in the view in which they have it', () => {
    const snapshot = whole(two)
    expect(reason(snapshot, DECIMAL, '3725306262')).toBe('ambiguous_card')
    expect(reason(snapshot, HEX, 'DE0BA996')).toBe('granted')
    expect(reason(snapshot, HEX, '00DE0BA996')).toBe('granted')
    expect(
      snapshot
        .facts(DECIMAL, '3725306262')
        .facts.cards.map((card) => card.id)
        .sort(),
    ).toEqual([id(5, 1), id(5, 2)])
  })

  test('when the two are in two pages', () => {
    const pages = two.map((one, n) => page([one], n === 0 ? { site } : {}))
    expect(reason(snapshotOf(pages, key), DECIMAL, '3725306262')).toBe('ambiguous_card')
  })

  test('and no more than two are looked at', () => {
    const many = Array.from({ length: 30 }, (_, n) => row(n, hex(`${'00'.repeat(n)}AB`)))
    expect(whole(many).facts(DECIMAL, '171').facts.cards).toHaveLength(2)
  })
})

describe('a rule', () => {
  const during = (scheduleId: string | null, schedules = site.schedules) =>
    whole([row(1, hex('AB'))], { schedules, rules: [{ id: ALWAYS, groupId: STAFF, scheduleId, readerIds: [HEX] }] })

  test.for<[string, string | null, string]>([
    ['without a schedule is always open', null, 'granted'],
    ['is open within its schedule', DAY, 'granted'],
    ['is never open when its schedule has no windows', NEVER, 'outside_schedule'],
    ['is never open when its schedule is missing', id(3, 7), 'outside_schedule'],
  ])('%s', ([, scheduleId, expected]) => {
    expect(reason(during(scheduleId), HEX, 'AB')).toBe(expected)
  })

  test('is shut outside its schedule, by the clock on the reader’s wall', () => {
    const snapshot = during(DAY)
    expect(reason(snapshot, HEX, 'AB', new Date('2026-01-01T11:59:59.999Z'))).toBe('outside_schedule')
    expect(reason(snapshot, HEX, 'AB', new Date('2026-01-01T13:00:00.000Z'))).toBe('outside_schedule')
  })

  test('of several is enough when it is open', () => {
    const rules = [NEVER, null, DAY].map((scheduleId, n) => ({
      id: id(4, n),
      groupId: STAFF,
      scheduleId,
      readerIds: [DECIMAL, HEX],
    }))
    const snapshot = whole([row(1, hex('AB'))], { rules })
    expect(snapshot.facts(HEX, 'AB').facts.rules.map((rule) => rule.id)).toEqual(rules.map((rule) => rule.id))
    expect(reason(snapshot, HEX, 'AB')).toBe('granted')
  })
})

describe('a reader that asks for a PIN', () => {
  const asking = (pin: SnapshotSite['readers'][number]['pin']) =>
    whole([row(1, hex('AB'))], { readers: site.readers.map((reader) => ({ ...reader, pin })) })

  test.for<[string, SnapshotSite['readers'][number]['pin'], string]>([
    ['never', null, 'granted'],
    ['never, by its schedule', [], 'granted'],
    ['now, by the clock on its wall', [{ days: [4], from: '13:00', to: '13:01' }], 'pin_required'],
    ['at another time', [{ days: [4], from: '12:00', to: '13:00' }], 'granted'],
  ])('%s lets nobody in without one only then', ([, pin, expected]) => {
    expect(reason(asking(pin), HEX, 'AB')).toBe(expected)
  })

  test('is one that never asks, where a page of before says nothing of it', () => {
    const { pin: _, ...before } = { id: HEX, enabled: true, timezone: 'UTC', cardView: 'hex', openMs: 1, pin: [] }
    const read = v.parse(SnapshotPage, { ...page([], { site }), site: { ...site, readers: [before] } })
    expect(read.site?.readers[0]?.pin).toBeNull()
  })
})

describe('a lockdown that the site tells of', () => {
  const snapshot = whole([row(1, hex('AA')), row(2, hex('BB'), { exempt: true }), row(3, hex('CC'), { exempt: false })])
  const NOW = '2026-01-01T12:00:00.000Z'

  test.for<[string, { until: string | null } | null, string, string]>([
    ['that is none keeps nobody out', null, 'AA', 'granted'],
    ['keeps out who is not exempt', { until: null }, 'AA', 'lockdown'],
    ['keeps out who is said not to be exempt', { until: null }, 'CC', 'lockdown'],
    ['does not keep out who is exempt', { until: null }, 'BB', 'granted'],
    ['keeps out whom nobody knows, and says no more', { until: null }, 'DD', 'lockdown'],
    ['is over at its end', { until: NOW }, 'AA', 'granted'],
    ['is in force until its end', { until: '2026-01-01T12:00:00.001Z' }, 'AA', 'lockdown'],
  ])('%s', ([, lockdown, card, expected]) => {
    const { facts } = withSite(snapshot.facts(HEX, card), { lockdown, openMs: 1_500 })
    expect(decide({ ...facts, late: false, pin: 'none' }, at)).toBe(expected)
  })

  test('makes no reader of one that the snapshot does not know, which opens to nobody', () => {
    const told = { lockdown: { until: NOW }, openMs: 1_500 }
    expect(withSite(snapshot.facts(NOWHERE, 'BB'), told)).toEqual(snapshot.facts(NOWHERE, 'BB'))
  })

  test('comes with how long the door opens as the site has it, which is newer', () => {
    expect(withSite(snapshot.facts(HEX, 'AA'), { lockdown: null, openMs: 700 })).toMatchObject({ openMs: 700 })
  })

  test('keeps out everybody whom an older API does not say to be exempt', () => {
    const read = v.parse(SnapshotPage, page([row(1, hex('AA'))], { site }))
    const { facts } = withSite(snapshotOf([read], key).facts(HEX, 'AA'), { lockdown: { until: null }, openMs: 0 })
    expect(decide({ ...facts, late: false, pin: 'none' }, at)).toBe('lockdown')
  })
})

describe('a snapshot', () => {
  test('of a site with nothing in it knows no reader and no card', () => {
    const snapshot = whole([], { readers: [], groups: [], schedules: [], rules: [] })
    expect(snapshot).toMatchObject({ version: 'one', cards: 0 })
    expect(reason(snapshot, HEX, 'AB')).toBe('unknown_reader')
  })

  test('of a site with readers and no cards knows no card', () => {
    expect(reason(whole([]), HEX, 'AB')).toBe('unknown_card')
  })

  test('has the version of its pages and counts the cards of all of them', () => {
    const pages = [page([row(1, hex('AA')), row(2, hex('BB'))], { site, cards: 3 }), page([row(3, hex('CC'))])]
    expect(snapshotOf(pages, key)).toMatchObject({ version: 'one', cards: 3 })
  })

  test.for<[string, SnapshotPage[]]>([
    ['no page', []],
    ['a page that is not the first', [page([row(1, hex('AB'))])]],
  ])('is not made of %s', ([, pages]) => {
    expect(() => snapshotOf(pages, key)).toThrow(/first page/)
  })

  test('finds nothing with another bridge’s key', () => {
    const pages = [page([row(1, hex('AB'))], { site })]
    const others = hashingKey(sealingKey(bytes.toReversed()))
    expect(reason(snapshotOf(pages, key), HEX, 'AB')).toBe('granted')
    expect(reason(snapshotOf(pages, others), HEX, 'AB')).toBe('unknown_card')
  })

  test('keeps nothing of what its pages were changed to later', () => {
    const first = page([row(1, hex('AB'))], { site })
    const snapshot = snapshotOf([first], key)
    first.rows = [row(1, hex('AB'), { status: 'blocked' })]
    expect(reason(snapshot, HEX, 'AB')).toBe('granted')
  })
})

describe('the hash of a card', () => {
  test('is HMAC-SHA-256 of view and key, cut to 16 bytes, under a key of its own', () => {
    const under = createHmac('sha256', bytes).update('lintel card keys').digest()
    const expected = createHmac('sha256', under).update('hex DE0BA996').digest().subarray(0, 16).toString('base64url')
    expect(hashOfKey(key, 'hex', 'DE0BA996')).toBe(expected)
    expect(hashOfKey(sealingKey(bytes), 'hex', 'DE0BA996')).not.toBe(expected)
  })

  test('is another one in another view', () => {
    expect(hashOfKey(key, 'hex', '12')).not.toBe(hashOfKey(key, 'decimal', '12'))
  })
})

test('property: whatever the cards and however they are cut into pages, what is found is what a plain search finds', () => {
  const number = fc.oneof(
    fc.integer({ min: 1, max: 60 }).map((n) => hex(n.toString(16).padStart(2, '0').toUpperCase())),
    fc.integer({ min: 1, max: 60 }).map((n) => hex(n.toString(16).padStart(4, '0').toUpperCase())),
    fc.integer({ min: 1, max: 60 }).map((n) => legacy(String(n))),
  )
  const numbers = fc.uniqueArray(number, { maxLength: 80, selector: (card) => `${card.form} ${card.number}` })
  fc.assert(
    fc.property(numbers, fc.integer({ min: 1, max: 30 }), (cards, size) => {
      const rows = cards.map((card, n) => row(n, card))
      const pages = [page(rows.slice(0, size), { site })]
      for (let from = size; from < rows.length; from += size) pages.push(page(rows.slice(from, from + size)))
      const snapshot = snapshotOf(pages, key)
      expect(snapshot.cards).toBe(cards.length)
      for (let n = 1; n <= 61; n++) {
        for (const [readerId, view, text] of [
          [HEX, 'hex', n.toString(16).padStart(2, '0')],
          [DECIMAL, 'decimal', String(n)],
        ] as const) {
          const meant = view === 'hex' ? text.toUpperCase() : text
          const matching = cards.flatMap((card, at) =>
            keysOfCard(card).some((found) => found.view === view && found.key === meant) ? [id(5, at)] : [],
          )
          const found = snapshot.facts(readerId, text).facts.cards.map((card) => card.id)
          expect(found).toHaveLength(Math.min(2, matching.length))
          expect(new Set(found).size).toBe(found.length)
          for (const one of found) expect(matching).toContain(one)
        }
      }
    }),
    { numRuns: 50 },
  )
})

describe('a page', () => {
  const good = page([row(1, hex('AB'))], { site, cards: 1, next: id(5, 1) })

  test.for<[string, boolean, unknown]>([
    ['as the API writes it', true, good],
    ['that is the last', true, { ...good, next: undefined }],
    ['that is not the first', true, { ...good, site: undefined, cards: undefined }],
    ['of a later API, with more in it', true, { ...good, lockdown: false }],
    ['without a version', false, { ...good, version: undefined }],
    ['without rows', false, { ...good, rows: undefined }],
    ['with a status nobody knows', false, page([row(1, hex('AB'), { status: 'eaten' as 'lost' })])],
    ['with a time that is none', false, page([row(1, hex('AB'), { valid: ['some day', null] })])],
    ['with one time', false, { ...good, rows: [{ ...row(1, hex('AB')), valid: [null] }] }],
    ['with a card number for a hash', false, page([row(1, hex('AB'), { keys: ['DE0BA996'] })])],
    ['with a group for a place', false, { ...good, rows: [{ ...row(1, hex('AB')), groups: [STAFF] }] }],
    ['with a place before the first', false, page([row(1, hex('AB'), { groups: [-1] })])],
    ['that goes on after no card', false, { ...good, next: 'AB' }],
  ])('%s is one: %s', ([, is, value]) => {
    expect(v.is(SnapshotPage, value)).toBe(is)
  })
})
