import {
  type CardNumber,
  type CardView,
  canonicalDecimal,
  canonicalHex,
  keyOfCard,
  keyOfScan,
} from '../contract/card-views.ts'

/** The card that a scan shows, as it would be written down, or a note for people: why it can not be, and what to do. */
export type Shown = { card: CardNumber } | { note: string }

/** These views keep only a part of the number, or are told apart by nobody: the card itself cannot be known from them. */
const LOSSY: readonly CardView[] = ['hex-unpadded', 'hex4-reversed', 'em32-hex']

/** The views in which a number below 2^32 may be that of a card with four bytes, which says of itself what it is. */
const UIDS: readonly CardView[] = ['hex', 'hex-reversed', 'decimal', 'decimal-reversed', 'decimal4']

const NOTES = {
  unreadable: 'What this reader sent is no card in its view. Check the reader’s card view, then begin again.',
  lossy:
    'This reader shows only a part of a card’s number. Use a reader that shows the whole, or add the card by its number.',
  random:
    'This card shows a new random number each time (its first byte is 08), as phones do: it would never be known again. Use another card.',
  partial:
    'This is the beginning of a longer number (its first byte is 88): the reader misread the card. Use another reader, or add the card by its number.',
} as const

/**
 * Which card to write down for a scanned text. Where the reader shows all bytes, by its bytes; where it shows a decimal
 * number, by that number, as nobody knows the bytes. What comes of this is found again by the same text at the same reader.
 */
export const cardOfScan = (view: CardView, text: string): Shown => {
  const key = keyOfScan(view, text)
  if (key === undefined) return { note: NOTES.unreadable }
  if (LOSSY.includes(view)) return { note: NOTES.lossy }
  const card = cardOfKey(view, key)
  if (keyOfCard(view, card) !== key) return { note: NOTES.unreadable }
  const first = UIDS.includes(view) ? firstOfFour(view, card) : undefined
  if (first === '08') return { note: NOTES.random }
  if (first === '88') return { note: NOTES.partial }
  return { card }
}

const cardOfKey = (view: CardView, key: string): CardNumber => {
  if (view === 'hex') return { form: 'hex', number: key }
  // Reversed twice, bytes are as they were.
  if (view === 'hex-reversed') return { form: 'hex', number: reversed(key) }
  // As it stands: digits are kept as what they are written like.
  if (view === 'text' && !/^\d+$/.test(key)) return { form: 'hex', number: canonicalHex(key) ?? '' }
  return { form: 'decimal', number: canonicalDecimal(key) ?? '' }
}

const reversed = (hex: string): string => keyOfCard('hex-reversed', { form: 'hex', number: hex }) ?? hex

/** The first byte of a card that may have four of them. */
const firstOfFour = (view: CardView, { form, number }: CardNumber): string | undefined => {
  const hex = form === 'hex' ? number : BigInt(number).toString(16).toUpperCase().padStart(8, '0')
  if (hex.length !== 8) return undefined
  return (view === 'decimal-reversed' ? reversed(hex) : hex).slice(0, 2)
}
