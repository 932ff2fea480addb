import { createHash } from 'node:crypto'
import * as v from 'valibot'

/** What goes to a device is said so often, in as many rounds: most of them confirm nothing. */
const TIMES = { add: 2, remove: 3 } as const

/**
 * A card that is, or may be, on a device's own list. `say`: how often it has yet to be said. `gone`: that it is to be
 * forgotten; it stays here until it was said often enough, so that no card is on a device and not here.
 */
const Entry = v.object({ user: v.string(), until: v.number(), say: v.number(), gone: v.boolean() })
export type Entry = v.InferOutput<typeof Entry>

/** By the card, as the reader would publish it. */
export type DeviceList = Map<string, Entry>
export type Wanted = ReadonlyMap<string, Pick<Entry, 'user' | 'until'>>

/** Makes `list` what is wanted; true when that changed anything. */
export const want = (list: DeviceList, wanted: Wanted): boolean => {
  let changed = false
  for (const [card, entry] of list) {
    if (entry.gone || wanted.has(card)) continue
    list.set(card, { ...entry, gone: true, say: TIMES.remove })
    changed = true
  }
  for (const [card, { user, until }] of wanted) {
    const before = list.get(card)
    if (before && !before.gone && before.until === until && before.user === user) continue
    list.set(card, { user, until, gone: false, say: TIMES.add })
    changed = true
  }
  return changed
}

/** What has to be said in this round: first whom to forget. */
export const unsaid = (list: DeviceList): [card: string, Entry][] => {
  const all = [...list].filter(([, { say }]) => say > 0)
  return [...all.filter(([, { gone }]) => gone), ...all.filter(([, { gone }]) => !gone)]
}

/** It was said once more, and where that is often enough nothing is left of a card that is gone. */
export const said = (list: DeviceList, card: string): void => {
  const entry = list.get(card)
  if (!entry) return
  if (entry.gone && entry.say <= 1) list.delete(card)
  else list.set(card, { ...entry, say: entry.say - 1 })
}

/** Everything anew: the device has something else than is known here. */
export const sayAll = (list: DeviceList): void => {
  for (const [card, entry] of list) list.set(card, { ...entry, say: Math.max(1, entry.say) })
}

/** As mqtt_rfid has it (lib/acl.py): of the numbers in upper case, sorted, one behind the other. */
export const hashOf = (list: DeviceList): string => {
  const cards = [...list].flatMap(([card, { gone }]) => (gone ? [] : [card.toUpperCase()]))
  return createHash('sha256').update(cards.sort().join('')).digest('hex')
}

const Kept = v.array(v.tuple([v.string(), Entry]))

export const toBytes = (list: DeviceList): Buffer => Buffer.from(JSON.stringify([...list]))

/** What was kept; undefined when it is not that. */
export const fromBytes = (bytes: Buffer): DeviceList | undefined => {
  const read = v.safeParse(Kept, JSON.parse(bytes.toString()))
  return read.success ? new Map(read.output) : undefined
}
