import type { Sql } from 'postgres'

/** From now on Postgres writes down how it ran each statement in this database, and what it looked at. */
export const explainEverything = async (sql: Sql): Promise<void> => {
  const [row] = await sql<{ name: string }[]>`select current_database() as name`
  const settings = {
    session_preload_libraries: 'auto_explain',
    'auto_explain.log_min_duration': '0',
    'auto_explain.log_analyze': 'on',
    'auto_explain.log_buffers': 'on',
  }
  for (const [setting, value] of Object.entries(settings)) {
    await sql.unsafe(`alter database ${row?.name} set ${setting} = '${value}'`)
  }
  // The settings are read when a connection begins: end those that are there, and their owners make new ones.
  await sql`
    select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid()`
}

/** The last plan of each statement in a server's log, with how often it ran and how long it usually took. */
export const plansIn = (log: string): string => {
  const entries = [...log.matchAll(/duration: ([\d.]+) ms {2}plan:\n((?:\t.*\n)+)/g)]
  const byStatement = Map.groupBy(entries, ([, , plan = '']) => plan.slice(0, plan.search(/\n\t\S.*\(cost=/)))
  return [...byStatement.values()]
    .map((runs) => {
      const times = runs.map(([, ms]) => Number(ms)).sort((a, b) => a - b)
      const typical = times[Math.floor(times.length / 2)]?.toFixed(3)
      const last = (runs.at(-1)?.[2] ?? '').replaceAll(/^\t/gm, '  ')
      return `${runs.length} times, typically ${typical} ms\n${last}`
    })
    .join('\n')
}
