import { until } from '../../bench/processes.ts'
import type { World } from '../world.ts'
import type { Fault } from './fault.ts'

/** Ends what the API has open, so that it meets the new settings. */
const endSessions = ({ sql }: World) =>
  sql`select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'lintel %'`

const readOnly = async (world: World, value: 'on' | 'off') => {
  await world.sql.unsafe(`alter system set default_transaction_read_only = ${value}`)
  await world.sql`select pg_reload_conf()`
  await endSessions(world)
}

const locked = (table: string): Fault => {
  let held: Promise<unknown> = Promise.resolve()
  return {
    name: `lock-${table}`,
    does: `somebody holds an exclusive lock on “${table}”`,
    mended: 'let go after 4 s',
    seconds: 4,
    async begin({ sql }) {
      const locking = Promise.withResolvers<void>()
      held = sql.begin(async (tx) => {
        await tx.unsafe(`lock table ${table} in access exclusive mode`)
        locking.resolve()
        await tx`select pg_sleep(4)`
      })
      await locking.promise
    },
    mend: () => held,
  }
}

export const databaseFaults: Fault[] = [
  {
    name: 'postgres-restart',
    does: 'SIGQUIT to Postgres (immediate shutdown), so that it has to recover',
    mended: 'started again at once',
    seconds: 1,
    quick: true,
    async begin({ postgres }) {
      await postgres.end('SIGQUIT')
      postgres.launch()
    },
    mend: () => {},
  },
  {
    name: 'postgres-stop',
    does: 'SIGINT to Postgres (fast shutdown)',
    mended: 'started again 8 s later',
    seconds: 8,
    offline: true,
    begin: ({ postgres }) => postgres.end('SIGINT'),
    mend: ({ postgres }) => postgres.launch(),
  },
  {
    name: 'postgres-read-only',
    does: 'Postgres takes no writes (default_transaction_read_only), and open sessions end',
    mended: 'set back 6 s later, and sessions end once more',
    seconds: 6,
    offline: true,
    begin: (world) => readOnly(world, 'on'),
    mend: (world) => until('The database’s setting', () => readOnly(world, 'off')),
  },
  {
    name: 'postgres-sessions',
    does: 'all sessions of the API are ended at the server (pg_terminate_backend)',
    mended: 'by itself: they connect anew',
    seconds: 1,
    begin: endSessions,
    mend: () => {},
  },
  locked('events'),
  locked('cards'),
]
