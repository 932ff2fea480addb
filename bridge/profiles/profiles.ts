import { varsOf } from '../../api/contract/reader-topics.ts'
import type { SiteReader } from '../../api/contract/site.ts'
import { aclPush } from './acl-push.ts'
import { espRfidV10 } from './esp-rfid-v1.0.ts'
import { espRfidV13 } from './esp-rfid-v1.3.ts'
import { espRfidV2 } from './esp-rfid-v2.ts'
import { espRfidV2Ha } from './esp-rfid-v2-ha.ts'
import { espeasy } from './espeasy.ts'
import { esphome } from './esphome.ts'
import { fabomatic } from './fabomatic.ts'
import { fabreaderApdu } from './fabreader-apdu.ts'
import { haDiscovery } from './ha-discovery.ts'
import type { Known } from './hear.ts'
import { homekeyEsp32 } from './homekey-esp32.ts'
import { json } from './json.ts'
import { lintel } from './lintel.ts'
import { plain } from './plain.ts'
import type { Profile } from './profile.ts'
import { tasmota } from './tasmota.ts'
import { toolControlPoc } from './tool-control-poc.ts'
import { uhppoted } from './uhppoted.ts'
import { vfAccess } from './vf-access.ts'
import { z2mKeypad } from './z2m-keypad.ts'
import { z2mLock } from './z2m-lock.ts'

/** Every profile that there is, one file each. */
export const PROFILES: readonly Profile[] = [
  plain,
  lintel,
  espeasy,
  json,
  espRfidV10,
  espRfidV13,
  espRfidV2,
  espRfidV2Ha,
  tasmota,
  esphome,
  z2mKeypad,
  z2mLock,
  fabomatic,
  vfAccess,
  aclPush,
  toolControlPoc,
  homekeyEsp32,
  uhppoted,
  fabreaderApdu,
  haDiscovery,
]

const byName = new Map(PROFILES.map((profile) => [profile.name, profile]))

/** A reader with what its profile says of it; undefined when this bridge does not know the profile. */
export const known = (reader: SiteReader): Known | undefined => {
  const profile = byName.get(reader.profile)
  return profile && { reader, profile, vars: varsOf(reader) }
}
