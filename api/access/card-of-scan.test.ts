import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { CARD_VIEWS, type CardView, keyOfCard, keyOfScan } from '../contract/card-views.ts'
import { cardOfScan } from './card-of-scan.ts'

describe('a card that nobody knows is written down', () => {
  test.each<[CardView, string, string, string]>([
    ['hex', 'de:0b:a9:96', 'hex', 'DE0BA996'],
    ['hex', '045E0AB2C34D80', 'hex', '045E0AB2C34D80'],
    ['hex-reversed', '96a90bde', 'hex', 'DE0BA996'],
    ['hex-reversed', '804DC3B20A5E04', 'hex', '045E0AB2C34D80'],
    ['decimal', '0006159760', 'decimal', '6159760'],
    ['decimal', '36114299919949316', 'decimal', '36114299919949316'],
    ['decimal-reversed', '2527661022', 'decimal', '2527661022'],
    ['decimal4', '3725306262', 'decimal', '3725306262'],
    ['em32-decimal', '0004340757', 'decimal', '4340757'],
    ['w26', '066,15381', 'decimal', '4340757'],
    ['w34', '00066,15381', 'decimal', '4340757'],
    ['text', '6159760', 'decimal', '6159760'],
    ['text', 'DE0BA996', 'hex', 'DE0BA996'],
    // Only a card of four bytes says of itself that its number is random.
    ['hex', '0801', 'hex', '0801'],
    ['hex', '08AABBCCDD', 'hex', '08AABBCCDD'],
    ['em32-decimal', String(0x08aabbcc), 'decimal', String(0x08aabbcc)],
    ['w34', String(0x08aabbcc), 'decimal', String(0x08aabbcc)],
  ])('in the view %s, scanned as %s: as %s %s', (view, text, form, number) => {
    expect(cardOfScan(view, text)).toEqual({ card: { form, number } })
  })

  test('so that the same scan finds it, in whatever view, or not at all', () => {
    const scanned = fc.oneof(
      fc.stringMatching(/^[0-9A-Fa-f]{2,20}$/),
      fc.stringMatching(/^\d{1,20}$/),
      fc.stringMatching(/^\d{1,5},\d{1,5}$/),
      fc.string({ minLength: 1, maxLength: 20 }),
    )
    fc.assert(
      fc.property(fc.constantFrom(...CARD_VIEWS), scanned, (view, text) => {
        const shown = cardOfScan(view, text)
        if ('note' in shown) expect(shown.note).toMatch(/^\p{Lu}.*\.$/u)
        else {
          const { form, number } = shown.card
          expect(number).toMatch(form === 'hex' ? /^([0-9A-F]{2}){1,32}$/ : /^[1-9]\d{0,77}$/)
          expect(keyOfCard(view, shown.card)).toBe(keyOfScan(view, text))
        }
      }),
      { numRuns: 1_000 },
    )
  })
})

describe('a card is not written down', () => {
  test.each<[CardView, string, RegExp]>([
    ['hex-unpadded', 'deba996', /only a part/],
    ['hex4-reversed', '96A90BDE', /only a part/],
    ['em32-hex', '00423C15', /only a part/],
    ['hex', '08AABBCC', /random/],
    ['hex-reversed', 'CCBBAA08', /random/],
    ['decimal', String(0x08aabbcc), /random/],
    ['decimal4', String(0x08aabbcc), /random/],
    ['decimal-reversed', String(0xccbbaa08), /random/],
    ['hex', '88045E0A', /beginning of a longer/],
    ['decimal', 'Ada', /no card in its view/],
    ['w26', '256,1', /no card in its view/],
    ['text', 'Ada', /no card in its view/],
    ['text', '007', /no card in its view/],
    ['text', 'de0ba996', /no card in its view/],
    ['text', '00000000', /no card in its view/],
    ['text', '9'.repeat(79), /no card in its view/],
  ])('in the view %s, scanned as %s', (view, text, why) => {
    expect(cardOfScan(view, text)).toEqual({ note: expect.stringMatching(why) })
  })
})
