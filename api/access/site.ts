import { Hono } from 'hono'
import type { ISql, PendingQuery, Row } from 'postgres'
import * as v from 'valibot'
import { CALLS, SEALED, seal } from '../contract/envelope.ts'
import { HOLD_MS } from '../contract/scan.ts'
import { type SiteAnswer, SiteAsk, type SiteDoor, type SiteReader } from '../contract/site.ts'
import { readWindows } from '../contract/window.ts'
import { doc, sealed } from '../docs.ts'
import type { AppEnv, Db, Platform } from '../platform.ts'
import { noticeBack } from './bridges-away.ts'
import { readersAtDoorOfR } from './facts.ts'
import { confirm, goodGenerations, type SealedBy, unseal } from './keys.ts'
import { lockedKeys } from './reader-keys.ts'

const { ask, answer } = CALLS.config

type CheckedIn = { generations: number[]; away: boolean; version: string; snapshot: string; changes: number }

/** Note that the bridge was here, and read what it needs to compare, in one statement. */
const checkIn = async ({ $client: sql }: Db, bridgeId: string, now: Date): Promise<CheckedIn | undefined> => {
  const [row] = await sql<CheckedIn[]>`
    update bridges b set last_seen_at = ${now.toISOString()} where id = ${bridgeId}
    returning ${goodGenerations(sql)} as generations, away,
      ${siteVersion(sql)} as version,
      ${factsVersion(sql)} as snapshot,
      (select count(*)::int from site_changes) as changes`
  return row
}

/**
 * The version of what a bridge is told of a site: its readers and doors, the schedules these are held open by, and whether
 * they are locked down. A row's xmin changes with every write to it, so this digest changes with every commit that changes
 * one of them; a column of times would miss a transaction that began earlier and committed later.
 */
export const siteVersion = (sql: ISql) => sql`(select md5(coalesce(string_agg(row, ',' order by row), '')) from (
    select id::text || xmin::text as row from readers
    union all select id::text || xmin::text from doors
    union all select s.id::text || s.xmin::text from schedules s where s.id in (select hold_schedule_id from doors)
    union all select id::text || xmin::text from lockdowns where ended_at is null
    union all select lockdown_id::text || reader_id::text from lockdown_readers
      where lockdown_id in (select id from lockdowns where ended_at is null)
  ) of_site)`

/**
 * The version of everything that a decision may look at: another one after every commit that changes any of it. Every
 * bridge asks every other second, and of all digests of the marks this one, in no order, costs least: 0.3 ms of 2,000.
 */
export const factsVersion = (sql: ISql) =>
  sql`(select md5(concat_ws(',', count(*), max(id), bit_xor(uuid_hash_extended(mark, 0)))) from site_changes)`

/** More changes on the list than this are forgotten but for the last. It costs each bridge one needless new snapshot. */
const MOST_CHANGES = 2_000

const forgetChanges = ({ $client: sql }: Db) =>
  sql`delete from site_changes where id < (select max(id) from site_changes)`

/**
 * What of a kind is in force for readers, or was until it was over by itself, as JSON: of several the one that lasts
 * longest. Null where there is none. An end that no clock reaches is none.
 */
const inForce = (sql: ISql, kind: 'lockdown' | 'evacuation', readers: PendingQuery<Row[]>) => sql`(
  select json_build_object('until', case when isfinite(l.until)
    then to_char(l.until at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') end)
  from lockdowns l where l.ended_at is null and l.kind = ${kind}
    and (l.everywhere or exists (
      select from lockdown_readers lr where lr.lockdown_id = l.id and lr.reader_id in (${readers})))
  order by l.until desc nulls first limit 1)`

type ReaderRow = Omit<SiteReader, 'holdMs' | 'keys'> & { keyGeneration: number }

const siteReaders = async (env: Platform, bridge: SealedBy): Promise<SiteReader[]> => {
  const sql = env.doorDb.$client
  const its = readersAtDoorOfR(sql)
  const rows = await sql<ReaderRow[]>`
    select id, name, profile, topic, reply_topic as "replyTopic", unit, settings, card_view as "cardView",
      coalesce((select d.open_ms from doors d where d.id = r.door_id), open_ms) as "openMs", pin_alone as "pinAlone", offline, offline_hours as "offlineHours",
      key_generation as "keyGeneration", door_id as "doorId",
      ${inForce(sql, 'lockdown', its)} as lockdown, ${inForce(sql, 'evacuation', its)} as evacuation
    from readers r`
  return Promise.all(
    rows.map(async (row) => {
      const { keyGeneration: _, ...reader } = row
      const keys = await lockedKeys(env, row, bridge.key)
      return { ...reader, holdMs: HOLD_MS, ...(keys && { keys }) }
    }),
  )
}

/** A door is locked down, or open to all, as soon as one of its readers is. */
const siteDoors = async ({ doorDb: { $client: sql } }: Platform): Promise<SiteDoor[]> => {
  const its = sql`select id from readers where door_id = d.id`
  const rows = await sql<(Omit<SiteDoor, 'modeUntil' | 'hold'> & { modeUntil: Date | null; hold: unknown })[]>`
    select id, name, profile, settings, timezone, open_ms as "openMs", held_open_ms as "heldOpenMs",
      pre_alarm_ms as "preAlarmMs", (select windows from schedules where id = hold_schedule_id) as hold, mode,
      mode_until as "modeUntil", home_assistant as "homeAssistant",
      ${inForce(sql, 'lockdown', its)} as lockdown, ${inForce(sql, 'evacuation', its)} as evacuation
    from doors d`
  return rows.map(({ modeUntil, hold, ...door }) => ({
    ...door,
    modeUntil: modeUntil && new Date(modeUntil).toISOString(),
    hold: hold === null ? null : readWindows(hold),
  }))
}

/** What a bridge needs to know of this site. Asked every other second, so an unchanged version costs one statement. */
export const site = new Hono<AppEnv>().post(
  '/config',
  doc('bridges', 'The readers of this site, for a bridge', sealed),
  async (c) => {
    const { doorDb: db, now } = c.env
    const { bridge, message, mark } = await unseal(c.env, await c.req.text(), ask)
    const has = v.parse(SiteAsk, message)

    const row = await checkIn(db, bridge.id, now())
    confirm(c.env, bridge, row?.generations ?? [])
    if (row?.away) await noticeBack(db, bridge.id, now())
    const { version = '', snapshot = '', changes = 0 } = row ?? {}
    const unchanged = has.version === version
    const reply: SiteAnswer = {
      ...mark,
      version,
      now: now().toISOString(),
      snapshot,
      ...(!unchanged && { readers: await siteReaders(c.env, bridge), doors: await siteDoors(c.env) }),
    }
    if (changes > MOST_CHANGES) await forgetChanges(db)

    return c.body(await seal(reply, answer, bridge.id, bridge.key, now()), 200, { 'content-type': SEALED })
  },
)
