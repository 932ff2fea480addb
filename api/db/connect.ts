import postgres from 'postgres'

/**
 * PGlite is one session, whoever is connected to it: two connections at once would run each other's statements (between
 * one's Parse and its Bind comes the other's Parse). One connection, on which the driver waits its turn, is safe.
 */
const POOL_EMBEDDED = 1

/**
 * What the connections of a Node process are for, how many it holds to a Postgres, and how long a statement may take and
 * may wait for a lock, in milliseconds. After two seconds no door waits for an answer any more.
 */
const FOR = {
  doors: { max: 10, statement_timeout: 2_000, lock_timeout: 1_000 },
  rest: { max: 6, statement_timeout: 5_000, lock_timeout: 3_000 },
  /** A migration, a command: they take the time they need. */
  command: { max: 1, statement_timeout: 0, lock_timeout: 0 },
} as const

/** A pool of a Node process. A connection is tried for 5 s and again at once, a transaction may idle for 10 s. */
export const connect = (where: { url: string } | { socket: string }, purpose: keyof typeof FOR): postgres.Sql => {
  const { max, ...limits } = FOR[purpose]
  const options: postgres.Options<Record<string, never>> = {
    max: 'socket' in where ? POOL_EMBEDDED : max,
    connect_timeout: 5,
    backoff: () => 0.25,
    fetch_types: false,
    onnotice: () => {},
    connection: { application_name: `lintel ${purpose}`, ...limits, idle_in_transaction_session_timeout: 10_000 },
  }
  return 'url' in where
    ? postgres(where.url, options)
    : postgres({ ...options, path: where.socket, database: 'postgres', username: 'postgres' })
}
