import { sql } from 'drizzle-orm'
import { beforeAll, expect, inject, test, vi } from 'vitest'
import { startTestApi, type TestApi } from './testing/api.ts'
import type { Cable } from './testing/cable.ts'
import { expectProblem, replyOf } from './testing/caller.ts'

// What a load balancer is told. The tests break more and more, so their order matters.

let api: TestApi
let cable: Cable

beforeAll(async () => {
  api = await startTestApi({}, { cabled: true })
  if (!api.toDatabase) throw new Error('there is no cable to the database')
  cable = api.toDatabase
})

const ask = async (path = '/ready') => {
  const started = performance.now()
  const reply = await replyOf(await api.fetch(path))
  return { ...reply, ms: performance.now() - started }
}
type Asked = Awaited<ReturnType<typeof ask>>

const expectNotReady = (reply: Asked, why: RegExp) => {
  expectProblem(reply, 503)
  expect(reply.body['detail']).toMatch(why)
  expect(reply.headers.get('cache-control')).toBe('no-store')
  // A second is its patience, and five a connection's; the rest is for a busy machine.
  expect(reply.ms).toBeLessThan(4_000)
}
const expectReady = (reply: Asked) => {
  expect({ status: reply.status, body: reply.body }).toEqual({ status: 200, body: { ok: true } })
  expect(reply.headers.get('cache-control')).toBe('no-store')
}
const isBack = () => vi.waitFor(async () => expectReady(await ask()), { timeout: 15_000, interval: 100 })

const AWAY = /database cannot be reached or is too slow/

test('a database that is there and up to date makes the API ready, and nobody may keep that', async () => {
  expectReady(await ask())
})

test('a database that has more than this version knows of is good enough: a newer version is being rolled out', async () => {
  await api.db.execute(
    sql`insert into drizzle.__drizzle_migrations (hash, created_at) values ('newer', 99999999999999)`,
  )
  expectReady(await ask())
  await api.db.execute(sql`delete from drizzle.__drizzle_migrations where hash = 'newer'`)
})

test('a database that is away makes it not ready at once, and one that is back makes it ready again', async () => {
  cable.cut()
  expectNotReady(await ask(), AWAY)
  expect((await ask('/health')).status).toBe(200)
  cable.flow()
  await isBack()
})

test('a database that does not answer makes it not ready within a second or so, however many ask, and nobody waits in line', async () => {
  await isBack()
  cable.stall()
  for (const reply of await Promise.all(Array.from({ length: 40 }, () => ask()))) expectNotReady(reply, AWAY)
  expect((await ask('/health')).status).toBe(200)
  cable.flow()
  await isBack()
})

test('a database that is behind makes it not ready, and says what to do', async () => {
  await api.db.execute(sql`delete from drizzle.__drizzle_migrations`)
  expectNotReady(await ask(), /behind: run npm run migrate/)
  await api.db.execute(sql`drop table drizzle.__drizzle_migrations`)
  expectNotReady(await ask(), /behind: run npm run migrate/)
  expect((await ask('/health')).status).toBe(200)
})

test.runIf(inject('runtime') === 'node')('a process that was told to end is not ready, but alive', async () => {
  api.draining.abort()
  expectNotReady(await ask(), /told to end.*another one/)
  expect((await ask('/health')).status).toBe(200)
})
