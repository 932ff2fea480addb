import { settingVars } from '../../api/contract/reader-topics.ts'
import type { Settings } from '../../api/contract/site.ts'
import type { Listened } from '../profiles/hear.ts'
import type { Profile } from '../profiles/profile.ts'
import { fabomaticMachine } from './fabomatic.ts'
import { haDiscovery } from './ha-discovery.ts'
import { nuki } from './nuki.ts'
import { shellyGen1 } from './shelly-gen1.ts'
import { shellyGen2 } from './shelly-gen2.ts'
import { uhppotedDoor } from './uhppoted.ts'
import { valueRelay } from './value-relay.ts'
import { vfRelay } from './vf-access.ts'

/** What opens and reads no cards, in the same language as the readers: one file each. */
export const DOOR_PROFILES: readonly Profile[] = [
  shellyGen1,
  shellyGen2,
  valueRelay,
  nuki,
  vfRelay,
  fabomaticMachine,
  uhppotedDoor,
  haDiscovery,
]

const byName = new Map(DOOR_PROFILES.map((profile) => [profile.name, profile]))

/** A door with what its settings say. It has no topic for scans, so nothing on it is ever one. */
export const knownDoor = (name: string, settings: Settings): Listened | undefined => {
  const profile = byName.get(name)
  const reader = { topic: '', unit: null, cardView: 'text' } as const
  return profile && { reader, profile, vars: settingVars(profile.settings, settings) }
}
