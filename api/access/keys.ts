import { eq } from 'drizzle-orm'
import type { ISql } from 'postgres'
import { type Audience, claimedBridge, open, type SealingKey, sealingKey } from '../contract/envelope.ts'
import { bridges } from '../db/schema.ts'
import { refuse } from '../errors.ts'
import { deriveKey, rootKeys } from '../keys.ts'
import type { Db, Platform } from '../platform.ts'

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
 * generation that the database has now and the one before, under each root key. An unknown bridge and a bad seal take the
 * same steps, so they take the same time. Whether the generation is good is for `confirm`.
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
  const generation = row?.generation ?? NO_GENERATION
  const candidates = await Promise.all(
    rootKeys(config).flatMap((root) => [sealedBy(root, id, generation), sealedBy(root, id, generation - 1)]),
  )
  const tries = candidates.map(async (bridge) => opened(bridge, await open(sealed, audience, bridge.key, now())))
  const found = await Promise.any(tries).catch(unauthorized)
  // Without a row there is no bridge, whoever could make its keys.
  if (!row) return unauthorized()
  known.set(id, found.bridge)
  return found
}

/** The generations of a bridge whose keys are good now, for a select that has the bridge as a row: none, one or two. */
export const goodGenerations = (sql: ISql) =>
  sql`case when b.previous_until > now() then json_build_array(b.generation, b.generation - 1)
    else json_build_array(b.generation) end`

/** The same for a call that asks the database nothing in which the bridge could be a row too. */
export const confirmNow = async (env: Platform, { $client: sql }: Db, bridge: SealedBy): Promise<void> => {
  const [row] = await sql<{ generations: number[] }[]>`
    select ${goodGenerations(sql)} as generations from bridges b where id = ${bridge.id}`
  confirm(env, bridge, row?.generations ?? [])
}

/** A remembered key may be one that was since rotated or deleted: what the database says counts. */
export const confirm = ({ config }: Platform, bridge: SealedBy, generations: readonly (number | null)[]): void => {
  if (generations.includes(bridge.generation)) return
  rememberedFor(config.APP_KEY).delete(bridge.id)
  unauthorized()
}
