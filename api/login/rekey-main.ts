import { messageOf } from '../cause.ts'
import { environment, SetupError } from '../contract/environment.ts'
import { openDatabase } from '../db/open.ts'
import { database } from '../platform.ts'
import { rekey } from './rekey.ts'

// `npm run rekey`, with the new APP_KEY and the old one in APP_KEY_PREVIOUS.
try {
  const { sql, config, close } = await openDatabase(environment())
  try {
    if (!config().APP_KEY_PREVIOUS) throw new SetupError('APP_KEY_PREVIOUS is not set: there is no key to change from.')
    const count = await rekey(database(sql), config(), new Date())
    console.log(
      `Encrypted anew: what ${count} accounts and webhooks hold. Give every bridge a new key, then take APP_KEY_PREVIOUS away.`,
    )
  } finally {
    await close()
  }
} catch (error) {
  const why = messageOf(error, String(error))
  console.error(error instanceof SetupError ? error.message : `Not all could be encrypted anew: ${why}`)
  process.exit(1)
}
