import { setTimeout as pause } from 'node:timers/promises'
import type { Sql } from 'postgres'

export type Removal = { rows: number; ms: number; longest: number }

/**
 * What retention does (api/privacy/retention.ts), at its own connection: the oldest events from before an instant, so many in
 * a statement, with a pause after each. Until there are none left, or `most` rows are gone.
 */
export const removeBefore = async (
  sql: Sql,
  before: Date,
  { batch, breathMs, most = Number.POSITIVE_INFINITY }: { batch: number; breathMs: number; most?: number },
): Promise<Removal> => {
  const began = performance.now()
  let rows = 0
  let longest = 0
  let since = new Date(0).toISOString()
  for (let gone = batch; gone === batch && rows < most; ) {
    const started = performance.now()
    const [row] = await sql<{ removed: number; reached: Date | null }[]>`
      select removed, reached from remove_events(${since}, ${before.toISOString()}, ${batch})`
    longest = Math.max(longest, performance.now() - started)
    gone = row?.removed ?? 0
    since = row?.reached ? new Date(row.reached).toISOString() : since
    rows += gone
    await pause(breathMs)
  }
  return { rows, ms: performance.now() - began, longest }
}
