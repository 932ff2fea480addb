import { environment, SetupError } from '../contract/environment.ts'
import { connect } from '../db/connect.ts'
import { run } from '../node.ts'
import { readNodeConfig } from '../node-config.ts'
import { database } from '../platform.ts'
import { removeDemo } from './demo.ts'
import { socketPath, startEmbeddedPostgres } from './postgres.ts'

// `npm run demo:remove`, while `npm start` is not running: the embedded database belongs to one process at a time.
await run(async () => {
  const { DATABASE_URL, DATA_DIR } = readNodeConfig(environment())
  if (DATABASE_URL !== undefined) {
    throw new SetupError('The demo site is only in the embedded database; DATABASE_URL names another one.')
  }
  const embedded = await startEmbeddedPostgres(DATA_DIR)
  const sql = connect({ socket: socketPath(DATA_DIR) }, 'command')
  try {
    await removeDemo(database(sql))
  } catch {
    throw new SetupError(
      'The demo site stays: something of yours has come to depend on it. Take that away first (GET /api/v1/rules and /api/v1/cards show it).',
    )
  } finally {
    await sql.end()
    await embedded.close()
  }
  console.log('The demo site is gone. The record of its scans stays.')
  process.exit(0)
})
