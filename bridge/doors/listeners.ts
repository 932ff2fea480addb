import { type Came, type Listened, toldApartBy, topicsOf } from '../profiles/hear.ts'
import { at, readJson, textOf } from '../profiles/places.ts'

/** Those of one topic whom a message names at a place, by what stands there; and those who have to be asked each. */
type Listening<T> = { all: T[]; apart: Map<string, Map<string, T[]>>; others: T[] }

/**
 * Who may be meant by a message. Hundreds of relays can answer on one topic: of those only the one that is named is asked
 * what it heard.
 */
export const listenersOf = <T extends { place: { listened: Listened } }>(all: readonly T[]) => {
  const byTopic = new Map<string, Listening<T>>()
  for (const one of all) {
    const { listened } = one.place
    for (const topic of topicsOf(listened)) {
      const here: Listening<T> = byTopic.get(topic) ?? { all: [], apart: new Map(), others: [] }
      byTopic.set(topic, here)
      here.all.push(one)
      const named = toldApartBy(listened, topic)
      if (!named) {
        here.others.push(one)
        continue
      }
      const [pointer, name] = named
      const byName = here.apart.get(pointer) ?? new Map<string, T[]>()
      here.apart.set(pointer, byName.set(name, [...(byName.get(name) ?? []), one]))
    }
  }

  return {
    topics: [...byTopic.keys()],
    for({ topic, payload }: Came): readonly T[] {
      const here = byTopic.get(topic)
      if (!here || here.all.length < 2 || here.apart.size === 0) return here?.all ?? []
      const read = readJson(payload.toString('utf8'))
      const named = [...here.apart].flatMap(([pointer, byName]) => byName.get(textOf(at(read, pointer)) ?? '') ?? [])
      return [...named, ...here.others]
    },
    /** Whether anybody listens there at all. */
    has: (topic: string): boolean => byTopic.has(topic),
  }
}
