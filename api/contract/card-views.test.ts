import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { CARD_VIEWS, type CardNumber, type CardView, keyOfScan, keysOfCard, keysOfScan } from './card-views.ts'

const keyOfCard = (view: CardView, card: CardNumber) => keysOfCard(card).find((key) => key.view === view)?.key

/** Would this text at a reader with this view be this card? */
const matches = (card: CardNumber, view: CardView, text: string) => {
  const key = keyOfScan(view, text)
  return key !== undefined && key === keyOfCard(view, card)
}

const hex = (number: string): CardNumber => ({ form: 'hex', number })
const cards = { A: hex('DE0BA996'), B: hex('045E0AB2C34D80'), E: hex('4B00423C15') }

// The cards and texts of readers.md, section 12.
test.for([
  ['A', 'hex', 'DE0BA996', true],
  ['A', 'hex', 'DE-0B-A9-96', true],
  ['A', 'hex', 'de0ba996', true],
  ['A', 'decimal', '3725306262', true],
  ['A', 'decimal', '00003725306262', true],
  ['B', 'hex', '045E0AB2C34D80', true],
  ['B', 'hex', '04-5E-0A-B2-C3-4D-80', true],
  ['B', 'hex', '04:5e:0a:b2:c3:4d:80', true],
  ['B', 'decimal', '1229299948670336', true],
  ['E', 'hex', '4B00423C15', true],
  ['E', 'hex', '4b00423c15', true],
  ['E', 'decimal', '322126887957', true],
  ['A', 'hex', 'deba996', false], // without the zeros of each byte
  ['A', 'hex', '96A90BDE', false], // reversed
  ['A', 'hex', '3725306262', false], // hex of another card
  ['A', 'hex', '000000DE0BA996', false], // another card, of seven bytes
  ['A', 'decimal', '2527661022', false], // reversed
  ['A', 'decimal', '764310', false], // the last 24 bits
  ['A', 'decimal', 'DE0BA996', false],
  ['B', 'hex', '45eab2c34d80', false], // without the zeros of each byte
  ['B', 'hex', '045E0AB2', false], // the first four bytes
  ['B', 'decimal', '73271986', false], // of the first four bytes
  ['B', 'decimal', '36114299919949316', false], // reversed
  ['E', 'hex', '00423C15', false], // without the first byte
  ['E', 'decimal', '4340757', false], // of the last 32 bits
  ['E', 'decimal', '066,15381', false],
] as const)('card %s in view %s is %s: %s', ([card, view, text, same]) => {
  expect(matches(cards[card], view, text)).toBe(same)
})

describe('a number whose bytes are unknown', () => {
  const legacy: CardNumber = { form: 'decimal', number: '6159760' }
  test.for([
    ['decimal', '6159760', true],
    ['decimal', '0006159760', true],
    ['decimal', ' 6159760\r\n', true],
    ['decimal', '61597600', false],
    ['hex', '06159760', false],
    ['hex', '5DFD90', false], // the same value
  ] as const)('in view %s is %s: %s', ([view, text, same]) => {
    expect(matches(legacy, view, text)).toBe(same)
  })
})

test.for([
  ['hex', ''],
  ['hex', ' '],
  ['hex', '0'],
  ['hex', '00-00-00-00'],
  ['hex', 'ABC'],
  ['hex', 'DE0BA99G'],
  ['hex', '0xDE0BA996'],
  ['hex', 'DE_0B_A9_96'],
  ['hex', '１２'],
  ['hex', 'AB'.repeat(33)],
  ['decimal', ''],
  ['decimal', '0'],
  ['decimal', '0000000000'],
  ['decimal', '-1'],
  ['decimal', '+1'],
  ['decimal', '1.0'],
  ['decimal', '1e9'],
  ['decimal', '0x1F'],
  ['decimal', '61 597 60'],
  ['decimal', '１２'],
  ['decimal', 'NaN'],
  ['decimal', '9'.repeat(79)],
] as const)('view %s does not read %j', ([view, text]) => {
  expect(keyOfScan(view, text)).toBeUndefined()
})

test.for([
  ['9007199254740993', '20000000000001'],
  ['18446744073709551615', 'FF'.repeat(8)],
  [(2n ** 256n - 1n).toString(), 'FF'.repeat(32)],
] as const)('beyond 2^53, %s is the card %s and its neighbour is not', ([text, number]) => {
  expect(matches(hex(number), 'decimal', text)).toBe(true)
  expect(matches(hex(number), 'decimal', (BigInt(text) - 1n).toString())).toBe(false)
})

const bytes = fc
  .uint8Array({ minLength: 1, maxLength: 32, size: 'max' })
  .filter((some) => some.some((byte) => byte !== 0))
const cardOf = (some: Uint8Array) => hex(Buffer.from(some).toString('hex').toUpperCase())
const numberOf = (some: Uint8Array) => some.reduce((value, byte) => value * 256n + BigInt(byte), 0n)

/** What a reader with this view publishes for a card, made from the bytes alone. */
const print: Partial<Record<CardView, (some: Uint8Array) => string>> = {
  hex: (some) => Array.from(some, (byte) => byte.toString(16).padStart(2, '0')).join(''),
  decimal: (some) => numberOf(some).toString(),
}

test.for(CARD_VIEWS)('property: any card is found by what a %s reader prints of it', (view) => {
  fc.assert(fc.property(bytes, (some) => print[view] === undefined || matches(cardOf(some), view, print[view](some))))
})

test('property: in hex neither case nor separators matter', () => {
  const styles = fc.infiniteStream(fc.tuple(fc.boolean(), fc.constantFrom('', '-', ':', '.', ' ')))
  fc.assert(
    fc.property(bytes, styles, (some, style) => {
      const dressed = [...(print.hex?.(some) ?? '')].map((digit) => {
        const [upper, separator] = style.next().value
        return `${upper ? digit.toUpperCase() : digit}${separator}`
      })
      expect(matches(cardOf(some), 'hex', dressed.join(''))).toBe(true)
    }),
  )
})

test('property: in decimal leading zeros do not matter', () => {
  fc.assert(
    fc.property(bytes, fc.nat(78), (some, width) =>
      matches(cardOf(some), 'decimal', print.decimal(some).padStart(width, '0')),
    ),
  )
})

test('property: two cards are one in decimal only when their values are equal, and never in hex', () => {
  const near = bytes.map((some) => Uint8Array.of(0, ...some).slice(0, 32))
  const pair = fc.oneof(
    fc.tuple(bytes, bytes),
    near.map((some) => [some, some[0] === 0 ? some.slice(1) : some] as const),
    fc.tuple(bytes, fc.nat(255)).map(([some, byte]) => [some, Uint8Array.of(...some.slice(0, -1), byte)] as const),
  )
  fc.assert(
    fc.property(pair, ([one, other]) => {
      const same = (view: CardView) => matches(cardOf(one), view, print[view](other))
      fc.pre(other.some((byte) => byte !== 0))
      expect(same('decimal')).toBe(numberOf(one) === numberOf(other))
      expect(same('hex')).toBe(Buffer.compare(one, other) === 0)
    }),
    { numRuns: 500 },
  )
})

test('property: a number whose bytes are unknown matches a decimal reader by value and a hex reader never', () => {
  const value = fc.bigInt({ min: 1n, max: 10n ** 78n - 1n })
  fc.assert(
    fc.property(value, fc.oneof(bytes.map(print.hex), value.map(String)), (number, text) => {
      const card: CardNumber = { form: 'decimal', number: number.toString() }
      expect(keyOfCard('hex', card)).toBeUndefined()
      expect(matches(card, 'decimal', number.toString())).toBe(true)
      expect(matches(card, 'decimal', text)).toBe(/^\d+$/.test(text) && BigInt(text) === number)
    }),
  )
})

test('property: whatever the text, a view reads digits of its own or nothing, and never throws', () => {
  const anyText = fc.uint16Array().map((units) => String.fromCharCode(...units))
  const text = fc.oneof(anyText, fc.string({ unit: fc.constantFrom(...'09afAF-:. xG') }))
  fc.assert(
    fc.property(text, (some) => {
      const keys = keysOfScan(some)
      for (const view of CARD_VIEWS) expect(keys[view]).toBe(keyOfScan(view, some))
      if (!/^[\s0-9a-f:.-]+$/i.test(some)) expect(keys).toEqual({ hex: undefined, decimal: undefined })
      if (keys.hex !== undefined) expect(keys.hex).toMatch(/^([0-9A-F]{2})+$/)
      if (keys.decimal !== undefined) expect(keys.decimal).toBe(BigInt(some.trim()).toString())
    }),
    { numRuns: 500 },
  )
})
