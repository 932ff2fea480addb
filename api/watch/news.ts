import { or, type SQL, sql } from 'drizzle-orm'
import { audit, deviceEvents, events } from '../db/schema.ts'
import type { Db } from '../platform.ts'
import { advance, type Moment, type Place } from './place.ts'

/** So many rows of each table at a time. */
export const MOST = 1_000

/** What nobody has looked at before: of events and device events by number, and the audit log, which has no gaps. */
export type Places = { events: Place; deviceEvents: Place; audit: number }
type Found = Moment & { events: number[]; deviceEvents: number[]; audit: number[] }

const list = (numbers: SQL) =>
  sql`(select coalesce(json_agg(number order by number), '[]') from (${numbers}) found)::text`

/** All by one statement, so that it is true of one moment. */
const find = async (db: Db, at: Date, wanted: { [of in keyof Places]: SQL }): Promise<Found> => {
  type Row = { oldest: string; next: string; events: string; devices: string; audit: string }
  const [row] = await db.execute<Row>(sql`
    select pg_snapshot_xmin(s)::text as oldest, pg_snapshot_xmax(s)::text as next, ${list(wanted.events)} as events,
      ${list(wanted.deviceEvents)} as devices, ${list(wanted.audit)} as audit
    from pg_current_snapshot() s`)
  if (!row) throw new Error('a select without a condition found nothing')
  const numbers = (text: string) => JSON.parse(text) as number[]
  return {
    ...{ oldest: Number(row.oldest), next: Number(row.next), at },
    ...{ events: numbers(row.events), deviceEvents: numbers(row.devices), audit: numbers(row.audit) },
  }
}

type Numbered = typeof events | typeof deviceEvents

/** Each by the index of numbers; a gap is a range of it. */
const after = (table: Numbered, { top, gaps }: Place): SQL => {
  const among = gaps.map(({ from, to }) => sql`number between ${from} and ${to}`)
  const next = sql`(select number from ${table} where number > ${top} order by number limit ${MOST})`
  return gaps.length === 0 ? next : sql`${next} union all select number from ${table} where ${or(...among)}`
}

/** The end of everything, with what was under way there. What was recorded before anybody looked is no news. */
export const beginning = async (db: Db, at: Date): Promise<Places> => {
  const newest = (table: Numbered) => sql`(select number from ${table} order by number desc limit ${MOST})`
  const found = await find(db, at, {
    events: newest(events),
    deviceEvents: newest(deviceEvents),
    audit: sql`(select number from ${audit} order by number desc limit 1)`,
  })
  const placeAt = (numbers: number[]): Place => {
    const top = numbers.length < MOST ? 0 : (numbers[0] ?? 1) - 1
    return advance({ top, gaps: [] }, numbers, found).place
  }
  return { events: placeAt(found.events), deviceEvents: placeAt(found.deviceEvents), audit: found.audit[0] ?? 0 }
}

/** What is new, by number, and where one stands after it; `more` when there may be more. */
export const newsSince = async (db: Db, at: Date, before: Places) => {
  const found = await find(db, at, {
    events: after(events, before.events),
    deviceEvents: after(deviceEvents, before.deviceEvents),
    audit: sql`(select number from ${audit} where number > ${before.audit} order by number limit ${MOST})`,
  })
  const [ofEvents, ofDevices] = [
    advance(before.events, found.events, found),
    advance(before.deviceEvents, found.deviceEvents, found),
  ]
  const places: Places = {
    events: ofEvents.place,
    deviceEvents: ofDevices.place,
    audit: found.audit.at(-1) ?? before.audit,
  }
  const news = { events: ofEvents.taken, deviceEvents: ofDevices.taken, audit: found.audit }
  return { places, news, more: Object.values(news).some((numbers) => numbers.length >= MOST) }
}
