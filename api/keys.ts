import type { Config } from './config.ts'

/** A key of its own for each purpose, all from APP_KEY: HKDF-SHA-256 (RFC 5869) without salt, 32 bytes. */
export const deriveKey = async (appKey: Uint8Array, label: string): Promise<Uint8Array> => {
  const root = await crypto.subtle.importKey('raw', Uint8Array.from(appKey), 'HKDF', false, ['deriveBits'])
  const info = new TextEncoder().encode(label)
  const bits = await crypto.subtle.deriveBits(
    { name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(), info },
    root,
    256,
  )
  return new Uint8Array(bits)
}

/**
 * The root of every key, and the one before while APP_KEY is being replaced: what was sealed, signed or encrypted under it
 * is still good, and nothing new is made with it.
 */
export const rootKeys = ({
  APP_KEY,
  APP_KEY_PREVIOUS,
}: Pick<Config, 'APP_KEY' | 'APP_KEY_PREVIOUS'>): [Uint8Array, ...Uint8Array[]] =>
  APP_KEY_PREVIOUS ? [APP_KEY, APP_KEY_PREVIOUS] : [APP_KEY]

/** The same as a key for HMAC-SHA-256. */
export const deriveMacKey = async (appKey: Uint8Array, label: string): Promise<CryptoKey> => {
  const bytes = Uint8Array.from(await deriveKey(appKey, label))
  return crypto.subtle.importKey('raw', bytes, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign', 'verify'])
}
