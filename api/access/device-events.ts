import { Hono } from 'hono'
import type { ISql } from 'postgres'
import * as v from 'valibot'
import { type DeviceEvent, type DeviceEventKind, DeviceReport, type SeenDevice } from '../contract/device-events.ts'
import { CALLS, SEALED, seal } from '../contract/envelope.ts'
import { doc, sealed } from '../docs.ts'
import { invalid } from '../errors.ts'
import type { AppEnv } from '../platform.ts'
import { AHEAD_MS } from './check.ts'
import { confirmNow, unseal } from './keys.ts'

const { ask, answer } = CALLS.deviceEvents

/** What a device's state becomes by what it did last; each with when that was. Nothing: it was not told. */
type NewState = {
  id: string
  online?: boolean
  onlineAt?: string
  contact?: 'open' | 'closed'
  contactAt?: string
  tampered?: boolean
  tamperedAt?: string
  alarm?: 'forced' | 'held_open' | null
  alarmAt?: string
  /** It was forced, or shut: an alarm from before does not stand beside it. */
  alarmAlone?: boolean
  seenAt?: string
}

const ALARMS = [
  'door_forced',
  'door_forced_ended',
  'door_held_open',
  'door_held_open_ended',
  'door_closed',
] as const satisfies readonly DeviceEventKind[]
const TAMPERS = ['tampered', 'tamper_ended'] as const satisfies readonly DeviceEventKind[]

/** One event more. A forced door that also stays open for too long is still a forced one. */
const after = (state: NewState, { kind, at }: Pick<DeviceEvent, 'kind' | 'at'>): NewState => {
  switch (kind) {
    case 'reader_online':
    case 'door_online':
    case 'reader_offline':
    case 'door_offline':
      return { ...state, online: kind.endsWith('_online'), onlineAt: at }
    case 'tampered':
    case 'tamper_ended':
      return { ...state, tampered: kind === 'tampered', tamperedAt: at }
    case 'door_opened':
      return { ...state, contact: 'open', contactAt: at }
    case 'door_closed':
      return { ...state, contact: 'closed', contactAt: at, alarm: null, alarmAt: at, alarmAlone: true }
    case 'door_forced':
      return { ...state, alarm: 'forced', alarmAt: at, alarmAlone: true }
    case 'door_forced_ended':
      return { ...state, alarm: null, alarmAt: at, alarmAlone: true }
    case 'door_held_open':
      return { ...state, alarm: state.alarm === 'forced' ? 'forced' : 'held_open', alarmAt: at }
    case 'door_held_open_ended':
      return { ...state, alarm: state.alarm === 'forced' ? 'forced' : null, alarmAt: at }
    default:
      return state
  }
}

/** The states of doors, or of readers, after these events in the order of their times. Whose a state is: the door's if one is named. */
const statesOf = (
  of: 'doorId' | 'readerId',
  events: readonly DeviceEvent[],
  seen: readonly SeenDevice[],
): NewState[] => {
  const states = new Map<string, NewState>()
  const idOf = ({ doorId, readerId }: Pick<DeviceEvent, 'doorId' | 'readerId'>) =>
    of === 'doorId' ? doorId : doorId === undefined ? readerId : undefined
  for (const event of events) {
    const id = idOf(event)
    if (id !== undefined) states.set(id, after(states.get(id) ?? { id }, event))
  }
  for (const device of seen) {
    const id = idOf(device)
    const state = id === undefined ? undefined : (states.get(id) ?? { id })
    if (id !== undefined && state && !(state.seenAt && state.seenAt > device.at)) {
      states.set(id, { ...state, seenAt: device.at })
    }
  }
  return [...states.values()].filter((state) => Object.keys(state).length > 1)
}

/**
 * Only forward: what happened before that which made a state what it is changes nothing of it. Readers and doors that are no
 * more have no state; what they did stays on record.
 */
const writeStates = (sql: ISql, of: 'doors' | 'readers', states: readonly NewState[]) => {
  const [table, key] = of === 'doors' ? [sql`door_states`, sql`door_id`] : [sql`reader_states`, sql`reader_id`]
  const its = of === 'doors' ? sql`e.door_id = n.id` : sql`e.door_id is null and e.reader_id = n.id`
  const isNewest = (at: string, kinds: readonly string[]) => sql`n.${sql(at)} is not null and not exists (
    select from device_events e where ${its} and e.kind in ${sql(kinds)} and e.at > n.${sql(at)})`
  return sql`
    insert into ${table} as s (${key}, online, online_since, last_seen_at, contact, contact_since, tampered, alarm)
    select n.id, n.online, n."onlineAt", n."seenAt", n.contact, n."contactAt",
      case when ${isNewest('tamperedAt', TAMPERS)} then n.tampered else s.tampered end,
      case when ${isNewest('alarmAt', ALARMS)} and (n."alarmAlone" or s.alarm is distinct from 'forced')
        then n.alarm else s.alarm end
    from json_to_recordset(${JSON.stringify(states)}::json) as n(id uuid, online bool, "onlineAt" timestamptz,
      contact text, "contactAt" timestamptz, tampered bool, "tamperedAt" timestamptz, alarm text,
      "alarmAt" timestamptz, "alarmAlone" bool, "seenAt" timestamptz)
    join ${sql(of)} d on d.id = n.id
    left join ${table} s on s.${key} = n.id
    order by n.id
    on conflict (${key}) do update set
      online = case when excluded.online_since >= coalesce(s.online_since, '-infinity')
        then excluded.online else s.online end,
      online_since = greatest(s.online_since, excluded.online_since),
      last_seen_at = greatest(s.last_seen_at, excluded.last_seen_at),
      contact = case when excluded.contact_since >= coalesce(s.contact_since, '-infinity')
        then excluded.contact else s.contact end,
      contact_since = greatest(s.contact_since, excluded.contact_since),
      tampered = excluded.tampered,
      alarm = excluded.alarm`
}

/** Write down what doors and readers did, and how they are now. Reported twice it is on record once. */
export const deviceReports = new Hono<AppEnv>().post(
  '/device-events',
  doc('bridges', 'Record what doors and readers did that was no scan', sealed),
  async (c) => {
    const { db, now } = c.env
    const { bridge, message, mark } = await unseal(c.env, await c.req.text(), ask)
    const report = v.parse(DeviceReport, message)
    await confirmNow(c.env, db, bridge)
    const latest = now().getTime() + AHEAD_MS
    for (const [place, { at }] of report.events.entries()) {
      if (Date.parse(at) > latest) invalid(`events.${place}.at`, 'is in the future')
    }
    // As JavaScript reads it: Postgres knows fewer offsets.
    const events = report.events.map((event) => ({ ...event, at: new Date(event.at).toISOString() }))
    const seen = report.seen.map((device) => ({
      ...device,
      at: new Date(Math.min(Date.parse(device.at), now().getTime())).toISOString(),
    }))

    await db.$client.begin(async (sql) => {
      if (events.length > 0) {
        await sql`
          insert into device_events (id, at, received_at, kind, door_id, reader_id, bridge_id, command_id, note)
          select e.id, e.at, ${now().toISOString()}::timestamptz, e.kind, e."doorId", e."readerId", ${bridge.id}::uuid,
            e."commandId", e.note
          from json_to_recordset(${JSON.stringify(events)}::json) as e(id uuid, at timestamptz, kind text, "doorId" uuid,
            "readerId" uuid, "commandId" uuid, note text)
          order by e.id
          on conflict (id) do nothing`
      }
      const inOrder = events.toSorted((a, b) => Date.parse(a.at) - Date.parse(b.at))
      const [doors, readers] = [statesOf('doorId', inOrder, seen), statesOf('readerId', inOrder, seen)]
      if (doors.length > 0) await writeStates(sql, 'doors', doors)
      if (readers.length > 0) await writeStates(sql, 'readers', readers)
    })

    const reply = { ...mark, recorded: events.length }
    return c.body(await seal(reply, answer, bridge.id, bridge.key, now()), 200, { 'content-type': SEALED })
  },
)
