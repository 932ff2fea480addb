import fc from 'fast-check'
import { expect, test } from 'vitest'
import { CARD_VIEWS, type CardView, keyOfScan } from '../../api/contract/card-views.ts'
import type { SiteReader } from '../../api/contract/site.ts'
import { readerOf } from '../testing/reader.ts'
import { hear } from './hear.ts'
import { known } from './profiles.ts'
import { messagesOf } from './tell.ts'

const readerWith = (cardView: CardView, replyTopic: string | null = '/dilny/open'): SiteReader =>
  readerOf({ profile: 'plain', topic: '/dilny/rfid/Tag', replyTopic, cardView })

const decode = (reader: SiteReader, payload: Buffer, retained: boolean) => {
  const at = known(reader)
  if (!at) throw new Error('no such profile')
  const heard = hear(at, { topic: reader.topic, payload, retained }, new Date())
  if ('dropped' in heard) return heard
  const [one] = heard
  return one?.is === 'scan' ? { card: one.card } : { said: one?.is }
}

test.for([
  ['decimal', '6159760', '6159760'],
  ['decimal', '0006159760', '0006159760'],
  ['decimal', ' 6159760\r\n', '6159760'],
  ['decimal', '9'.repeat(78), '9'.repeat(78)],
  ['hex', '0073f04c', '0073f04c'],
  ['hex', '6159760A', '6159760A'],
  ['hex', 'DE-0B-A9-96', 'DE-0B-A9-96'],
  ['hex', 'AB'.repeat(32), 'AB'.repeat(32)],
] as const)('a %s reader that says %j has read the card %j', ([view, payload, card]) => {
  expect(decode(readerWith(view), Buffer.from(payload), false)).toEqual({ card })
})

test.for([
  ['decimal', '0073f04c', 'not_a_card'],
  ['decimal', 'DE-0B-A9-96', 'not_a_card'],
  ['decimal', '-6159760', 'not_a_card'],
  ['decimal', '6159760.5', 'not_a_card'],
  ['decimal', '6159760,6159761', 'not_a_card'],
  ['decimal', '6159760\0', 'not_a_card'],
  ['decimal', '\0', 'not_a_card'],
  ['decimal', '{"uid":"6159760"}', 'not_a_card'],
  ['decimal', 'None', 'removal'],
  ['decimal', '9'.repeat(79), 'not_a_card'],
  ['hex', '6159760', 'not_a_card'],
  ['hex', 'AB'.repeat(33), 'not_a_card'],
  ['decimal', '９９', 'not_text'],
  ['hex', 'ＡＢ', 'not_text'],
  ['decimal', '6159760\u00a0', 'not_text'],
  ['decimal', `${' '.repeat(122)}6159760`, 'not_text'],
  ['hex', 'AB'.repeat(100_000), 'not_text'],
] as const)('a %s reader that says %j: %s', ([view, payload, dropped]) => {
  expect(decode(readerWith(view), Buffer.from(payload), false)).toEqual({ dropped })
})

test.for([
  ['digits with the high bit set', [0xb6, 0xb1]],
  ['a digit and one with the high bit set', [0x36, 0xb1]],
  ['half a character', [0xc3]],
  ['a byte order mark', [0xff, 0xfe]],
] as const)('%s: not text', ([, bytes]) => {
  expect(decode(readerWith('decimal'), Buffer.from(bytes), false)).toEqual({ dropped: 'not_text' })
})

const removals = ['0', '', ' ', '00000000', '0000000000', '00-00-00-00', '00:00:00:00', '\r\n', ' 0 ']
test.for(CARD_VIEWS.flatMap((view) => removals.map((payload) => [view, payload] as const)))(
  'a %s reader that says %j reports a card taken away',
  ([view, payload]) => {
    expect(decode(readerWith(view), Buffer.from(payload), false)).toEqual({ dropped: 'removal' })
  },
)

test.for([
  ['a retained card', readerWith('decimal'), '6159760', true, 'retained'],
  ['a retained removal', readerWith('decimal'), '0', true, 'retained'],
] as const)('%s is not a scan', ([, reader, payload, retained, dropped]) => {
  expect(decode(reader, Buffer.from(payload), retained)).toEqual({ dropped })
})

test.for([
  ['granted', '1'],
  ['denied', '0'],
] as const)('the answer to %s is %s, on the reader’s own topic for answers', ([decision, payload]) => {
  const told = (reader: SiteReader) => {
    const at = known(reader)
    return at && messagesOf(decision === 'granted' ? at.profile.grant : at.profile.deny, at.vars)
  }
  expect(told(readerWith('decimal'))).toEqual([{ topic: '/dilny/open', payload, qos: 0 }])
  expect(told(readerWith('decimal', null))).toEqual([])
})

test('property: whatever the bytes, what is read as a card is one in the reader’s view, as it was said', () => {
  const text = fc.string({ unit: fc.constantFrom(...'0019afAF-:. \r\n'), maxLength: 150, size: 'max' })
  const digits = fc.string({ unit: fc.constantFrom(...'0123456789'), maxLength: 90, size: 'max' })
  const payload = fc.oneof(
    fc.uint8Array({ maxLength: 200, size: 'max' }),
    text.map(Buffer.from),
    digits.map(Buffer.from),
  )
  fc.assert(
    fc.property(fc.constantFrom(...CARD_VIEWS), payload, (view, bytes) => {
      const read = decode(readerWith(view), Buffer.from(bytes), false)
      const said = Buffer.from(bytes)
        .toString('latin1')
        .replace(/^[\t\n\v\f\r ]+|[\t\n\v\f\r ]+$/g, '')
      const isLine =
        bytes.length <= 128 && /[^0\s:.-]/.test(said) && /^[\x20-\x7e]+$/.test(said) && !/^none$/i.test(said)
      const meant = isLine && keyOfScan(view, said) !== undefined
      expect('card' in read ? read.card : undefined).toBe(meant ? said : undefined)
    }),
    { numRuns: 1000 },
  )
})

test('property: a retained message is never a scan', () => {
  fc.assert(
    fc.property(fc.constantFrom(...CARD_VIEWS), fc.uint8Array(), (view, bytes) => {
      expect(decode(readerWith(view), Buffer.from(bytes), true)).toEqual({ dropped: 'retained' })
    }),
  )
})
