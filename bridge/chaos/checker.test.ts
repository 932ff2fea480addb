import { expect, test } from 'vitest'
import { check } from './checker.ts'
import type { Recorded, Scan } from './ledger.ts'

const T = Date.UTC(2026, 0, 1)

/** A scan that was published at T, acknowledged, opened in time; and the event that says so. */
const scan = (changes: Partial<Scan> = {}): Scan => ({
  n: 0,
  reader: 'reader',
  card: '100',
  fault: 'api-kill',
  phase: 'broken',
  redelivers: false,
  expected: 'granted',
  denies: false,
  published: [T],
  resent: 0,
  acked: T + 2,
  answers: [{ at: T + 8, opened: true }],
  ...changes,
})
const event = (changes: Partial<Recorded> = {}): Recorded => ({
  id: 'event',
  reader: 'reader',
  card: '100',
  at: T + 3,
  receivedAt: T + 5,
  reason: 'granted',
  source: 'online',
  ...changes,
})
const opened = (at: number) => ({ at, opened: true })
const refused = (at: number) => ({ at, opened: false })
const unheard = scan({ answers: [] })
const blocked = scan({ expected: 'card_blocked', answers: [refused(T + 8)] })
/** The next scan of the same reader, of another card, four seconds later. */
const next = (changes: Partial<Scan> = {}) => scan({ n: 1, card: '200', published: [T + 4_000], ...changes })
const nextEvent = (changes: Partial<Recorded> = {}) => event({ id: 'next', card: '200', at: T + 4_003, ...changes })

const kinds = (...args: Parameters<typeof check>) => check(...args).offences.map(({ kind }) => kind)

/** A broker that stops 5 ms after it had the first scan, and wakes 20 s later with its answer; the next scan waited. */
const stopping = (changes: Partial<Scan> = {}) =>
  next({ published: [T + 7], acked: T + 20_000, answers: [opened(T + 20_000)], ...changes })
const waited = nextEvent({ at: T + 20_003, receivedAt: T + 20_005, reason: 'late' })

test.each<[string, Scan[], Recorded[]]>([
  ['opened in time and on record', [scan()], [event()]],
  ['refused and on record', [blocked], [event({ reason: 'card_blocked' })]],
  ['never acknowledged, and lost', [{ ...unheard, acked: undefined }], []],
  ['waited, and recorded as late', [unheard], [event({ at: T + 30_000, reason: 'late' })]],
  [
    'refused because nobody could be asked',
    [scan({ answers: [refused(T + 2_010)] })],
    [event({ reason: 'unavailable' })],
  ],
  [
    'recorded as of 2001 by a bridge without a clock',
    [unheard],
    [event({ at: 0, receivedAt: T + 9_000, reason: 'late' })],
  ],
  ['the answer did not reach the door', [unheard], [event()]],
  ['the broker stopped with the answer in its hands', [unheard, stopping()], [event(), waited]],
  [
    'sent again without PUBACK, and two events',
    [scan({ published: [T, T + 2_000], resent: 1 })],
    [event(), event({ id: 'b' })],
  ],
  [
    'published twice within the hold time, answered twice, and one event',
    [scan({ published: [T, T + 300], answers: [opened(T + 8), opened(T + 305)] })],
    [event()],
  ],
  [
    'the same card again minutes later',
    [scan(), scan({ published: [T + 200_000], acked: T + 200_002, answers: [opened(T + 200_008)] })],
    [event(), event({ id: 'b', at: T + 200_003, receivedAt: T + 200_005 })],
  ],
  [
    'the refusal of an earlier scan, then the own opening',
    [unheard, next({ answers: [refused(T + 4_020), opened(T + 4_030)] })],
    [event({ at: T + 4_002, reason: 'late' }), nextEvent()],
  ],
  [
    'a refusal that may be an earlier scan’s, and the own answer did not arrive',
    [unheard, next({ answers: [refused(T + 4_020)] })],
    [event({ at: T + 4_002, reason: 'late' }), nextEvent()],
  ],
  [
    'delivered again by the broker, and opened once more within three seconds',
    [
      scan(),
      next({
        published: [T + 900],
        redelivers: true,
        expected: 'no_rule',
        answers: [opened(T + 1_500), refused(T + 1_510)],
      }),
    ],
    [event(), nextEvent({ at: T + 903, reason: 'no_rule' })],
  ],
])('nothing wrong: %s', (_, scans, events) => {
  expect(kinds(scans, events)).toEqual([])
})

test.each<[string, string[], Scan[], Recorded[]]>([
  ['acknowledged, and not on record', ['lost'], [unheard], []],
  ['two events of one scan', ['doubled'], [scan()], [event(), event({ id: 'b' })]],
  [
    'two events of a scan and its repetition',
    ['doubled'],
    [scan({ published: [T, T + 300] })],
    [event(), event({ id: 'b' })],
  ],
  ['an event of a scan that never was', ['doubled'], [scan()], [event(), event({ id: 'b', card: '999' })]],
  ['opened, and not on record', ['lost', 'unrecorded'], [scan()], []],
  ['opened without PUBACK, and not on record', ['unrecorded'], [scan({ acked: undefined })], []],
  ['opened after 3.5 s', ['late'], [scan({ answers: [opened(T + 3_500)] })], [event()]],
  ['recorded as granted after it had waited', ['late'], [unheard], [event({ at: T + 20_000 })]],
  [
    'opened by a broker that woke, for a scan that came while it had stopped',
    ['late'],
    [{ ...unheard, acked: T + 20_000 }, stopping()],
    [event(), waited],
  ],
  [
    'opened by a broker that woke, for a scan long before it stopped',
    ['late'],
    [unheard, stopping({ published: [T + 400] })],
    [event(), waited],
  ],
  [
    'opened long after the broker woke',
    ['late'],
    [unheard, stopping({ answers: [opened(T + 23_000)] })],
    [event(), waited],
  ],
  ['opened twice for one scan', ['late'], [scan({ answers: [opened(T + 8), opened(T + 20)] })], [event()]],
  [
    'opened for an earlier scan while a blocked card was at the reader',
    ['late'],
    [unheard, next({ expected: 'card_blocked', answers: [opened(T + 4_100), refused(T + 4_200)] })],
    [event(), nextEvent({ reason: 'card_blocked' })],
  ],
  ['a blocked card opened', ['wrong'], [{ ...blocked, answers: [opened(T + 8)] }], [event()]],
  [
    'a blocked card opened, recorded as blocked',
    ['wrong'],
    [{ ...blocked, answers: [opened(T + 8)] }],
    [event({ reason: 'card_blocked' })],
  ],
  ['a blocked card recorded as granted', ['wrong'], [{ ...blocked, answers: [] }], [event()]],
  [
    'a good card recorded as unknown',
    ['wrong'],
    [scan({ answers: [refused(T + 8)] })],
    [event({ reason: 'unknown_card' })],
  ],
  ['a reader that denies offline opened offline', ['wrong'], [scan({ denies: true })], [event({ source: 'offline' })]],
  ['refused, recorded as granted', ['contradicted'], [scan({ answers: [refused(T + 8)] })], [event()]],
  ['opened, recorded as unavailable', ['contradicted'], [scan()], [event({ reason: 'unavailable' })]],
])('%s is %j', (_, expected, scans, events) => {
  expect(kinds(scans, events)).toEqual(expected)
})

test.each<[string, string[], number, Partial<Recorded>]>([
  ['opened online a second after it was blocked', ['wrong'], -1_000, {}],
  ['opened offline ten seconds after it was blocked', [], -10_000, { source: 'offline' }],
  ['opened offline 16 seconds after it was blocked', ['wrong'], -16_000, { source: 'offline' }],
  ['opened a second before it was blocked', [], 1_000, {}],
])('a card %s: %j', (_, expected, blockedAt, changes) => {
  const revocation = { card: '100', at: T + blockedAt, offlineAt: T + blockedAt + 15_000 }
  expect(kinds([scan()], [event(changes)], [revocation])).toEqual(expected)
})
