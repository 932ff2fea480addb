import type { Db, Platform } from '../platform.ts'

/** A bridge asks every other second: one that has not for so long is away. Milliseconds. */
export const AWAY_MS = 20_000

/** How often somebody looks, so that it is on record within half a minute. Milliseconds. */
export const LOOK_MS = 5_000

export const isOnline = ({ lastSeenAt }: { lastSeenAt: Date | null }, now: Date): boolean =>
  lastSeenAt !== null && now.getTime() - lastSeenAt.getTime() < AWAY_MS

/** Writes down which bridges are away that were there. In one statement: whoever looks at the same time, there is one event of it. */
export const noticeBridges = async ({ $client: sql }: Db, now: Date): Promise<void> => {
  await sql`
    with gone as (
      update bridges set away = true
      where not away and last_seen_at < ${new Date(now.getTime() - AWAY_MS).toISOString()}::timestamptz
      returning id, to_char(last_seen_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as seen
    )
    insert into device_events (id, at, received_at, kind, bridge_id, note)
    select gen_random_uuid(), at, at, 'bridge_offline', id, 'last seen ' || seen
    from gone, (select ${now.toISOString()}::timestamptz as at) as of_now`
}

/** A bridge that was away has asked: the first one that writes it down is the only one. */
export const noticeBack = async ({ $client: sql }: Db, bridgeId: string, now: Date): Promise<void> => {
  await sql`
    with back as (update bridges set away = false where id = ${bridgeId} and away returning id)
    insert into device_events (id, at, received_at, kind, bridge_id)
    select gen_random_uuid(), at, at, 'bridge_online', id
    from back, (select ${now.toISOString()}::timestamptz as at) as of_now`
}

/** The same for a timer. Never throws: it looks again in a moment. */
export const lookForBridges = async ({ db, now, log }: Pick<Platform, 'db' | 'now' | 'log'>): Promise<void> =>
  noticeBridges(db, now()).catch((error: unknown) =>
    log('warn', 'bridges_not_noticed', { error: error instanceof Error ? error.name : 'unknown' }),
  )
