import { createHash } from 'node:crypto'
import { BEGINNING } from './checkpoint.ts'

/** What does not fit, of which rows, and a sentence that says so. */
export type Finding = {
  kind: 'edited' | 'missing' | 'inserted' | 'moved' | 'rewritten' | 'truncated'
  from: number
  to: number
  detail: string
}

/** `rest` is what is hashed of a row, less its number, which stands first. */
export type Link = { number: number; previous: string; hash: string; rest: string }

const span = (from: number, to: number) => (from === to ? `row ${from}` : `rows ${from} to ${to}`)

/** `what` goes on after "Row 7 was" or "Rows 7 to 9 were". */
export const finding = (kind: Finding['kind'], from: number, to: number, what: string): Finding => ({
  kind,
  from,
  to,
  detail: `R${span(from, to).slice(1)} ${from === to ? 'was' : 'were'} ${what}.`,
})

/** How far from its place a row is looked for, in rows; and how often, as each time costs as many hashes. */
const FAR = 256
const SEARCHES = 100

/** The hash that a row of this content has at this place. */
const hashAt = (row: Link, number: number) => createHash('sha256').update(`[${number}, ${row.rest}`).digest('hex')

const fits = (row: Link, number: number) => hashAt(row, number) === row.hash

/** What was taken from the log by its own rules: what came before `from`, and what rows said of a person who was erased. */
export type Lawful = {
  from: { number: number; hash: string }
  /** Was this what an erasure left of that row? The other words are what to say of one whose seal is not good. */
  isErased(number: number, left: string): boolean | string
}

export const NOTHING_TAKEN: Lawful = { from: { number: 0, hash: BEGINNING }, isErased: () => false }

/** Looks at the rows of a chain, one by one in their order, and says what does not fit. */
export const examiner = (report: (finding: Finding) => void, { from, isErased }: Lawful = NOTHING_TAKEN) => {
  let last = { ...from, sound: true }
  /** Rows that would all fit if their numbers were greater by as much. */
  let run: { from: number; to: number; by: number } | undefined
  let searches = 0

  const displacement = (row: Link): number | undefined => {
    if (run && fits(row, row.number + run.by)) return run.by
    if (searches++ >= SEARCHES) return undefined
    for (let by = 1; by <= FAR; by++) for (const one of [by, -by]) if (fits(row, row.number + one)) return one
    return undefined
  }

  const endRun = () => {
    if (!run) return
    const { from, to, by } = run
    run = undefined
    if (from === to)
      return report(finding('moved', from, to, `row ${from + by} when it was written: swapped or copied`))
    const why = `${span(from, to)} were ${span(from + by, to + by)} when they were written`
    if (by > 0) report(finding('missing', from, from + by - 1, `removed: ${why}`))
    else report(finding('inserted', from + by, from - 1, `inserted: ${why}`))
  }

  /** Is all well with this row? */
  const isSound = (row: Link): boolean => {
    const { number, previous } = row
    const isNext = number === last.number + 1
    if (number <= last.number) {
      report(finding('inserted', number, number, 'inserted: there is no place of that number'))
      return false
    }
    if (!isNext) {
      endRun()
      report(finding('missing', last.number + 1, number - 1, 'removed'))
    }
    const isLinked = !isNext || previous === last.hash
    if (fits(row, number)) {
      endRun()
      // Where something is wrong with the row before, it has been said already.
      if (isLinked || !last.sound) return true
      const [place, what] =
        last.number > from.number
          ? [last.number, `edited or replaced, and hashed anew: row ${number} was chained to another one`]
          : [number, 'not the first: what it was chained to is gone']
      report(finding('rewritten', place, place, what))
      return true
    }
    const erased = isLinked && isErased(number, hashAt(row, number))
    if (erased !== false) {
      endRun()
      if (erased !== true) report(finding('edited', number, number, erased))
      return true
    }
    const by = displacement(row)
    if (by !== run?.by) endRun()
    if (by !== undefined) run = { from: run?.from ?? number, to: number, by }
    else if (isLinked) report(finding('edited', number, number, 'edited: its content is not what was hashed'))
    else report(finding('inserted', number, number, `inserted or replaced: nothing links it to row ${last.number}`))
    return false
  }

  return {
    examine(row: Link): void {
      const sound = isSound(row)
      last = row.number > last.number ? { number: row.number, hash: row.hash, sound } : { ...last, sound }
    },
    /** After the last row: where the chain ends. */
    end(): { number: number; hash: string } {
      endRun()
      return { number: last.number, hash: last.hash }
    },
  }
}
