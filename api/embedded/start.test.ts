import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test, vi } from 'vitest'
import { freePort } from '../testing/free-port.ts'

// `npm start` as a newcomer meets it: processes, a folder, and what they say.

const folder = mkdtempSync(join(tmpdir(), 'lintel-start-'))
const running: ChildProcess[] = []

afterAll(async () => {
  for (const child of running) {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
  }
  rmSync(folder, { recursive: true, force: true })
})

const start = (file: string, env: Record<string, string>, ...args: string[]) => {
  const { PATH = '', HOME = '' } = process.env
  const child = spawn(process.execPath, [file, ...args], {
    env: { PATH, HOME, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  running.push(child)
  const said: string[] = []
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (text: Buffer) => said.push(text.toString()))
  const text = () => said.join('')
  return {
    child,
    text,
    says: (what: RegExp) => vi.waitFor(() => expect(text()).toMatch(what), { timeout: 60_000, interval: 50 }),
    ends: async () => {
      if (child.exitCode === null) await once(child, 'exit')
      return { code: child.exitCode, said: text() }
    },
  }
}

const START = 'api/embedded/start.ts'
const [port, mqttPort] = [await freePort(), await freePort()]
const site = { DATA_DIR: join(folder, 'data'), PORT: String(port), MQTT_PORT: String(mqttPort), LOG_LEVEL: 'warn' }

test('the first start says all that is needed, the demo works, and nothing is lost when it is killed', async () => {
  const first = start(START, site)
  // The last thing it says: what is said comes in pieces.
  await first.says(/npm run demo:remove/)
  expect(first.text()).toContain('Lintel is ready')
  const [, password = ''] = /password\s+(\S+)\s+\(shown only now\)/.exec(first.text()) ?? []
  expect(first.text()).toContain(`http://127.0.0.1:${port}`)
  expect(first.text()).toContain('npm run scan -- "Front door" 6159760')
  expect(statSync(join(site.DATA_DIR, 'secrets.json')).mode & 0o077).toBe(0)
  expect(statSync(join(site.DATA_DIR, 'bridge.json')).mode & 0o077).toBe(0)

  const scan = await start('bridge/scan.ts', site, 'Front door', '6159760').ends()
  expect(scan.said).toMatch(/^granted: 1 on \/dilny\/open after /)
  const stranger = await start('bridge/scan.ts', site, 'Front door', '4711').ends()
  expect(stranger.said).toMatch(/^denied: 0 on \/dilny\/open after /)
  const nowhere = await start('bridge/scan.ts', site, 'Back door', '4711').ends()
  expect(nowhere).toEqual({ code: 1, said: 'There is no reader “Back door”. There are: “Front door”.\n' })

  const second = await start(START, { ...site, MQTT_PORT: String(await freePort()) }).ends()
  expect(second.code).toBe(1)
  expect(second.said).toMatch(/^lintel: DATA_DIR .* is in use by process \d+\. Stop that one/m)

  // All of the bridge's connections are let in with its account.
  expect(first.text()).not.toMatch(/_away/)
  first.child.kill('SIGKILL')
  await once(first.child, 'exit')
  const again = start(START, site)
  await again.says(/Lintel is ready/)
  expect(again.text()).not.toContain('password')

  const api = `http://127.0.0.1:${port}/api/v1`
  const signIn = { email: 'admin@lintel.local', password }
  const headers = { 'content-type': 'application/json' }
  const login = await fetch(`${api}/login`, { method: 'POST', headers, body: JSON.stringify(signIn) })
  const { access_token: token } = await login.json()
  const events = await fetch(`${api}/events`, { headers: { authorization: `Bearer ${token}` } })
  expect((await events.json()).items).toMatchObject([{ reason: 'unknown_card' }, { reason: 'granted' }])

  again.child.kill('SIGTERM')
  expect((await again.ends()).code).toBe(0)

  const removed = await start('api/embedded/remove-demo.ts', site).ends()
  expect(removed).toEqual({ code: 0, said: 'The demo site is gone. The record of its scans stays.\n' })
}, 120_000)

test('a taken port is named, and another one proposed', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const taken = typeof address === 'object' && address ? address.port : 0
  const { code, said } = await start(START, { ...site, DATA_DIR: join(folder, 'other'), PORT: String(taken) }).ends()
  server.close()
  expect(code).toBe(1)
  expect(said).toContain(`lintel: Port ${taken} on 127.0.0.1 is taken.`)
  expect(said).toContain(`PORT=${taken + 1} npm start`)
}, 60_000)

writeFileSync(join(folder, 'file'), '')
const SOMEWHERE = 'postgres://lintel:hunter2@db.example.org/lintel'
const KEY = Buffer.from(Array.from({ length: 32 }, (_, i) => i * 7)).toString('base64')

test.each([
  [
    'a DATA_DIR that cannot be made',
    { DATA_DIR: join(folder, 'file', 'data') },
    /DATA_DIR .* cannot be written \(ENOTDIR\)/,
  ],
  ['a PORT that is none', { PORT: 'hunter2' }, /PORT is not usable: a port number/],
  ['production without a key', { NODE_ENV: 'production' }, /APP_KEY is not set: .*openssl rand -base64 32/],
  ['a database elsewhere without a key', { DATABASE_URL: SOMEWHERE }, /APP_KEY is not set/],
  ['a short key', { APP_KEY: 'aHVudGVyMg==' }, /APP_KEY is not usable: 32 random bytes/],
  ['a key that is not random', { APP_KEY: 'A'.repeat(44) }, /APP_KEY is not usable/],
  [
    'a weak first password in production',
    { NODE_ENV: 'production', APP_KEY: KEY, ADMIN_PASSWORD: 'hunter2' },
    /ADMIN_PASSWORD is too weak: at least 15/,
  ],
  [
    'a database that is away',
    { DATABASE_URL: 'postgres://lintel:hunter2@127.0.0.1:9/x', APP_KEY: KEY },
    /database cannot be reached/,
  ],
  ['a wrong list of origins', { CORS_ORIGINS: 'hunter2' }, /CORS_ORIGINS is not usable: origins separated by commas/],
])(
  '%s stops the start with one line, and shows no value',
  async (_name, env, line) => {
    const { code, said } = await start('api/node.ts', { ...site, DATA_DIR: join(folder, 'third'), ...env }).ends()
    expect(code).toBe(1)
    expect(said).toMatch(line)
    expect(said).toMatch(/^lintel: .*\n$/)
    expect(said).not.toMatch(/hunter2|aHVudGVyMg/)
  },
  30_000,
)

test('migrating wants a database', async () => {
  const { code, said } = await start('api/db/migrate-main.ts', { DATABASE_URL: '' }).ends()
  expect(code).toBe(1)
  expect(said).toMatch(/^DATABASE_URL is not set\./)
})
