import type { Sql } from 'postgres'
import { FIRST_CARD } from '../load.ts'
import { id, ifAllowed, withoutIndexes } from '../seed.ts'

/** How much there is on record, and over how many days, the last of them yesterday. */
export type Size = { cards: number; readers: number; events: number; devices: number; audit: number; days: number }

/** Rows that one statement adds: a transaction of millions would be on disk three times over before it ends. */
const AT_ONCE = 1_000_000

/**
 * A record as a site of this size would have it after so many days: most of it granted, a twentieth unknown cards, and of
 * every other reason a little; at reader 0, the main entrance, a tenth of everything. In the order in which it happened.
 */
export const seedRecord = async (sql: Sql, size: Size): Promise<void> => {
  await sql.unsafe("set maintenance_work_mem = '512MB'; set synchronous_commit = off")
  await ifAllowed(sql.unsafe('set session_replication_role = replica'))
  await sql.unsafe(doorsOf(size))
  await withoutIndexes(sql, 'events', () => inParts(sql, size.events, (n) => eventsOf(size, n)))
  await withoutIndexes(sql, 'device_events', () => inParts(sql, size.devices, (n) => devicesOf(size, n)))
  await withoutIndexes(sql, 'audit', () => inParts(sql, size.audit, (n) => auditOf(size, n)))
  await sql.unsafe('vacuum analyze')
  await ifAllowed(sql.unsafe('checkpoint'))
  await sql.unsafe('reset all')
}

/** `rows` of a part is a list of its numbers, named n. */
const inParts = async (sql: Sql, all: number, insert: (rows: string) => string): Promise<void> => {
  for (let first = 0; first < all; first += AT_ONCE) {
    await sql.unsafe(insert(`generate_series(${first}::bigint, ${Math.min(first + AT_ONCE, all) - 1}) n`))
  }
}

/** The instant of the n-th of so many, evenly over the days. */
const when = (days: number, all: number) =>
  `date_trunc('day', now()) - interval '${days} days' + n * (interval '${days} days' / ${all})`

/** A number that looks like chance and is the same each time. */
const dice = (n: string, sides: number) => `(abs(hashint8(${n}::bigint)::bigint) % ${sides})`

/** A uuid of version 7, as bridges mint them. */
const mintedAt = (at: string) =>
  `(lpad(to_hex((extract(epoch from ${at}) * 1000)::bigint), 12, '0') || '7' || substr(md5(n::text), 1, 3) || '8' || substr(md5(n::text), 4, 15))::uuid`

const doorsOf = ({ readers }: Size) => `
  insert into doors (id, name, profile, settings, timezone, open_ms, held_open_ms, pre_alarm_ms)
  select ${id('door', 'n')}, 'Door ' || n, 'plain', jsonb_build_object('topic', 'lintel-bench-door/' || n),
    'Europe/Prague', 3000, 30000, 5000
  from generate_series(0, ${readers - 1}) n`

const eventsOf = ({ cards, readers, events, days }: Size, rows: string) => `
  insert into events
    (id, at, received_at, reader_id, card_number, card_id, person_id, decision, reason, source, bridge_id, open_ms)
  select
    ${mintedAt('at')}, at, at, case when n % 10 = 0 then ${id('reader', '0')} else ${id('reader', 'place')} end,
    (${FIRST_CARD} + who + case when reason = 'unknown_card' then ${cards} else 0 end)::text,
    case when reason <> 'unknown_card' then ${id('card', 'who')} end,
    case when reason <> 'unknown_card' then ${id('person', 'who')} end,
    case when reason = 'granted' then 'granted' else 'denied' end, reason, 'online', ${id('reader', '999')},
    case when reason = 'granted' then 3000 else 0 end
  from (
    select n, ${dice('n', cards)} as who, ${dice('n + 7919', readers)} as place, ${when(days, events)} as at,
      case
        when die < 9400 then 'granted'
        when die < 9900 then 'unknown_card'
        when die < 9950 then 'outside_schedule'
        when die < 9980 then 'no_rule'
        when die < 9990 then 'card_expired'
        when die < 9998 then 'unavailable'
        when n % 50 = 0 then 'card_lost'
        else 'late'
      end as reason
    from (select n, ${dice('n + 104729', 10_000)} as die from ${rows}) thrown
  ) made`

const devicesOf = ({ readers, devices, days }: Size, rows: string) => `
  insert into device_events (id, at, received_at, kind, door_id, reader_id, bridge_id)
  select ${mintedAt('at')}, at, at, kind,
    case when kind not like 'reader%' then ${id('door', 'place')} end,
    case when kind like 'reader%' then ${id('reader', 'place')} end, ${id('reader', '999')}
  from (
    select n, ${when(days, devices)} as at, ${dice('n / 2', readers)} as place,
      case when n % 10000 < 2 then 'door_forced' when n % 1000 < 2 then 'reader_offline'
        when n % 2 = 0 then 'door_opened' else 'door_closed' end as kind
    from ${rows}
  ) made`

/** The chain of hashes is left out: nothing here reads it. */
const auditOf = ({ cards, audit, days }: Size, rows: string) => `
  insert into audit (number, at, actor_kind, actor_id, address, action, target_kind, target_id, before, after, previous, hash)
  select n + 1000000, ${when(days, audit)}, 'account', ${id('group', `${dice('n', 50)}`)}, '192.0.2.1',
    case when n % 10000 = 0 then 'rules.delete' when n % 3 = 0 then 'cards.update' else 'people.update' end,
    case when n % 10000 = 0 then 'rule' when n % 3 = 0 then 'card' else 'person' end,
    ${id('person', `${dice('n + 31', cards)}`)},
    jsonb_build_object('id', ${id('person', `${dice('n + 31', cards)}`)}, 'name', 'Person ' || n, 'active', true, 'email', null),
    jsonb_build_object('id', ${id('person', `${dice('n + 31', cards)}`)}, 'name', 'Person ' || n, 'active', false, 'email', null),
    repeat('0', 64), repeat('0', 64)
  from ${rows}`
