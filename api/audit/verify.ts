import { createHash } from 'node:crypto'
import type { Sql } from 'postgres'
import { BEGINNING, type Checkpoint } from './checkpoint.ts'

/** What does not fit, of which rows, and a sentence that says so. */
export type Finding = {
  kind: 'edited' | 'missing' | 'inserted' | 'moved' | 'rewritten' | 'truncated'
  from: number
  to: number
  detail: string
}

/** `rows` were looked at; of many findings only the first are kept, all are counted. */
export type Verdict = { rows: number; last: { number: number; hash: string }; findings: Finding[]; found: number }

const MOST_FINDINGS = 100
const BATCH = 1_000
/** How far from its place a row is looked for, in rows; and how often, as each time costs as many hashes. */
const FAR = 256
const SEARCHES = 1_000

type Row = { number: number; previous: string; hash: string; rest: string }

/**
 * The rows in order, in batches, with what is hashed of them (`audit_text` of the migration) less the number, which stands
 * first. Spelled out here, of Postgres's own functions: one in the database may have been replaced by somebody.
 */
const batchAfter = (sql: Sql, number: string, hash: string) => sql<Row[]>`
  select "number"::float8 as "number", "previous", "hash", pg_catalog.substr(pg_catalog.jsonb_build_array("previous",
    pg_catalog.to_char("at" at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), "actor_kind", "actor_id",
    "address", "action", "target_kind", "target_id", "before", "after")::text, 2) as "rest"
  from "audit" where ("number", "hash") > (${number}::bigint, ${hash}) order by "number", "hash" limit ${BATCH}`

const hashAt = ({ rest }: Row, number: number) => createHash('sha256').update(`[${number}, ${rest}`).digest('hex')

const rows = (from: number, to: number) => (from === to ? `Row ${from}` : `Rows ${from} to ${to}`)
const was = (from: number, to: number) => (from === to ? 'was' : 'were')

/** Says of each row what is wrong with it, given the one before. */
const examiner = (report: (finding: Finding) => void) => {
  let last = { number: 0, hash: BEGINNING }
  let reported = false
  let run: { from: number; to: number; by: number } | undefined
  let searches = 0

  const say = (kind: Finding['kind'], from: number, to: number, detail: string) => report({ kind, from, to, detail })

  /** By how many rows this one stands in front of its place; undefined when it fits nowhere near. */
  const displacement = (row: Row) => {
    if (run && hashAt(row, row.number + run.by) === row.hash) return run.by
    if (searches++ >= SEARCHES) return undefined
    for (let by = 1; by <= FAR; by++) {
      for (const one of [by, -by]) if (hashAt(row, row.number + one) === row.hash) return one
    }
    return undefined
  }

  const endRun = () => {
    if (!run) return
    const { from, to, by } = run
    run = undefined
    if (from === to) {
      return say('moved', from, to, `Row ${from} was row ${from + by} when it was written: rows were swapped.`)
    }
    const moved = `${rows(from, to)} were rows ${from + by} to ${to + by} when they were written.`
    if (by > 0)
      return say(
        'missing',
        from,
        from + by - 1,
        `${rows(from, from + by - 1)} as written ${was(1, by)} removed: ${moved}`,
      )
    return say('inserted', from + by, from - 1, `${rows(from + by, from - 1)} ${was(1, -by)} inserted: ${moved}`)
  }

  const examine = (row: Row): boolean => {
    const { number } = row
    const gap = number - last.number - 1
    if (gap > 0) {
      endRun()
      say('missing', last.number + 1, number - 1, `${rows(last.number + 1, number - 1)} ${was(1, gap)} removed.`)
    }
    if (number <= last.number) {
      say('inserted', number, number, `Row ${number} was inserted: there is no place of that number.`)
      return true
    }
    const linked = gap > 0 || row.previous === last.hash
    if (hashAt(row, number) === row.hash) {
      endRun()
      if (!linked && !reported) {
        const before = last.number
        if (before === 0)
          say(
            'rewritten',
            number,
            number,
            `Row ${number} is not the beginning of the chain: rows before it were removed.`,
          )
        else
          say(
            'rewritten',
            before,
            before,
            `Row ${before} was edited or replaced, and hashed anew: row ${number} was chained to another one.`,
          )
      }
      return false
    }
    const by = displacement(row)
    if (by !== undefined) {
      if (run?.by !== by) endRun()
      run = run ? { ...run, to: number } : { from: number, to: number, by }
      return true
    }
    endRun()
    if (linked) say('edited', number, number, `Row ${number} was edited: its content is not what was hashed.`)
    else
      say(
        'inserted',
        number,
        number,
        `Row ${number} was inserted or replaced: neither its hash nor its link to row ${last.number} fits.`,
      )
    return true
  }

  return {
    examine(row: Row) {
      reported = examine(row)
      if (row.number > last.number) last = { number: row.number, hash: row.hash }
    },
    end() {
      endRun()
      return last
    },
  }
}

/**
 * Walk the chain of the audit log from its first row to its last and find every row that was edited, removed, inserted or
 * swapped. A checkpoint (its seal is the caller's to check) also shows whether the end was cut off, or everything hashed
 * anew. Memory stays flat however many rows there are.
 */
export const verifyChain = async (sql: Sql, checkpoint?: Omit<Checkpoint, 'seal'>): Promise<Verdict> => {
  const findings: Finding[] = []
  let found = 0
  const report = (finding: Finding) => {
    found++
    if (findings.length < MOST_FINDINGS) findings.push(finding)
  }
  const { examine, end } = examiner(report)
  let count = 0
  let marked = checkpoint?.number === 0 ? BEGINNING : undefined
  let at: [number: string, hash: string] = [String(-(2n ** 63n)), '']
  for (;;) {
    const batch = await batchAfter(sql, ...at)
    for (const row of batch) {
      examine(row)
      if (row.number === checkpoint?.number) marked = row.hash
    }
    count += batch.length
    const final = batch.at(-1)
    if (!final) break
    at = [String(final.number), final.hash]
  }
  const last = end()
  if (checkpoint && last.number < checkpoint.number) {
    const [from, to] = [last.number + 1, checkpoint.number]
    report({
      kind: 'truncated',
      from,
      to,
      detail: `${rows(from, to)} ${was(from, to)} cut off: the checkpoint of ${checkpoint.at} knew them.`,
    })
  } else if (checkpoint && marked !== checkpoint.hash) {
    const { number, at } = checkpoint
    report({
      kind: 'rewritten',
      from: number,
      to: number,
      detail: `Row ${number} is not the one that the checkpoint of ${at} knew: the chain was written anew.`,
    })
  }
  return { rows: count, last, findings, found }
}
