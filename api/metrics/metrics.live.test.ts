import { beforeAll, expect, inject, test } from 'vitest'
import { upkeep } from '../db/schema.ts'
import { PASSWORD, startTestApi, type TestApi } from '../testing/api.ts'
import { type Caller, expectProblem, replyOf, signIn } from '../testing/caller.ts'
import { type Bridge, handedOver, registerBridge, scanOf } from '../testing/sealed.ts'

const TOKEN = 'm3Tr1c'.repeat(6)
const HOUR_MS = 3_600_000

let api: TestApi
let admin: Caller
let bridge: Bridge
let readerId: string

const ask = (authorization?: string) =>
  api.fetch('/metrics', { headers: { ...(authorization !== undefined && { authorization }) } })

/** Every line of the answer by its name and labels, as a number. */
const scrape = async (): Promise<Record<string, number>> => {
  const response = await ask(`Bearer ${TOKEN}`)
  expect(response.status).toBe(200)
  expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
  const lines = (await response.text()).split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return Object.fromEntries(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))]),
  )
}

beforeAll(async () => {
  api = await startTestApi({ METRICS_TOKEN: TOKEN })
  admin = await signIn(api, 'admin')
  bridge = await registerBridge(api, admin)
  const reader = await admin.post('/readers', { name: 'Cellar', topic: '/cellar' })
  readerId = reader.body.id
  await api.db.insert(upkeep).values([
    { task: 'backup', triedAt: new Date(), doneAt: new Date(Date.now() - 2 * HOUR_MS) },
    { task: 'retention', triedAt: new Date(), error: 'in vain' },
  ])
})

test.each([undefined, '', 'Bearer', `Basic ${TOKEN}`, `Bearer ${TOKEN}x`, `Bearer ${TOKEN.slice(1)}`, TOKEN])(
  'who says %j is shown nothing',
  async (authorization) => {
    expectProblem(await replyOf(await ask(authorization)), 401)
  },
)

test('tells of the site what the database knows, the empty states too', async () => {
  await bridge.config()
  const numbers = await scrape()
  expect(numbers).toMatchObject({
    lintel_database_up: 1,
    'lintel_readers{state="unknown"}': 1,
    'lintel_readers{state="online"}': 0,
    'lintel_readers{state="offline"}': 0,
    'lintel_doors{state="offline"}': 0,
    'lintel_bridges{state="online"}': 1,
    'lintel_webhook_deliveries{state="dead"}': 0,
    lintel_database_connections_used: expect.any(Number),
  })
  expect(numbers['lintel_upkeep_age_seconds{task="backup"}']).toBeCloseTo(2 * 3600, -2)
  expect(numbers).not.toHaveProperty('lintel_upkeep_age_seconds{task="retention"}')
  expect(numbers['lintel_database_connections_most']).toBeGreaterThan(0)
})

test.runIf(inject('runtime') === 'node')('counts scans, sign-ins and requests, by words alone', async () => {
  await bridge.check(scanOf(readerId, '424242'))
  await bridge.check(scanOf(readerId, '424242', { decided: 'granted' }))
  await bridge.handOver([handedOver(readerId, '424242')])
  // An account of the tests' own, whose password is cheap to check.
  const { email } = await api.as('member')
  for (let i = 0; i < 7; i++) await api.stranger.post('/login', { email, password: `not ${PASSWORD}` })
  const numbers = await scrape()
  expect(numbers).toMatchObject({
    'lintel_scans_total{decision="denied",reason="unknown_card",source="online"}': 1,
    'lintel_scans_total{decision="granted",reason="reader_granted",source="reader"}': 1,
    'lintel_scans_total{decision="denied",reason="unavailable",source="offline"}': 1,
    'lintel_sign_ins_total{outcome="ok"}': 1,
    'lintel_sign_ins_total{outcome="failed"}': 5,
    'lintel_sign_ins_total{outcome="limited"}': 2,
    'lintel_http_request_seconds_count{method="POST",route="/internal/access-check",status="200"}': 2,
    'lintel_http_request_seconds_count{method="POST",route="/api/v1/login",status="429"}': 2,
    lintel_requests_under_way: 0,
  })
  for (const step of ['open', 'facts', 'record', 'seal']) {
    expect(numbers[`lintel_scan_step_seconds_count{step="${step}"}`]).toBe(2)
    expect(numbers[`lintel_scan_step_seconds_sum{step="${step}"}`]).toBeGreaterThan(0)
  }
  expect(Object.keys(numbers).join('\n')).not.toMatch(/424242|@|[0-9a-f]{8}-[0-9a-f]{4}/)
})

test.runIf(inject('runtime') === 'workerd')('a Worker tells of the site alone', async () => {
  await bridge.check(scanOf(readerId, '424242'))
  const names = Object.keys(await scrape())
  expect(names.filter((name) => /lintel_(scan|http|sign)|process_/.test(name))).toEqual([])
})
