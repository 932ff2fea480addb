import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { extname, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { type Http2Bindings, type HttpBindings, type ServerType, serve } from '@hono/node-server'
import { pino } from 'pino'
import manifest from '../package.json' with { type: 'json' }
import { LOOK_MS } from './access/bridges-away.ts'
import { app } from './app.ts'
import { errorCode } from './cause.ts'
import { cameFrom } from './client-address.ts'
import type { Config } from './config.ts'
import { CALLS } from './contract/envelope.ts'
import { environment, SetupError } from './contract/environment.ts'
import { connect } from './db/connect.ts'
import { migrate } from './db/migrate.ts'
import { isMigrated } from './db/ready.ts'
import { type FirstAccount, makeFirstAccount } from './first-account.ts'
import { daily, look } from './jobs.ts'
import { bcrypt } from './login/bcrypt.ts'
import { byHook } from './mail/hook.ts'
import { type Mail, printed } from './mail/mail.ts'
import { type Metrics, noMetrics } from './metrics.ts'
import { addressOf, type NodeConfig, readNodeConfig } from './node-config.ts'
import { database, type Log, type Platform } from './platform.ts'
import { sender } from './webhooks/send.ts'

export type Api = {
  url: string
  platform: Platform
  firstAccount: FirstAccount | undefined
  /** Says that it is about to end, and goes on serving for DRAIN_SECONDS, or until `hurry`: meanwhile others take over. */
  drain(hurry: AbortSignal): Promise<void>
  close(): Promise<void>
}

const TYPES: Record<string, string> = { '.css': 'text/css; charset=utf-8', '.js': 'text/javascript; charset=utf-8' }
const docsFolder = join(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'), '..')

/** Files of the documentation page, as the package on this disk has them. */
export const asset = async (name: string): Promise<Response> =>
  new Response(await readFile(join(docsFolder, name)), {
    headers: { 'content-type': TYPES[extname(name)] ?? 'application/octet-stream', 'cache-control': 'max-age=86400' },
  })

const logger = (level: NodeConfig['LOG_LEVEL']): Log => {
  const lines = pino({
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (level) => ({ level }) },
  })
  return (at, event, fields = {}) => lines[at]({ event, ...fields })
}

/** Loaded only where it is wanted: a Postgres in WebAssembly is not for the memory of a process that has another one. */
const startEmbedded = async (dataDir: string) => {
  const { socketPath, startEmbeddedPostgres } = await import('./embedded/postgres.ts')
  const { close } = await startEmbeddedPostgres(dataDir)
  const socket = socketPath(dataDir)
  await migrate({ socket })
  return { socket, close }
}

/** By SMTP, or by the hook; where neither is set, in development links are printed and in production mail is off. */
const mailOf = async ({ SMTP_URL, app }: NodeConfig, log: Log): Promise<Mail | undefined> => {
  const { MAIL_FROM: from = '', MAIL_HOOK_URL, MAIL_HOOK_TOKEN } = app
  if (SMTP_URL !== undefined) return (await import('./mail/smtp.ts')).bySmtp({ url: SMTP_URL, from })
  if (MAIL_HOOK_URL !== undefined) return byHook({ url: MAIL_HOOK_URL, token: MAIL_HOOK_TOKEN, from })
  return app.production ? undefined : printed(log)
}

/** Nobody counts what nobody may see. */
export const metricsOf = async ({ METRICS_TOKEN }: Config): Promise<Metrics> =>
  METRICS_TOKEN === undefined ? noMetrics : (await import('./metrics/prometheus.ts')).prometheus()

/** The embedded database can be copied while it runs; where BACKUP_DIR is set, a backup is made each day. */
const startBackups = async (platform: Platform, { BACKUP_DIR, ...config }: NodeConfig) => {
  const { DATABASE_URL, DATA_DIR } = config
  const copies =
    DATABASE_URL === undefined ? await (await import('./backup/serve.ts')).serveCopies(platform, DATA_DIR) : undefined
  const jobs =
    BACKUP_DIR === undefined
      ? undefined
      : (await import('./backup/daily.ts')).backUpDaily(platform, { ...config, BACKUP_DIR })
  return {
    async close() {
      await jobs?.close()
      await copies?.close()
    },
  }
}

const DAY_MS = 24 * 60 * 60 * 1000

/** Builds the platform once, makes sure of the database and the first account, serves, and runs the daily jobs. */
export const startApi = async (config: NodeConfig): Promise<Api> => {
  const { DATABASE_URL, DATA_DIR } = config
  const embedded = DATABASE_URL === undefined ? await startEmbedded(DATA_DIR) : undefined
  const where = embedded ?? { url: String(DATABASE_URL) }
  const sql = connect(where, 'rest')
  // The embedded database is one session, with one connection for all.
  const doorSql = 'socket' in where ? sql : connect(where, 'doors')
  const log = logger(config.LOG_LEVEL)
  const mail = await mailOf(config, log)
  const draining = new AbortController()
  const closing = new AbortController()
  const platform: Platform = {
    config: config.app,
    db: database(sql),
    doorDb: database(doorSql),
    password: bcrypt,
    mail,
    send: sender(),
    later: (work) => void setImmediate(() => void work()),
    asset,
    now: () => new Date(),
    log,
    metrics: await metricsOf(config.app),
    draining: draining.signal,
    closing: closing.signal,
    address: null,
    https: false,
  }
  const closeDatabase = async () => {
    await Promise.all([doorSql, sql].map((client) => client.end({ timeout: 5 })))
    await embedded?.close()
  }

  try {
    await requireMigrated(platform)
    const firstAccount = await makeFirstAccount(platform, config)
    const { server, url } = await listen(platform, config)
    const backups = await startBackups(platform, config)
    const jobs = setInterval(() => void daily(platform), DAY_MS)
    void daily(platform)
    // One at a time: where the database or a receiver is slow, looks would pile up.
    let isLooking = false
    const looks = setInterval(() => {
      if (isLooking) return
      isLooking = true
      void look(platform).finally(() => {
        isLooking = false
      })
    }, LOOK_MS)
    log('info', 'started', { version: manifest.version })
    return {
      url,
      platform,
      firstAccount,
      async drain(hurry) {
        draining.abort()
        log('info', 'draining', { seconds: config.DRAIN_SECONDS })
        await pause(config.DRAIN_SECONDS * 1000, undefined, { signal: hurry }).catch(() => {})
      },
      async close() {
        draining.abort()
        clearInterval(jobs)
        clearInterval(looks)
        closing.abort()
        await backups.close()
        await closeServer(server)
        await closeDatabase()
      },
    }
  } catch (error) {
    await closeDatabase()
    throw error
  }
}

const requireMigrated = async ({ db }: Platform): Promise<void> => {
  const migrated = await isMigrated(db).catch((error: unknown) => {
    const why = errorCode(error, 'no answer')
    throw new SetupError(`The database cannot be reached (${why}). Check that it runs and that DATABASE_URL is right.`)
  })
  if (!migrated) throw new SetupError('The database is behind this version. Bring it up to date with: npm run migrate')
}

const SEALED_PATHS: ReadonlySet<string> = new Set(Object.values(CALLS).map(({ path }) => path))

/** Serves at PORT, or at any free one when that is 0, and gives each request its own address. */
export const listen = (
  { ...platform }: Platform,
  { PORT, HOST, TRUSTED_PROXIES }: Pick<NodeConfig, 'PORT' | 'HOST' | 'TRUSTED_PROXIES'>,
): Promise<{ server: ServerType; url: string }> =>
  new Promise((resolve, reject) => {
    const fetch = (request: Request, { incoming, outgoing }: HttpBindings | Http2Bindings) => {
      // Whoever keeps a connection is to ask for the next one elsewhere (RFC 9112, section 9.6).
      if (platform.draining.aborted) outgoing.setHeader('connection', 'close')
      // A bridge is known by its seal: where it calls from matters to nobody.
      return SEALED_PATHS.has(incoming.url ?? '')
        ? app.fetch(request, platform)
        : app.fetch(request, { ...platform, ...cameFrom(TRUSTED_PROXIES, incoming) })
    }
    const server = serve({ fetch, port: PORT, hostname: HOST }, ({ port }) =>
      resolve({ server, url: addressOf(HOST, port) }),
    )
    server.once('error', (error: NodeJS.ErrnoException) => {
      const taken = `Port ${PORT} on ${HOST} is taken. Stop what listens there, or choose another: PORT=${PORT + 1} npm start`
      reject(
        error.code === 'EADDRINUSE'
          ? new SetupError(taken)
          : new SetupError(`Cannot listen on ${HOST}:${PORT} (${error.code}).`),
      )
    })
  })

/** Lets requests under way finish, for five seconds. */
const closeServer = (server: ServerType): Promise<void> =>
  new Promise((done) => {
    if (!('closeIdleConnections' in server)) {
      server.close(() => done())
      return
    }
    // A connection is idle when what is under way on it has ended, a stream too: not yet now.
    const idle = setInterval(() => server.closeIdleConnections(), 50)
    const late = setTimeout(() => server.closeAllConnections(), 5_000)
    server.close(() => {
      clearInterval(idle)
      clearTimeout(late)
      done()
    })
  })

/** npm, and a terminal or systemd besides it, may each pass on the same signal: within this time two are one. Milliseconds. */
const SAME_SIGNAL_MS = 1_000

type Running = { close(): Promise<void> } & Partial<Pick<Api, 'drain'>>

/**
 * Runs `main` until a signal: clean on SIGINT and SIGTERM, where a second one ends the draining; one sentence and a non-zero
 * exit when it cannot start.
 */
export const run = async (main: () => Promise<Running>): Promise<void> => {
  try {
    const running = await main()
    const hurry = new AbortController()
    let since: number | undefined
    const stop = () => {
      if (since !== undefined) {
        if (performance.now() - since > SAME_SIGNAL_MS) hurry.abort()
        return
      }
      since = performance.now()
      const end = async () => {
        await running.drain?.(hurry.signal)
        await running.close()
      }
      end().then(
        () => process.exit(0),
        () => process.exit(1),
      )
    }
    process.on('SIGINT', stop).on('SIGTERM', stop)
  } catch (error) {
    console.error(error instanceof SetupError ? `lintel: ${error.message}` : error)
    process.exit(1)
  }
}

/** What the first start says about the first account; the password is shown this once. */
export const introduce = (account: FirstAccount | undefined): void => {
  if (!account) return
  const secret = account.password === undefined ? 'as in ADMIN_PASSWORD' : `${account.password}   (shown only now)`
  console.log(`  e-mail     ${account.email}\n  password   ${secret}`)
}

if (import.meta.main) {
  await run(async () => {
    const api = await startApi(readNodeConfig(environment()))
    console.log(`Lintel's API listens at ${api.url}`)
    introduce(api.firstAccount)
    return api
  })
}
