import { once } from 'node:events'
import { beforeAll, beforeEach, expect, test, vi } from 'vitest'
import { type Door, KNOWN_CARD, type Site, startSite } from './testing/site.ts'

// What the bridge does by itself while nobody can be asked.

let site: Site
let blocked: string

const eventually = <T>(check: () => T | Promise<T>) => vi.waitFor(check, { timeout: 20_000, interval: 50 })
const quiet = (ms: number) => new Promise((done) => setTimeout(done, ms))
const scan = (topic: string, card: string) => site.mqtt.publishAsync(topic, card, { qos: 1 })
const reasons = async (door: Door) =>
  (await site.events(door)).map(({ cardNumber, reason, source }) => `${cardNumber} ${reason} ${source}`).sort()

/** Until the bridge has the facts as they are now: it says so after each change. */
const knows = async (change: () => Promise<unknown>) => {
  const said = () => site.bridge.log.join('').match(/"event":"snapshot"[^}]*"from":"api"/g)?.length ?? 0
  // A snapshot that was under way already may not have the change.
  await quiet(2_500)
  const before = said()
  await change()
  await vi.waitFor(() => expect(said()).toBeGreaterThan(before), { timeout: 15_000, interval: 50 })
}
const cutApi = async () => {
  site.toApi.cut()
  await site.bridge.said(/"api_down"/)
}
const restart = async (env: Record<string, string> = {}) => {
  site.bridge.child.kill('SIGKILL')
  await once(site.bridge.child, 'exit')
  site.startBridge(env)
  await site.bridge.said(/"listening"/)
}

beforeAll(async () => {
  site = await startSite()
  const { id } = await site.call('POST', '/people', { name: 'Bob' })
  const card = { personId: id, form: 'decimal', number: '777', status: 'blocked' }
  await knows(() => site.call('POST', '/cards', card))
  blocked = card.number
})

beforeEach(() => () => {
  site.toApi.flow()
  site.toDatabase.flow()
  site.api.child.kill('SIGCONT')
})

test.each([
  ['the API is away', () => site.toApi.cut(), () => site.toApi.flow()],
  ['the API does not answer', () => site.toApi.stall(), () => site.toApi.flow()],
  ['the API is stopped in its tracks', () => site.api.child.kill('SIGSTOP'), () => site.api.child.kill('SIGCONT')],
  ['the database is away', () => site.toDatabase.cut(), () => site.toDatabase.flow()],
  ['the database does not answer', () => site.toDatabase.stall(), () => site.toDatabase.flow()],
])('while %s the bridge decides by its snapshot, and hands over what it did', async (_name, fail, mend) => {
  const door = await site.door()
  const heard = await site.hear(door.replyTopic)

  fail()
  await scan(door.topic, KNOWN_CARD)
  await eventually(() => expect(heard).toEqual(['1']))
  await scan(door.topic, blocked)
  await scan(door.topic, '424242')
  await eventually(() => expect(heard).toEqual(['1', '0', '0']))
  mend()

  const done = [`${KNOWN_CARD} granted offline`, `${blocked} card_blocked offline`, '424242 unknown_card offline']
  await eventually(async () => expect(await reasons(door)).toEqual(done.sort()))
  for (const event of await site.events(door)) {
    expect(event).toMatchObject({ snapshot: expect.stringMatching(/./), bridgeId: site.bridgeId })
    expect(Date.parse(String(event['receivedAt']))).toBeGreaterThan(Date.parse(String(event['at'])))
  }
  await vi.waitFor(
    async () => {
      await scan(door.topic, KNOWN_CARD)
      await quiet(300)
      expect(await reasons(door)).toContain(`${KNOWN_CARD} granted online`)
    },
    { timeout: 20_000, interval: 3_100 },
  )
  expect((await reasons(door)).filter((line) => line.endsWith('offline'))).toEqual(done)
})

test('a card that is blocked while the API can be reached is refused when it cannot, 15 s later at most', async () => {
  const door = await site.door()
  const heard = await site.hear(door.replyTopic)
  const { id } = await site.call('POST', '/people', { name: 'Eve' })
  const { items } = await site.call('GET', '/groups')
  await site.call('PUT', `/groups/${items[0]?.['id']}/people/${id}`)
  let card = ''
  await knows(async () => {
    card = (await site.call('POST', '/cards', { personId: id, form: 'decimal', number: '888' })).id
  })
  await scan(door.topic, '888')
  await eventually(() => expect(heard).toEqual(['1']))

  await knows(() => site.call('PATCH', `/cards/${card}`, { status: 'blocked' }))
  await cutApi()
  await quiet(1_000)
  await scan(door.topic, '888')
  await eventually(() => expect(heard).toEqual(['1', '0']))
})

test('a bridge that starts without any network decides by what is on its disk, which has no card numbers', async () => {
  const door = await site.door()
  const heard = await site.hear(door.replyTopic)

  site.toApi.cut()
  await restart()
  await scan(door.topic, KNOWN_CARD)
  await scan(door.topic, blocked)

  await eventually(() => expect(heard.sort()).toEqual(['0', '1']))
  site.toApi.flow()
  const done = [`${KNOWN_CARD} granted offline`, `${blocked} card_blocked offline`]
  await eventually(async () => expect(await reasons(door)).toEqual(done.sort()))
})

test('what is on the disk is of no use to a bridge with another key, and its doors stay shut', async () => {
  const door = await site.door()
  const heard = await site.hear(door.replyTopic)

  site.toApi.cut()
  site.bridge.child.kill('SIGKILL')
  await once(site.bridge.child, 'exit')
  site.startBridge({ BRIDGE_KEY: Buffer.alloc(32, 7).toString('base64url') })
  await site.bridge.said(/"api_away"/)
  await scan(door.topic, KNOWN_CARD)
  await quiet(1_000)
  expect(heard).toEqual([])
  site.toApi.flow()
  await restart()
})

test('a bridge whose key was rotated decides nothing any more', async () => {
  const door = await site.door()
  const heard = await site.hear(door.replyTopic)
  const other = await site.call('POST', '/bridges', { name: 'Other' })
  await restart({ BRIDGE_ID: other.id, BRIDGE_KEY: String(other['key']) })
  await site.bridge.said(/"event":"snapshot"[^}]*"from":"api"/)

  await site.call('POST', `/bridges/${other.id}/rotate`, { keepMinutes: 0 })
  await scan(door.topic, KNOWN_CARD)
  await eventually(() => expect(heard).toEqual(['0']))
  await restart()
})
