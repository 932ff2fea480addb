import { base64url } from 'jose'
import type { Config } from '../config.ts'
import { deriveKey, rootKeys } from '../keys.ts'

type ColumnKey = { id: string; key: Uint8Array<ArrayBuffer> }

/** The name that a stored text calls its key by: the first 48 bits of the key's SHA-256. It tells nothing of the key. */
const nameOf = async (key: Uint8Array<ArrayBuffer>): Promise<string> =>
  base64url.encode(new Uint8Array(await crypto.subtle.digest('SHA-256', key)).slice(0, 6))

/** The keys that columns are encrypted with: the first encrypts, all of them decrypt. */
const columnKeys = (config: Config): Promise<[ColumnKey, ...ColumnKey[]]> => {
  const keyFrom = async (appKey: Uint8Array): Promise<ColumnKey> => {
    const key = Uint8Array.from(await deriveKey(appKey, 'lintel column'))
    return { id: await nameOf(key), key }
  }
  const [current, ...before] = rootKeys(config)
  return Promise.all([keyFrom(current), ...before.map(keyFrom)])
}

const VERSION = 'v1'

const cipher = ({ key }: ColumnKey) => crypto.subtle.importKey('raw', key, 'AES-GCM', false, ['encrypt', 'decrypt'])

/** What is stored is bound to the row that it stands in, so that it is of no use in another. */
const bound = (iv: Uint8Array<ArrayBuffer>, context: string) => ({
  name: 'AES-GCM',
  iv,
  additionalData: new TextEncoder().encode(context),
})

/**
 * For a column that must not be readable from the database alone: AES-256-GCM (NIST SP 800-38D) with a fresh 96-bit IV,
 * under a key derived from APP_KEY. `context` says whose it is (the id of the row) and is needed again to decrypt.
 * The text is `v1.<key>.<iv>.<ciphertext and tag>`, the last three in base64url.
 */
export const encryptSecret = async (config: Config, text: string, context: string): Promise<string> => {
  const [current] = await columnKeys(config)
  const iv = crypto.getRandomValues(new Uint8Array(12))
  const sealed = await crypto.subtle.encrypt(bound(iv, context), await cipher(current), new TextEncoder().encode(text))
  return [VERSION, current.id, base64url.encode(iv), base64url.encode(new Uint8Array(sealed))].join('.')
}

/** Throws when the text was changed, was made for another context, or with a key that is not there any more. */
export const decryptSecret = async (config: Config, stored: string, context: string): Promise<string> => {
  const [version, id, iv = '', sealed = ''] = stored.split('.')
  const key = (await columnKeys(config)).find((one) => version === VERSION && one.id === id)
  if (!key) throw new Error('a column is encrypted with a key that is not there: APP_KEY has changed')
  const bytes = (text: string) => Uint8Array.from(base64url.decode(text))
  const plain = await crypto.subtle.decrypt(bound(bytes(iv), context), await cipher(key), bytes(sealed))
  return new TextDecoder().decode(plain)
}

/** Is this encrypted with the key that encrypts now? */
export const isCurrent = async (config: Config, stored: string): Promise<boolean> => {
  const [current] = await columnKeys(config)
  return stored.split('.')[1] === current.id
}
