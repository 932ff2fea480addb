import { eq } from 'drizzle-orm'
import { type Audience, claimedBridge, open, type SealingKey, sealingKey } from '../contract/envelope.ts'
import { bridges } from '../db/schema.ts'
import { refuse } from '../errors.ts'
import { deriveKey } from '../keys.ts'
import type { Platform } from '../platform.ts'

/** A bridge's 32 bytes. Derived from APP_KEY and stored nowhere, so a stolen database seals nothing. */
export const bridgeKey = (appKey: Uint8Array, id: string, generation: number): Promise<Uint8Array> =>
  deriveKey(appKey, `lintel bridge ${id} ${generation}`)

export type SealedBy = { id: string; generation: number; key: SealingKey }

/** Bridges that sealed something well, so that the next message needs no look-up. Kept per APP_KEY. */
const remembered = new WeakMap<Uint8Array, Map<string, SealedBy>>()

const rememberedFor = (appKey: Uint8Array) => {
  const bridgesOfKey = remembered.get(appKey) ?? new Map<string, SealedBy>()
  remembered.set(appKey, bridgesOfKey)
  return bridgesOfKey
}

const sealedBy = async (appKey: Uint8Array, id: string, generation: number): Promise<SealedBy> => ({
  id,
  generation,
  key: sealingKey(await bridgeKey(appKey, id, generation)),
})

const NOBODY = '00000000-0000-0000-0000-000000000000'

/** Generations begin at 1: nobody can have this one's key. */
const NO_GENERATION = 0

const unauthorized = () => refuse(401, 'This message is not sealed by a bridge that is known here.')

export type Opened = {
  bridge: SealedBy
  message: Record<string, unknown>
  /** To be spread into the answer: the question's own mark, by which the bridge knows that it is answered, and not another. */
  mark: { nonce?: string }
}

const opened = (bridge: SealedBy, { nonce, ...message }: Record<string, unknown>): Opened => ({
  bridge,
  message,
  mark: typeof nonce === 'string' && nonce.length <= 64 ? { nonce } : {},
})

/**
 * Who sealed this, and what it says. First tried with the key we remember; whatever fails is tried once more with the
 * generation that the database has now. An unknown bridge and a bad seal take the same steps, so they take the same time.
 */
export const unseal = async (
  { config, doorDb, now }: Pick<Platform, 'config' | 'doorDb' | 'now'>,
  sealed: string,
  audience: Audience,
): Promise<Opened> => {
  const known = rememberedFor(config.APP_KEY)
  const id = claimedBridge(sealed) ?? NOBODY
  const nobody = known.get(NOBODY) ?? (await sealedBy(config.APP_KEY, NOBODY, NO_GENERATION))
  known.set(NOBODY, nobody)
  const guess = known.get(id) ?? nobody
  const message = await open(sealed, audience, guess.key, now()).catch(() => undefined)
  if (message && guess.id === id) return opened(guess, message)

  const [row] = await doorDb.select({ generation: bridges.generation }).from(bridges).where(eq(bridges.id, id))
  const bridge = await sealedBy(config.APP_KEY, id, row?.generation ?? NO_GENERATION)
  const second = await open(sealed, audience, bridge.key, now()).catch(unauthorized)
  known.set(id, bridge)
  return opened(bridge, second)
}

/** A remembered key may be one that was since rotated or deleted: what the database says counts. */
export const confirm = ({ config }: Platform, bridge: SealedBy, generation: number | null): void => {
  if (generation === bridge.generation) return
  rememberedFor(config.APP_KEY).delete(bridge.id)
  unauthorized()
}
