import type { SealingKey } from '../contract/envelope.ts'
import { keyBox, OWN_PROTOCOL } from '../contract/reader-keys.ts'
import type { readers } from '../db/schema.ts'
import { deriveKey, rootKeys } from '../keys.ts'
import type { Platform } from '../platform.ts'

/** A reader's 32 bytes, with which it signs what it says and knows who answers. Derived from APP_KEY, stored nowhere. */
export const readerKey = (appKey: Uint8Array, id: string, generation: number): Promise<Uint8Array> =>
  deriveKey(appKey, `lintel reader ${id} ${generation}`)

/*
 * A generation is never used twice, or turning signing off and on again would bring a key back that somebody had found. So
 * what is off keeps its last one, as a negative number; 0 is a reader that never had a key.
 */
export const nextGeneration = (generation: number): number => Math.abs(generation) + 1
export const offGeneration = (generation: number): number => -Math.abs(generation)
export const isSigning = (generation: number): boolean => generation > 0

type Row = Pick<typeof readers.$inferSelect, 'id' | 'profile' | 'keyGeneration'>

/**
 * A reader's keys for one bridge's eyes; undefined where it does not sign. The first is in force; the second, while APP_KEY
 * is being replaced, is the one that the reader may have from before.
 */
export const lockedKeys = async (
  { config }: Pick<Platform, 'config'>,
  { id, profile, keyGeneration }: Row,
  bridgeKey: SealingKey,
): Promise<string[] | undefined> => {
  if (profile !== OWN_PROTOCOL || !isSigning(keyGeneration)) return undefined
  const box = keyBox(bridgeKey)
  const keys = await Promise.all(rootKeys(config).map((root) => readerKey(root, id, keyGeneration)))
  return keys.map((key) => box.lock(key, id))
}
