import type { SiteReader } from '../../api/contract/site.ts'
import type { Known } from './hear.ts'
import { plain } from './plain.ts'
import type { Profile } from './profile.ts'
import { varsOf } from './tell.ts'

/** Every profile that there is, one file each. */
export const PROFILES: readonly Profile[] = [plain]

const byName = new Map(PROFILES.map((profile) => [profile.name, profile]))

/** A reader with what its profile says of it; undefined when this bridge does not know the profile. */
export const known = (reader: SiteReader): Known | undefined => {
  const profile = byName.get(reader.profile)
  return profile && { reader, profile, vars: varsOf(reader) }
}
