import { v7 } from 'uuid'
import { beforeAll, expect, test, vi } from 'vitest'
import { KNOWN_CARD, type Site, startSite } from '../testing/site.ts'

const TOKEN = 'br1dg3'.repeat(6)
const UNKNOWN_CARD = '90071992'
const NAME = `Grete Minde-${v7().slice(-6)}`
const E_MAIL = `grete-${v7().slice(-6)}@example.org`
const SECRET = `never ${v7().slice(-8)} to be logged`

let site: Site
let at: string

const collect = (url: string) => fetch(`${url}/metrics`, { headers: { authorization: `Bearer ${TOKEN}` } })

const linesOf = (log: readonly string[]): Record<string, unknown>[] =>
  log
    .join('')
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line))

/** The line about it, once it is there. */
const line = (log: readonly string[], wanted: Record<string, unknown>) =>
  vi.waitFor(
    () => {
      const found = linesOf(log).findLast((one) => Object.entries(wanted).every(([key, value]) => one[key] === value))
      if (!found) throw new Error(`nothing was said of ${JSON.stringify(wanted)}`)
      return found
    },
    { timeout: 20_000, interval: 50 },
  )

beforeAll(async () => {
  site = await startSite(1, { env: { METRICS_TOKEN: TOKEN, BRIDGE_PORT: '0' } })
  const [, port] = await site.bridge.said(/"event":"status","port":(\d+)/)
  at = `http://127.0.0.1:${port}`
})

test('a bridge says that it is alive and ready, and where there is nothing', async () => {
  for (const path of ['/health', '/ready']) {
    const response = await fetch(at + path)
    expect({ path, status: response.status, body: await response.json() }).toEqual({
      path,
      status: 200,
      body: { ok: true },
    })
  }
  expect((await fetch(`${at}/nothing`)).status).toBe(404)
  expect((await fetch(`${at}/health`, { method: 'POST' })).status).toBe(404)
})

test.each([undefined, `Bearer ${TOKEN}x`, `Basic ${TOKEN}`])(
  'who says %j is shown no metrics',
  async (authorization) => {
    const response = await fetch(`${at}/metrics`, {
      headers: { ...(authorization !== undefined && { authorization }) },
    })
    expect(response.status).toBe(401)
    expect(await response.json()).toMatchObject({ detail: expect.stringMatching(/METRICS_TOKEN/) })
  },
)

test('a scan is counted on both sides, is one trace in both logs, and nothing but ids is in them', async () => {
  const door = await site.door()
  const heard = await site.hear(door.replyTopic)
  await site.mqtt.publishAsync(door.topic, UNKNOWN_CARD)
  await vi.waitFor(() => expect(heard).toEqual(['0']), { timeout: 20_000 })
  await site.mqtt.publishAsync(door.topic, KNOWN_CARD)
  await vi.waitFor(() => expect(heard).toEqual(['0', '1']), { timeout: 20_000 })

  const ofBridge = await (await collect(at)).text()
  for (const sample of [
    'lintel_bridge_scans_total{decision="denied",reason="unknown_card",source="online"} 1',
    'lintel_bridge_scans_total{decision="granted",reason="granted",source="online"} 1',
    'lintel_bridge_scan_seconds_count 2',
    'lintel_bridge_api_seconds_count 2',
    'lintel_bridge_broker_connected 1',
    'lintel_bridge_api_up 1',
    'lintel_bridge_spool_events 0',
    'lintel_bridge_queue 0',
  ])
    expect(ofBridge.split('\n')).toContain(sample)
  const ofApi = await (await collect(site.apiUrl)).text()
  expect(ofApi).toContain('lintel_scans_total{decision="granted",reason="granted",source="online"} 1\n')

  const { trace } = await line(site.bridge.log, { event: 'scan', reader: door.id, decision: 'granted' })
  expect(trace).toMatch(/^[0-9a-f]{32}$/)
  await line(site.api.log, { event: 'request', route: '/internal/access-check', trace })

  // What may never be in a log, each in some request of its own, refused and taken.
  await site.call('POST', '/people', { name: NAME, email: E_MAIL })
  const signIn = (body: unknown) =>
    fetch(`${site.apiUrl}/api/v1/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
  expect((await signIn({ email: E_MAIL, password: SECRET })).status).toBe(401)
  expect((await signIn({ email: 'admin@example.org', password: SECRET })).status).toBe(401)
  const { access_token: token } = await (
    await signIn({ email: 'admin@example.org', password: 'correct horse battery staple' })
  ).json()
  await site.call('POST', '/cards', { number: 'not a card', personId: v7() }).catch(() => {})
  await fetch(`${site.apiUrl}/api/v1/people?q=${encodeURIComponent(NAME)}`, {
    headers: { authorization: `Bearer ${token}` },
  })
  await line(site.api.log, { event: 'request', route: '/api/v1/people', method: 'GET', status: 200 })

  const all = JSON.stringify([...linesOf(site.api.log), ...linesOf(site.bridge.log)])
  expect(linesOf(site.api.log).length).toBeGreaterThan(5)
  for (const secret of [
    UNKNOWN_CARD,
    KNOWN_CARD,
    NAME,
    'Grete',
    E_MAIL,
    SECRET,
    'correct horse',
    'admin@example.org',
    TOKEN,
  ])
    expect({ secret, said: all.includes(secret) }).toEqual({ secret, said: false })
  expect(all).not.toContain(token)
})

test('while the broker is away the bridge is not ready, says why, and a count tells it', async () => {
  site.toBroker.cut()
  await vi.waitFor(
    async () => {
      const response = await fetch(`${at}/ready`)
      expect(response.status).toBe(503)
      expect(await response.json()).toMatchObject({ detail: expect.stringMatching(/broker/) })
    },
    { timeout: 20_000, interval: 100 },
  )
  expect((await fetch(`${at}/health`)).status).toBe(200)
  expect(await (await collect(at)).text()).toContain('\nlintel_bridge_broker_connected 0\n')
  site.toBroker.flow()
  await vi.waitFor(async () => expect((await fetch(`${at}/ready`)).status).toBe(200), {
    timeout: 20_000,
    interval: 100,
  })
})
