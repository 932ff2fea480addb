import { isUtf8 } from 'node:buffer'
import { keyOfScan } from '../../api/contract/card-views.ts'
import { isPlainText } from '../../api/contract/scan.ts'
import type { SiteReader } from '../../api/contract/site.ts'
import { at, holds, type Payload, readJson, taken, textOf } from './places.ts'
import type { Dropped, Hear, Heard, Message, Profile, Vars } from './profile.ts'
import { fillTopic, messageOf } from './tell.ts'

/** Longer than any message of a reader's: terminals send records with names and reasons in them. Bytes. */
const MOST_BYTES = 64 * 1024
/** Longer than any card in any view. */
const MOST_LETTERS = 128

/** Firmwares report that a card was taken away as `0`, as nothing, or as zeros in their own notation. */
const REMOVAL = /^(?:[0\s:.-]*|none)$/i
const PIN = /^\d{1,16}$/

export type Came = { topic: string; payload: Buffer; retained: boolean }

/** A reader with its profile, and what its topic and settings say. */
export type Known = { reader: SiteReader; profile: Profile; vars: Vars }

/** Every topic on which something of this reader's can be heard. */
export const topicsOf = ({ reader, profile, vars }: Known): string[] => {
  const topics = profile.hears.flatMap(({ topic }) =>
    topic === undefined ? reader.topic : (fillTopic(topic, vars) ?? []),
  )
  return [...new Set(topics)]
}

/**
 * What a message says, by the first of the profile's lines that fits; or why it says nothing. A retained message is never a
 * card or a PIN, and neither is anything that is no text of the reader's view. Never throws, whatever the bytes are.
 */
export const hear = (known: Known, came: Came, now: Date): Heard[] | { dropped: Dropped } => {
  const { reader, profile, vars } = known
  const lines = profile.hears.filter(({ topic }) => topicIs(topic, reader, vars, came.topic))
  if (lines.length === 0) return { dropped: 'foreign_topic' }
  if (came.retained && !lines.some((line) => line.kept)) return { dropped: 'retained' }
  if (came.payload.length > MOST_BYTES || !isUtf8(came.payload)) return { dropped: 'not_text' }
  const text = came.payload.toString('utf8')
  // Read at most once, and only where somebody asks.
  let json: { read: Payload } | undefined
  const payloadFor = (line: Hear) => {
    if (!line.json) return text
    json ??= { read: readJson(text) }
    return json.read
  }

  let why: Dropped = 'ignored'
  for (const line of lines) {
    const payload = payloadFor(line)
    if (payload === undefined) {
      why = 'malformed'
      continue
    }
    if (came.retained && !line.kept) continue
    if (
      profile.unit !== undefined &&
      reader.unit !== null &&
      line.json &&
      textOf(at(payload, profile.unit)) !== reader.unit
    ) {
      why = 'foreign_topic'
      continue
    }
    const parts = line.each === undefined ? [payload] : at(payload, line.each)
    if (!Array.isArray(parts)) continue
    const fitting = parts.filter((part) => holds(line.when ?? {}, part, vars))
    if (fitting.length === 0) continue
    if (line.views && !line.views.includes(reader.cardView)) {
      why = 'not_this_view'
      continue
    }
    const found = take(line, payload)
    const timed = { ...vars, now: Math.floor(now.getTime() / 1000) }
    const reply = (line.reply ?? []).flatMap(
      (effect): readonly Message[] | Message => messageOf(effect, timed, found) ?? [],
    )
    const heard = fitting.map((part) => read(line, part, reader, vars))
    const whole = heard.flatMap((one) => ('dropped' in one ? [] : [{ ...one, vars: found, reply }]))
    if (whole.length > 0) return whole
    return heard.find((one) => 'dropped' in one) ?? { dropped: why }
  }
  return came.retained && why === 'ignored' ? { dropped: 'retained' } : { dropped: why }
}

const topicIs = (template: string | undefined, reader: SiteReader, vars: Vars, topic: string) =>
  (template === undefined ? reader.topic : fillTopic(template, vars)) === topic

const take = ({ take: names = {} }: Hear, payload: Payload): Vars => {
  const found: Record<string, string | number> = {}
  for (const [name, place] of Object.entries(names)) {
    const value = at(payload, place)
    if (typeof value === 'number') found[name] = value
    else if (typeof value === 'string' && value.length <= MOST_LETTERS && isPlainText(value)) found[name] = value
  }
  return found
}

type Said = Heard extends infer H ? (H extends Heard ? Omit<H, 'vars' | 'reply'> : never) : never

const read = (line: Hear, part: Payload, reader: SiteReader, vars: Vars): Said | { dropped: Dropped } => {
  switch (line.is) {
    case 'scan': {
      const card = cardOf(taken(line.card, part, vars), reader)
      if (typeof card !== 'string') return card
      const pin = line.pin && taken(line.pin, part, vars)
      const typed = pin !== undefined && PIN.test(pin) ? { pin } : {}
      const decides = line.decided || line.granted
      const decided = decides
        ? ({ decided: line.granted && holds(line.granted, part, vars) ? 'granted' : 'denied' } as const)
        : {}
      return { is: 'scan', card, ...typed, ...decided }
    }
    case 'pin': {
      const pin = taken(line.pin, part, vars)
      if (pin === undefined || pin === '') return { dropped: 'removal' }
      return PIN.test(pin) ? { is: 'pin', pin } : { dropped: 'not_a_card' }
    }
    case 'record': {
      const card = cardOf(taken(line.card, part, vars), reader)
      if (typeof card !== 'string') return card
      const key = line.id === undefined ? undefined : textOf(at(part, line.id))
      const time = line.time === undefined ? undefined : Number(textOf(at(part, line.time)) ?? Number.NaN)
      const decided = line.granted && holds(line.granted, part, vars) ? 'granted' : 'denied'
      return {
        is: 'record',
        card,
        decided,
        ...(key !== undefined && { key }),
        ...(time !== undefined && Number.isSafeInteger(time) && { time }),
      }
    }
    case 'presence':
    case 'contact':
    case 'relay':
    case 'tamper': {
      if (holds(line.yes, part, vars)) return { is: line.is, on: true }
      return line.no === undefined || holds(line.no, part, vars) ? { is: line.is, on: false } : { dropped: 'ignored' }
    }
    case 'lock':
      return { is: 'lock', state: textOf(at(part, line.state)) ?? '' }
    case 'heartbeat':
    case 'rex':
      return { is: line.is }
    case 'note':
      return { is: 'note', what: line.what }
    case 'ignore':
      return { is: 'ignore', why: line.why }
  }
}

const cardOf = (card: string | undefined, { cardView }: SiteReader): string | { dropped: Dropped } => {
  if (card === undefined) return { dropped: 'not_a_card' }
  if (REMOVAL.test(card)) return { dropped: 'removal' }
  const fits = card.length <= MOST_LETTERS && isPlainText(card) && keyOfScan(cardView, card) !== undefined
  return fits ? card : { dropped: 'not_a_card' }
}
