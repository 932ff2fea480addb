import type { ISql } from 'postgres'
import { AWAY_MS } from '../access/bridges-away.ts'
import { DELIVERY_STATES, TASKS } from '../db/schema.ts'
import type { Db } from '../platform.ts'
import { shared } from '../waiting.ts'

type Row = { what: keyof typeof GAUGES; label: string | null; state: string | null; value: number }

/**
 * What the database knows, and so every process says the same of it: never to be added up over them. A state that nothing is
 * in is 0, so that nobody takes silence for health; a task that was never done has no age.
 */
const GAUGES = {
  database_up: { help: 'Whether the database answers.', states: [] },
  readers: { help: 'Enabled readers, as they were heard last.', states: ['online', 'offline', 'unknown'] },
  doors: { help: 'Doors, as they were heard last.', states: ['online', 'offline', 'unknown'] },
  bridges: {
    help: 'Bridges: online is who asked just now, unknown who never did.',
    states: ['online', 'offline', 'unknown'],
  },
  webhook_deliveries: { help: 'Deliveries to webhooks that are kept.', states: DELIVERY_STATES },
  database_connections: { help: 'Connections to this database by what they are for; other is not ours.', states: [] },
  database_connections_used: { help: 'Connections to the whole database server.', states: [] },
  database_connections_most: { help: 'As many connections as the database server takes.', states: [] },
  upkeep_age_seconds: { help: `Since when it was last done: ${TASKS.join(', ')}.`, states: [] },
} as const

/** What is told here, by the names that Prometheus knows. */
export const siteNames = Object.keys(GAUGES).map((what) => `lintel_${what}`)

const byOnline = (sql: ISql, what: string) =>
  sql`select ${what}::text as what, null as label,
    case when online then 'online' when not online then 'offline' else 'unknown' end as state, count(*) as value`

/** One question. A reader or door that is heard says itself whether it is online; of a bridge its last question tells. */
const read = ({ $client: sql }: Db, now: Date) => sql<Row[]>`
  select what, label, state, value::float8 as value from (
    ${byOnline(sql, 'readers')} from readers left join reader_states on reader_id = id where enabled group by 3
    union all ${byOnline(sql, 'doors')} from doors left join door_states on door_id = id group by 3
    union all
    select 'bridges', null, case when last_seen_at is null then 'unknown'
      when last_seen_at > ${new Date(now.getTime() - AWAY_MS).toISOString()}::timestamptz then 'online' else 'offline' end,
      count(*) from bridges group by 3
    union all select 'webhook_deliveries', null, state, count(*) from webhook_deliveries group by 3
    union all
    select 'database_connections', coalesce(substring(application_name from '^lintel (\\w+)$'), 'other'),
      coalesce(replace(regexp_replace(state, ' \\(.*\\)', ''), ' ', '_'), 'unknown'), count(*)
    from pg_stat_activity where datname = current_database() and backend_type = 'client backend' group by 2, 3
    union all select 'database_connections_used', null, null, coalesce(sum(numbackends), 0) from pg_stat_database
    union all select 'database_connections_most', null, null, current_setting('max_connections')::int
    union all
    select 'upkeep_age_seconds', task, null, extract(epoch from ${now.toISOString()}::timestamptz - done_at)
    from upkeep where done_at is not null
  ) all_of_it`

const LABEL: Partial<Record<Row['what'], string>> = { database_connections: 'pool', upkeep_age_seconds: 'task' }

const line = ({ what, label, state, value }: Row): string => {
  const labels = [
    ...(label === null ? [] : [`${LABEL[what]}="${label}"`]),
    ...(state === null ? [] : [`state="${state}"`]),
  ]
  return `lintel_${what}${labels.length === 0 ? '' : `{${labels.join(',')}}`} ${value}\n`
}

/** What is known where the database does not answer. */
export const DATABASE_AWAY = '# TYPE lintel_database_up gauge\nlintel_database_up 0\n'

const write = (rows: readonly Row[]): string =>
  Object.entries(GAUGES)
    .map(([name, { help, states }]) => {
      const what = name as Row['what']
      const found = rows.filter((row) => row.what === what)
      const none = states
        .filter((state) => !found.some((row) => row.state === state))
        .map((state): Row => ({ what, label: null, state, value: 0 }))
      return `# HELP lintel_${what} ${help}\n# TYPE lintel_${what} gauge\n${[...found, ...none].map(line).join('')}`
    })
    .join('\n')

/** For so long what was read counts as what is, so that whoever collects often costs the database little. Milliseconds. */
const FRESH_MS = 5_000

const kept = new WeakMap<Db, { text: string; at: number }>()

const reading = shared<string>()

const readAnew = async (db: Db, now: Date): Promise<string> => {
  const text = write([{ what: 'database_up', label: null, state: null, value: 1 }, ...(await read(db, now))])
  kept.set(db, { text, at: now.getTime() })
  return text
}

/**
 * Readers, doors, bridges, connections, deliveries and upkeep in the text format of Prometheus; up to five seconds old. However
 * many ask, one question is under way.
 */
export const siteText = async (db: Db, now: Date): Promise<string> => {
  const known = kept.get(db)
  const age = now.getTime() - (known?.at ?? 0)
  if (known && age >= 0 && age < FRESH_MS) return known.text
  return reading(db, () => readAnew(db, now))
}
