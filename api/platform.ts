import type { PostgresJsDatabase } from 'drizzle-orm/postgres-js'
import { drizzle } from 'drizzle-orm/postgres-js'
import type { Sql } from 'postgres'
import type { Config } from './config.ts'
import type { ROLES } from './db/schema.ts'
import * as schema from './db/schema.ts'

export type Db = PostgresJsDatabase<typeof schema> & { $client: Sql }

/** Drizzle over a postgres.js client; the scan path uses the client itself (`db.$client`), whose statements are prepared. */
export const database = (client: Sql): Db => drizzle(client, { schema, casing: 'snake_case' })

/** One JSON line per event; ids only, never a card number, a token, a connection string or a body. */
export type Log = (level: 'debug' | 'info' | 'warn' | 'error', event: string, fields?: Record<string, unknown>) => void

export type Password = {
  hash(plain: string): Promise<string>
  verify(plain: string, hash: string): Promise<boolean>
}

/** Everything the app needs from the world. node.ts, worker.ts and tests each build one. */
export type Platform = {
  config: Config
  db: Db
  /** The same database over connections that only the scan path uses: no report or import makes a door wait for one. */
  doorDb: Db
  password: Password
  /** A file of the documentation page, from the package that ships it. */
  asset(name: string): Promise<Response>
  now(): Date
  log: Log
}

export type SignedIn = { id: string; sessionId: string; email: string; role: (typeof ROLES)[number] }

/** `c.env` is the world; `c.var` is what middleware learned about this request. */
export type AppEnv = { Bindings: Platform; Variables: { account: SignedIn } }
