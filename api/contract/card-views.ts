/**
 * A card's canonical number is the upper-case hex of its bytes in air order. A reader publishes a *view* of it, and a
 * scan matches a card when the card's number seen through the reader's view equals the scanned text. So each view is
 * two functions: what a card looks like in it, and what a scanned text means in it. Where both give the same key, the
 * card matches: one equality, one index probe. All arithmetic is exact (BigInt, text), never a float.
 */
type View = {
  /** The key of a card whose bytes are known, or undefined when such a card cannot be seen in this view. */
  ofBytes(number: string): string | undefined
  /** The key that a scanned text means, or undefined when it is not a text of this view. */
  ofScan(text: string): string | undefined
  /** What is published is a decimal number: a card of which only such a number is known matches by its value. */
  decimal: boolean
}

export const FORMS = ['hex', 'decimal'] as const

/** `decimal` is a legacy number whose bytes are unknown: it matches readers that publish decimals only, by value. */
export type CardNumber = { form: (typeof FORMS)[number]; number: string }

export const CARD_VIEWS = [
  'hex',
  'hex-unpadded',
  'hex-reversed',
  'decimal',
  'decimal-reversed',
  'decimal4',
  'hex4-reversed',
  'em32-hex',
  'em32-decimal',
  'w26',
  'w34',
  'text',
] as const
export type CardView = (typeof CARD_VIEWS)[number]

const HEX = /^([0-9A-Fa-f]{2}){1,32}$/
const DECIMAL = /^\d{1,78}$/

/** Hex of whole bytes in any case, separators ignored → canonical; undefined when it is not that, or only zeros. */
export const canonicalHex = (text: string): string | undefined => {
  const digits = text.replace(/[\s:.-]/g, '')
  return HEX.test(digits) && /[^0]/.test(digits) ? digits.toUpperCase() : undefined
}

/** Decimal digits → the same value without leading zeros; undefined when it is not that, or zero. */
export const canonicalDecimal = (text: string): string | undefined => {
  if (!DECIMAL.test(text)) return undefined
  return text.startsWith('0') ? text.replace(/^0+/, '') || undefined : text
}

const bytesOf = (hex: string): string[] => hex.match(/../g) ?? []
const reversed = (hex: string): string => bytesOf(hex).reverse().join('')
const decimalOf = (hex: string | undefined): string | undefined =>
  hex === undefined ? undefined : BigInt(`0x${hex}`).toString().replace(/^0$/, '') || undefined
const notZero = (hex: string | undefined): string | undefined =>
  hex !== undefined && /[^0]/.test(hex) ? hex : undefined

/** Of the first four bytes; a card of fewer has none. */
const first4 = (hex: string): string | undefined => (hex.length >= 8 ? hex.slice(0, 8) : undefined)
/** EM4100: five bytes, of which the first is a version that many readers drop. */
const em32 = (hex: string): string | undefined => (hex.length === 10 ? hex.slice(2) : undefined)
/** The 32 bits that a Wiegand-34 reader sends: of an EM4100 card those after its version byte, of others the first four bytes. */
const wiegand32 = (hex: string): string | undefined => em32(hex) ?? first4(hex)

/** Decimal digits of a value of so many bits at most: as many digits as the largest has, and then not above it. */
const upTo = (bits: number) => {
  const most = ((1n << BigInt(bits)) - 1n).toString()
  return (text: string) => {
    const digits = canonicalDecimal(text)
    if (digits === undefined || digits.length > most.length) return undefined
    return digits.length < most.length || digits <= most ? digits : undefined
  }
}
/** As on Wiegand's line and on printed fobs: a number of so many bits, or facility and number with a comma between. */
const wiegand = (facilityBits: number) => {
  const whole = upTo(facilityBits + 16)
  return (text: string) => {
    const [, facility, card] = (text.includes(',') && /^(\d{1,5}),(\d{1,5})$/.exec(text)) || []
    if (facility === undefined || card === undefined) return whole(text)
    const [high, low] = [BigInt(facility), BigInt(card)]
    if (high >= 1n << BigInt(facilityBits) || low >= 1n << 16n) return undefined
    return canonicalDecimal(((high << 16n) | low).toString())
  }
}
const hexOf4 = (text: string) => {
  const hex = canonicalHex(text)
  return hex?.length === 8 ? hex : undefined
}

const hexView = (ofBytes: View['ofBytes'], ofScan: View['ofScan']): View => ({ ofBytes, ofScan, decimal: false })
const decimalView = (ofBytes: View['ofBytes'], ofScan: View['ofScan']): View => ({ ofBytes, ofScan, decimal: true })

const views: Record<CardView, View> = {
  hex: hexView((number) => number, canonicalHex),
  // `deba996`: each byte without its leading zero, so one text can stand for several cards.
  'hex-unpadded': hexView(
    (number) =>
      notZero(
        bytesOf(number)
          .map((byte) => byte.replace(/^0/, ''))
          .join(''),
      ),
    (text) => (/^[0-9A-Fa-f]{1,64}$/.test(text) ? notZero(text.toUpperCase()) : undefined),
  ),
  'hex-reversed': hexView(reversed, canonicalHex),
  decimal: decimalView(decimalOf, canonicalDecimal),
  'decimal-reversed': decimalView((number) => decimalOf(reversed(number)), canonicalDecimal),
  decimal4: decimalView((number) => decimalOf(first4(number)), upTo(32)),
  'hex4-reversed': hexView((number) => {
    const four = first4(number)
    return four && notZero(reversed(four))
  }, hexOf4),
  'em32-hex': hexView((number) => notZero(em32(number)), hexOf4),
  'em32-decimal': decimalView((number) => decimalOf(em32(number)), upTo(32)),
  w26: decimalView((number) => decimalOf(wiegand32(number)?.slice(2)), wiegand(8)),
  w34: decimalView((number) => decimalOf(wiegand32(number)), wiegand(16)),
  text: {
    ofBytes: (number) => number,
    ofScan: (text) => (text === '' || text.length > 128 ? undefined : text),
    decimal: true,
  },
}

/** The key of a card in a view, or undefined when it cannot be seen in it. */
export const keyOfCard = (view: CardView, { form, number }: CardNumber): string | undefined => {
  const { ofBytes, ofScan, decimal } = views[view]
  if (form === 'hex') return ofBytes(number)
  return decimal ? ofScan(number) : undefined
}

/** Every key under which a card can be found, one per view in which it can be seen. */
export const keysOfCard = (card: CardNumber): { view: CardView; key: string }[] =>
  CARD_VIEWS.flatMap((view) => {
    const key = keyOfCard(view, card)
    return key === undefined ? [] : [{ view, key }]
  })

/** What a scanned text means in one view, or undefined when it is no text of that view. */
export const keyOfScan = (view: CardView, text: string): string | undefined => views[view].ofScan(text.trim())

/** What a scanned text would mean in each view: for a look-up that learns the reader's view on the way. */
export const keysOfScan = (text: string): Partial<Record<CardView, string>> => {
  const trimmed = text.trim()
  const keys: Partial<Record<CardView, string>> = {}
  for (const view of CARD_VIEWS) {
    const key = views[view].ofScan(trimmed)
    if (key !== undefined) keys[view] = key
  }
  return keys
}
