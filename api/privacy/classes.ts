import { type SQL, sql } from 'drizzle-orm'
import type { Tx } from '../audit/audited.ts'
import type { Config } from '../config.ts'

type Batch = { since: Date; before: Date; most: number }

/** How many went, and how far that came: the next batch begins there, where the class has an order. */
type Went = { removed: number; reached: Date | null }

/** Something that is kept for so many days, and how the oldest of it goes. */
export type Class = { name: string; days(config: Config): number; remove(tx: Tx, batch: Batch): Promise<Went> }

/** What nobody looks at after a season. Days. */
const KEEP_DAYS = 90

/** What is on record goes by a function of the migration alone (drizzle/0006_operations.sql). */
const ofRecord =
  (call: SQL) =>
  async (tx: Tx, { since, before, most }: Batch) => {
    const times = sql`${since.toISOString()}::timestamptz, ${before.toISOString()}::timestamptz`
    const [went] = await tx.execute<{ removed: number; reached: string | null }>(
      sql`select removed, reached from ${call}(${times}, ${most}::int)`,
    )
    const reached = went?.reached
    return { removed: went?.removed ?? 0, reached: reached == null ? null : new Date(reached) }
  }

/** Rows of a table whose time is from before that. */
const ofTable =
  (table: SQL, at: SQL) =>
  async (tx: Tx, { before, most }: Batch) => {
    const gone = await tx.execute(sql`
    delete from ${table} where id in (
      select id from ${table} where ${at} < ${before.toISOString()}::timestamptz order by ${at} limit ${most}::int
    ) returning id`)
    return { removed: gone.length, reached: null }
  }

/** Everything that grows old, but the audit log, which has to say of itself where it begins (old-audit.ts). */
export const CLASSES: readonly Class[] = [
  { name: 'events', days: ({ KEEP_EVENTS_DAYS }) => KEEP_EVENTS_DAYS, remove: ofRecord(sql`remove_events`) },
  {
    name: 'deviceEvents',
    days: ({ KEEP_DEVICE_EVENTS_DAYS }) => KEEP_DEVICE_EVENTS_DAYS,
    remove: ofRecord(sql`remove_device_events`),
  },
  { name: 'webhookDeliveries', days: () => KEEP_DAYS, remove: ofTable(sql`webhook_deliveries`, sql`settled_at`) },
  { name: 'alerts', days: () => KEEP_DAYS, remove: ofTable(sql`alerts`, sql`at`) },
  { name: 'enrolments', days: () => KEEP_DAYS, remove: ofTable(sql`enrolments`, sql`expires_at`) },
  { name: 'unknownReaders', days: () => KEEP_DAYS, remove: ofTable(sql`seen_readers`, sql`last_seen_at`) },
  // Who shut which doors, and why, is as much of the record as who changed what.
  {
    name: 'lockdowns',
    days: ({ KEEP_AUDIT_DAYS }) => KEEP_AUDIT_DAYS,
    remove: ofTable(sql`lockdowns`, sql`least(ended_at, until)`),
  },
]
