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

// The cards and texts of readers.md, section 12: what each kind of reader says of them.
test.for<[keyof typeof cards, CardView, string, boolean]>([
  ['A', 'hex', 'DE0BA996', true],
  ['A', 'hex', 'DE-0B-A9-96', true],
  ['A', 'hex', 'de:0b.a9 96', true],
  ['B', 'hex', '04-5E-0A-B2-C3-4D-80', true],
  ['B', 'hex', '045e0ab2c34d80', true],
  ['E', 'hex', '4b00423c15', true],
  ['A', 'hex', 'deba996', false],
  ['A', 'hex', '96A90BDE', false],
  ['A', 'hex', '000000DE0BA996', false], // another card, of seven bytes
  ['B', 'hex', '045E0AB2', false],
  ['E', 'hex', '00423C15', false],
  ['A', 'hex-unpadded', 'deba996', true],
  ['A', 'hex-unpadded', 'DEBA996', true],
  ['B', 'hex-unpadded', '45eab2c34d80', true],
  ['E', 'hex-unpadded', '4b0423c15', true],
  ['A', 'hex-unpadded', 'de0ba996', false],
  ['A', 'hex-unpadded', 'de-b-a9-96', false],
  ['A', 'hex-reversed', '96A90BDE', true],
  ['A', 'hex-reversed', '96-a9-0b-de', true],
  ['B', 'hex-reversed', '804DC3B20A5E04', true],
  ['B', 'hex-reversed', 'B20A5E04', false],
  ['A', 'decimal', '3725306262', true],
  ['A', 'decimal', '00003725306262', true],
  ['B', 'decimal', '1229299948670336', true],
  ['E', 'decimal', '322126887957', true],
  ['A', 'decimal', '2527661022', false],
  ['A', 'decimal', '764310', false],
  ['A', 'decimal', 'DE0BA996', false],
  ['B', 'decimal', '73271986', false],
  ['E', 'decimal', '4340757', false],
  ['A', 'decimal-reversed', '2527661022', true],
  ['A', 'decimal-reversed', '0002527661022', true],
  ['B', 'decimal-reversed', '36114299919949316', true],
  ['B', 'decimal-reversed', '2987023876', false], // of the first four bytes
  ['A', 'decimal4', '3725306262', true],
  ['B', 'decimal4', '73271986', true],
  ['B', 'decimal4', '0073271986', true],
  ['B', 'decimal4', '1229299948670336', false],
  ['A', 'hex4-reversed', '96a90bde', true],
  ['B', 'hex4-reversed', 'b20a5e04', true],
  ['B', 'hex4-reversed', '804DC3B20A5E04', false],
  ['E', 'em32-hex', '00423C15', true],
  ['E', 'em32-hex', '00:42:3c:15', true],
  ['E', 'em32-hex', '423C15', false],
  ['E', 'em32-hex', '4B00423C15', false],
  ['A', 'em32-hex', 'DE0BA996', false],
  ['E', 'em32-decimal', '4340757', true],
  ['E', 'em32-decimal', '0004340757', true],
  ['E', 'em32-decimal', '322126887957', false],
  ['A', 'em32-decimal', '3725306262', false],
  ['A', 'w26', '764310', true],
  ['A', 'w26', '011,43414', true],
  ['A', 'w26', '11,43414', true],
  ['B', 'w26', '6163122', true],
  ['B', 'w26', '094,02738', true],
  ['E', 'w26', '4340757', true],
  ['E', 'w26', '066,15381', true],
  ['E', 'w26', '0004340757', true],
  ['A', 'w26', '11078622', false], // of the bytes in reverse order
  ['A', 'w26', '3725306262', false],
  ['E', 'w26', '06615381', false], // a number of its own, not a facility with a number behind it
  ['A', 'w34', '3725306262', true],
  ['A', 'w34', '56843,43414', true],
  ['B', 'w34', '73271986', true],
  ['B', 'w34', '01118,02738', true],
  ['E', 'w34', '4340757', true],
  ['E', 'w34', '00066,15381', true],
  ['A', 'w34', '2527661022', false],
  ['E', 'w34', '322126887957', false],
  ['A', 'text', 'DE0BA996', true],
  ['A', 'text', ' DE0BA996\n', true],
  ['A', 'text', 'de0ba996', false],
  ['A', 'text', 'DE-0B-A9-96', false],
])('card %s in view %s is %s: %s', ([card, view, text, same]) => {
  expect(matches(cards[card], view, text)).toBe(same)
})

test('a fob that has its number printed as 213,02000 is the vendor’s 0013961168', () => {
  expect(keyOfScan('w26', '213,02000')).toBe(keyOfScan('w26', '0013961168'))
})

describe('a number whose bytes are unknown', () => {
  const legacy = (number: string): CardNumber => ({ form: 'decimal', number })
  test.for<[string, CardView, string, boolean]>([
    ...(['decimal', 'decimal-reversed', 'decimal4', 'em32-decimal', 'w26', 'w34'] as const).flatMap(
      (view): [string, CardView, string, boolean][] => [
        ['6159760', view, '6159760', true],
        ['6159760', view, '0006159760', true],
        ['6159760', view, ' 6159760\r\n', true],
        ['6159760', view, '61597600', false],
      ],
    ),
    ['6159760', 'text', '6159760', true],
    ['6159760', 'text', '0006159760', false],
    ['6159760', 'w26', '93,64912', true],
    ['6159760', 'w34', '93,64912', true],
    ['6159760', 'hex', '06159760', false],
    ['6159760', 'hex', '5DFD90', false], // the same value
    ['6159760', 'hex-unpadded', '6159760', false],
    ['61597600', 'hex-reversed', '61597600', false],
    ['61597600', 'hex4-reversed', '61597600', false],
    ['61597600', 'em32-hex', '61597600', false],
    ['16777215', 'w26', '255,65535', true],
    ['16777216', 'w26', '16777216', false],
    ['4294967295', 'decimal4', '4294967295', true],
    ['4294967295', 'em32-decimal', '4294967295', true],
    ['4294967295', 'w34', '65535,65535', true],
    ['4294967296', 'decimal4', '4294967296', false],
    ['4294967296', 'em32-decimal', '4294967296', false],
    ['4294967296', 'w34', '4294967296', false],
    ['4294967296', 'decimal-reversed', '4294967296', true],
  ])('%s in view %s is %s: %s', ([number, view, text, same]) => {
    expect(matches(legacy(number), view, text)).toBe(same)
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
  ['hex-unpadded', ''],
  ['hex-unpadded', '0'],
  ['hex-unpadded', '0000'],
  ['hex-unpadded', 'A'.repeat(65)],
  ['hex-unpadded', 'D E'],
  ['hex-reversed', 'ABC'],
  ['hex-reversed', '0000'],
  ['decimal-reversed', '00'],
  ['decimal-reversed', 'A'],
  ['decimal4', '4294967296'],
  ['decimal4', '0'],
  ['hex4-reversed', 'DE0BA9'],
  ['hex4-reversed', 'DE0BA99600'],
  ['hex4-reversed', '00000000'],
  ['em32-hex', '4B00423C15'],
  ['em32-hex', '423C15'],
  ['em32-hex', '00000000'],
  ['em32-decimal', '4294967296'],
  ['em32-decimal', '000'],
  ['w26', '16777216'],
  ['w26', '256,0'],
  ['w26', '0,65536'],
  ['w26', '000,00000'],
  ['w26', '066, 15381'],
  ['w26', '066.15381'],
  ['w26', ',15381'],
  ['w26', '066,'],
  ['w26', '066,15381,1'],
  ['w26', '-1,1'],
  ['w26', '0000004340757 066,15381'],
  ['w34', '4294967296'],
  ['w34', '65536,0'],
  ['w34', '0,65536'],
  ['w34', '0,0'],
  ['text', ''],
  ['text', ' \n'],
  ['text', 'A'.repeat(129)],
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

describe('what cannot be seen in a view', () => {
  test.for<[string, CardView]>([
    ['0B', 'decimal4'],
    ['0BA996', 'decimal4'],
    ['0BA996', 'hex4-reversed'],
    ['00000000AA', 'decimal4'],
    ['00000000AA', 'hex4-reversed'],
    ['4B00000000', 'em32-hex'],
    ['4B00000000', 'em32-decimal'],
    ['4B00000000', 'w26'],
    ['4B00000000', 'w34'],
    ['DE000000', 'w26'],
    ['DE0BA996', 'em32-hex'],
    ['045E0AB2C34D', 'em32-decimal'],
  ])('%s in %s', ([number, view]) => {
    expect(keyOfCard(view, hex(number))).toBeUndefined()
  })

  test('is not found by zeros either', () => {
    for (const view of CARD_VIEWS) {
      if (view !== 'text')
        for (const zeros of ['0', '00', '00000000', '0000000000']) expect(keyOfScan(view, zeros)).toBeUndefined()
    }
  })
})

// The models below are made of bytes alone: each does with them what a reader's firmware does.

const toHex = (byte: number) => byte.toString(16).padStart(2, '0')
/** Schoolbook: no BigInt, no float. */
const toDecimal = (some: readonly number[]) => {
  let digits = [0]
  for (const byte of some) {
    let carry = byte
    digits = digits.map((digit) => {
      const sum = digit * 256 + carry
      carry = Math.floor(sum / 10)
      return sum % 10
    })
    for (; carry > 0; carry = Math.floor(carry / 10)) digits.push(carry % 10)
  }
  return digits.reverse().join('')
}
/** The 32 bits on the line of a Wiegand reader: an EM4100 card has a version before them, others are cut off behind. */
const onTheLine = (some: readonly number[]) =>
  some.length === 5 ? some.slice(1) : some.length < 4 ? [] : some.slice(0, 4)
const cut = (some: readonly number[]) => (some.length < 4 ? [] : some.slice(0, 4))
const em = (some: readonly number[]) => (some.length === 5 ? some.slice(1) : [])
const back = (some: readonly number[]) => some.toReversed()

/** What a reader of this view says of a card; nothing, where it has nothing to say. */
const says: Record<CardView, (some: readonly number[]) => string> = {
  hex: (some) => some.map(toHex).join(''),
  'hex-unpadded': (some) => some.map((byte) => byte.toString(16)).join(''),
  'hex-reversed': (some) => back(some).map(toHex).join(''),
  decimal: toDecimal,
  'decimal-reversed': (some) => toDecimal(back(some)),
  decimal4: (some) => toDecimal(cut(some)),
  'hex4-reversed': (some) => back(cut(some)).map(toHex).join(''),
  'em32-hex': (some) => em(some).map(toHex).join(''),
  'em32-decimal': (some) => toDecimal(em(some)),
  w26: (some) => toDecimal(onTheLine(some).slice(-3)),
  w34: (some) => toDecimal(onTheLine(some)),
  text: (some) => some.map(toHex).join('').toUpperCase(),
}
const isNothing = (text: string) => /^0*$/.test(text)

const byte = fc.oneof(fc.nat(255), fc.nat(15), fc.constant(0))
const lengths = fc.oneof(fc.constantFrom(1, 2, 3, 4, 5, 7, 8, 10, 32), fc.integer({ min: 1, max: 32 }))
const bytes = lengths
  .chain((length) => fc.array(byte, { minLength: length, maxLength: length }))
  .filter((some) => some.some((one) => one !== 0))
const cardOf = (some: readonly number[]) => hex(some.map(toHex).join('').toUpperCase())

/** Two cards that are near each other in one way or another, so that many of them look the same in some view. */
const pairs = fc.oneof(
  fc.tuple(bytes, bytes),
  fc.tuple(bytes, fc.nat(31), byte).map(([some, at, one]) => [some, some.with(at % some.length, one)] as const),
  bytes.map((some) => [some, [0, ...some].slice(0, 32)] as const),
  bytes.map((some) => [some, [...some, 0].slice(0, 32)] as const),
  fc.tuple(bytes, bytes).map(([some, end]) => [some, [...some.slice(0, 4), ...end].slice(0, 32)] as const),
  bytes.map((some) => [some, back(some)] as const),
  fc.tuple(bytes, byte).map(([some, one]) => [some, [one, ...cut(some)]] as const),
  // Without zeros they read alike: 0A BC and AB 0C.
  fc.tuple(fc.nat(15), fc.nat(15), fc.nat(15), bytes).map(([a, b, c, some]) => {
    const end = some.slice(0, 30)
    return [
      [a, 16 * b + c, ...end],
      [16 * a + b, c, ...end],
    ] as const
  }),
)

test.for(CARD_VIEWS)('property: any card is found by what a %s reader says of it, unless it says nothing', (view) => {
  fc.assert(
    fc.property(bytes, (some) => {
      const said = says[view](some)
      expect(matches(cardOf(some), view, said)).toBe(view === 'text' || !isNothing(said))
    }),
  )
})

test.for(CARD_VIEWS)('property: in %s two cards are one exactly when a reader says the same of both', (view) => {
  fc.assert(
    fc.property(pairs, ([one, other]) => {
      fc.pre(other.some((some) => some !== 0))
      const [first, second] = [says[view](one), says[view](other)]
      const alike = first === second && !isNothing(first)
      expect(matches(cardOf(one), view, second)).toBe(alike)
      expect(matches(cardOf(other), view, first)).toBe(alike)
      const [key, otherKey] = [keyOfCard(view, cardOf(one)), keyOfCard(view, cardOf(other))]
      expect(key !== undefined && key === otherKey).toBe(alike)
    }),
    { numRuns: 300 },
  )
})

const HEX_VIEWS = ['hex', 'hex-reversed', 'hex4-reversed', 'em32-hex'] as const
const DECIMAL_VIEWS = ['decimal', 'decimal-reversed', 'decimal4', 'em32-decimal', 'w26', 'w34'] as const

test.for(HEX_VIEWS)('property: in %s neither case nor separators matter', (view) => {
  const styles = fc.infiniteStream(fc.tuple(fc.boolean(), fc.constantFrom('', '-', ':', '.', ' ')))
  fc.assert(
    fc.property(bytes, styles, (some, style) => {
      const said = says[view](some)
      fc.pre(!isNothing(said))
      const dressed = [...said].map((digit) => {
        const [upper, separator] = style.next().value
        return `${upper ? digit.toUpperCase() : digit}${separator}`
      })
      expect(matches(cardOf(some), view, dressed.join(''))).toBe(true)
    }),
    { numRuns: 50 },
  )
})

test.for(DECIMAL_VIEWS)('property: in %s leading zeros do not matter', (view) => {
  fc.assert(
    fc.property(bytes, fc.nat(78), (some, width) => {
      const said = says[view](some)
      fc.pre(!isNothing(said))
      expect(matches(cardOf(some), view, said.padStart(width, '0'))).toBe(true)
    }),
    { numRuns: 50 },
  )
})

test.for(['w26', 'w34'] as const)(
  'property: in %s a facility and a number are the one number of their bits',
  (view) => {
    fc.assert(
      fc.property(bytes, (some) => {
        const bits = onTheLine(some).slice(view === 'w26' ? -3 : -4)
        const pair = `${toDecimal(bits.slice(0, -2))},${toDecimal(bits.slice(-2))}`
        expect(matches(cardOf(some), view, pair)).toBe(!isNothing(says[view](some)))
      }),
    )
  },
)

const BITS: Partial<Record<CardView, number>> = { decimal4: 32, 'em32-decimal': 32, w26: 24, w34: 32 }

test('property: a number whose bytes are unknown is found by its value, in the range of the view, and in hex never', () => {
  const most = 10n ** 78n - 1n
  const value = fc.oneof(
    ...[24n, 32n, 33n, 64n].map((bits) => fc.bigInt({ min: 1n, max: 1n << bits })),
    fc.bigInt({ min: 1n, max: most }),
  )
  const text = fc.oneof(bytes.map(says.hex), value.map(String))
  fc.assert(
    fc.property(value, text, fc.nat(20), (number, other, width) => {
      const card: CardNumber = { form: 'decimal', number: String(number) }
      for (const view of DECIMAL_VIEWS) {
        const seen = number < 1n << BigInt(BITS[view] ?? 300)
        expect(matches(card, view, String(number).padStart(width, '0'))).toBe(seen)
        expect(matches(card, view, other)).toBe(seen && /^\d+$/.test(other) && BigInt(other) === number)
      }
      for (const view of [...HEX_VIEWS, 'hex-unpadded'] as const) expect(keyOfCard(view, card)).toBeUndefined()
      expect(matches(card, 'text', String(number))).toBe(true)
    }),
  )
})

test('property: whatever the text, a view reads digits of its own or nothing, and never throws', () => {
  const anyText = fc.uint16Array().map((units) => String.fromCharCode(...units))
  const text = fc.oneof(anyText, fc.string({ unit: fc.constantFrom(...'09afAF-:. xG,') }))
  fc.assert(
    fc.property(text, (some) => {
      const keys = keysOfScan(some)
      for (const view of CARD_VIEWS) expect(keys[view]).toBe(keyOfScan(view, some))
      for (const view of HEX_VIEWS) if (keys[view] !== undefined) expect(keys[view]).toMatch(/^([0-9A-F]{2}){1,32}$/)
      for (const view of DECIMAL_VIEWS) if (keys[view] !== undefined) expect(keys[view]).toMatch(/^[1-9]\d{0,77}$/)
      if (keys['hex-unpadded'] !== undefined) expect(keys['hex-unpadded']).toBe(some.trim().toUpperCase())
      if (keys.text !== undefined) expect(keys.text).toBe(some.trim())
      if (!/^[\s0-9a-f:.,-]+$/i.test(some)) expect({ ...keys, text: undefined }).toEqual({})
    }),
    { numRuns: 300 },
  )
})
