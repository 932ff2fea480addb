import type { SiteReader } from '../api/contract/site.ts'
import type { Log } from './log.ts'
import { hear, type Known, topicsOf } from './profiles/hear.ts'
import { at, readJson, textOf } from './profiles/places.ts'
import type { Dropped, Heard } from './profiles/profile.ts'
import { known } from './profiles/profiles.ts'
import { needsAddress } from './uses.ts'

type Came = { topic: string; payload: Buffer; retained: boolean }

/** `unit`: what the message calls the device, where one reader stands for several and each is opened by its address. */
export type SaidTo = { by: Known; heard: Heard[]; unit: string }

/** What a message said, reader by reader; or why it said nothing to any of them. */
type Said = SaidTo[] | { dropped: Dropped }

export type Routes = { topics: string[]; hear(message: Came, now: Date): Said }

/** The readers of one topic; and of them those that its messages tell apart by what stands at `pointer`. */
type Place = { all: Known[]; pointer: string; byUnit: Map<string, Known[]>; mute: boolean; others: Known[] }

/** Which readers a message is for. A bridge leaves alone a reader whose profile it does not know. */
export const routesTo = (readers: readonly SiteReader[], log: Log): Routes => {
  const byTopic = new Map<string, Known[]>()
  for (const reader of readers) {
    const one = known(reader)
    if (one) for (const topic of topicsOf(one)) byTopic.set(topic, [...(byTopic.get(topic) ?? []), one])
    else log('warn', 'unknown_profile', { reader: reader.id, say: 'This bridge is older than the API: update it.' })
  }
  const places = new Map([...byTopic].map(([topic, all]) => [topic, placeOf(all)]))

  return {
    topics: [...places.keys()],
    hear(message, now) {
      const place = places.get(message.topic)
      const said: SaidTo[] = []
      let dropped: Dropped = 'foreign_topic'
      let claimed = false
      for (const by of place ? candidates(place, message.payload) : []) {
        // What names a unit is for the reader of that unit, and not for the one that stands for all the rest.
        if (claimed && by.reader.unit === null) continue
        const heard = hear(by, message, now)
        if (!('dropped' in heard)) {
          said.push({ by, heard, unit: unitOf(by, message.payload) })
          claimed ||= by.reader.unit !== null && heard.some(({ is }) => !FOR_ALL.includes(is))
        } else if (dropped === 'foreign_topic') dropped = heard.dropped
      }
      return said.length > 0 ? said : { dropped }
    },
  }
}

/** Said of a connection, which devices may share. */
const FOR_ALL: readonly Heard['is'][] = ['presence', 'heartbeat']

/** Those with a unit first. Of hundreds of devices on a topic only the one that spoke is asked what it said. */
const placeOf = (readers: readonly Known[]): Place => {
  const all = readers.toSorted((a, b) => Number(a.reader.unit === null) - Number(b.reader.unit === null))
  const pointer =
    all.find(({ reader, profile }) => reader.unit !== null && profile.unit !== undefined)?.profile.unit ?? ''
  const told = ({ reader, profile }: Known) => reader.unit !== null && profile.unit === pointer
  const apart = all.filter(told)
  return {
    all,
    pointer,
    byUnit: Map.groupBy(apart, ({ reader }) => reader.unit ?? ''),
    mute: apart.every(({ profile }) => profile.hears.every(({ json }) => json)),
    others: all.filter((one) => !told(one)),
  }
}

const unitOf = ({ reader, profile }: Known, payload: Buffer): string => {
  if (reader.unit !== null || profile.unit === undefined || !needsAddress(profile)) return ''
  return textOf(at(readJson(payload.toString('utf8')), profile.unit)) ?? ''
}

const candidates = ({ all, pointer, byUnit, mute, others }: Place, payload: Buffer): readonly Known[] => {
  if (byUnit.size < 2) return all
  const unit = textOf(at(readJson(payload.toString('utf8')), pointer))
  if (unit !== undefined) return [...(byUnit.get(unit) ?? []), ...others]
  // None is named: it is none of theirs, but for profiles that are told something in plain words.
  return mute ? others : all
}
