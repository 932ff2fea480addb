import { type SQL, sql } from 'drizzle-orm'

/** Is one of this kind in force at that instant: everywhere, or at one of these readers (a select of their ids)? */
export const inForce = (kind: 'lockdown' | 'evacuation', readers: SQL, at: Date) => sql<boolean>`exists (
  select from lockdowns l where l.ended_at is null and l.kind = ${kind}
    and (l.until is null or l.until > ${at.toISOString()}::timestamptz)
    and (l.everywhere or exists (
      select from lockdown_readers lr where lr.lockdown_id = l.id and lr.reader_id in (${readers}))))`

/** The ids of a door's readers, in a statement that has the door as `doors`. */
export const readersOfDoor = sql`select r.id from readers r where r.door_id = doors.id`
