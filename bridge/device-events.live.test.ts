import { once } from 'node:events'
import { v7 } from 'uuid'
import { beforeAll, beforeEach, expect, test, vi } from 'vitest'
import { type Site, startSite } from './testing/site.ts'

// From what a device says to what the API shows of it: door contacts, presence, and bridges that are away.

let site: Site
let reader: string
let door: string
const prefix = `door-${v7()}`
const lock = `shelly-${v7()}`

const eventually = <T>(check: () => T | Promise<T>, timeout = 60_000) => vi.waitFor(check, { timeout, interval: 100 })
const say = (topic: string, payload: string) => site.mqtt.publishAsync(`${prefix}/${topic}`, payload, { qos: 1 })
const contact = (open: boolean) => say('binary_sensor/contact/state', open ? 'ON' : 'OFF')
const input = (state: boolean) =>
  site.mqtt.publishAsync(`${lock}/events/rpc`, JSON.stringify({ params: { 'input:0': { id: 0, state } } }), { qos: 1 })
const events = async (query: string): Promise<string[]> =>
  (await site.call('GET', `/device-events?${query}`)).items.map(({ kind }) => String(kind)).toReversed()
const stateOf = async (path: string) => (await site.call('GET', path))['state']

beforeAll(async () => {
  site = await startSite(0)
  const { id } = await site.call('POST', '/doors', {
    name: 'Gate',
    profile: 'shelly-gen2',
    settings: { device: lock, input: 0 },
    heldOpenMs: 600,
    preAlarmMs: 300,
  })
  door = id
  const settings = { prefix, lock: 'door', contact: 'contact' }
  const [added = ''] = await site.readers([{ profile: 'esphome', topic: `${prefix}/tag`, settings }])
  reader = added
  await site.bridge.said(/"listening","topics":[4-9]/)
})

beforeEach(
  () => () => {
    site.toApi.flow()
  },
  150_000,
)

test('a door that nobody opened is forced until it is shut, and the reader’s state says so meanwhile', async () => {
  await contact(false)
  await eventually(async () => expect(await events(`readerId=${reader}`)).toEqual(['door_closed']))
  await contact(true)
  await eventually(async () => {
    expect(await events(`readerId=${reader}&kind=door_forced`)).toEqual(['door_forced'])
    expect(await stateOf(`/readers/${reader}`)).toMatchObject({ online: null, contact: 'open', alarm: 'forced' })
  })
  await contact(false)
  await eventually(async () => {
    expect(await events(`readerId=${reader}`)).toEqual([
      'door_closed',
      'door_opened',
      'door_forced',
      'door_closed',
      'door_forced_ended',
    ])
    expect(await stateOf(`/readers/${reader}`)).toMatchObject({ contact: 'closed', alarm: null })
  })
}, 150_000)

test('a door that stays open is told of before, then, and when it is shut', async () => {
  await input(true)
  await eventually(async () => expect(await stateOf(`/doors/${door}`)).toMatchObject({ alarm: 'held_open' }))
  await input(false)
  await eventually(async () =>
    expect(await events(`doorId=${door}`)).toEqual([
      'door_opened',
      'door_held_open_soon',
      'door_held_open',
      'door_closed',
      'door_held_open_ended',
    ]),
  )
}, 150_000)

test('a reader is away with its will, when it was heard last is told, and what happens while the API is away comes later', async () => {
  await say('status', 'online')
  await eventually(async () =>
    expect(await stateOf(`/readers/${reader}`)).toMatchObject({ online: true, lastSeenAt: expect.any(String) }),
  )
  site.toApi.cut()
  await site.bridge.said(/"api_down"/)
  await say('status', 'offline')
  await site.bridge.said(/"reader_offline"/)
  site.toApi.flow()
  await eventually(async () => {
    expect(await events(`readerId=${reader}&kind=reader_offline`)).toEqual(['reader_offline'])
    expect(await stateOf(`/readers/${reader}`)).toMatchObject({ online: false })
  })
}, 150_000)

test('a bridge that is killed is away within half a minute, and back when it is started, and tells nothing twice', async () => {
  const before = await events(`readerId=${reader}`)
  await vi.waitFor(() => expect(site.bridge.log.join('')).toContain('device_events_handed_over'))
  site.bridge.child.kill('SIGKILL')
  await once(site.bridge.child, 'exit')
  const kinds = () => events(`bridgeId=${site.bridgeId}&kind=bridge_offline`)
  await eventually(async () => expect(await kinds()).toEqual(['bridge_offline']))
  expect(await site.call('GET', `/bridges/${site.bridgeId}`)).toMatchObject({ online: false })
  site.startBridge()
  await site.bridge.said(/"listening"/)
  await eventually(async () => {
    expect(await events(`bridgeId=${site.bridgeId}&kind=bridge_online`)).toEqual(['bridge_online'])
    expect(await site.call('GET', `/bridges/${site.bridgeId}`)).toMatchObject({ online: true })
  })
  await say('status', 'offline')
  await contact(false)
  await contact(true)
  await eventually(async () =>
    expect((await events(`readerId=${reader}`)).slice(before.length)).toEqual(['door_opened']),
  )
}, 150_000)
