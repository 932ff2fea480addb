import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Sql } from 'postgres'
import { SetupError } from '../../api/contract/environment.ts'
import { READERS, type Site } from './load.ts'
import { freePort, type NodeProcess, type Processes, pidOf, runToEnd, until } from './processes.ts'
import { seed } from './seed.ts'

// The processes that are compared: the floor, and Lintel over a small and over a large site.

const here = import.meta.dirname
const MIGRATE = join(here, '../../api/db/migrate-main.ts')
const FLOOR_API = join(here, 'floor-api.ts')
const FLOOR_BRIDGE = join(here, 'floor-bridge.ts')

/** How `npm run <name>` starts a process, flags and all: that is what is measured. */
const npmRun = async (name: 'api' | 'bridge'): Promise<string[]> => {
  const root = join(here, '../..')
  const { scripts } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
  const [, ...args]: string[] = scripts[name].split(' ')
  return args.map((arg) => (/^\.?[\w/-]+\.m?[jt]s$/.test(arg) ? join(root, arg) : arg))
}

/** Where everything happens: a database of one's own, and topics that nobody else uses. */
export type Place = { processes: Processes; mqtt: string; prefix: string; database: { url: string; sql: Sql } }

export const siteAt = (prefix: string, name: string, cards: number, readers = READERS, idle = 0): Site => ({
  name,
  cards,
  readers,
  idle,
  scanTopic: (reader) => `${prefix}/scan/${reader}`,
  replyTopic: (reader) => `${prefix}/open/${reader}`,
})

export const startFloor = async ({ processes, mqtt, prefix, database }: Place, cards: number): Promise<Site> => {
  const { said } = await processes.startNode('The floor’s API', [FLOOR_API], { DATABASE_URL: database.url })
  const env = { MQTT_URL: mqtt, API_URL: String(said), TOPICS: `${prefix}/scan/+` }
  await processes.startNode('The floor’s bridge', [FLOOR_BRIDGE], env)
  return siteAt(prefix, 'the floor', cards)
}

export type Lintel = { site: Site; pids: { api: number; bridge: number } }

/** Lintel as it is deployed: migrated, seeded, an API process, a bridge registered over HTTP, a bridge process. */
export const startLintel = async (
  place: Place,
  name: string,
  size: { cards: number; events: number; idle: number },
): Promise<Lintel> => {
  const { cards, events, idle } = size
  const site = siteAt(place.prefix, name, cards, READERS, idle)
  const api = await startApi(place, site, events)
  const bridge = await startBridge(place, name, api)
  return { site, pids: { api: api.pid, bridge: bridge.pid } }
}

/** `token` is an owner’s, for a while. */
export type Api = { url: string; pid: number; token: string; bridge: { id: string; key: string } }

/** An API over a site that is migrated and seeded, and a bridge registered there. */
export const startApi = async (place: Place, site: Site, events: number): Promise<Api> => {
  const { processes, mqtt, database } = place
  await runToEnd('npm run migrate', process.execPath, [MIGRATE], { env: { DATABASE_URL: database.url } })
  await seed(database.sql, site, events)

  const port = await freePort()
  const account = { email: 'bench@lintel.local', password: randomBytes(18).toString('base64url') }
  const api = processes.start(`The API of ${site.name}`, process.execPath, await npmRun('api'), {
    env: {
      DATABASE_URL: database.url,
      MQTT_URL: mqtt,
      PORT: String(port),
      APP_KEY: randomBytes(32).toString('base64'),
      ADMIN_EMAIL: account.email,
      ADMIN_PASSWORD: account.password,
      LOG_LEVEL: 'warn',
    },
  })
  const url = `http://127.0.0.1:${port}`
  await Promise.race([until('The API', () => ready(url)), processes.failed])
  return { url, pid: pidOf(api), ...(await registerBridge(url, account)) }
}

/** `flags` go to Node, before those of `npm run bridge`. */
export const startBridge = async (
  { processes, mqtt }: Place,
  name: string,
  { url, bridge }: Api,
  flags: string[] = [],
): Promise<NodeProcess> =>
  processes.startNode(`The bridge of ${name}`, [...flags, ...(await npmRun('bridge'))], {
    API_URL: url,
    BRIDGE_ID: bridge.id,
    BRIDGE_KEY: bridge.key,
    MQTT_URL: mqtt,
    LOG_LEVEL: 'warn',
  })

const ready = async (url: string) => {
  const { status } = await fetch(`${url}/ready`)
  if (status !== 200) throw new Error(`/ready answered ${status}`)
}

const registerBridge = async (url: string, account: { email: string; password: string }) => {
  const { access_token: token } = await postJson(`${url}/api/v1/login`, account)
  const { id, key } = await postJson(`${url}/api/v1/bridges`, { name: 'Bench' }, `Bearer ${token}`)
  return { token: String(token), bridge: { id: String(id), key: String(key) } }
}

const postJson = async (url: string, body: unknown, authorization = ''): Promise<Record<string, unknown>> => {
  const headers = { 'content-type': 'application/json', ...(authorization && { authorization }) }
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) })
  if (!response.ok) {
    throw new SetupError(`POST ${new URL(url).pathname} answered ${response.status}: ${await response.text()}`)
  }
  return response.json()
}
