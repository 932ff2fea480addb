import postgres from 'postgres'

/** How many connections a Node process holds to a Postgres. */
const POOL = 10

/**
 * PGlite is one session, whoever is connected to it: two connections at once would run each other's statements (between
 * one's Parse and its Bind comes the other's Parse). One connection, on which the driver waits its turn, is safe.
 */
const POOL_EMBEDDED = 1

/**
 * The one pool of a Node process. Milliseconds and seconds as each option wants them: a connection is tried for 5 s and
 * again at once, a statement may take 5 s, a transaction may idle for 10 s.
 */
export const connect = (
  where: { url: string } | { socket: string },
  max = 'socket' in where ? POOL_EMBEDDED : POOL,
): postgres.Sql => {
  const options: postgres.Options<Record<string, never>> = {
    max,
    connect_timeout: 5,
    backoff: () => 0.25,
    fetch_types: false,
    onnotice: () => {},
    connection: {
      application_name: 'lintel',
      statement_timeout: 5_000,
      lock_timeout: 3_000,
      idle_in_transaction_session_timeout: 10_000,
    },
  }
  return 'url' in where
    ? postgres(where.url, options)
    : postgres({ ...options, path: where.socket, database: 'postgres', username: 'postgres' })
}

/** Is this database on this machine? Then its secrets may be made up; a database elsewhere is somebody's production. */
export const isLocal = (url: string): boolean => {
  try {
    const { hostname } = new URL(url)
    return hostname === '' || hostname === 'localhost' || hostname === '[::1]' || /^127\./.test(hostname)
  } catch {
    return false
  }
}
