import { once } from 'node:events'
import { beforeAll, expect, test, vi } from 'vitest'
import { KNOWN_CARD, type Site, startSite } from './testing/site.ts'

let site: Site

beforeAll(async () => {
  site = await startSite()
})

const eventually = <T>(check: () => T | Promise<T>) => vi.waitFor(check, { timeout: 15_000, interval: 50 })
const quiet = (ms: number) => new Promise((done) => setTimeout(done, ms))

const status = () => `lintel/bridge/${site.bridgeId}/status`

/** Scan until the door opens again: both processes have recovered by themselves. Each scan is a new one. */
const recovers = async (door: { topic: string }, heard: string[]) => {
  heard.length = 0
  await vi.waitFor(
    async () => {
      await site.mqtt.publishAsync(door.topic, KNOWN_CARD)
      await quiet(300)
      expect(heard).toContain('1')
    },
    { timeout: 15_000, interval: 3_000 },
  )
}

test.each([
  ['the API is away', () => site.toApi.cut(), () => site.toApi.flow()],
  ['the API does not answer', () => site.toApi.stall(), () => site.toApi.flow()],
  ['the API is stopped in its tracks', () => site.api.child.kill('SIGSTOP'), () => site.api.child.kill('SIGCONT')],
  ['the database is away', () => site.toDatabase.cut(), () => site.toDatabase.flow()],
  ['the database does not answer', () => site.toDatabase.stall(), () => site.toDatabase.flow()],
])(
  'while %s a door that must not be decided offline stays shut, nothing opens later, and everything recovers by itself',
  async (_name, fail, mend) => {
    const door = await site.door({ offline: 'deny' })
    const heard = await site.hear(door.replyTopic)

    fail()
    await site.mqtt.publishAsync(door.topic, KNOWN_CARD)
    await eventually(() => expect(heard).toEqual(['0']))
    await quiet(1_000)
    mend()
    await quiet(2_500)

    expect(heard).toEqual(['0'])
    await recovers(door, heard)
    await eventually(async () => {
      const record = await site.events(door)
      expect(record.filter(({ decision }) => decision === 'granted').length).toBeGreaterThan(0)
      expect(record.at(-1)).toMatchObject({ reason: 'unavailable', source: 'offline', snapshot: null })
    })
  },
)

test('an answer that finds the broker away is not kept for later, and is not on record as an opening', async () => {
  const door = await site.door({ offline: 'deny' })
  const heard = await site.hear(door.replyTopic)

  site.toApi.stall()
  await site.mqtt.publishAsync(door.topic, KNOWN_CARD)
  await quiet(300)
  site.toBroker.cut()
  await quiet(200)
  site.toApi.flow()
  await quiet(1_000)
  site.toBroker.flow()
  await quiet(2_500)

  expect(heard).toEqual([])
  await eventually(async () =>
    expect(await site.events(door)).toMatchObject([{ decision: 'denied', reason: 'unavailable', source: 'offline' }]),
  )
  await recovers(door, heard)
})

test('the status topic says online, offline by will when the bridge dies, and offline by word when it is stopped', async () => {
  const said = await site.hear(status())
  await eventually(() => expect(said.at(-1)).toBe('online'))
  site.bridge.child.kill('SIGKILL')
  await eventually(() => expect(said.at(-1)).toBe('offline'))

  const again = site.startBridge()
  await again.said(/"listening"/)
  await eventually(() => expect(said.at(-1)).toBe('online'))
  again.child.kill('SIGTERM')
  const [code] = await once(again.child, 'exit')
  expect(code).toBe(0)
  await eventually(() => expect(said.at(-1)).toBe('offline'))
})

test('a bridge with a wrong key says so, and has nothing to listen to', async () => {
  const stranger = site.startBridge({ BRIDGE_KEY: Buffer.alloc(32, 7).toString('base64url') })
  await stranger.said(/The API does not know this bridge/)
  expect(stranger.log.join('')).not.toContain('"listening"')
  stranger.child.kill('SIGTERM')
  expect((await once(stranger.child, 'exit'))[0]).toBe(0)
})

test.each([
  ['BRIDGE_KEY', { BRIDGE_KEY: 'short' }],
  ['BRIDGE_ID', { BRIDGE_ID: '' }],
  ['MQTT_URL', { MQTT_URL: 'http://127.0.0.1' }],
])('a bridge whose %s cannot be used does not start, and names it without its value', async (name, env) => {
  const bridge = site.startBridge({ DATA_DIR: '/nonexistent', ...env })
  const [code] = await once(bridge.child, 'exit')
  expect(code).toBe(1)
  expect(bridge.log.join('')).toMatch(new RegExp(`^lintel bridge: ${name} is not`))
  expect(bridge.log.join('')).not.toContain('short')
})
