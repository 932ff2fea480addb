import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { errorCode } from '../../cause.ts'
import { SetupError } from '../../contract/environment.ts'
import { cachingOff, hyperdriveId, isSignedIn, secretsSet, uncommitted } from './before-deploy.ts'

// `npm run deploy`: puts the Worker of wrangler.toml into service, when nothing is missing; else says what is, and nothing is
// changed. Of DATABASE_URL, where it is set, it looks whether the database is up to date. Arguments are wrangler's, but not --env: bindings of an environment are its own.
// Exits with 0 when it was deployed, and with 1 when it was not.

const given = process.argv.slice(2)

const wrangler = (...args: string[]) => {
  const { status, stdout, stderr, error } = spawnSync('wrangler', args, { encoding: 'utf8' })
  if (error) throw new SetupError('wrangler cannot be run. Install what Lintel needs: npm install')
  return { code: status, out: stdout, err: stderr }
}

const databaseIsBehind = async (url: string): Promise<string | undefined> => {
  // Loaded only where it is wanted.
  const [{ connect }, { isMigrated }, { database }] = await Promise.all([
    import('../../db/connect.ts'),
    import('../../db/ready.ts'),
    import('../../platform.ts'),
  ])
  const sql = connect({ url }, 'command')
  try {
    return (await isMigrated(database(sql)))
      ? undefined
      : 'The database of DATABASE_URL is behind this version: npm run migrate'
  } catch (error) {
    const why = errorCode(error, 'no answer')
    return `The database of DATABASE_URL cannot be reached (${why}), so nobody knows whether it is up to date.`
  } finally {
    await sql.end({ timeout: 1 })
  }
}

/** A sentence for each thing that is missing. What is asked of Cloudflare is asked only of somebody signed in. */
const missing = async (): Promise<string[]> => {
  if (given.some((one) => /^(-e|--env)(=|$)/.test(one)))
    return [
      'What is missing can be told of the Worker at the top of wrangler.toml alone, not of an environment: leave --env out.',
    ]
  const toml = readFileSync('wrangler.toml', 'utf8')
  const id = hyperdriveId(toml)
  const git = spawnSync('git', ['status', '--porcelain'], { encoding: 'utf8' })
  const here = [
    id === undefined &&
      'wrangler.toml names no Hyperdrive: npx wrangler hyperdrive create lintel --connection-string="postgres://…" --caching-disabled, and its id into wrangler.toml.',
    git.status === 0 && uncommitted(git.stdout),
    process.env['DATABASE_URL'] ? await databaseIsBehind(process.env['DATABASE_URL']) : undefined,
  ]
  const there = isSignedIn(wrangler('whoami', '--json'))
    ? [
        secretsSet(wrangler('secret', 'list', '--format', 'json')),
        id !== undefined && cachingOff(wrangler('hyperdrive', 'get', id)),
      ]
    : ['Nobody is signed in at Cloudflare: npx wrangler login, or CLOUDFLARE_API_TOKEN.']
  return [...here, ...there].filter((sentence) => typeof sentence === 'string')
}

try {
  const sentences = await missing()
  if (sentences.length > 0) throw new SetupError(['Nothing was deployed.', ...sentences].join('\n  '))
  if (!process.env['DATABASE_URL']) {
    console.log('DATABASE_URL is not set, so nobody looked whether the database is up to date; /ready will say.')
  }
  const { status } = spawnSync('wrangler', ['deploy', ...given], { stdio: 'inherit' })
  process.exit(status ?? 1)
} catch (error) {
  console.error(error instanceof SetupError ? error.message : error)
  process.exit(1)
}
