import { base64url } from 'jose'
import { messageOf } from './cause.ts'
import { deriveKey } from './keys.ts'
import type { Platform } from './platform.ts'
import { done, lastOf } from './upkeep.ts'

/** What tells one APP_KEY from another and nothing else about it: 72 bits of a key that is for nothing but this. */
export const fingerprint = async (appKey: Uint8Array): Promise<string> =>
  base64url.encode(await deriveKey(appKey, 'lintel fingerprint')).slice(0, 12)

/** Writes down which APP_KEY is in force and since when, as far as this database knows. Never throws. */
export const noteKey = async ({ config, db, now, log }: Pick<Platform, 'config' | 'db' | 'now' | 'log'>) => {
  try {
    const mark = await fingerprint(config.APP_KEY)
    const { detail } = (await lastOf(db, 'keys')) ?? {}
    const since = detail?.['fingerprint'] === mark ? detail['since'] : now().toISOString()
    await done(db, 'keys', now(), { fingerprint: mark, since })
  } catch (error) {
    log('error', 'key_unnoted', { error: messageOf(error) })
  }
}
