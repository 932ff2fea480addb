/** How long after a card its PIN may be typed. Milliseconds. */
const TYPING_MS = 15_000

/**
 * Which card a PIN belongs to that was typed apart from it: the last one shown to the same reader, in this memory alone. What
 * has opened stays only for as long as it is held, so that nobody goes in after somebody by typing a PIN that was looked at.
 */
export type Pins = {
  shown(readerId: string, card: string): void
  cardFor(readerId: string): string | undefined
  /** A PIN with this card has opened; a repetition is held until then, on this clock. */
  used(readerId: string, card: string, until: number): void
}

export const pinsOf = (now: () => number = () => performance.now()): Pins => {
  const last = new Map<string, { card: string; until: number }>()
  return {
    shown(readerId, card) {
      last.set(readerId, { card, until: now() + TYPING_MS })
    },
    cardFor(readerId) {
      const known = last.get(readerId)
      if (known && known.until > now()) return known.card
      last.delete(readerId)
      return undefined
    },
    used(readerId, card, until) {
      const known = last.get(readerId)
      if (known?.card === card) known.until = Math.min(known.until, until)
    },
  }
}
