import { isUtf8 } from 'node:buffer'
import { topicVars } from '../../api/contract/profiles.ts'
import type { SiteReader } from '../../api/contract/site.ts'
import { at, fits, found, type Payload, placeOf, readJson, textOf, trimmed } from './places.ts'
import type { Dropped, Hear, Heard, Message, Pointer, Profile, Test, Vars } from './profile.ts'
import { read, type Said } from './read.ts'
import { fillTopic, messageOf } from './tell.ts'

/** Longer than any message of a reader's: terminals send records with names and reasons in them. Bytes. */
const MOST_BYTES = 64 * 1024
/** Longer than any card in any view, and than any other text that is no JSON. */
export const MOST_LETTERS = 128

export type Came = { topic: string; payload: Buffer; retained: boolean }

/** Who is listened to: a reader, or a relay that has no topic for scans. With what its profile, its topic and its settings say. */
export type Listened = { reader: Pick<SiteReader, 'topic' | 'unit' | 'cardView'>; profile: Profile; vars: Vars }
export type Known = Listened & { reader: SiteReader }

/** The topic of a line; none where a setting is missing, or where no scan may come from. */
const topicOf = ({ topic }: Hear, { reader, profile, vars }: Listened): string | undefined => {
  if (topic !== undefined) return fillTopic(topic, vars)
  const refused = Object.keys(profile.refuses ?? {}).some((template) => topicVars(template, reader.topic))
  return refused ? undefined : reader.topic
}

/** The lines that listen on each topic: found once for each reader, not with every message. */
const linesOf = (known: Listened): ReadonlyMap<string, readonly Hear[]> => {
  const lines = remembered.get(known) ?? new Map<string, Hear[]>()
  if (lines.size > 0) return lines
  for (const line of known.profile.hears) {
    const topic = topicOf(line, known)
    if (topic !== undefined) lines.set(topic, [...(lines.get(topic) ?? []), line])
  }
  remembered.set(known, lines)
  return lines
}
const remembered = new WeakMap<Listened, Map<string, Hear[]>>()

/** Every topic on which something of this reader's can be heard. */
export const topicsOf = (known: Listened): string[] => [...linesOf(known).keys()]

/**
 * What a message says, by the first of the profile's lines that fits; or why it says nothing. A retained message is never a
 * card or a PIN, and neither is anything that is no text of the reader's view. Never throws, whatever the bytes are.
 */
export const hear = (known: Listened, came: Came, now: Date): Heard[] | { dropped: Dropped } => {
  const lines = linesOf(known).get(came.topic) ?? []
  if (lines.length === 0) return { dropped: 'foreign_topic' }
  const believed = came.retained ? lines.filter(({ kept }) => kept) : lines
  if (believed.length === 0) return { dropped: 'retained' }
  if (came.payload.length > MOST_BYTES || !isUtf8(came.payload)) return { dropped: 'not_text' }

  const payloadFor = payloadOf(came.payload)
  const heard: Heard[] = []
  let why: Dropped | undefined
  for (const line of believed) {
    const payload = payloadFor(line)
    const said = payload === undefined ? unread(line) : hearLine(line, known, payload, now)
    if ('dropped' in said) why ??= said.dropped
    if ('heard' in said) heard.push(...said.heard)
    if (said.last) break
  }
  return heard.length > 0 ? heard : { dropped: why ?? (came.retained ? 'retained' : 'ignored') }
}

/** Read at most once each way, and only where a line asks. */
const payloadOf = (bytes: Buffer) => {
  let json: { read: Payload } | undefined
  return (line: Hear): Payload => {
    const text = bytes.toString('utf8')
    if (line.json) {
      json ??= { read: readJson(text) }
      return json.read
    }
    return bytes.length <= MOST_LETTERS && isAscii(text) ? trimmed(text) : undefined
  }
}

const isAscii = (text: string): boolean => !/[\u0080-\uffff]/.test(text)

const unread = ({ json }: Hear): Line => ({ dropped: json ? 'malformed' : 'not_text', last: false })

/** `last`: nothing behind this line is tried any more. */
type Line = { last: boolean } & ({ heard: Heard[] } | { dropped: Dropped } | object)

const hearLine = (line: Hear, { reader, profile, vars }: Listened, payload: Payload, now: Date): Line => {
  const { when = {}, views, each, also = false } = line
  if (profile.unit !== undefined && reader.unit !== null && line.json) {
    if (textOf(found(payload, profile.unit, vars)) !== reader.unit) return { dropped: 'foreign_topic', last: false }
  }
  const list = each === undefined ? undefined : placeOf(each, vars)
  const parts = list === undefined ? [payload] : at(payload, list)
  if (!Array.isArray(parts)) return { last: false }
  const fitting = parts.flatMap((part: Payload, index) => {
    const groups = fits(when, part, vars)
    return groups === undefined ? [] : [{ part, index, groups }]
  })
  const [first] = fitting
  if (!first) return { last: false }
  if (views && !views.includes(reader.cardView)) return { dropped: 'not_this_view', last: false }

  const things = { ...first.groups, ...take(line, payload, vars) }
  const reply = repliesOf(line, { ...vars, now: Math.floor(now.getTime() / 1000) }, things)
  const said = fitting.map(({ part, index }) => read(line, part, { reader, vars, things, index }))
  const whole = said.filter((one): one is Said => !('dropped' in one))
  if (whole.length > 0) {
    return { heard: whole.map((one) => ({ ...one, ...feedbackOf(line, one), vars: things, reply })), last: !also }
  }
  const [none] = said.flatMap((one) => ('dropped' in one ? [one.dropped] : []))
  const dropped = none ?? 'ignored'
  // Who waits for an acknowledgement would say it again for ever.
  if (reply.length > 0) return { heard: [{ is: 'ignore', why: dropped, vars: things, reply }], last: !also }
  return { dropped, last: !also }
}

/** A place of a message on this topic, and what has to stand there, or the message is nothing to this one; undefined where any may be. */
export const toldApartBy = (known: Listened, topic: string): readonly [Pointer, string] | undefined => {
  const lines = linesOf(known).get(topic) ?? []
  const { profile, reader, vars } = known
  if (!lines.every(({ json }) => json)) return undefined
  if (profile.unit !== undefined && reader.unit !== null) return [profile.unit, reader.unit]
  const named = ({ when = {}, each }: Hear) =>
    each === undefined
      ? Object.entries(when).find(([place, test]) => /^\/[^{]*$/.test(place) && isSetting(test))
      : undefined
  const [pointer, test] = (lines[0] && named(lines[0])) ?? []
  if (pointer === undefined || !lines.every(({ when = {} }) => when[pointer] === test)) return undefined
  const name = String(test).slice(1, -1)
  return Object.hasOwn(vars, name) ? [pointer, String(vars[name])] : undefined
}

const isSetting = (test: Test): boolean => typeof test === 'string' && /^\{\w+\}$/.test(test)

/** Whether a device says what came of an opening, as it is set up. */
export const saysWhatItDid = (known: Listened): boolean =>
  known.profile.hears.some((line) => {
    const ofSettings = Object.entries(line.when ?? {}).filter(([place]) => /^\{\w+\}$/.test(place))
    const listens = topicOf(line, known) !== undefined && fits(Object.fromEntries(ofSettings), '', known.vars)
    return line.confirms === true && listens !== false && listens !== undefined
  })

const feedbackOf = ({ confirms, denies }: Hear, said: Said): Pick<Heard, 'feedback'> => {
  if (denies) return { feedback: 'refused' }
  if (!confirms) return {}
  if (said.is === 'relay') return said.on ? { feedback: 'done' } : {}
  if (said.is !== 'lock') return { feedback: 'done' }
  if (said.state === 'jammed') return { feedback: 'refused' }
  return said.state === 'unlocked' || said.state === 'unlocking' ? { feedback: 'done' } : {}
}

const take = ({ take: names = {} }: Hear, payload: Payload, vars: Vars): Vars => {
  const things: Record<string, string | number> = {}
  for (const [name, place] of Object.entries(names)) {
    const value = found(payload, place, vars)
    if (typeof value === 'number') things[name] = value
    else if (typeof value === 'string' && value.length <= MOST_LETTERS && !/\p{Cc}|\p{Cs}/u.test(value))
      things[name] = value
  }
  return things
}

const repliesOf = ({ reply = [] }: Hear, vars: Vars, things: Vars): readonly Message[] =>
  reply.flatMap((effect) => messageOf(effect, vars, things) ?? [])
