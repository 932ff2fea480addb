import type { SiteDoor, SiteReader } from '../../api/contract/site.ts'
import { knownDoor } from '../door-profiles/door-profiles.ts'
import type { Listened } from '../profiles/hear.ts'
import { known } from '../profiles/profiles.ts'
import { fillTopic } from '../profiles/tell.ts'
import type { Kind } from './online.ts'

/** What is known of a device by its profile: besides how it can be known to be there, whether it says when tampering ends. */
export type DeviceKind = Kind & { tamperEnds: boolean }

const NOTHING: DeviceKind = { presence: false, beatMs: undefined, tamperEnds: true }

/** By the id of its reader or door; none of its is known where this bridge does not know the profile. */
export const kindsOf = (readers: readonly SiteReader[], doors: readonly SiteDoor[]): Map<string, DeviceKind> =>
  new Map([
    ...readers.map((reader) => [reader.id, kindOf(known(reader))] as const),
    ...doors.map((door) => [door.id, kindOf(knownDoor(door.profile, door.settings))] as const),
  ])

const kindOf = (listened: Listened | undefined): DeviceKind => {
  if (!listened) return NOTHING
  const { profile, vars } = listened
  const lines = profile.hears.filter(({ topic }) => topic === undefined || fillTopic(topic, vars) !== undefined)
  const tamper = lines.flatMap((line) => (line.is === 'tamper' ? [line.yes] : []))
  return {
    presence: lines.some(({ is }) => is === 'presence'),
    beatMs: profile.beatMs,
    // A line that is always a yes never says that it is over.
    tamperEnds: tamper.some((yes) => Object.keys(yes).length > 0),
  }
}
