import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, request } from 'node:http'
import { createServer as createHttps } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { eq } from 'drizzle-orm'
import { beforeAll, expect, test, vi } from 'vitest'
import { currentRules } from '../broker/current.ts'
import { aclFile, passwordsFile } from '../broker/mosquitto.ts'
import { bridges, readers, upkeep } from '../db/schema.ts'
import { startEmbeddedBroker } from '../embedded/broker.ts'
import { keepDoor } from '../embedded/doorkeeper.ts'
import { type Api, startApi } from '../node.ts'
import { readNodeConfig } from '../node-config.ts'
import { freshDatabase } from '../testing/database.ts'
import { whenFileEnds } from '../testing/endings.ts'
import { freePort } from '../testing/free-port.ts'
import { done } from '../upkeep.ts'
import type { Line } from './line.ts'

// `npm run doctor` as an administrator would run it: at an API behind a proxy with TLS, and a broker that wants accounts.

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url))
const pem = (name: string) => at(`../../bridge/testing/certificates/${name}`)

const APP_KEY = Buffer.from(Array.from({ length: 32 }, (_, i) => (i * 59 + 3) % 256)).toString('base64')
const METRICS_TOKEN = 'v3Jq8Wn1xT5kYb7Rz2Lc9Hd4Mf6Gp0Sa'
const ADMIN_PASSWORD = 'seven brave otters paint the moon'
const RECIPIENT = 'age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p'
const METRICS = [
  'spool_events 0',
  'snapshot_age_seconds 2',
  'broker_connected 1',
  'api_up 1',
  'clock_offset_seconds 0.004',
]

let api: Api
let folder: string
let settings: Record<string, string>
/** What the proxy adds to each answer. */
let added: Record<string, string> = {}

const portOf = (server: { address(): string | AddressInfo | null }) => (server.address() as AddressInfo).port

/** HTTPS in front, which says of everybody where they come from. */
const startProxy = async (target: string): Promise<string> => {
  const keys = { cert: readFileSync(pem('server.pem')), key: readFileSync(pem('server.key')) }
  const server = createHttps(keys, (asked, answer) => {
    const headers = { ...asked.headers, 'x-forwarded-for': '192.0.2.7', 'x-forwarded-proto': 'https' }
    const on = request(`${target}${asked.url}`, { method: asked.method, headers }, (heard) => {
      answer.writeHead(heard.statusCode ?? 502, { ...heard.headers, ...added })
      heard.pipe(answer)
    })
    asked.pipe(on)
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  whenFileEnds(() => void server.close())
  return `https://localhost:${portOf(server)}`
}

const startBridgesMetrics = async (): Promise<string> => {
  const server = createServer((asked, answer) => {
    const isKnown = asked.headers.authorization === `Bearer ${METRICS_TOKEN}`
    answer.writeHead(isKnown ? 200 : 401).end(METRICS.map((line) => `lintel_bridge_${line}\n`).join(''))
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  whenFileEnds(() => void server.close())
  return String(portOf(server))
}

const startBroker = async (host: string): Promise<string> => {
  const doorkeeper = await keepDoor(api.platform)
  const broker = await startEmbeddedBroker(await freePort(), host, doorkeeper)
  whenFileEnds(async () => {
    await broker.close()
    doorkeeper.close()
  })
  return broker.url
}

const run = (args: string[], more: Record<string, string> = {}) =>
  new Promise<{ code: number; out: string }>((resolve) => {
    // An npm of ours, which knows of a hole.
    const env = { PATH: `${folder}/bin:${process.env['PATH']}`, NODE_EXTRA_CA_CERTS: pem('ca.pem'), ...more }
    execFile(process.execPath, [at('doctor-main.ts'), ...args], { cwd: folder, env }, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, out: `${stdout}${stderr}` }),
    )
  })

const writeSettings = async (more: Record<string, string> = {}) => {
  const lines = Object.entries({ ...settings, ...more }).map(([name, value]) => `${name}="${value}"\n`)
  await writeFile(join(folder, '.env'), lines.join(''))
}

const writeAcl = async () => {
  await mkdir(join(folder, 'acl'), { recursive: true })
  const rules = await currentRules(api.platform)
  await writeFile(join(folder, 'acl', 'acl'), aclFile(rules))
  await writeFile(join(folder, 'acl', 'passwords'), await passwordsFile(rules, api.platform.config.APP_KEY))
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lintel-doctor-'))
  const database = await freshDatabase()
  const env = {
    NODE_ENV: 'production',
    DATABASE_URL: database.url,
    APP_KEY,
    METRICS_TOKEN,
    PORT: String(await freePort()),
    TRUSTED_PROXIES: '127.0.0.1',
    DATA_DIR: join(folder, 'data'),
    LOG_LEVEL: 'silent',
  }
  api = await startApi(readNodeConfig({ ...env, ADMIN_PASSWORD }))
  whenFileEnds(async () => {
    await api.close()
    await database.close()
    await rm(folder, { recursive: true, force: true })
  })
  const { db } = api.platform
  const now = new Date()
  await db.insert(bridges).values({ name: 'Cellar', lastSeenAt: now })
  for (const task of ['backup', 'backup-verified', 'retention', 'watch'] as const) await done(db, task, now)
  const PUBLIC_URL = await startProxy(api.url)
  const MQTT_URL = await startBroker('0.0.0.0')
  settings = { ...env, PUBLIC_URL, MQTT_URL, BRIDGE_PORT: await startBridgesMetrics(), BACKUP_RECIPIENT: RECIPIENT }
  await writeSettings()
  await chmod(join(folder, '.env'), 0o600)
  await mkdir(join(folder, 'bin'))
  const holes = JSON.stringify({ metadata: { vulnerabilities: { low: 0, moderate: 1, high: 0, critical: 0 } } })
  await writeFile(join(folder, 'bin', 'npm'), `#!/bin/sh\necho '${holes}'\nexit 1\n`, { mode: 0o755 })
  // At the start, like every day: since when the key is in force.
  await vi.waitFor(async () => expect(await db.select().from(upkeep).where(eq(upkeep.task, 'keys'))).toHaveLength(1), {
    timeout: 20_000,
    interval: 100,
  })
  await writeAcl()
})

const states = (out: string) =>
  Object.fromEntries((JSON.parse(out).lines as Line[]).map(({ check, state }) => [check, state]))

/** All but what the machine and the database of these tests are like. */
const WELL = {
  configuration: 'ok',
  environment: 'ok',
  'env-file': 'ok',
  'env-in-git': 'ok',
  'app-key': 'ok',
  'app-key-age': 'ok',
  'app-key-previous': 'ok',
  'admin-password': 'ok',
  dependencies: 'warning',
  api: 'ok',
  ready: 'ok',
  'public-url': 'ok',
  certificate: 'ok',
  'tls-versions': 'ok',
  http: 'ok',
  hsts: 'ok',
  cors: 'ok',
  headers: 'ok',
  cache: 'ok',
  'server-name': 'ok',
  cookies: 'ok',
  errors: 'ok',
  metrics: 'ok',
  'rate-limit': 'ok',
  'trusted-proxies': 'ok',
  'clock-api': 'ok',
  migrations: 'ok',
  'database-tls': 'ok',
  'database-rights': 'ok',
  'statement-timeout': 'ok',
  'clock-database': 'ok',
  'second-factor-required': 'ok',
  'second-factor': 'warning',
  owners: 'ok',
  'accounts-unused': 'ok',
  'api-keys': 'ok',
  backup: 'ok',
  'backup-verified': 'ok',
  'backup-encrypted': 'ok',
  retention: 'ok',
  watch: 'ok',
  'audit-chain': 'ok',
  bridges: 'ok',
  'bridge-keys': 'ok',
  'bridge-key': 'ok',
  broker: 'ok',
  'broker-tls': 'ok',
  'broker-anonymous': 'ok',
  'broker-password': 'ok',
  'broker-acl': 'ok',
  'broker-plain': 'ok',
  'broker-acl-file': 'ok',
  'bridge-spool': 'ok',
  'bridge-snapshot': 'ok',
  'bridge-links': 'ok',
  'clock-bridge': 'ok',
  caching: 'ok',
}

test('finds what is well, that the role of these tests is a superuser’s, and names no secret', async () => {
  const { code, out } = await run(['--json', '--caching', '--acl', join(folder, 'acl')])
  expect({ code, states: states(out) }).toMatchObject({
    code: 1,
    states: { ...WELL, 'database-role': 'fault', 'database-record': 'fault' },
  })
  expect(JSON.parse(out).ok).toBe(false)
  for (const secret of [APP_KEY, METRICS_TOKEN, RECIPIENT]) expect(out).not.toContain(secret)
}, 120_000)

test('finds each thing that was broken, and says what mends it', async () => {
  const { db } = api.platform
  await db
    .update(upkeep)
    .set({ doneAt: new Date(Date.now() - 3 * 86_400_000) })
    .where(eq(upkeep.task, 'backup'))
  await db.insert(readers).values({
    name: 'Side',
    topic: 'side/scan',
    replyTopic: 'side/open',
    profile: 'plain',
    timezone: 'UTC',
    openMs: 3_000,
    cardView: 'decimal',
  })
  const [bridge] = await db
    .update(bridges)
    .set({ lastSeenAt: new Date(0) })
    .returning()
  added = {
    'access-control-allow-origin': '*',
    'set-cookie': 'lb=1',
    server: 'nginx/1.24.0',
    'cache-control': 'public',
    'strict-transport-security': 'max-age=60',
  }
  await writeSettings({
    ADMIN_PASSWORD,
    REQUIRE_MFA: 'false',
    NODE_ENV: 'development',
    TRUSTED_PROXIES: '',
    BACKUP_RECIPIENT: '',
    APP_KEY_PREVIOUS: Buffer.from(Buffer.from(APP_KEY, 'base64').toReversed()).toString('base64'),
    MQTT_URL: await startBroker('127.0.0.1'),
    BRIDGE_ID: String(bridge?.id),
    BRIDGE_KEY: 'A'.repeat(43),
    METRICS_TOKEN: 'x'.repeat(32),
  })
  await chmod(join(folder, '.env'), 0o644)
  const { code, out } = await run(['--acl', join(folder, 'acl')])
  expect(code).toBe(1)
  const said = Object.fromEntries(
    [...out.matchAll(/^(ok|warning|FAULT) +(\S+) /gm)].map(([, state = '', check = '']) => [check, state]),
  )
  expect(said).toMatchObject({
    'env-file': 'FAULT',
    environment: 'FAULT',
    secrets: 'FAULT',
    'app-key-previous': 'warning',
    'admin-password': 'FAULT',
    cors: 'FAULT',
    cookies: 'FAULT',
    cache: 'FAULT',
    hsts: 'FAULT',
    'server-name': 'warning',
    'trusted-proxies': 'FAULT',
    'second-factor-required': 'FAULT',
    'second-factor': 'FAULT',
    backup: 'FAULT',
    'backup-encrypted': 'FAULT',
    bridges: 'FAULT',
    'bridge-key': 'FAULT',
    'bridge-spool': 'FAULT',
    'broker-anonymous': 'FAULT',
    'broker-acl-file': 'FAULT',
    headers: 'ok',
    migrations: 'ok',
  })
  expect(out).toMatch(/FAULT +env-file .*\n +→ chmod 600 /)
  expect(out).not.toContain(ADMIN_PASSWORD)
}, 120_000)

test('exits with 2 when it could not look', async () => {
  const nobody = `http://127.0.0.1:${await freePort()}`
  const away = { DATABASE_URL: 'postgres://a:hush-hush@127.0.0.1:1/x', PUBLIC_URL: nobody, API_URL: nobody }
  const empty = { DATABASE_URL: '', DATA_DIR: join(folder, 'none') }
  expect(await Promise.all([run([], away), run(['--what']), run([], empty)])).toEqual([
    { code: 2, out: expect.stringMatching(/^Neither the API nor the database answers/) },
    { code: 2, out: expect.stringMatching(/^Not understood\. npm run doctor/) },
    { code: 2, out: expect.stringMatching(/^There is no DATABASE_URL/) },
  ])
}, 120_000)
