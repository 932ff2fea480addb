import { randomBytes } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import postgres, { type Sql } from 'postgres'
import { freePort, runToEnd } from '../bench/processes.ts'
import { signIn } from '../testing/call.ts'
import { type Cable, cableTo } from './cable.ts'
import { type Disk, smallDisk } from './disk.ts'
import { type Fleet, startFleet } from './fleet.ts'
import type { Revocation } from './ledger.ts'
import { type Liar, liarBefore } from './liar.ts'
import type { Service, Services } from './processes.ts'
import type { Random } from './random.ts'
import { addMosquitto, addPostgres } from './servers.ts'
import { makeSite, type Site } from './site.ts'

/** Everything a fault can lay its hands on. */
export type World = {
  postgres: Service
  mosquitto: Service
  api: Service
  bridge: Service
  toBroker: Cable
  toApi: Cable
  toDatabase: Cable
  /** Stands where the API should be, once `toApi` leads to it. */
  liar: Liar
  /** The database by a way of our own. */
  sql: Sql
  site: Site
  fleet: Fleet
  /** The bridge's DATA_DIR, when it could be made a small disk of its own. */
  disk: Disk | undefined
  /** How far the bridge's wall clock is off. Milliseconds. */
  setClock(offset: number): void
  revocations: Revocation[]
  random: Random
}

/** Last added first, at the end. */
export type Ends = (() => unknown)[]

const ROOT = join(import.meta.dirname, '../..')

/** How `npm run <name>` starts a process, flags and all. */
const npmRun = async (name: 'api' | 'bridge'): Promise<string[]> => {
  const { scripts } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8'))
  const [, ...args]: string[] = scripts[name].split(' ')
  return args.map((arg) => (/^\.?[\w/-]+\.m?[jt]s$/.test(arg) ? join(ROOT, arg) : arg))
}

/** Database, broker, API and bridge as processes, a proxy on each link between them, a site, and readers that scan. */
export const startWorld = async (
  folder: string,
  services: Services,
  { rate, random }: { rate: number; random: Random },
  ends: Ends,
): Promise<World> => {
  const database = await addPostgres(services, folder)
  const broker = await addMosquitto(services, folder)
  database.service.launch()
  broker.service.launch()
  await Promise.all([database.service.ready(), broker.service.ready()])

  const apiPort = await freePort()
  const apiUrl = `http://127.0.0.1:${apiPort}`
  const toDatabase = await cableTo(database.port, random)
  const toBroker = await cableTo(broker.port, random)
  const toApi = await cableTo(apiPort, random)
  ends.push(toDatabase.close, toBroker.close, toApi.close)

  const sql = postgres(database.url, {
    max: 3,
    onnotice: () => {},
    connection: { default_transaction_read_only: false },
  })
  ends.push(() => sql.end({ timeout: 1 }))
  await runToEnd('npm run migrate', process.execPath, [join(ROOT, 'api/db/migrate-main.ts')], {
    env: { DATABASE_URL: database.url },
  })
  const account = { email: 'chaos@lintel.local', password: randomBytes(18).toString('base64url') }
  const api = services.add({
    name: 'api',
    command: process.execPath,
    args: await npmRun('api'),
    env: {
      DATABASE_URL: `postgres://postgres@127.0.0.1:${toDatabase.port}/postgres`,
      MQTT_URL: broker.url,
      PORT: String(apiPort),
      APP_KEY: randomBytes(32).toString('base64'),
      ADMIN_EMAIL: account.email,
      ADMIN_PASSWORD: account.password,
      ACCESS_TOKEN_MINUTES: '1440',
    },
    ready: async () => {
      const { status } = await fetch(`${apiUrl}/ready`, { signal: AbortSignal.timeout(2_000) })
      if (status !== 200) throw new Error(`/ready answered ${status}`)
    },
  })
  api.launch()
  await api.ready()
  const site = await makeSite(await signIn(apiUrl, account), random)
  const liar = await liarBefore(apiUrl, site.stranger)
  ends.push(liar.close)

  const data = join(folder, 'bridge')
  mkdirSync(data)
  const disk = await smallDisk(data)
  if (disk) ends.push(disk.unmount)
  const clock = join(folder, 'clock')
  writeFileSync(clock, '0')
  const bridge = services.add({
    name: 'bridge',
    command: process.execPath,
    args: ['--import', pathToFileURL(join(import.meta.dirname, 'clock.ts')).href, ...(await npmRun('bridge'))],
    env: {
      API_URL: `http://127.0.0.1:${toApi.port}`,
      MQTT_URL: `mqtt://127.0.0.1:${toBroker.port}`,
      BRIDGE_ID: site.bridge.id,
      BRIDGE_KEY: site.bridge.key,
      DATA_DIR: data,
      CHAOS_CLOCK: clock,
    },
  })
  bridge.launch()
  await bridge.ready()

  const fleet = await startFleet(broker.url, site, rate, random)
  ends.push(fleet.close)
  return {
    postgres: database.service,
    mosquitto: broker.service,
    api,
    bridge,
    toBroker,
    toApi,
    toDatabase,
    liar,
    sql,
    site,
    fleet,
    disk,
    setClock: (offset) => writeFileSync(clock, String(offset)),
    revocations: [],
    random,
  }
}
