import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Aedes } from 'aedes'
import { connectAsync, type MqttClient } from 'mqtt'
import postgres, { type Sql } from 'postgres'
import { v7 } from 'uuid'
import { vi } from 'vitest'
import { freshDatabase } from '../../api/testing/database.ts'
import { whenFileEnds } from '../../api/testing/endings.ts'
import { type Call, signIn } from './call.ts'
import { type Cable, proxyTo } from './proxy.ts'

const ENV = {
  APP_KEY: Buffer.from(Array.from({ length: 32 }, (_, i) => (i * 53 + 7) % 256)).toString('base64'),
  ADMIN_EMAIL: 'admin@example.org',
  ADMIN_PASSWORD: 'correct horse battery staple',
  LOG_LEVEL: 'debug',
}

/** The first account of the API. */
export const ACCOUNT = { email: ENV.ADMIN_EMAIL, password: ENV.ADMIN_PASSWORD }

export type Running = { child: ChildProcess; log: string[]; said(text: RegExp): Promise<RegExpMatchArray> }

/** A process of ours, as an operator would start it, with what it prints. */
const start = (file: string, env: Record<string, string>): Running => {
  const { PATH = '', HOME = '' } = process.env
  const child = spawn(process.execPath, [file], {
    env: { PATH, HOME, ...ENV, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const log: string[] = []
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (text: Buffer) => log.push(text.toString()))
  const said = (text: RegExp) =>
    vi.waitFor(
      () => {
        const match = log.join('').match(text)
        if (!match) throw new Error(`${file} never said ${text}; it said:\n${log.join('')}`)
        return match
      },
      { timeout: 60_000, interval: 20 },
    )
  return { child, log, said }
}

const stop = async ({ child }: Running) => {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGKILL')
  await once(child, 'exit')
}

/** The broker of TEST_MQTT_URL, or an embedded one: always for who must not hear what other test files say at the same time. */
const broker = async (alone: boolean) => {
  const given = alone ? undefined : process.env['TEST_MQTT_URL']
  if (given) {
    const { hostname, port } = new URL(given)
    return { host: hostname, port: Number(port || 1883), close: async () => {} }
  }
  const aedes = await Aedes.createBroker()
  const server = createServer({ noDelay: true }, aedes.handle).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  return {
    host: '127.0.0.1',
    port: typeof address === 'object' && address ? address.port : 0,
    async close() {
      await new Promise<void>((done) => aedes.close(done))
      server.close()
    },
  }
}

export type Door = { id: string; topic: string; replyTopic: string }

export type Site = {
  /** The ones that were started last. */
  api: Running
  bridge: Running
  bridgeId: string
  apiUrl: string
  /** Not through the proxy; where the API has an embedded database nobody uses it. */
  databaseUrl: string
  /** For what takes too long through the front door, and for what it would never do. */
  sql: Sql
  /** Between the API and its database, the bridge and the API, the bridge and its broker. */
  toDatabase: Cable
  toApi: Cable
  toBroker: Cable
  /** A client of the broker's, as a reader or a relay is one. */
  mqtt: MqttClient
  call: Call
  /** A reader with topics of its own, which a granted card passes; resolves when the bridge listens to it. */
  door(reader?: Record<string, unknown>): Promise<Door>
  /** Several readers as they are to be, made together, which granted cards pass; resolves when the bridge listens to all of them. */
  readers(readers: readonly Record<string, unknown>[]): Promise<string[]>
  /** Everything published on a topic from now on. */
  hear(topic: string): Promise<string[]>
  events(door: Pick<Door, 'id'>): Promise<Record<string, unknown>[]>
  startBridge(env?: Record<string, string>): Running
  /** Where the one before was; resolves when it listens. */
  startApi(): Promise<Running>
}

/** The number of a card that is let in everywhere, as a decimal reader says it. */
export const KNOWN_CARD = '6159760'

/**
 * API, broker and bridge as processes that talk to each other as in production, through proxies that can fail them. `doors`
 * are made ahead, for tests that want one like any other; `env` is of both processes. With a `dataDir` the API has its embedded
 * database there.
 */
export const startSite = async (
  doors = 24,
  {
    aloneAtBroker = false,
    dataDir: apiDataDir = '',
    env = {},
  }: { aloneAtBroker?: boolean; dataDir?: string; env?: Record<string, string> } = {},
): Promise<Site> => {
  // Whatever was started is ended, last first, also when the start itself fails half-way.
  const endings: (() => Promise<unknown>)[] = []
  whenFileEnds(async () => {
    for (const end of endings.reverse()) await end()
  })

  const database = await freshDatabase()
  const sql = postgres(database.url, { max: 1, onnotice: () => {} })
  endings.push(database.close, () => sql.end())
  const { port, hostname } = new URL(database.url)
  const toDatabase = await proxyTo(hostname, Number(port || 5432))
  endings.push(toDatabase.close)
  const databaseUrl = new URL(database.url)
  databaseUrl.host = `127.0.0.1:${toDatabase.port}`
  let api: Running
  const startApiAt = async (port: string) => {
    const where = apiDataDir ? { DATA_DIR: apiDataDir } : { DATABASE_URL: databaseUrl.href }
    const started = start('api/node.ts', { ...env, ...where, PORT: port })
    endings.push(() => stop(started))
    api = started
    return { started, url: (await started.said(/listens at (http:\S+)/))[1] ?? '' }
  }
  const { url: apiUrl } = await startApiAt('0')

  const call = await signIn(apiUrl, ACCOUNT)

  const group = await call('POST', '/groups', { name: 'Everybody' })
  const person = await call('POST', '/people', { name: 'Ada' })
  await call('PUT', `/groups/${group.id}/people/${person.id}`)
  await call('POST', '/cards', { personId: person.id, number: KNOWN_CARD, form: 'decimal' })

  const where = await broker(aloneAtBroker)
  const toBroker = await proxyTo(where.host, where.port)
  const toApi = await proxyTo('127.0.0.1', Number(new URL(apiUrl).port))
  endings.push(where.close, toBroker.close, toApi.close)
  const registered = await call('POST', '/bridges', { name: 'Test' })
  const dataDir = await mkdtemp(join(tmpdir(), 'lintel-bridge-'))
  endings.push(() => rm(dataDir, { recursive: true, force: true }))
  let bridge: Running
  const startBridge = (more: Record<string, string> = {}) => {
    const started = start('bridge/main.ts', {
      API_URL: `http://127.0.0.1:${toApi.port}`,
      MQTT_URL: `mqtt://127.0.0.1:${toBroker.port}`,
      BRIDGE_ID: registered.id,
      BRIDGE_KEY: String(registered['key']),
      DATA_DIR: dataDir,
      ...env,
      ...more,
    })
    endings.push(() => stop(started))
    bridge = started
    return started
  }
  bridge = startBridge()
  await bridge.said(/"listening"/)
  const mqtt = await connectAsync(`mqtt://${where.host}:${where.port}`, { protocolVersion: 4 })
  mqtt.setMaxListeners(100)
  endings.push(() => mqtt.endAsync(true))

  const hear: Site['hear'] = async (topic) => {
    const heard: string[] = []
    mqtt.on('message', (on, payload) => {
      if (on === topic) heard.push(payload.toString())
    })
    await mqtt.subscribeAsync(topic)
    return heard
  }

  const add = async (reader: Record<string, unknown>): Promise<Door> => {
    const topics = { topic: `/${v7()}/rfid/Tag`, replyTopic: `/${v7()}/open` }
    const { id } = await call('POST', '/readers', { name: 'Door', ...topics, ...reader })
    return { id, ...topics }
  }
  const letIn = (doors: Pick<Door, 'id'>[]) =>
    call('POST', '/rules', { groupId: group.id, readerIds: doors.map(({ id }) => id) })
  const listens = async () => {
    const { items } = await call('GET', '/readers?limit=500')
    await bridge.said(new RegExp(`"listening","topics":${items.length}\\b`))
  }

  // Most tests want a door like any other: made together, so that the bridge has to be waited for only once.
  const spare: Door[] = []
  // One after another: all at once they would wait for each other, and on a busy machine for too long.
  for (let made = 0; made < doors; made++) spare.push(await add({}))
  if (doors > 0) {
    await letIn(spare)
    await listens()
  }
  const door: Site['door'] = async (reader) => {
    const ready = reader === undefined ? spare.pop() : undefined
    if (ready) return ready
    const made = await add(reader ?? {})
    await letIn([made])
    await listens()
    return made
  }

  const readers: Site['readers'] = async (many) => {
    const made: Awaited<ReturnType<Call>>[] = []
    for (const reader of many) made.push(await call('POST', '/readers', { name: 'Reader', ...reader }))
    await letIn(made)
    const { items } = await call('GET', '/readers?limit=500')
    await bridge.said(new RegExp(`"readers":${items.length},"from":"api"[^]*"listening"`))
    return made.map(({ id }) => id)
  }

  const events: Site['events'] = async ({ id }) => (await call('GET', `/events?readerId=${id}`)).items

  return {
    get api() {
      return api
    },
    get bridge() {
      return bridge
    },
    bridgeId: registered.id,
    apiUrl,
    databaseUrl: database.url,
    sql,
    toDatabase,
    toApi,
    toBroker,
    mqtt,
    call,
    door,
    readers,
    hear,
    events,
    startBridge,
    startApi: async () => (await startApiAt(new URL(apiUrl).port)).started,
  }
}
