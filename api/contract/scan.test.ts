import fc from 'fast-check'
import * as v from 'valibot'
import { describe, expect, test } from 'vitest'
import { Answer, Ask, answerOf, CardText, decisionOf, isPlainText, REASONS, Reason, Scan } from './scan.ts'

const id = '0198c0de-0000-7000-8000-000000000001'
const scan = { id, readerId: '0198c0de-0000-7000-8000-000000000002', card: '6159760', at: '2026-01-01T12:00:00.000Z' }
const answer = { scan: id, decision: 'granted', reason: 'granted', openMs: 3000, expiresAt: '2026-01-01T12:00:03.000Z' }

describe('a scan is taken', () => {
  test.for([
    ['as it is', {}],
    ['with a card in hex', { card: 'DE-0B-A9-96' }],
    ['with a card of 128 characters', { card: '9'.repeat(128) }],
    ['with a card that is not ASCII', { card: 'Žižka' }],
    ['with a pin', { pin: '0427' }],
    ['with a pin of 16 digits', { pin: '1234567890123456' }],
    ['that the reader granted by itself', { decided: 'granted' }],
    ['without a fraction of a second', { at: '2026-01-01T12:00:00Z' }],
    ['with an offset', { at: '2026-01-01T14:00:00+02:00' }],
  ] as const)('%s', ([, change]) => {
    expect(v.parse(Scan, { ...scan, ...change })).toEqual({ ...scan, ...change })
  })
})

test('a scan’s ids are read in lower case and its card without the blanks around it', () => {
  const loud = { ...scan, id: id.toUpperCase(), readerId: scan.readerId.toUpperCase(), card: ' 6159760\r\n' }
  expect(v.parse(Scan, loud)).toEqual(scan)
})

describe('a scan is refused', () => {
  test.for([
    ['with an id that is none', { id: '1' }],
    ['with an id in braces', { id: `{${id}}` }],
    ['with a line after its id', { id: `${id}\n` }],
    ['with an id that is a list', { id: [id] }],
    ['with a reader that is none', { readerId: 'front door' }],
    ['without a reader', { readerId: undefined }],
    ['without a card', { card: undefined }],
    ['with an empty card', { card: '' }],
    ['with a blank card', { card: ' \t\r\n ' }],
    ['with a NUL in its card', { card: '6159\u0000760' }],
    ['with an escape in its card', { card: '\u001b[31m6159760' }],
    ['with a C1 control in its card', { card: '6159\u0085760' }],
    ['with half a character in its card', { card: '6159760\ud83d' }],
    ['with a card of 129 characters', { card: '9'.repeat(129) }],
    ['with a number for a card', { card: 6159760 }],
    ['without a time', { at: undefined }],
    ['with an empty time', { at: '' }],
    ['with a time in words', { at: 'now' }],
    ['with a date for a time', { at: '2026-01-01' }],
    ['with a time of no zone', { at: '2026-01-01T12:00:00' }],
    ['with a month 13', { at: '2026-13-01T12:00:00Z' }],
    ['with an hour 24', { at: '2026-01-01T24:00:00Z' }],
    ['with milliseconds for a time', { at: 1767268800000 }],
    ['with an empty pin', { pin: '' }],
    ['with letters for a pin', { pin: '12a4' }],
    ['with a pin of 17 digits', { pin: '12345678901234567' }],
    ['with a number for a pin', { pin: 427 }],
    ['with a decision that is none', { decided: 'maybe' }],
    ['with a field nobody knows', { decision: 'granted' }],
  ] as const)('%s', ([, change]) => {
    expect(v.is(Scan, { ...scan, ...change })).toBe(false)
  })
})

test.for([
  ['a scan', true, { scan }],
  ['a scan and something more', false, { scan, late: false }],
  ['a scan and a wish for the name', true, { scan, want: ['name'] }],
  ['a scan and a wish for the pin', false, { scan, want: ['pin'] }],
  ['a scan and five wishes', false, { scan, want: Array.from({ length: 5 }, () => 'name') }],
  ['a bare scan', false, scan],
  ['nothing', false, {}],
  ['a list', false, []],
] as const)('a question that holds %s is one: %s', ([, good, question]) => {
  expect(v.is(Ask, question)).toBe(good)
})

test.for([
  ['as it is', true, {}],
  ['that opens for no time', true, { openMs: 0 }],
  ['with a name', true, { name: 'Ada' }],
  ['with too long a name', false, { name: 'A'.repeat(201) }],
  ['that denies', true, { decision: 'denied', reason: 'no_rule' }],
  ['about something else than a scan', false, { scan: 'scan' }],
  ['with a decision nobody knows', false, { decision: 'maybe' }],
  ['with no decision', false, { decision: undefined }],
  ['with a reason nobody knows', false, { reason: 'because' }],
  ['that opens for less than no time', false, { openMs: -1 }],
  ['that opens for ever', false, { openMs: Number.POSITIVE_INFINITY }],
  ['that opens for half a millisecond', false, { openMs: 0.5 }],
  ['that opens for text', false, { openMs: '3000' }],
  ['that never expires', false, { expiresAt: undefined }],
  ['that expires some day', false, { expiresAt: 'some day' }],
  ['with a field nobody knows', false, { card: '6159760' }],
] as const)('an answer %s is one: %s', ([, good, change]) => {
  expect(v.is(Answer, { ...answer, ...change })).toBe(good)
})

test('the reasons are the public words, none renamed, in the order of the decision', () => {
  const words =
    'late unknown_reader reader_disabled lockdown unknown_card ambiguous_card card_blocked card_lost card_returned ' +
    'card_not_yet_valid card_expired person_inactive person_not_yet_valid person_expired no_rule outside_schedule ' +
    'pin_required pin_locked wrong_pin granted unavailable superseded enrolled reader_granted reader_denied'
  expect(REASONS.join(' ')).toBe(words)
})

test.for(REASONS)(
  '%s is a reason; only "granted" opens, and only what a reader granted is on record so too',
  (reason) => {
    expect(v.is(Reason, reason)).toBe(true)
    expect(answerOf(reason)).toBe(reason === 'granted' ? 'granted' : 'denied')
    expect(decisionOf(reason)).toBe(reason === 'reader_granted' ? 'granted' : answerOf(reason))
  },
)

test('property: whatever the text, a card’s text is short, trimmed, plain and read the same again', () => {
  const anyText = fc.uint16Array({ maxLength: 160, size: 'max' }).map((units) => String.fromCharCode(...units))
  fc.assert(
    fc.property(fc.oneof(anyText, fc.string({ maxLength: 160, size: 'max' })), (text) => {
      const read = v.safeParse(CardText, text)
      const trimmed = text.trim()
      const plain =
        trimmed.isWellFormed() && [...trimmed].every((one) => one >= ' ' && !(one >= '\x7f' && one <= '\x9f'))
      expect(isPlainText(trimmed)).toBe(plain)
      expect(read.success).toBe(plain && trimmed.length >= 1 && trimmed.length <= 128)
      if (read.success) expect(v.parse(CardText, read.output)).toBe(trimmed)
    }),
  )
})
