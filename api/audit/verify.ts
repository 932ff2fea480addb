import type { ISql } from 'postgres'
import { examiner, type Finding, finding, type Link } from './chain.ts'
import { BEGINNING, type Checkpoint } from './checkpoint.ts'

/** `rows` were looked at; of many findings only the first are kept, all are counted (`found`). */
export type Verdict = { rows: number; last: { number: number; hash: string }; findings: Finding[]; found: number }

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
 * swapped. A checkpoint (its seal is the caller's to check) also shows whether the end was cut off, or everything hashed
 * anew. Memory stays flat however many rows there are.
 */
export const verifyChain = async (sql: ISql, checkpoint?: Omit<Checkpoint, 'seal'>): Promise<Verdict> => {
  const findings: Finding[] = []
  let found = 0
  const report = (finding: Finding) => {
    found++
    if (findings.length < MOST_FINDINGS) findings.push(finding)
  }
  const { examine, end } = examiner(report)
  let rows = 0
  let known = checkpoint?.number === 0 ? BEGINNING : undefined
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
  } else if (checkpoint && known !== checkpoint.hash) {
    const what = `written anew: the checkpoint of ${checkpoint.at} knew another one`
    report(finding('rewritten', checkpoint.number, checkpoint.number, what))
  }
  return { rows, last, findings, found }
}
