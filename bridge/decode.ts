import type { SiteReader } from '../api/contract/site.ts'
import { plain } from './profiles/plain.ts'
import type { Profile, Read } from './profiles/profile.ts'

export const PROFILES: Record<SiteReader['profile'], Profile> = { plain }

/** MQTT message in, card out; or the reason why it is not a scan. Topics are literal: `/a/b` is not `a/b`. */
export const decode = (reader: SiteReader | undefined, payload: Buffer, retained: boolean): Read => {
  if (retained) return { dropped: 'retained' }
  if (!reader) return { dropped: 'foreign_topic' }
  return PROFILES[reader.profile].read(payload, reader)
}
