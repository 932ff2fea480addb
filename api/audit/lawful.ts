import type { ISql } from 'postgres'
import * as v from 'valibot'
import { type Lawful, NOTHING_TAKEN } from './chain.ts'
import { Checkpoint, isSealed, isSealOf, sealed, sealOf } from './checkpoint.ts'

/*
 * Two things take from the audit log by its rules: what is too old goes, from its beginning on, and what rows said of a
 * person who was erased. Each leaves a row that says so, sealed with a key that the database does not have: nobody who can
 * only write there makes one, and what is not in one was done by somebody else.
 */

/** Of `retention.run`: the last row that went. */
const Removal = v.object({ audit: v.object({ last: Checkpoint }) })

/** Of `people.erase`: the hash of what is left of each row. */
const Erasure = v.object({
  rows: v.array(v.tuple([v.pipe(v.number(), v.safeInteger()), v.string()])),
  seal: v.pipe(v.string(), v.maxLength(64)),
})
export type Erasure = v.InferOutput<typeof Erasure>

export const sealRemoval = (appKey: Uint8Array, last: Omit<Checkpoint, 'seal'>) => sealed(appKey, last, 'removal')

export const sealErasure = async (appKey: Uint8Array, rows: Erasure['rows']): Promise<Erasure> => ({
  rows,
  seal: await sealOf(appKey, 'erasure', rows),
})

/** Where the log begins: behind row 0, or behind a row of which another one says, under our seal, that it was removed. */
const beginningOf = async (sql: ISql, keys: Believed): Promise<Checkpoint | undefined> => {
  const [first] = await sql<{ number: number }[]>`
    select "number"::float8 as "number" from "audit" order by "audit"."number" limit 1`
  if (!first || first.number <= 1) return undefined
  const said = await sql<{ after: unknown }[]>`
    select "after" from "audit" where "action" = 'retention.run'
      and "after" #>> '{audit,last,number}' = ${String(first.number - 1)}`
  for (const { after } of said) {
    if (v.is(Removal, after) && (await isOurs(keys, (all) => isSealed(all, after.audit.last, 'removal'))))
      return after.audit.last
  }
  return undefined
}

/** So many rows of erasures are read at a time; one may list some thousand others. */
const BATCH = 50

type Claim = { left: string; by: number; proven: boolean }

const claimsOf = async (sql: ISql, keys: Believed): Promise<Map<number, Claim>> => {
  const claims = new Map<number, Claim>()
  const rowsAfter = (number: number) => sql<{ number: number; after: unknown }[]>`
    select "number"::float8 as "number", "after" from "audit" where "action" = 'people.erase' and "number" > ${number}
    order by "audit"."number" limit ${BATCH}`
  for (let batch = await rowsAfter(0); batch.length > 0; batch = await rowsAfter(batch.at(-1)?.number ?? 0)) {
    for (const { number: by, after } of batch) {
      if (!v.is(Erasure, after) || after.rows.length === 0) continue
      const proven = await isOurs(keys, (all) => isSealOf(all, 'erasure', after.rows, after.seal))
      for (const [number, left] of after.rows) if (number < by) claims.set(number, { left, by, proven })
    }
  }
  return claims
}

/** Whose seals are believed: those made with these keys, or all, where nobody doubts the log but only whether a copy is one. */
export type Believed = (() => readonly Uint8Array[]) | 'all'

const isOurs = async (believed: Believed, check: (keys: readonly Uint8Array[]) => Promise<boolean>) =>
  believed === 'all' || (await check(believed()))

/** What the log's own rows say was taken from it; `keys` are asked for only where there is something to prove. */
export const lawfulOf = async (sql: ISql, keys: Believed): Promise<Lawful> => {
  const from = (await beginningOf(sql, keys)) ?? NOTHING_TAKEN.from
  const claims = await claimsOf(sql, keys)
  return {
    from,
    isErased(number, left) {
      const claim = claims.get(number)
      if (claim?.left !== left) return false
      return (
        claim.proven ||
        `erased as row ${claim.by} says, whose seal is not good: it was changed, or made with another APP_KEY`
      )
    },
  }
}
