import { v7 } from 'uuid'
import { inject } from 'vitest'
import { createTestHarness } from 'wrangler'
import { app } from '../app.ts'
import { readConfig } from '../config.ts'
import { connect } from '../db/connect.ts'
import { accounts } from '../db/schema.ts'
import { daily, look } from '../jobs.ts'
import { bcrypt } from '../login/bcrypt.ts'
import type { Role } from '../login/permissions.ts'
import { byHook } from '../mail/hook.ts'
import { asset, metricsOf } from '../node.ts'
import { type Db, database, type Platform } from '../platform.ts'
import { type Cable, proxyTo } from './cable.ts'
import { freshDatabase } from './database.ts'
import { whenFileEnds } from './endings.ts'
import { type Mailbox, openMailbox } from './mailbox.ts'

/** Of every account that the tests sign in with, and its hash at cost 4, so that neither making an account nor its sign-in costs anything. */
export const PASSWORD = 'correct horse battery staple'
export const PASSWORD_HASH = '$2b$04$U8JofqNqBWnjPZdZszbw4.mgf.op4agJcZOHFcwrDiXR8U423V4X.'

/** The root key of the API under test. */
export const APP_KEY = Buffer.from(Array.from({ length: 32 }, (_, i) => (i * 37 + 11) % 256)).toString('base64')

const ENV = {
  APP_KEY,
  CORS_ORIGINS: 'https://doors.example.org',
}

type Env = Record<string, string>
export type Fetch = (path: string, init?: RequestInit) => Promise<Response>

/** What most answers have something of; tests say what they expect of it. */
export type Body = {
  id: string
  items: ({ id: string } & Record<string, unknown>)[]
  nextCursor: string | null
  errors: { path: string; message: string }[]
} & Record<string, unknown>

export type Reply = { status: number; body: Body; headers: Headers }

export type Client = {
  get(path: string): Promise<Reply>
  post(path: string, body?: unknown): Promise<Reply>
  patch(path: string, body?: unknown): Promise<Reply>
  put(path: string): Promise<Reply>
  delete(path: string): Promise<Reply>
}

export type TestApi = {
  /** As a browser or curl would, path and all. */
  fetch: Fetch
  /** A client of /api/v1 that is signed in as an account of this role. */
  as(role: Role): Promise<Client & { email: string }>
  stranger: Client
  db: Db
  /** What was mailed. */
  mailbox: Mailbox
  /** As when the process is told to end, and when it does; a Worker never is. */
  draining: AbortController
  closing: AbortController
  /** What is done once a day, and every few seconds: by a timer, or by the cron triggers of a Worker. */
  daily(): Promise<void>
  look(): Promise<void>
  /** Between the API and its database, where `cabled` was asked for. */
  toDatabase: Cable | undefined
}

type World = Partial<Pick<Platform, 'send' | 'now' | 'log' | 'metrics'>>

/** Tests reach nobody who is not on this machine. */
const sendNowhere: Platform['send'] = async () => {
  throw Object.assign(new Error('not in a test'), { code: 'ENOTFOUND' })
}
type Endings = Pick<TestApi, 'draining' | 'closing'>

/** A client of /api/v1, of whoever holds the token. */
export const overHttp = (fetch: Fetch, token?: string): Client => {
  const call = async (method: string, path: string, body?: unknown): Promise<Reply> => {
    const response = await fetch(`/api/v1${path}`, {
      method,
      headers: {
        ...(token && { authorization: `Bearer ${token}` }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    return { status: response.status, headers: response.headers, body: text === '' ? ({} as Body) : JSON.parse(text) }
  }
  return {
    get: (path) => call('GET', path),
    post: (path, body) => call('POST', path, body),
    patch: (path, body) => call('PATCH', path, body),
    put: (path) => call('PUT', path),
    delete: (path) => call('DELETE', path),
  }
}

type Running = { fetch: Fetch; daily(): Promise<void>; look(): Promise<void>; close(): Promise<void> }

const onNode = async (db: Db, env: Env, { draining, closing }: Endings, world: World): Promise<Running> => {
  const config = readConfig(env, { production: false })
  const platform: Platform = {
    config,
    db,
    doorDb: db,
    password: bcrypt,
    mail:
      config.MAIL_HOOK_URL === undefined
        ? undefined
        : byHook({ url: config.MAIL_HOOK_URL, token: config.MAIL_HOOK_TOKEN, from: String(config.MAIL_FROM) }),
    send: sendNowhere,
    later: (work) => void setImmediate(() => void work()),
    asset,
    now: () => new Date(),
    log: () => {},
    metrics: await metricsOf(config),
    draining: draining.signal,
    closing: closing.signal,
    address: null,
    https: false,
    ...world,
  }
  const fetch: Fetch = async (path, init) =>
    app.request(path, init, { ...platform, address: new Headers(init?.headers).get('cf-connecting-ip') })
  return { fetch, daily: () => daily(platform), look: () => look(platform), close: async () => {} }
}

const onWorkerd = async (url: string, env: Env): Promise<Running> => {
  process.env['CLOUDFLARE_HYPERDRIVE_LOCAL_CONNECTION_STRING_HYPERDRIVE'] = url
  const server = createTestHarness({
    workers: [{ configPath: 'wrangler.toml', prebuiltWorkerDir: inject('worker'), vars: env }],
  })
  const { url: address } = await server.listen()
  const worker = server.getWorker()
  const trigger = async (cron: string) => {
    const { outcome } = await worker.scheduled({ cron })
    if (outcome !== 'ok') throw new Error(`the cron trigger ended as ${outcome}`)
  }
  return {
    // Not over HTTP to `address`: what stands before the Worker there costs as much again as the Worker itself.
    fetch: async (path, init) =>
      worker.fetch(new URL(path, address).href, {
        redirect: 'manual',
        ...init,
      } as object) as unknown as Promise<Response>,
    daily: () => trigger('0 3 * * *'),
    look: () => trigger('* * * * *'),
    close: () => server.close(),
  }
}

/**
 * The API on the runtime of this test project, with a database of its own. Both are gone when the file's tests end. On
 * both runtimes a request comes from the address in its `cf-connecting-ip`. `world` is what of it is another on Node.
 */
export const startTestApi = async (
  more: Env = {},
  { cabled = false, ...world }: World & { cabled?: boolean } = {},
): Promise<TestApi> => {
  const { url, close: closeDatabase } = await freshDatabase()
  const way = new URL(url)
  const toDatabase = cabled ? await proxyTo(way.hostname, Number(way.port)) : undefined
  if (toDatabase) way.port = String(toDatabase.port)
  // On PGlite one connection, as in production: a pool would pipeline, and PGlite mixes up what is half sent.
  const sql = connect({ url: way.href }, 'files' in inject('template') ? 'command' : 'rest')
  const db = database(sql)
  const mailbox = await openMailbox()
  const env = { ...ENV, ...mailbox.env, ...more }
  const endings = { draining: new AbortController(), closing: new AbortController() }
  const started = inject('runtime') === 'workerd' ? onWorkerd(way.href, env) : onNode(db, env, endings, world)
  const { fetch, daily, look, close } = await started
  whenFileEnds(async () => {
    await close()
    await mailbox.close()
    // As when a process ends: a connection that was cut off does not end by itself.
    await sql.end({ timeout: 1 })
    await toDatabase?.close()
    await closeDatabase()
  })

  const as: TestApi['as'] = async (role) => {
    const email = `${role}-${v7()}@example.org`
    await db.insert(accounts).values({ email, role, passwordHash: PASSWORD_HASH })
    const { body } = await overHttp(fetch).post('/login', { email, password: PASSWORD })
    return { ...overHttp(fetch, String(body['access_token'])), email }
  }
  return { fetch, as, stranger: overHttp(fetch), db, mailbox, ...endings, daily, look, toDatabase }
}
