import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Sql } from 'postgres'
import { passwordOf, usernameOf } from '../broker/accounts.ts'
import { readSite } from '../broker/current.ts'
import { aclFile } from '../broker/mosquitto.ts'
import { rulesOf } from '../broker/rules.ts'
import type { Config } from '../config.ts'
import { SetupError } from '../contract/environment.ts'
import { connect } from '../db/connect.ts'
import { openDatabase } from '../db/open.ts'
import { bridges } from '../db/schema.ts'
import { readNodeConfig } from '../node-config.ts'
import { database as drizzleOver } from '../platform.ts'
import { ask, codeOf } from './ask.ts'
import * as broker from './broker.ts'
import { measureCaching } from './caching.ts'
import { clock, offsetIn } from './clocks.ts'
import * as database from './database.ts'
import { fault, forTrial, type Line, ok, unseen } from './line.ts'
import { type BridgeAccount, lookAtBroker } from './look-broker.ts'
import { lookAtDatabase, lookAtMigrations } from './look-database.ts'
import { lookAtFront, whereIn } from './look-front.ts'
import { lookAtOwnBridge, lookHere } from './look-here.ts'
import { lookInside } from './look-inside.ts'
import { setting } from './settings.ts'

export type Options = {
  /** Where the proxy answers without TLS, if not at 80. */
  httpPort: number | undefined
  /** Where the broker would speak without TLS, if not at 1883. */
  mqttPort: number | undefined
  /** Where npm run broker:acl left its files. */
  acl: string | undefined
  /** Measure whether something keeps what was read, though the API does not seem to be a Worker. */
  caching: boolean
}

type Env = NodeJS.ProcessEnv
type Opened = { sql: Sql; close(): Promise<void> }

/** Runs a look; what fails while looking is a fault of what is looked at, and hides nothing else. */
const looked = async (check: string, look: () => Promise<Line[]>): Promise<Line[]> => {
  try {
    return await look()
  } catch (error) {
    if (error instanceof SetupError) return [fault(check, error.message, 'Mend that, and ask again')]
    return [fault(check, `It could not be looked at (${codeOf(error)}).`, 'See that it runs, and is reached from here')]
  }
}

const configOf = (env: Env): Config | undefined => {
  try {
    return readNodeConfig(env).app
  } catch (error) {
    if (error instanceof SetupError) return undefined
    throw error
  }
}

/** What `npm start` leaves for its bridge. */
const leftForBridge = (env: Env, dataDir: string): Env => {
  const file = join(dataDir, 'bridge.json')
  return existsSync(file) ? { ...JSON.parse(readFileSync(file, 'utf8')), ...env } : env
}

/** The account that a bridge comes with: the one that is set here, or as Lintel gives it to the first bridge. */
const accountOf = async (
  sql: Sql | undefined,
  config: Config | undefined,
  env: Env,
): Promise<BridgeAccount | undefined> => {
  const { username, password } = new URL(env['MQTT_URL'] ?? '')
  const given = {
    username: setting(env, 'MQTT_USERNAME') ?? (decodeURIComponent(username) || undefined),
    password: setting(env, 'MQTT_PASSWORD') ?? decodeURIComponent(password),
  }
  const all = sql ? await drizzleOver(sql).select().from(bridges).orderBy(bridges.id) : []
  const wanted = setting(env, 'BRIDGE_ID')?.toLowerCase()
  const of = all.find(({ id }) => id === wanted || usernameOf('bridge', id) === given.username) ?? all[0]
  const id = wanted ?? of?.id
  if (id === undefined) return undefined
  if (given.username !== undefined || setting(env, 'MQTT_CERT') !== undefined) return { id, ...given }
  if (!of || !config) return undefined
  const derived = await passwordOf(config.APP_KEY, 'bridge', of.id, of.generation)
  return { id: of.id, username: usernameOf('bridge', of.id), password: derived }
}

const lookAtFiles = async (sql: Sql, config: Config, folder: string, now: Date): Promise<Line[]> => {
  const read = (name: string) => (existsSync(join(folder, name)) ? readFileSync(join(folder, name), 'utf8') : undefined)
  const rules = rulesOf(await readSite(drizzleOver(sql)), now)
  const accounts = [...rules.accounts.values()].map(async ({ username, kind, id, generations: [generation = 0] }) => ({
    username,
    password: await passwordOf(config.APP_KEY, kind, id, generation),
  }))
  return [
    broker.files(
      { acl: read('acl'), passwords: read('passwords') },
      { acl: aclFile(rules), accounts: await Promise.all(accounts) },
      config.BROKER_TOKEN !== undefined,
    ),
  ]
}

/** The database, or why it cannot be asked. */
const openIt = async (env: Env, apiAnswers: boolean): Promise<Opened | Line> => {
  const url = setting(env, 'DATABASE_URL')
  if (url === undefined && apiAnswers) return database.running()
  try {
    const opened = url === undefined ? await openDatabase(env) : { sql: connect({ url }, 'command') }
    const close = 'close' in opened ? opened.close : () => opened.sql.end({ timeout: 5 })
    await opened.sql`select 1`.catch(async (error: unknown) => {
      await close()
      throw error
    })
    return { sql: opened.sql, close }
  } catch (error) {
    if (error instanceof SetupError) return fault('database', error.message, 'Mend that, and ask again')
    return fault('database', `It cannot be reached (${codeOf(error)}).`, 'Start it, and see that DATABASE_URL is right')
  }
}

const NOT_KNOWN = 'its settings are not known here.'

/** Everything, a line for each check; undefined where neither the API nor the database could be asked. */
export const examine = async (env: Env, folder: string, options: Options): Promise<Line[] | undefined> => {
  const now = new Date()
  const dataDir = resolve(folder, setting(env, 'DATA_DIR') ?? '.data')
  const url = setting(env, 'DATABASE_URL')
  const isTrial = url === undefined && setting(env, 'NODE_ENV') !== 'production'
  if (url === undefined && !existsSync(join(dataDir, 'db'))) {
    throw new SetupError(
      `There is no DATABASE_URL, and no database in DATA_DIR (${dataDir}). Ask where the API’s .env is, or set both as it has them.`,
    )
  }
  const where = whereIn(env, options.httpPort)
  // npm takes its time: meanwhile all else is looked at.
  const here = looked('configuration', () => lookHere(env, folder, now))
  const front = await lookAtFront(env, where, now)
  const opened = await openIt(env, front.answers)
  const sql = 'sql' in opened ? opened.sql : undefined
  if (!front.answers && !sql) return undefined
  const config = configOf(env)
  const bridgeEnv = leftForBridge(env, dataDir)
  const mqtt = setting(bridgeEnv, 'MQTT_URL')
  try {
    const lines = [
      ...(await here),
      ...front.lines,
      clock('clock-api', 'The API’s clock', 'this machine’s', offsetIn(front.heard), 'npm run api'),
      ...('sql' in opened ? [] : [opened]),
      ...(sql ? await looked('database', async () => [await lookAtMigrations(sql)]) : []),
      ...(sql && url === undefined ? [database.embedded()] : []),
      ...(sql && url ? await looked('database', () => lookAtDatabase(sql, url, front.isWorker, now)) : []),
      ...(sql && config ? await looked('record', () => lookInside(sql, config, env, now)) : []),
      ...(await looked('broker', async () =>
        mqtt === undefined
          ? [unseen('broker', NOT_KNOWN, 'MQTT_URL=mqtts://…, as the bridge has it')]
          : lookAtBroker(
              {
                url: mqtt,
                plainPort: options.mqttPort ?? 1883,
                ca: setting(env, 'MQTT_CA'),
                cert: setting(env, 'MQTT_CERT'),
                key: setting(env, 'MQTT_KEY'),
              },
              await accountOf(sql, config, bridgeEnv),
              now,
            ),
      )),
      ...(sql && config && setting(env, 'MQTT_URL') !== undefined
        ? await looked('broker-acl-file', () =>
            lookAtFiles(sql, config, options.acl ?? join(dataDir, 'mosquitto'), now),
          )
        : []),
      ...(await lookAtOwnBridge(bridgeEnv)),
      ...(await looked('caching', async () => [
        await lookAtCaching(sql, where.people, front.isWorker || options.caching),
      ])),
    ]
    return isTrial ? forTrial(lines) : lines
  } finally {
    if ('close' in opened) await opened.close()
  }
}

const lookAtCaching = async (sql: Sql | undefined, url: string, wanted: boolean): Promise<Line> => {
  if (!wanted) return ok('caching', 'The API reads from the database itself; --caching measures it all the same.')
  if (!sql) return unseen('caching', 'the database cannot be asked.', 'DATABASE_URL=…')
  const asking = (path: string, key: string) =>
    ask(`${url}${path}`, { headers: { authorization: `Bearer ${key}` }, verify: true })
  return measureCaching(drizzleOver(sql), asking, new Date())
}
