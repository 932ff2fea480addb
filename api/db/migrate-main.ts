import { messageOf } from '../cause.ts'
import { environment, SetupError } from '../contract/environment.ts'
import { migrate } from './migrate.ts'

// `npm run migrate`
try {
  const url = environment()['DATABASE_URL']
  if (!url)
    throw new SetupError('DATABASE_URL is not set. The embedded database needs no migrating: it is done at each start.')
  await migrate({ url })
  console.log('The database is up to date.')
} catch (error) {
  console.error(
    error instanceof SetupError
      ? error.message
      : `The database could not be brought up to date: ${messageOf(error, String(error))}`,
  )
  process.exit(1)
}
