import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Sql } from 'postgres'
import { type Config, readConfig } from '../config.ts'
import { SetupError } from '../contract/environment.ts'
import { readNodeConfig } from '../node-config.ts'
import { connect } from './connect.ts'

export type OpenDatabase = {
  sql: Sql
  /** Throws a SetupError where the environment does not have what the API needs. */
  config(): Config
  close(): Promise<void>
}

/** For a command: the database of DATABASE_URL, or the embedded one of DATA_DIR while Lintel is stopped. */
export const openDatabase = async (env: NodeJS.ProcessEnv): Promise<OpenDatabase> => {
  const url = env['DATABASE_URL']
  if (url) {
    const sql = connect({ url }, 'command')
    return { sql, config: () => readConfig(env, { production: false }), close: () => sql.end({ timeout: 5 }) }
  }
  const { DATA_DIR, app } = readNodeConfig(env)
  if (!existsSync(join(DATA_DIR, 'db'))) {
    throw new SetupError(`There is no database in DATA_DIR (${DATA_DIR}), and no DATABASE_URL.`)
  }
  // Loaded only where it is wanted, as in node.ts.
  const { socketPath, startEmbeddedPostgres } = await import('../embedded/postgres.ts')
  const embedded = await startEmbeddedPostgres(DATA_DIR)
  const sql = connect({ socket: socketPath(DATA_DIR) }, 'command')
  return {
    sql,
    config: () => app,
    async close() {
      await sql.end({ timeout: 5 })
      await embedded.close()
    },
  }
}
