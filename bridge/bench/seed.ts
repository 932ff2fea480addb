import type { Sql } from 'postgres'
import { PROFILES } from '../../api/contract/profiles.ts'
import { FIRST_CARD, type Site } from './load.ts'

const GROUPS = 20

/** Ids made of a kind and a number, so that rows find each other by arithmetic; ordered, as version 7 would order them. */
const KINDS = { reader: 1, group: 2, schedule: 3, rule: 4, person: 5, card: 6, event: 7, door: 8 }
export const id = (kind: keyof typeof KINDS, n: string) =>
  `('0198000${KINDS[kind]}-0000-7000-8000-' || lpad(to_hex(${n}), 12, '0'))::uuid`
/** The same of a number that is in hand. */
export const idOf = (kind: keyof typeof KINDS, n: number): string =>
  `0198000${KINDS[kind]}-0000-7000-8000-${n.toString(16).padStart(12, '0')}`

/**
 * Fills a site through SQL itself: a person per card, two groups per person, and two rules per group (always, and in
 * office hours) that name every reader; so every scan is granted, after four rules were looked at. The events lie in
 * the two years before yesterday.
 *
 * The cards are of the form `decimal`, and of their seven keys they get the one that the readers here ask for, in the view
 * `decimal`. So nobody may migrate this database again: that would write the other six, of each card.
 */
export const seed = async (sql: Sql, site: Site, events: number): Promise<void> => {
  const { cards, readers } = site
  const run = (text: string, values: string[] = []) => sql.unsafe(text, values)
  await run("set maintenance_work_mem = '512MB'")
  // Checking ten million foreign keys that are right by construction takes minutes.
  await ifAllowed(run('set session_replication_role = replica'))

  const topics = (of: (reader: number) => string) => of(0).replace(/0$/, '')
  await run(
    `insert into readers (id, name, profile, topic, reply_topic, card_view, timezone, direction, enabled, open_ms)
     select ${id('reader', 'n')}, 'Reader ' || n, 'plain', $1 || n, $2 || n, 'decimal', 'Europe/Prague', 'none', true, 3000
     from generate_series(0, ${readers - 1}) n`,
    [topics(site.scanTopic), topics(site.replyTopic)],
  )
  await run(`insert into schedules (id, name, windows) values
    (${id('schedule', '0')}, 'Office hours', '[{"days": [1, 2, 3, 4, 5], "from": "07:00", "to": "17:30"}]')`)
  await run(`insert into groups (id, name)
    select ${id('group', 'n')}, 'Group ' || n from generate_series(0, ${GROUPS - 1}) n`)
  await run(`insert into rules (id, group_id, schedule_id)
    select ${id('rule', 'n')}, ${id('group', 'n / 2')}, case n % 2 when 1 then ${id('schedule', '0')} end
    from generate_series(0, ${2 * GROUPS - 1}) n`)
  await run('insert into rule_readers (rule_id, reader_id) select u.id, r.id from rules u, readers r')

  if (site.idle > 0) await run(IDLE, [JSON.stringify(idleReaders(site.idle))])

  const people = `generate_series(0, ${cards - 1}) n`
  await run(`insert into people (id, name) select ${id('person', 'n')}, 'Person ' || n from ${people}`)
  await run(`insert into group_people (person_id, group_id)
    select ${id('person', 'n')}, ${id('group', 'g % 20')} from ${people}, generate_series(n, n + 1) g`)
  await run(`insert into cards (id, person_id, number, form)
    select ${id('card', 'n')}, ${id('person', 'n')}, (${FIRST_CARD} + n)::text, 'decimal' from ${people}`)
  await run(`insert into card_keys (view, key, card_id)
    select 'decimal', (${FIRST_CARD} + n)::text, ${id('card', 'n')} from ${people}`)
  if (events > 0) await withoutIndexes(sql, 'events', () => seedEvents(sql, site, events))

  await run('vacuum analyze')
  await ifAllowed(run('checkpoint'))
  await run('reset all')
}

const IDLE = `
  insert into readers (id, name, profile, topic, unit, settings, card_view, timezone, open_ms)
  select gen_random_uuid(), 'Idle ' || topic, profile, topic, unit, settings, card_view, 'Europe/Prague', 3000
  from jsonb_to_recordset($1::text::jsonb) as r (profile text, topic text, unit text, settings jsonb, card_view text)`

/** Readers of every profile in turn, at topics of their own. */
const idleReaders = (count: number) =>
  Array.from({ length: count }, (_, n) => {
    const profile = PROFILES[n % PROFILES.length]
    const [template = ''] = profile?.topics ?? []
    const needed = Object.entries(profile?.settings ?? {}).filter(([, { required }]) => required)
    return {
      profile: profile?.name,
      topic: template.replaceAll(/\{\w+(\.\.\.|\/)?\}/g, (_, how) => `lintel-bench-idle/${n}${how === '/' ? '/' : ''}`),
      unit: profile?.unit ? `idle-${n}` : null,
      settings: Object.fromEntries(needed.map(([name]) => [name, '/card'])),
      card_view: profile?.views[0],
    }
  })

/** One in twenty is a card that nobody knows, as at any door. */
const seedEvents = (sql: Sql, { cards, readers }: Site, events: number) =>
  sql.unsafe(`
    insert into events
      (id, at, received_at, reader_id, card_number, card_id, person_id, decision, reason, source, bridge_id, open_ms)
    select
      ${id('event', 'n')}, at, at, ${id('reader', `n * 31 % ${readers}`)}, (${FIRST_CARD} + who)::text,
      case when known then ${id('card', 'who')} end, case when known then ${id('person', 'who')} end,
      case when known then 'granted' else 'denied' end, case when known then 'granted' else 'unknown_card' end,
      'online', ${id('reader', '999')}, 3000
    from (
      select n, n * 7919 % ${cards} as who, n % 20 <> 0 as known,
        date_trunc('day', now()) - interval '731 days' + n * (interval '730 days' / ${events}) as at
      from generate_series(0::bigint, ${events - 1}) n
    ) made`)

/** To build an index once takes a fraction of the time that keeping it up through millions of inserts takes. */
export const withoutIndexes = async (sql: Sql, table: string, fill: () => Promise<unknown>): Promise<void> => {
  const indexes = await sql<{ name: string; definition: string }[]>`
    select i.indexrelid::regclass::text as name, pg_get_indexdef(i.indexrelid) as definition
    from pg_index i where i.indrelid = ${table}::regclass and not i.indisunique`
  for (const { name } of indexes) await sql.unsafe(`drop index ${name}`)
  await fill()
  for (const { definition } of indexes) await sql.unsafe(definition)
}

/** Only a superuser may; for anybody else it goes on without. */
export const ifAllowed = (asked: Promise<unknown>): Promise<unknown> =>
  asked.catch((error: unknown) => {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code !== '42501') throw error
  })
