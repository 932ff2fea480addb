import * as v from 'valibot'

/*
 * How far somebody has looked through a table whose rows are numbered as they are inserted, and seen as they are committed
 * (manage/tail.ts says why): so that each row is looked at once, by whichever process looks, and none is missed.
 */

const whole = v.pipe(v.number(), v.integer())

/**
 * Numbers without a row when they were passed, from one to another: rows may still come there. `next` is the first
 * transaction that had not begun then, `since` when that was (milliseconds since 1970).
 */
const Gap = v.object({ from: whole, to: whole, next: whole, since: whole })

export const Place = v.object({ top: whole, gaps: v.array(Gap) })
export type Place = v.InferOutput<typeof Place>

/** Which transactions were under way at one moment: all below `oldest` have ended, and `next` has not begun. */
export type Moment = { oldest: number; next: number; at: Date }

/** A transaction takes a number a moment before Postgres can say that it has begun. Milliseconds. */
const PATIENCE_MS = 15_000

/** With so many gaps nobody goes on before some of them are settled: that is 15 s, or as long as a transaction takes. */
const MOST_GAPS = 500

/** What of the numbers from one to another (inclusive) is not among these, which ascend. */
const gapsIn = (from: number, to: number, numbers: readonly number[]): [from: number, to: number][] => {
  const inside = numbers.filter((number) => number >= from && number <= to)
  const edges = [from - 1, ...inside, to + 1]
  return edges.slice(1).flatMap((edge, i): [number, number][] => {
    const before = edges[i] ?? edge
    return edge - before > 1 ? [[before + 1, edge - 1]] : []
  })
}

/**
 * Where one stands after finding these numbers, which ascend: all that there are in the gaps, and the next ones after the
 * top. `taken` are those that count as looked at.
 */
export const advance = (
  { top, gaps }: Place,
  numbers: readonly number[],
  { oldest, next, at }: Moment,
): { place: Place; taken: number[] } => {
  const now = at.getTime()
  const left = gaps.flatMap((gap) => gapsIn(gap.from, gap.to, numbers).map(([from, to]) => ({ ...gap, from, to })))
  const open = left.filter((gap) => oldest < gap.next || Math.abs(now - gap.since) <= PATIENCE_MS)
  const taken = numbers.filter((number) => number <= top)
  let reached = top
  for (const number of numbers.filter((number) => number > top)) {
    if (number > reached + 1) {
      if (open.length >= MOST_GAPS) break
      open.push({ from: reached + 1, to: number - 1, next, since: now })
    }
    taken.push(number)
    reached = number
  }
  return { place: { top: reached, gaps: open }, taken }
}
