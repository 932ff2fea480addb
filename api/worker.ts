import type { ExecutionContext } from 'hono'
import postgres from 'postgres'
import { app } from './app.ts'
import { type Config, readConfig } from './config.ts'
import { isLocal } from './db/is-local.ts'
import { daily, look } from './jobs.ts'
import { bcryptjs } from './login/bcryptjs.ts'
import { byHook } from './mail/hook.ts'
import { type Mail, printed } from './mail/mail.ts'
import { noMetrics } from './metrics.ts'
import { database, type Log, type Platform } from './platform.ts'
import { byFetch } from './webhooks/fetch.ts'

type Env = Record<string, unknown> & {
  HYPERDRIVE: { connectionString: string }
  ASSETS: { fetch(request: Request): Promise<Response> }
}

/** An isolate sees one environment, but gets it with each request: read it once. */
const configs = { production: new WeakMap<Env, Config>(), development: new WeakMap<Env, Config>() }

const configOf = (env: Env, request?: Request): Config => {
  const production = env['NODE_ENV'] === 'production' || !request || !isDevelopment(request)
  const kept = configs[production ? 'production' : 'development']
  const config = kept.get(env) ?? readConfig(env, { production })
  kept.set(env, config)
  return config
}

/**
 * Is this `wrangler dev`, or a test? Hyperdrive's connection string does not tell: workerd names every database
 * `….hyperdrive.local`. But what Cloudflare serves has a public name and its mark, which no client can take away.
 */
const isDevelopment = (request: Request): boolean => isLocal(request.url) && !request.headers.has('cf-ray')

/** Cloudflare ends an isolate without a word. */
const never = new AbortController().signal

const log: Log = (level, event, fields = {}) => {
  if (level !== 'debug') console[level](JSON.stringify({ level, event, ...fields }))
}

/** By the hook only. Without one, in development links are printed and in production mail is off. */
const mailOf = ({ production, MAIL_FROM: from = '', MAIL_HOOK_URL, MAIL_HOOK_TOKEN }: Config): Mail | undefined => {
  if (MAIL_HOOK_URL !== undefined) return byHook({ url: MAIL_HOOK_URL, token: MAIL_HOOK_TOKEN, from })
  return production ? undefined : printed(log)
}

/** A socket may not outlive its request on Workers, so each request opens and closes its own. Hyperdrive pools them. */
const withPlatform = async <T>(
  env: Env,
  ctx: ExecutionContext,
  work: (platform: Platform) => T,
  request?: Request,
): Promise<Awaited<T>> => {
  const sql = postgres(env.HYPERDRIVE.connectionString, { max: 5, fetch_types: false, connect_timeout: 5 })
  const db = database(sql)
  const later: Promise<void>[] = []
  try {
    const config = configOf(env, request)
    return await work({
      config,
      db,
      doorDb: db,
      password: bcryptjs,
      mail: mailOf(config),
      send: byFetch,
      later: (work) => void later.push(work()),
      // A fetched response's headers cannot be changed, and every answer of ours gets security headers: so a copy.
      asset: async (name) => {
        const file = await env.ASSETS.fetch(new Request(`https://assets.invalid/${name}`))
        return new Response(file.body, file)
      },
      now: () => new Date(),
      log,
      metrics: noMetrics,
      draining: never,
      closing: never,
      // Set by Cloudflare itself, whatever the client says.
      address: request?.headers.get('cf-connecting-ip') ?? null,
      // Its own URL says so.
      https: false,
    })
  } finally {
    ctx.waitUntil(Promise.all(later).finally(() => sql.end({ timeout: 5 })))
  }
}

/** As in wrangler.toml; the other one is once a day. */
const EVERY_MINUTE = '* * * * *'

export default {
  fetch: (request: Request, env: Env, ctx: ExecutionContext) =>
    withPlatform(env, ctx, (platform) => app.fetch(request, platform, ctx), request),
  scheduled: ({ cron }: { cron: string }, env: Env, ctx: ExecutionContext) =>
    withPlatform(env, ctx, cron === EVERY_MINUTE ? look : daily),
}
