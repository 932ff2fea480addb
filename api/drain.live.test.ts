import { beforeAll, expect, test, vi } from 'vitest'
import type { Answer } from './contract/scan.ts'
import { type Cable, proxyTo } from './testing/cable.ts'
import { freshDatabase } from './testing/database.ts'
import { whenFileEnds } from './testing/endings.ts'
import { type ApiProcess, startApiProcess } from './testing/processes.ts'
import { registerBridge, scanOf } from './testing/sealed.ts'

const pause = (ms: number) => new Promise((done) => setTimeout(done, ms))

let api: ApiProcess
let cable: Cable

beforeAll(async () => {
  const database = await freshDatabase()
  const to = new URL(database.url)
  cable = await proxyTo(to.hostname, Number(to.port))
  whenFileEnds(async () => {
    await cable.close()
    await database.close()
  })
  to.host = `127.0.0.1:${cable.port}`
  api = await startApiProcess(to.href, { DRAIN_SECONDS: '600' })
})

test('a process that is told to end says so and serves on: what was asked before and what is asked meanwhile is answered, until a second signal', async () => {
  const { child, ends, fetch, owner, text } = api
  expect(text()).toMatch(/"event":"started","version":"\d+\.\d+\.\d+"/)
  const bridge = await registerBridge({ fetch }, owner)
  const { body: reader } = await owner.post('/readers', { name: 'Door', topic: 'door/tag', cardView: 'hex' })
  const scan = scanOf(reader.id, 'DEADBEEF')
  await bridge.check(scanOf(reader.id, 'DEADBEEF'))
  expect((await fetch('/ready')).headers.get('connection')).toBe('keep-alive')

  // Under way: its question to the database is on the cable.
  cable.stall()
  const underWay: Promise<Answer> = bridge.check(scan)
  await pause(200)
  const told = performance.now()
  child.kill('SIGTERM')
  await vi.waitFor(() => expect(text()).toMatch(/"event":"draining"/), { timeout: 5_000, interval: 10 })
  const notReady = await fetch('/ready')
  expect([notReady.status, notReady.headers.get('connection')]).toEqual([503, 'close'])
  expect((await notReady.json()).detail).toMatch(/told to end.*another one/)
  expect((await fetch('/health')).status).toBe(200)
  cable.flow()
  expect(await underWay).toMatchObject({ scan: scan.id, reason: 'unknown_card' })

  // A signal that comes twice, as through npm and systemd, is one.
  if (performance.now() - told < 800) child.kill('SIGTERM')
  await pause(1_200)
  expect((await bridge.check(scan)).scan).toBe(scan.id)
  expect((await owner.get('/readers')).headers.get('connection')).toBe('close')
  const { body: events } = await owner.get(`/events?readerId=${reader.id}`)
  expect(events.items).toHaveLength(2)

  const hurried = performance.now()
  child.kill('SIGTERM')
  expect((await ends()).code).toBe(0)
  expect(performance.now() - hurried).toBeLessThan(15_000)
}, 60_000)
