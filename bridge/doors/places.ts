import { type DoorMode, doorMode } from '../../api/contract/door-mode.ts'
import type { SiteDoor, SiteReader } from '../../api/contract/site.ts'
import { knownDoor } from '../door-profiles/door-profiles.ts'
import { type DoorRef, doorOf } from '../news.ts'
import type { Listened } from '../profiles/hear.ts'
import type { Effects, Profile } from '../profiles/profile.ts'
import { known } from '../profiles/profiles.ts'

type Ordered = Parameters<typeof doorMode>[0]

/** What can be opened: a door, or a reader that opens by what its own profile answers. */
export type Place = {
  ref: DoorRef
  listened: Listened
  openMs: number
  grant: Effects
  profile: Profile
  ordered: Ordered
  /** What its messages are made of: as long as it is the same, so are they. */
  print: string
}

const MINUTE_MS = 60_000

export const placeOfDoor = (door: SiteDoor): Place | undefined => {
  const listened = knownDoor(door.profile, door.settings)
  return listened && placeOf({ doorId: door.id }, listened, door.openMs, door)
}

/** None where it has a door, or a profile that this bridge does not know. */
export const placeOfReader = (reader: SiteReader): Place | undefined => {
  const listened = reader.doorId === null ? known(reader) : undefined
  const { lockdown, evacuation } = reader
  const ordered = { timezone: 'UTC', hold: null, mode: 'scheduled', modeUntil: null, lockdown, evacuation } as const
  return listened && placeOf(doorOf(reader), listened, reader.openMs, ordered)
}

const placeOf = (ref: DoorRef, listened: Listened, openMs: number, ordered: Ordered): Place => {
  const { profile, vars } = listened
  // What is signed answers a question, and nobody asked one.
  const grant = profile.verify ? [] : profile.grant
  return { ref, listened, openMs, grant, profile, ordered, print: JSON.stringify([profile.name, vars]) }
}

/** Its mode now, and the first instant at which it may be another one. Windows begin and end with a minute. */
export const modeOf = ({ ordered }: Place, at: Date): { mode: DoorMode; until: number } => {
  const now = at.getTime()
  const ends = [ordered.modeUntil, ordered.lockdown?.until, ordered.evacuation?.until]
    .map((end) => (end ? Date.parse(end) : Number.NaN))
    .filter((end) => end > now)
  const minute = ordered.hold === null ? [] : [Math.floor(now / MINUTE_MS + 1) * MINUTE_MS]
  return { mode: doorMode(ordered, at), until: Math.min(...ends, ...minute) }
}
