import { keyOfScan } from '../../api/contract/card-views.ts'
import type { SiteReader } from '../../api/contract/site.ts'
import { fits, found, type Payload, taken, textOf } from './places.ts'
import type { Dropped, Hear, Heard, Vars } from './profile.ts'

/** Firmwares report that a card was taken away as `0`, as nothing, or as zeros in their own notation. */
const REMOVAL = /^(?:[0\s:.-]*|none)$/i
const PIN = /^\d{1,16}$/
/** Longer than any card in any view. */
const MOST_LETTERS = 128

export type Said = Heard extends infer H ? (H extends Heard ? Omit<H, 'vars' | 'reply' | 'feedback'> : never) : never

type Around = {
  reader: Pick<SiteReader, 'cardView'>
  vars: Vars
  /** What was taken from the message, and which of its parts this one is. */
  things: Vars
  index: number
}

/** What a line that fits says; or why it is nothing after all. */
export const read = (line: Hear, part: Payload, around: Around): Said | { dropped: Dropped } => {
  const { reader, vars } = around
  switch (line.is) {
    case 'scan': {
      const card = cardOf(taken(line.card, part, vars), reader)
      if (typeof card !== 'string') return card
      const pin = line.pin && taken(line.pin, part, vars)
      const typed = pin !== undefined && PIN.test(pin) ? { pin } : {}
      return { is: 'scan', card, ...typed, ...decidedBy(line, part, vars) }
    }
    case 'pin': {
      const pin = taken(line.pin, part, vars)
      if (pin === '') return { dropped: 'removal' }
      return pin !== undefined && PIN.test(pin) ? { is: 'pin', pin } : { dropped: 'not_a_card' }
    }
    case 'record': {
      const card = cardOf(taken(line.card, part, vars), reader)
      if (typeof card !== 'string') return card
      const key = keyOf(line.id, part, around)
      const time = line.time === undefined ? Number.NaN : Number(textOf(found(part, line.time, vars)) ?? Number.NaN)
      return {
        is: 'record',
        card,
        decided: line.granted && fits(line.granted, part, vars) ? 'granted' : 'denied',
        ...(key !== undefined && { key }),
        ...(Number.isSafeInteger(time) && { time }),
      }
    }
    case 'presence':
    case 'contact':
    case 'relay':
    case 'tamper': {
      if (fits(line.yes, part, vars)) return { is: line.is, on: true }
      return line.no === undefined || fits(line.no, part, vars) ? { is: line.is, on: false } : { dropped: 'ignored' }
    }
    case 'lock': {
      const word = textOf(found(part, line.state, vars)) ?? ''
      const state = Object.hasOwn(line.words, word) ? line.words[word] : undefined
      return { is: 'lock', state: state ?? 'unknown' }
    }
    case 'heartbeat':
    case 'rex':
      return { is: line.is }
    case 'note':
      return { is: 'note', what: line.what }
    case 'ignore':
      return { is: 'ignore', why: line.why }
  }
}

const decidedBy = (line: Hear & { is: 'scan' }, part: Payload, vars: Vars) => {
  if (line.granted === undefined) return {}
  const granted = fits(line.granted, part, vars) !== undefined
  const counts = vars['decides'] !== 'lintel' || (line.opened === true && granted)
  return counts ? ({ decided: granted ? 'granted' : 'denied' } as const) : {}
}

/** Of several records under one number the first has that number, and each other its own. */
const keyOf = (id: string | undefined, part: Payload, { vars, things, index }: Around): string | undefined => {
  const [, name] = /^\{(\w+)\}$/.exec(id ?? '') ?? []
  const key = name === undefined ? textOf(id && found(part, id, vars)) : textOf(things[name])
  return key === undefined || index === 0 ? key : `${key}#${index}`
}

const cardOf = (
  card: string | undefined,
  { cardView }: Pick<SiteReader, 'cardView'>,
): string | { dropped: Dropped } => {
  if (card === undefined) return { dropped: 'not_a_card' }
  if (REMOVAL.test(card)) return { dropped: 'removal' }
  const isText = card.length <= MOST_LETTERS && /^[\x20-\x7e]+$/.test(card)
  return isText && keyOfScan(cardView, card) !== undefined ? card : { dropped: 'not_a_card' }
}
