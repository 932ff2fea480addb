import { asc, sql } from 'drizzle-orm'
import type { Tx } from '../audit/audited.ts'
import type { Checkpoint } from '../audit/checkpoint.ts'
import { sealRemoval } from '../audit/lawful.ts'
import { audit } from '../db/schema.ts'

/** So many rows at most are one transaction, since the row that says so ends it. */
const AT_ONCE = 5_000

export type RemovedAudit = { removed: number; before: string; last: Checkpoint; more: boolean }

/**
 * Removes the audit log's beginning up to the first row that is young enough; the last row always stays. Gives what to put on
 * record in the same transaction, with the seal by which audit/verify.ts takes it for a beginning; undefined where nothing is
 * too old.
 */
export const removeOldAudit = async (
  tx: Tx,
  appKey: Uint8Array,
  before: Date,
  at: Date,
): Promise<RemovedAudit | undefined> => {
  const oldest = await tx
    .select({ number: audit.number, at: audit.at, hash: audit.hash })
    .from(audit)
    .orderBy(asc(audit.number))
    .limit(AT_ONCE + 1)
  const young = oldest.findIndex((row) => row.at >= before)
  const old = oldest.slice(0, young === -1 ? oldest.length - 1 : young)
  const last = old.at(-1)
  if (!last) return undefined
  const [went] = await tx.execute<{ removed: number }>(sql`select remove_audit(${last.number}::bigint) as removed`)
  const { number, hash } = last
  const sealed = await sealRemoval(appKey, { number, hash, at: at.toISOString() })
  return { removed: went?.removed ?? 0, before: before.toISOString(), last: sealed, more: old.length === AT_ONCE }
}
