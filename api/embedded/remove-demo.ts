import { createConnection } from 'node:net'
import { environment, SetupError } from '../contract/environment.ts'
import { connect } from '../db/connect.ts'
import { run } from '../node.ts'
import { readNodeConfig } from '../node-config.ts'
import { database } from '../platform.ts'
import { removeDemo } from './demo.ts'
import { socketPath, startEmbeddedPostgres } from './postgres.ts'

const answers = (path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = createConnection(path, () => resolve(socket.end() !== undefined)).on('error', () => resolve(false))
  })

// `npm run demo:remove`: whether or not `npm start` is running just now.
await run(async () => {
  const { DATABASE_URL, DATA_DIR } = readNodeConfig(environment())
  if (DATABASE_URL !== undefined)
    throw new SetupError('The demo site is only in the embedded database; DATABASE_URL names another one.')
  const path = socketPath(DATA_DIR)
  const own = (await answers(path)) ? undefined : await startEmbeddedPostgres(DATA_DIR)
  const sql = connect({ socket: path }, 1)
  try {
    await removeDemo(database(sql))
    console.log('The demo site is gone. The record of its scans stays.')
  } catch {
    throw new SetupError(
      'The demo site stays: something of yours has come to depend on it. Take that away first (GET /api/v1/rules and /api/v1/cards show it).',
    )
  } finally {
    await sql.end()
    await own?.close()
  }
  process.exit(0)
})
