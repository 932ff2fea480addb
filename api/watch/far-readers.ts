import { sql } from 'drizzle-orm'
import type { Db } from '../platform.ts'
import type { Finding } from './finding.ts'
import { listOf } from './number-list.ts'

/** Nobody gets from one place to another in less. */
const WITHIN_MS = 60_000
const MOST = 5_000

type Seen = { id: string; at: Date; personId: string; readerId: string; place: string }

/** A person's cards at readers in two places within a minute, whatever was decided: somebody has a copy, or somebody else's card. */
export const farReaders = (seen: readonly Seen[]): Finding[] =>
  [...Map.groupBy(seen, ({ personId }) => personId)].flatMap(([personId, all]) => {
    const inOrder = all.toSorted((a, b) => a.at.getTime() - b.at.getTime())
    // Of two in different places there is one pair of neighbours in different places between them, as close or closer.
    return inOrder.slice(1).flatMap((after, i) => {
      const before = inOrder[i]
      if (!before || before.place === after.place || after.at.getTime() - before.at.getTime() > WITHIN_MS) return []
      const pair = [before, after]
      const detail = { personId, readerIds: pair.map((one) => one.readerId), eventIds: pair.map((one) => one.id) }
      return [{ kind: 'far_readers' as const, about: personId, since: before.at, detail }]
    })
  })

/** What is found around these events, by when they happened: of persons that they say, at readers that have a place. */
export const findFarReaders = async (db: Db, numbers: readonly number[]): Promise<Finding[]> => {
  const rows = await db.execute<{ id: string; at: string; personId: string; readerId: string; place: string }>(sql`
    with fresh as materialized (
      select distinct e.person_id, date_bin('1 minute', e.at, 'epoch') as bin
      from events e join readers r on r.id = e.reader_id and r.place is not null
      where e.number in (${listOf(numbers)}) and e.person_id is not null
    )
    select distinct e.id::text as id, e.at::text as at, e.person_id::text as "personId", e.reader_id::text as "readerId", r.place
    from fresh cross join lateral (
      select id, at, person_id, reader_id from events
      where person_id = fresh.person_id
        and at between fresh.bin - interval '1 minute' and fresh.bin + interval '2 minutes'
      order by at limit ${MOST}
    ) e join readers r on r.id = e.reader_id and r.place is not null
    limit ${MOST}`)
  return farReaders(rows.map((row) => ({ ...row, at: new Date(row.at) })))
}
