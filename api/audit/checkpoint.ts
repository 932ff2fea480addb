import { base64url } from 'jose'
import * as v from 'valibot'
import { deriveMacKey } from '../keys.ts'

/**
 * Where the chain ended at an instant, to be kept where nobody who can write to the database can: the chain alone does not
 * show that its end was cut off, nor that all of it was written anew. The seal says that it is one of ours.
 */
export const Checkpoint = v.object({
  number: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  hash: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
  at: v.pipe(v.string(), v.isoTimestamp()),
  seal: v.pipe(v.string(), v.maxLength(64)),
})
export type Checkpoint = v.InferOutput<typeof Checkpoint>

type End = Omit<Checkpoint, 'seal'>

/** What the first row names as the hash before it. */
export const BEGINNING = '0'.repeat(64)

/** What is sealed, each with a key of its own, so that none can be passed off as another. */
export type Sealed = 'checkpoint' | 'removal' | 'erasure'

const keyOf = (appKey: Uint8Array, what: Sealed) => deriveMacKey(appKey, `lintel audit ${what}`)

const bytesOf = (content: unknown) => new TextEncoder().encode(JSON.stringify(content))

export const sealOf = async (appKey: Uint8Array, what: Sealed, content: unknown): Promise<string> => {
  const seal = await crypto.subtle.sign('HMAC', await keyOf(appKey, what), bytesOf(content))
  return base64url.encode(new Uint8Array(seal))
}

/** Is that the seal of one of these keys on this? In constant time. */
export const isSealOf = async (keys: readonly Uint8Array[], what: Sealed, content: unknown, seal: string) => {
  if (!/^[\w-]{43}$/.test(seal)) return false
  const bytes = Uint8Array.from(base64url.decode(seal))
  for (const key of keys) {
    if (await crypto.subtle.verify('HMAC', await keyOf(key, what), bytes, bytesOf(content))) return true
  }
  return false
}

const contentOf = ({ number, hash, at }: End) => [number, hash, at]

export const sealed = async (appKey: Uint8Array, end: End, what: Sealed = 'checkpoint'): Promise<Checkpoint> => ({
  ...end,
  seal: await sealOf(appKey, what, contentOf(end)),
})

/** Was this sealed with one of these keys? */
export const isSealed = (keys: readonly Uint8Array[], { seal, ...end }: Checkpoint, what: Sealed = 'checkpoint') =>
  isSealOf(keys, what, contentOf(end), seal)
