/**
 * A card's canonical number is the upper-case hex of its bytes in air order. A reader publishes a *view* of it, and a
 * scan matches a card when the card's number seen through the reader's view equals the scanned text. So each view is
 * two functions: what a card looks like in it, and what a scanned text means in it. Where both give the same key, the
 * card matches: one equality, one index probe. All arithmetic is exact (BigInt, text), never a float.
 */
type View = {
  /** The key of a card, or undefined when the card cannot be seen in this view. */
  ofCard(card: CardNumber): string | undefined
  /** The key that a scanned text means, or undefined when it is not a text of this view. */
  ofScan(text: string): string | undefined
}

export const FORMS = ['hex', 'decimal'] as const

/** `decimal` is a legacy number whose bytes are unknown: it matches decimal readers only, by value. */
export type CardNumber = { form: (typeof FORMS)[number]; number: string }

export const CARD_VIEWS = ['hex', 'decimal'] as const
export type CardView = (typeof CARD_VIEWS)[number]

const views: Record<CardView, View> = {
  hex: {
    ofCard: ({ form, number }) => (form === 'hex' ? number : undefined),
    ofScan: (text) => canonicalHex(text),
  },
  decimal: {
    ofCard: ({ form, number }) => (form === 'hex' ? BigInt(`0x${number}`).toString() : number),
    ofScan: (text) => canonicalDecimal(text),
  },
}

/** Hex of whole bytes in any case, separators ignored → canonical; undefined when it is not that, or only zeros. */
export const canonicalHex = (text: string): string | undefined => {
  const digits = text.replace(/[\s:.-]/g, '')
  return /^([0-9A-Fa-f]{2}){1,32}$/.test(digits) && /[^0]/.test(digits) ? digits.toUpperCase() : undefined
}

/** Decimal digits → the same value without leading zeros; undefined when it is not that, or zero. */
export const canonicalDecimal = (text: string): string | undefined =>
  /^\d{1,78}$/.test(text) ? text.replace(/^0+/, '') || undefined : undefined

/** Every key under which a card can be found, one per view in which it can be seen. */
export const keysOfCard = (card: CardNumber): { view: CardView; key: string }[] =>
  CARD_VIEWS.flatMap((view) => {
    const key = views[view].ofCard(card)
    return key === undefined ? [] : [{ view, key }]
  })

/** What a scanned text means in one view, or undefined when it is no text of that view. */
export const keyOfScan = (view: CardView, text: string): string | undefined => views[view].ofScan(text.trim())

/** What a scanned text would mean in each view: for a look-up that learns the reader's view on the way. */
export const keysOfScan = (text: string): Partial<Record<CardView, string>> =>
  Object.fromEntries(CARD_VIEWS.map((view) => [view, keyOfScan(view, text)]))
