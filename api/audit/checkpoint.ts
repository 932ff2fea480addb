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

const keyOf = (appKey: Uint8Array) => deriveMacKey(appKey, 'lintel audit checkpoint')

const bytesOf = ({ number, hash, at }: End) => new TextEncoder().encode(JSON.stringify([number, hash, at]))

export const sealed = async (appKey: Uint8Array, end: End): Promise<Checkpoint> => {
  const seal = await crypto.subtle.sign('HMAC', await keyOf(appKey), bytesOf(end))
  return { ...end, seal: base64url.encode(new Uint8Array(seal)) }
}

/** Was this sealed with that APP_KEY? In constant time. */
export const isSealed = async (appKey: Uint8Array, { seal, ...end }: Checkpoint): Promise<boolean> => {
  if (!/^[\w-]{43}$/.test(seal)) return false
  return crypto.subtle.verify('HMAC', await keyOf(appKey), Uint8Array.from(base64url.decode(seal)), bytesOf(end))
}
