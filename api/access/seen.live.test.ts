import { beforeAll, describe, expect, test } from 'vitest'
import { CALLS } from '../contract/envelope.ts'
import { seenReaders } from '../db/schema.ts'
import { startTestApi, type TestApi } from '../testing/api.ts'
import { type Caller, expectProblem, replyOf, signIn, walk } from '../testing/caller.ts'
import { type Bridge, bridgeWith, registerBridge } from '../testing/sealed.ts'
import { MOST_LISTED } from './seen.ts'

// Devices that nobody has set up: noticed by a bridge, listed for people, trusted by nobody.

let api: TestApi
let admin: Caller
let bridge: Bridge

beforeAll(async () => {
  api = await startTestApi()
  admin = await signIn(api, 'admin')
  bridge = await registerBridge(api, admin)
})

const device = (topic: string, more: object = {}) => ({
  profile: 'plain',
  topic,
  at: new Date().toISOString(),
  messages: 1,
  ...more,
})
const report = async (...seen: object[]) => replyOf(await bridge.ask(CALLS.seen, { seen }))
const listed = async () => (await admin.get('/unknown-readers?limit=500')).body.items
const topics = async () => (await listed()).map(({ topic }) => topic)

describe('a device that was noticed', () => {
  test('is listed with what a reader could be made of it by, and is gone from the list once it is one', async () => {
    await report(device('/shed/Tag', { messages: 3 }))
    const [item] = await listed()
    expect(item).toMatchObject({ topic: '/shed/Tag', unit: null, profile: 'plain', messages: 3 })
    expect(item?.['suggestion']).toEqual({
      name: '/shed/Tag',
      profile: 'plain',
      topic: '/shed/Tag',
      cardView: 'decimal',
    })
    const { status, body } = await admin.post('/readers', item?.['suggestion'])
    expect(status).toBe(201)
    expect(await topics()).not.toContain('/shed/Tag')
    await report(device('/shed/Tag'))
    expect(await topics()).not.toContain('/shed/Tag')
    await admin.delete(`/readers/${body.id}`)
    expect(await topics()).toContain('/shed/Tag')
  })

  test('is one entry, whoever reports it and how often: the last time counts, and never one to come', async () => {
    const at = new Date(Date.now() - 60_000).toISOString()
    await report(device('/gate/Tag', { at }), device('/gate/Tag', { at }))
    const other = await registerBridge(api, admin, 'Attic')
    await other.ask(CALLS.seen, { seen: [device('/gate/Tag', { messages: 4, at: '2999-01-01T00:00:00Z' })] })
    const found = (await listed()).filter(({ topic }) => topic === '/gate/Tag')
    expect(found).toMatchObject([{ firstSeenAt: at, messages: 5 }])
    expect(Date.parse(String(found[0]?.['lastSeenAt']))).toBeLessThanOrEqual(Date.now())
    expect((await listed())[0]?.['topic']).toBe('/gate/Tag')
  })

  test('stays away once dismissed, even when it is heard again', async () => {
    await report(device('/noise/Tag'))
    const id = (await listed()).find(({ topic }) => topic === '/noise/Tag')?.id ?? ''
    expect((await admin.delete(`/unknown-readers/${id}`)).status).toBe(204)
    await report(device('/noise/Tag'))
    expect(await topics()).not.toContain('/noise/Tag')
    expectProblem(await admin.delete(`/unknown-readers/${id}`), 404)
  })

  test('opens nothing: a scan there is of no reader', async () => {
    await report(device('/trust/Tag'))
    const { readers = [] } = await bridge.config()
    expect(readers.map(({ topic }) => topic)).not.toContain('/trust/Tag')
  })

  test('of a profile that is not known here, or on a topic that it cannot have, is passed over', async () => {
    expect((await report(device('/odd/Tag', { profile: 'from-the-future' }))).status).toBe(200)
    expect((await report(device('/odd/Tag', { unit: 'plain has no units' }))).status).toBe(200)
    expect(await topics()).not.toContain('/odd/Tag')
  })
})

test('the list is paged, the one heard last first', async () => {
  for (let i = 0; i < 5; i++) {
    await report(device(`/page/${i}`, { at: new Date(Date.now() - 1_000 * i).toISOString() }))
  }
  const all = (await listed()).map(({ id }) => id)
  expect(await walk(admin, '/unknown-readers', 2)).toEqual(all)
})

test('no more than a thousand are kept, and the oldest go', async () => {
  const old = new Date(Date.now() - 86_400_000)
  const rows = Array.from({ length: MOST_LISTED }, (_, i) => ({ profile: 'plain', topic: `/old/${i}` }))
  await api.db
    .insert(seenReaders)
    .values(rows.map((row) => ({ ...row, firstSeenAt: old, lastSeenAt: old, bridgeId: bridge.id })))
  await report(device('/new/Tag'))
  expect(await api.db.$count(seenReaders)).toBe(MOST_LISTED)
  expect(await topics()).toContain('/new/Tag')
})

describe('a report is refused', () => {
  test.each([
    ['with a card in it', [device('/a', { card: 'DE0BA996' })]],
    ['with a wildcard', [device('/a/#')]],
    ['with a topic of the broker’s', [device('$SYS/a')]],
    ['with control characters', [device('/a\u0007')]],
    ['with a topic that is too long', [device('a'.repeat(501))]],
    ['with no device', []],
    ['with fifty-one', Array.from({ length: 51 }, (_, i) => device(`/a/${i}`))],
  ])('%s', async (_, seen) => {
    expectProblem(await report(...seen), 422)
  })

  test('of a bridge that is not known', async () => {
    const stranger = bridgeWith(api, crypto.randomUUID(), bridge.key)
    expectProblem(await replyOf(await stranger.ask(CALLS.seen, { seen: [device('/a')] })), 401)
  })
})
