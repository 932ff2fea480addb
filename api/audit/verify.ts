import type { ISql } from 'postgres'
import { examiner, type Finding, finding, type Link } from './chain.ts'
import type { Checkpoint } from './checkpoint.ts'
import { type Believed, lawfulOf } from './lawful.ts'

/**
 * `rows` were looked at; of many findings only the first are kept, all are counted (`found`). `from` is the row behind which
 * the log begins: 0, or the last one that retention removed.
 */
export type Verdict = {
  rows: number
  from: number
  last: { number: number; hash: string }
  findings: Finding[]
  found: number
}

const MOST_FINDINGS = 100
const BATCH = 1_000

/** A number as it stands in the database, where it may be greater than JavaScript's are exact. */
type Place = { place: string }

/**
 * Rows in order, with what is hashed of them (`audit_text` of the migration). Spelled out here, of Postgres's own functions:
 * one in the database may have been replaced by somebody.
 */
const rowsAfter = (sql: ISql, place: string | undefined) => sql<(Link & Place)[]>`
  select "number"::text as "place", "number"::float8 as "number", "previous", "hash",
    pg_catalog.substr(pg_catalog.jsonb_build_array("previous",
      pg_catalog.to_char("at" at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), "actor_kind", "actor_id",
      "address", "action", "target_kind", "target_id", "before", "after")::text, 2) as "rest"
  from "audit" ${place === undefined ? sql`` : sql`where "number" > ${place}::bigint`}
  order by "audit"."number" fetch first (${BATCH}::int) rows with ties`

/**
 * Walk the chain of the audit log from its first row to its last and find every row that was edited, removed, inserted or
 * swapped. What retention removed, and what was taken away of a person who was erased, is no finding where a row says so under
 * the seal of one of `keys`; without keys it is, and with 'all' never. A checkpoint (its seal is the caller's to check) also shows whether the end
 * was cut off, or everything hashed anew; one from before the beginning shows nothing. Memory stays flat however many rows
 * there are, but for those that were erased.
 */
export const verifyChain = async (
  sql: ISql,
  checkpoint?: Omit<Checkpoint, 'seal'>,
  keys: Believed = () => [],
): Promise<Verdict> => {
  const lawful = await lawfulOf(sql, keys)
  const { from } = lawful
  const findings: Finding[] = []
  let found = 0
  const report = (finding: Finding) => {
    found++
    if (findings.length < MOST_FINDINGS) findings.push(finding)
  }
  const { examine, end } = examiner(report, lawful)
  let rows = 0
  let known = checkpoint?.number === from.number ? from.hash : undefined
  for (let batch = await rowsAfter(sql, undefined); batch.length > 0; ) {
    for (const row of batch) {
      examine(row)
      if (row.number === checkpoint?.number) known = row.hash
    }
    rows += batch.length
    batch = await rowsAfter(sql, batch.at(-1)?.place)
  }
  const last = end()
  if (checkpoint && last.number < checkpoint.number) {
    const what = `cut off: the checkpoint of ${checkpoint.at} knew more`
    report(finding('truncated', last.number + 1, checkpoint.number, what))
  } else if (checkpoint && checkpoint.number >= from.number && known !== checkpoint.hash) {
    const what = `written anew: the checkpoint of ${checkpoint.at} knew another one`
    report(finding('rewritten', checkpoint.number, checkpoint.number, what))
  }
  return { rows, from: from.number, last, findings, found }
}
