import { and, inArray, sql } from 'drizzle-orm'
import type { AlertKind } from '../contract/alerts.ts'
import type { DeviceEventKind } from '../contract/device-events.ts'
import { deviceEvents } from '../db/schema.ts'
import type { Db } from '../platform.ts'
import type { Finding } from './finding.ts'

/** What doors, readers and bridges do that somebody should look at. */
const ALERT_OF: Partial<Record<DeviceEventKind, AlertKind>> = {
  door_forced: 'door_forced',
  door_held_open: 'door_held_open',
  tampered: 'tamper',
  reader_offline: 'reader_offline',
  bridge_offline: 'bridge_offline',
}
const KINDS = Object.keys(ALERT_OF) as DeviceEventKind[]

type Happened = Pick<typeof deviceEvents.$inferSelect, 'id' | 'at' | 'kind' | 'doorId' | 'readerId' | 'bridgeId'>

/** About the door if one is named, else the reader, else the bridge; a reader that is away is that reader. */
export const deviceAlerts = (happened: readonly Happened[]): Finding[] =>
  happened.flatMap(({ id, at, kind, doorId, readerId, bridgeId }) => {
    const alert = ALERT_OF[kind]
    const about = (kind === 'reader_offline' ? (readerId ?? doorId) : (doorId ?? readerId)) ?? bridgeId ?? id
    return alert ? [{ kind: alert, about, since: at, detail: { doorId, readerId, bridgeId, deviceEventId: id } }] : []
  })

export const findDeviceAlerts = async (db: Db, numbers: readonly number[]): Promise<Finding[]> => {
  const { id, at, kind, doorId, readerId, bridgeId } = deviceEvents
  const rows = await db
    .select({ id, at, kind, doorId, readerId, bridgeId })
    .from(deviceEvents)
    .where(and(inArray(deviceEvents.number, [...numbers]), inArray(kind, KINDS)))
  return deviceAlerts(rows)
}

/**
 * Who is away and of whose being away nobody was told, since they had been away a moment before that: then they count once
 * the time of quiet is over.
 */
export const findStillAway = async (db: Db, at: Date): Promise<Finding[]> => {
  const untold = (kind: AlertKind, since: string) => sql`not exists (
    select from alerts a where a.kind = ${kind} and a.about = id::text and a.since >= ${sql.raw(since)})`
  const rows = await db.execute<{ kind: 'bridge_offline' | 'reader_offline'; id: string }>(sql`
    select 'bridge_offline' as kind, id from bridges where away and ${untold('bridge_offline', 'last_seen_at')}
    union all
    select 'reader_offline', id from reader_states join readers on id = reader_id
    where not online and enabled and ${untold('reader_offline', 'online_since')}`)
  return rows.map(({ kind, id }) => ({
    kind,
    about: id,
    since: at,
    detail: kind === 'bridge_offline' ? { bridgeId: id } : { readerId: id },
  }))
}
