import type { PostgresJsDatabase } from 'drizzle-orm/postgres-js'
import { drizzle } from 'drizzle-orm/postgres-js'
import type { Sql } from 'postgres'
import type { Config } from './config.ts'
import type { Permission, Role } from './login/permissions.ts'
import type { Mail } from './mail/mail.ts'
import type { Metrics } from './metrics.ts'

export type Db = PostgresJsDatabase & { $client: Sql }

/** Drizzle over a postgres.js client; the scan path uses the client itself (`db.$client`), whose statements are prepared. */
export const database = (client: Sql): Db => drizzle(client, { casing: 'snake_case' })

/** One JSON line per event; ids only, never a card number, a token, a connection string or a body. */
export type Log = (level: 'debug' | 'info' | 'warn' | 'error', event: string, fields?: Record<string, unknown>) => void

export type Password = {
  hash(plain: string): Promise<string>
  verify(plain: string, hash: string): Promise<boolean>
}

/** How long whoever receives something of ours may take to answer. Milliseconds. */
export const PATIENCE_MS = 10_000

/**
 * Posts a text to an https address that somebody gave, if that is on the public internet, and gives the answer's status.
 * Throws, with a `code`, where it may not or could not, or nobody answered in PATIENCE_MS.
 */
export type Send = (request: { url: string; headers: Record<string, string>; body: string }) => Promise<{
  status: number
}>

/** Everything the app needs from the world. node.ts, worker.ts and tests each build one. */
export type Platform = {
  config: Config
  db: Db
  /** The same database over connections that only the scan path uses: no report or import makes a door wait for one. */
  doorDb: Db
  password: Password
  /** Undefined where mail is off. */
  mail: Mail | undefined
  /** What webhooks are sent by. */
  send: Send
  /** Work that nobody waits for, begun after the answer; it never rejects. */
  later(work: () => Promise<void>): void
  /** A file of the documentation page, from the package that ships it. */
  asset(name: string): Promise<Response>
  now(): Date
  log: Log
  metrics: Metrics
  /** Aborted when this process was told to end: what is asked is still answered, and /ready sends everybody elsewhere. */
  draining: AbortSignal
  /** Aborted when this process is about to end: whoever keeps a request waiting answers it then. */
  closing: AbortSignal
  /** Where this request comes from, as far as trusted proxies say; null when nobody knows. */
  address: string | null
  /** It came by HTTPS, as far as trusted proxies say. */
  https: boolean
}

/** Who is signed in, as the database had it when this request came. */
export type Caller = {
  id: string
  role: Role
  permissions: ReadonlySet<Permission>
  /** The person whom the account is linked to. */
  personId: string | null
} & (
  | {
      kind: 'account'
      email: string
      totp: boolean
      sessionId: string
      /** When the password or a code was last given. */
      provenAt: Date
    }
  | { kind: 'key' }
)

/**
 * `c.env` is the world; `c.var` is what middleware learned about this request. `asked` is when it came in, `trace` what it
 * belongs to, if it says so.
 */
export type AppEnv = { Bindings: Platform; Variables: { asked: Date; trace: string | undefined; caller: Caller } }
