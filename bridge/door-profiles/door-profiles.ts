import { settingVars } from '../../api/contract/reader-topics.ts'
import type { Settings } from '../../api/contract/site.ts'
import type { Listened } from '../profiles/hear.ts'
import type { Profile } from '../profiles/profile.ts'
import { espRfidV2Door, espRfidV13Door } from './esp-rfid.ts'
import { espeasyRelay } from './espeasy.ts'
import { esphomeDoor } from './esphome.ts'
import { fabomaticMachine } from './fabomatic.ts'
import { homekeyDoor } from './homekey-esp32.ts'
import { nuki } from './nuki.ts'
import { plainDoor } from './plain.ts'
import { shellyGen1 } from './shelly-gen1.ts'
import { shellyGen2 } from './shelly-gen2.ts'
import { tasmotaRelay } from './tasmota.ts'
import { uhppotedDoor } from './uhppoted.ts'
import { valueRelay } from './value-relay.ts'
import { vfRelay } from './vf-access.ts'
import { z2mDoor } from './z2m-lock.ts'

/** What opens and reads no cards, in the same language as the readers: one file each. */
export const DOOR_PROFILES: readonly Profile[] = [
  plainDoor,
  espeasyRelay,
  tasmotaRelay,
  esphomeDoor,
  shellyGen1,
  shellyGen2,
  valueRelay,
  z2mDoor,
  nuki,
  homekeyDoor,
  vfRelay,
  espRfidV13Door,
  espRfidV2Door,
  fabomaticMachine,
  uhppotedDoor,
]

const byName = new Map(DOOR_PROFILES.map((profile) => [profile.name, profile]))

/**
 * A door with what its settings say. It has no topic for scans, so nothing on it is ever one; what its profile hears on no
 * topic in particular, it hears on that of the setting `topic`, and of those that share one it is the one that `unit` names.
 */
export const knownDoor = (name: string, settings: Settings): Listened | undefined => {
  const profile = byName.get(name)
  if (!profile) return undefined
  const vars = settingVars(profile.settings, settings)
  const { topic = '', unit } = vars
  const reader = { topic: String(topic), unit: unit === undefined ? null : String(unit), cardView: 'text' } as const
  return { reader, profile, vars }
}
