import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { SiteDoor, SiteReader } from '../../api/contract/site.ts'
import type { Done } from '../doors/doors.ts'
import { newsBoard } from '../news.ts'
import type { SealedFile } from '../sealed-file.ts'
import { siteDoor } from '../testing/door.ts'
import { readerOf } from '../testing/reader.ts'
import { homeAssistant } from './home-assistant.ts'
import type { Heard, Said, Wire } from './wire.ts'

const BRIDGE = '0198c0de-0000-7000-8000-00000000000b'
const DOOR = '0198c0de-0000-7000-8000-00000000000d'
const OTHER = '0198c0de-0000-7000-8000-00000000000e'
const CONFIG = `homeassistant/device/lintel_${DOOR}/config`
const at = (what: string, doorId = DOOR) => `lintel/door/${doorId}/${what}`

const doorOf = (told: Partial<SiteDoor> = {}): SiteDoor =>
  siteDoor({
    id: DOOR,
    profile: 'shelly-gen1',
    settings: { device: 'shelly1-B929CC' },
    homeAssistant: 'command',
    ...told,
  })
const reader = readerOf({ profile: 'plain', topic: 'workshop/tag', cardView: 'decimal', doorId: DOOR })

/** A broker that has what is retained, and Home Assistant at the other end of it. */
const fakeWire = () => {
  const retained = new Map<string, string>()
  const said: Said[] = []
  let to: Parameters<Wire['begin']>[0] | undefined
  let isConnected = false
  let listening: readonly string[] = []
  const wire: Wire = {
    begin(told) {
      to = told
    },
    listen(topics) {
      listening = topics
    },
    async publish(message) {
      if (!isConnected) throw new Error('the broker is away')
      said.push(message)
      if (!message.retain) return
      if (message.payload === '') retained.delete(message.topic)
      else retained.set(message.topic, message.payload)
    },
    async stop() {},
  }
  return {
    wire,
    retained,
    said,
    listening: () => listening,
    begun: () => to !== undefined,
    connect(is = true) {
      isConnected = is
      to?.connected(is)
    },
    hear: (topic: string, payload: string, more: Partial<Heard> = {}) =>
      to?.heard({ topic, payload: Buffer.from(payload), retained: false, age: 0, ...more }),
    events: () => said.filter(({ topic }) => topic.endsWith('/event')),
  }
}

/** What is on disk, and outlives a process. */
const disk = (): SealedFile & { text(): string | undefined } => {
  let bytes: Buffer | undefined
  return {
    read: async () => bytes,
    async write(content) {
      bytes = content
    },
    text: () => bytes?.toString(),
  }
}

let broker: ReturnType<typeof fakeWire>
let news: ReturnType<typeof newsBoard>
let kept: ReturnType<typeof disk>
let opened: { door: unknown; left: number; by: unknown }[]
let answer: Done
let log: string[]
let stop: () => Promise<void>

const start = (env: { HOME_ASSISTANT?: string; BRIDGE_GROUP?: string } = { HOME_ASSISTANT: 'homeassistant' }) => {
  news = newsBoard(() => {})
  const athome = homeAssistant({
    config: { BRIDGE_ID: BRIDGE, HOME_ASSISTANT: undefined, BRIDGE_GROUP: undefined, ...env },
    wire: broker.wire,
    kept,
    doors: {
      async open(door, until, { by }) {
        opened.push({ door, left: until - performance.now(), by })
        return answer
      },
    },
    news,
    log: (_, event, fields) => void log.push(JSON.stringify({ event, ...fields })),
    now: () => performance.now(),
  })
  stop = athome.stop
}
const pass = (ms = 0) => vi.advanceTimersByTimeAsync(ms)
/** The site is known, and everything that it leads to was said. */
const site = async (doors: SiteDoor[], readers: SiteReader[] = []) => {
  news.tell({ is: 'site', readers, doors })
  await pass(1_000)
}

beforeEach(() => {
  vi.useFakeTimers()
  broker = fakeWire()
  kept = disk()
  opened = []
  answer = { state: 'delivered', detail: 'sent' }
  log = []
  start()
})
afterEach(async () => {
  await stop()
  vi.useRealTimers()
})

const begin = async (doors: SiteDoor[], readers: SiteReader[] = []) => {
  await site(doors, readers)
  broker.connect()
  await pass(1_000)
}

test('a door that may be commanded is announced as a device of a lock, a contact and an event', async () => {
  await begin([doorOf({ settings: { device: 'shelly1-B929CC', input: 0 } })])
  expect(broker.retained.get(CONFIG)).toBe(
    '{"dev":{"ids":["lintel_0198c0de-0000-7000-8000-00000000000d"],"name":"Front door","mdl":"Shelly, first generation"},' +
      '"o":{"name":"Lintel"},' +
      '"avty":[{"t":"lintel/bridge/0198c0de-0000-7000-8000-00000000000b/status"},' +
      '{"t":"lintel/door/0198c0de-0000-7000-8000-00000000000d/online"}],"avty_mode":"all",' +
      '"cmps":{' +
      '"lock":{"p":"lock","unique_id":"lintel_0198c0de-0000-7000-8000-00000000000d_lock","name":null,' +
      '"state_topic":"lintel/door/0198c0de-0000-7000-8000-00000000000d/state",' +
      '"command_topic":"lintel/door/0198c0de-0000-7000-8000-00000000000d/set","qos":0,"retain":false},' +
      '"locked":{"p":"binary_sensor"},' +
      '"contact":{"p":"binary_sensor","unique_id":"lintel_0198c0de-0000-7000-8000-00000000000d_contact",' +
      '"device_class":"door","state_topic":"lintel/door/0198c0de-0000-7000-8000-00000000000d/contact"},' +
      '"tamper":{"p":"binary_sensor"},' +
      '"event":{"p":"event","unique_id":"lintel_0198c0de-0000-7000-8000-00000000000d_event","name":"Scan",' +
      '"state_topic":"lintel/door/0198c0de-0000-7000-8000-00000000000d/event",' +
      '"event_types":["granted","denied","exit","refused"]}}}',
  )
  expect(broker.said.filter(({ topic }) => topic === CONFIG)).toMatchObject([{ qos: 1, retain: true }])
  expect(Object.fromEntries([...broker.retained].filter(([topic]) => topic !== CONFIG))).toEqual({
    [at('state')]: 'LOCKED',
    [at('contact')]: 'None',
    [at('online')]: 'online',
  })
})

test('a door that is only shown has no command topic, and none is listened to', async () => {
  const relay = { profile: 'value-relay', settings: { command: 'relay/set' } }
  await begin([doorOf({ ...relay, homeAssistant: 'show' })])
  expect(broker.retained.get(CONFIG)).toBe(
    '{"dev":{"ids":["lintel_0198c0de-0000-7000-8000-00000000000d"],"name":"Front door",' +
      '"mdl":"A relay that opens by a message of its own"},"o":{"name":"Lintel"},' +
      '"avty":[{"t":"lintel/bridge/0198c0de-0000-7000-8000-00000000000b/status"}],"avty_mode":"all",' +
      '"cmps":{"lock":{"p":"lock"},' +
      '"locked":{"p":"binary_sensor","unique_id":"lintel_0198c0de-0000-7000-8000-00000000000d_locked","name":null,' +
      '"device_class":"lock","state_topic":"lintel/door/0198c0de-0000-7000-8000-00000000000d/state",' +
      "\"value_template\":\"{{ 'OFF' if value == 'LOCKED' else 'ON' if value else '' }}\"}," +
      '"contact":{"p":"binary_sensor"},"tamper":{"p":"binary_sensor"},' +
      '"event":{"p":"event","unique_id":"lintel_0198c0de-0000-7000-8000-00000000000d_event","name":"Scan",' +
      '"state_topic":"lintel/door/0198c0de-0000-7000-8000-00000000000d/event",' +
      '"event_types":["granted","denied","exit","refused"]}}}',
  )
  expect(broker.listening()).toEqual(['homeassistant/status'])
  broker.hear(at('set'), 'UNLOCK')
  await pass()
  expect(opened).toEqual([])
})

test('a contact and a tamper switch may also be at a reader that opens the door', async () => {
  const ha = { ...reader, profile: 'esp-rfid-v2-ha', topic: 'front/tag' }
  await begin([doorOf()], [ha])
  const { cmps } = JSON.parse(broker.retained.get(CONFIG) ?? '')
  expect(cmps).toMatchObject({ contact: { device_class: 'door' }, tamper: { device_class: 'tamper' } })
  news.tell({ is: 'said', reader: ha, state: { is: 'contact', on: true, vars: {}, reply: [] } })
  news.tell({ is: 'said', reader: ha, state: { is: 'presence', on: false, vars: {}, reply: [] } })
  await pass(1_000)
  expect(broker.retained.get(at('contact'))).toBe('ON')
  expect(broker.retained.get(at('online'))).toBe('online')
})

test('a door has its name as plain text, cut where it is long', async () => {
  await begin([doorOf({ name: `A "door"\n${'x'.repeat(300)}` })])
  const { dev } = JSON.parse(broker.retained.get(CONFIG) ?? '')
  expect(dev.name).toBe(`A "door" ${'x'.repeat(91)}`)
})

test('a door is unlocked while it is open by a pulse, and while it is held open', async () => {
  await begin([doorOf()])
  const state = () => broker.retained.get(at('state'))
  news.tell({ is: 'opening', door: { doorId: DOOR }, forMs: 3_000, by: { by: 'scan', scanId: DOOR } })
  await pass(500)
  expect(state()).toBe('UNLOCKED')
  await pass(3_000)
  expect(state()).toBe('LOCKED')
  news.tell({ is: 'mode', door: { doorId: DOOR }, mode: 'held' })
  await pass(500)
  expect(state()).toBe('UNLOCKED')
  news.tell({ is: 'mode', door: { doorId: DOOR }, mode: 'lockdown' })
  await pass(500)
  expect(state()).toBe('LOCKED')
})

test('a door whose device said no is locked at once', async () => {
  await begin([doorOf()])
  const by = { by: 'home_assistant' } as const
  news.tell({ is: 'opening', door: { doorId: DOOR }, forMs: 60_000, by })
  await pass(500)
  news.tell({ is: 'refused', door: { doorId: DOOR }, by })
  await pass(500)
  expect(broker.retained.get(at('state'))).toBe('LOCKED')
})

test.each(['locked', 'unlocked', 'locking', 'unlocking', 'jammed'] as const)(
  'what a lock says of itself counts: %s',
  async (state) => {
    await begin([doorOf()])
    news.tell({ is: 'said', siteDoor: doorOf(), state: { is: 'lock', state, vars: {}, reply: [] } })
    await pass(500)
    expect(broker.retained.get(at('state'))).toBe(state.toUpperCase())
  },
)

test('what a device says before it is shown is not forgotten, and a device that took its place has said nothing', async () => {
  const door = doorOf({ settings: { device: 'shelly1-B929CC', input: 0 } })
  news.tell({ is: 'mode', door: { doorId: DOOR }, mode: 'held' })
  news.tell({ is: 'site', readers: [], doors: [door] })
  news.tell({ is: 'said', siteDoor: door, state: { is: 'contact', on: false, vars: {}, reply: [] } })
  await pass()
  broker.connect()
  await pass(1_000)
  expect(broker.retained.get(at('contact'))).toBe('OFF')
  expect(broker.retained.get(at('state'))).toBe('UNLOCKED')
  await site([doorOf({ settings: { device: 'another', input: 0 } })])
  expect(broker.retained.get(at('contact'))).toBe('None')
  expect(broker.retained.get(at('state'))).toBe('UNLOCKED')
})

test('a scan is an event with its reason and its reader, never retained, and nothing more', async () => {
  await begin([doorOf()], [reader])
  news.tell({ is: 'decided', reader, decision: 'granted', reason: 'granted' })
  news.tell({ is: 'decided', reader, decision: 'denied', reason: 'unknown_card' })
  news.tell({ is: 'decided', reader: { ...reader, doorId: null }, decision: 'granted', reason: 'granted' })
  news.tell({ is: 'said', reader, state: { is: 'rex', vars: {}, reply: [] } })
  await pass()
  expect(broker.events()).toEqual([
    {
      topic: at('event'),
      payload: '{"event_type":"granted","reason":"granted","reader":"Workshop"}',
      qos: 0,
      retain: false,
    },
    {
      topic: at('event'),
      payload: '{"event_type":"denied","reason":"unknown_card","reader":"Workshop"}',
      qos: 0,
      retain: false,
    },
    { topic: at('event'), payload: '{"event_type":"exit"}', qos: 0, retain: false },
  ])
})

test('however many scans there are, Home Assistant hears of a few', async () => {
  await begin([doorOf()], [reader])
  for (let n = 0; n < 500; n++) news.tell({ is: 'decided', reader, decision: 'denied', reason: 'unknown_card' })
  await pass()
  expect(broker.events()).toHaveLength(20)
})

test('nothing of a scan waits for a broker that is away', async () => {
  await begin([doorOf()], [reader])
  broker.connect(false)
  news.tell({ is: 'decided', reader, decision: 'granted', reason: 'granted' })
  await pass()
  broker.connect()
  await pass(1_000)
  expect(broker.events()).toEqual([])
})

test('UNLOCK opens once, as Home Assistant, and for no longer than an order is good for', async () => {
  await begin([doorOf()])
  expect(broker.listening()).toEqual(['homeassistant/status', at('set')])
  broker.hear(at('set'), 'UNLOCK', { age: 500 })
  await pass()
  expect(opened).toEqual([{ door: { doorId: DOOR }, left: 1_500, by: 'home_assistant' }])
})

test.each([
  ['one that was kept', 'UNLOCK', { retained: true }],
  ['one that waited too long', 'UNLOCK', { age: 2_000 }],
  ['one of unknown age', 'UNLOCK', { age: Number.POSITIVE_INFINITY }],
  ['LOCK, as the door locks by itself', 'LOCK', {}],
  ['OPEN, which was not offered', 'OPEN', {}],
  ['something else', 'unlock', {}],
  ['something long', 'UNLOCK'.padEnd(70_000), {}],
  ['nothing', '', {}],
] as const)('an order opens nothing when it is %s', async (_, payload, more) => {
  await begin([doorOf()])
  broker.hear(at('set'), payload, more)
  await pass()
  expect(opened).toEqual([])
})

test('orders are limited for each door by itself', async () => {
  await begin([doorOf(), doorOf({ id: OTHER, name: 'Back door' })])
  for (let n = 0; n < 10; n++) broker.hear(at('set'), 'UNLOCK')
  broker.hear(at('set', OTHER), 'UNLOCK')
  await pass()
  expect(opened.map(({ door }) => door)).toEqual([...Array(3).fill({ doorId: DOOR }), { doorId: OTHER }])
  await pass(1_000)
  for (let n = 0; n < 10; n++) broker.hear(at('set'), 'UNLOCK')
  await pass()
  expect(opened).toHaveLength(5)
})

test('an order that was refused is an event that says why', async () => {
  await begin([doorOf()])
  answer = { state: 'refused', detail: 'locked_down' }
  broker.hear(at('set'), 'UNLOCK')
  await pass()
  expect(broker.events().map(({ payload }) => payload)).toEqual(['{"event_type":"refused","reason":"locked_down"}'])
})

test('a door that is not to be shown any more is taken back, and so is all that was said of it', async () => {
  await begin([doorOf(), doorOf({ id: OTHER })])
  expect(broker.retained.size).toBe(6)
  await site([doorOf({ homeAssistant: 'off' }), doorOf({ id: OTHER })])
  expect([...broker.retained.keys()].filter((topic) => topic.includes(DOOR))).toEqual([])
  expect(broker.listening()).toEqual(['homeassistant/status', at('set', OTHER)])
  expect(broker.said.filter(({ topic }) => topic === at('set'))).toEqual([])
  await site([])
  expect([...broker.retained]).toEqual([])
  expect(kept.text()).toBe('[]')
})

test('a door that an earlier process announced, and that is gone since, is taken back', async () => {
  await begin([doorOf()])
  await stop()
  start()
  await begin([])
  expect([...broker.retained]).toEqual([])
  expect(kept.text()).toBe('[]')
})

test('what could not be taken back is taken back by the next process', async () => {
  await begin([doorOf()])
  broker.connect(false)
  await site([])
  expect(kept.text()).toBe(JSON.stringify([CONFIG]))
  await stop()
  start({})
  await begin([])
  expect([...broker.retained]).toEqual([])
})

test('another prefix takes back what stood under the one before, and leaves what is said of the door', async () => {
  await begin([doorOf()])
  await stop()
  start({ HOME_ASSISTANT: 'ha/two' })
  await begin([doorOf()])
  expect([...broker.retained.keys()].sort()).toEqual([`ha/two/device/lintel_${DOOR}/config`, at('online'), at('state')])
})

test('what is announced is on disk before it is on the broker', async () => {
  const order: string[] = []
  const { write } = kept
  kept.write = async (content) => {
    await write(content)
    order.push('disk')
  }
  const { publish } = broker.wire
  broker.wire.publish = (message) => {
    if (message.topic === CONFIG) order.push('broker')
    return publish(message)
  }
  broker.connect()
  await begin([doorOf()])
  expect(order).toEqual(['disk', 'broker'])
})

test('when Home Assistant has started it is told everything again, and not more often than every ten seconds', async () => {
  await begin([doorOf()])
  const told = () => broker.said.filter(({ topic }) => topic === CONFIG).length
  for (let n = 0; n < 100; n++) broker.hear('homeassistant/status', 'online')
  await pass(1_000)
  expect(told()).toBe(2)
  for (let n = 0; n < 100; n++) broker.hear('homeassistant/status', 'online')
  await pass(8_000)
  expect(told()).toBe(2)
  await pass(2_000)
  expect(told()).toBe(3)
  broker.hear('homeassistant/status', 'offline')
  broker.hear('homeassistant/status', 'online', { retained: true })
  await pass(20_000)
  expect(told()).toBe(3)
})

test('after the broker was away everything is said again, as it is by then', async () => {
  await begin([doorOf()])
  broker.connect(false)
  broker.retained.clear()
  news.tell({ is: 'mode', door: { doorId: DOOR }, mode: 'evacuation' })
  await pass(1_000)
  broker.connect()
  await pass(1_000)
  expect(broker.retained.get(at('state'))).toBe('UNLOCKED')
  expect(broker.retained.has(CONFIG)).toBe(true)
})

test('hundreds of doors are announced a few at a time', async () => {
  const doors = Array.from({ length: 500 }, (_, n) =>
    doorOf({ id: `0198c0de-0000-7000-8000-${String(n).padStart(12, '0')}` }),
  )
  news.tell({ is: 'site', readers: [], doors })
  await pass()
  broker.connect()
  await pass()
  expect(broker.said.length).toBeLessThanOrEqual(50)
  await pass(1_000)
  expect(broker.said.length).toBeLessThanOrEqual(300)
  await pass(20_000)
  expect(broker.retained.size).toBe(1_500)
})

test('unless it is asked for there is no connection, and no door is shown', async () => {
  await stop()
  start({})
  await begin([doorOf()])
  expect(broker.begun()).toBe(false)
  expect(broker.said).toEqual([])
})

test('a bridge of a group says that it shows only what it hears itself', async () => {
  await stop()
  start({ HOME_ASSISTANT: 'homeassistant', BRIDGE_GROUP: 'east' })
  expect(log.join('')).toContain('home_assistant_group')
})
