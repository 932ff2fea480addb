import { once } from 'node:events'
import { beforeAll, expect, test, vi } from 'vitest'
import { DOOR_PROFILES } from './door-profiles/door-profiles.ts'
import { KNOWN_CARD, type Site, startSite } from './testing/site.ts'

// Every door profile through a real broker, opened from a reader of another kind: the very bytes that the door hears.

type Said = readonly [topic: string, payload: unknown, qos?: 1]
type Row = {
  profile: string
  settings: Record<string, unknown>
  /** Said before, by the device. */
  first?: readonly [topic: string, payload: unknown]
  hears: readonly Said[]
  openMs?: number
}

const beat = (ip: string, more: object) => ({ type: 'heartbeat', time: 1605991375, ip, ...more })
const rows: Row[] = [
  { profile: 'plain', settings: { topic: '/dilny/open' }, hears: [['/dilny/open', '1']] },
  {
    profile: 'espeasy',
    settings: { node: '/dilny', gpio: 12 },
    hears: [['/dilny/cmd', 'LongPulse_mS,12,1,3000']],
  },
  {
    profile: 'tasmota',
    settings: { device: 'door1', relay: 2, pulse: true },
    hears: [
      ['cmnd/door1/PulseTime2', '120'],
      ['cmnd/door1/POWER2', 'ON'],
    ],
    openMs: 20_000,
  },
  {
    profile: 'esphome',
    settings: { prefix: 'frontdoor', lock: 'front_door' },
    hears: [['frontdoor/lock/front_door/command', 'UNLOCK']],
  },
  {
    profile: 'shelly-gen1',
    settings: { device: 'shelly1-B929CC' },
    hears: [['shellies/shelly1-B929CC/relay/0/command', 'on']],
  },
  {
    profile: 'shelly-gen2',
    settings: { device: 'shellyplus1-a8032abe54dc', relay: 1 },
    hears: [
      [
        'shellyplus1-a8032abe54dc/rpc',
        { id: 0, src: 'lintel', method: 'Switch.Set', params: { id: 1, on: true, toggle_after: 2 } },
        1,
      ],
    ],
    openMs: 1500,
  },
  {
    profile: 'value-relay',
    settings: { command: '/devices/wb-mr6c_25/controls/K1/on', close: '0', closeAfterMs: 300 },
    hears: [
      ['/devices/wb-mr6c_25/controls/K1/on', '1'],
      ['/devices/wb-mr6c_25/controls/K1/on', '0'],
    ],
  },
  {
    profile: 'z2m-lock',
    settings: { topic: 'zigbee2mqtt/front_lock' },
    hears: [['zigbee2mqtt/front_lock/set', { state: 'UNLOCK' }]],
  },
  { profile: 'nuki', settings: { device: 'nuki/2BB28570' }, hears: [['nuki/2BB28570/lockAction', '3']] },
  {
    profile: 'homekey-esp32',
    settings: { client: '4c11ae0d51a2' },
    hears: [['4c11ae0d51a2/homekit/set_target_state', '0']],
  },
  {
    profile: 'vf-access',
    settings: { device: 'e4720000964b5c00' },
    hears: [
      [
        'access_device/v2/cmd/e4720000964b5c00/control',
        { serialNo: '0', uuid: 'e4720000964b5c00', time: 0, sign: '', data: { command: 1, extra: {} } },
        1,
      ],
    ],
  },
  {
    profile: 'esp-rfid-v1.3',
    settings: { base: '/rfid13', unit: 'hall' },
    first: ['/rfid13/sync', beat('192.168.1.50', { door: 'hall' })],
    hears: [['/rfid13', { cmd: 'opendoor', doorip: '192.168.1.50' }]],
  },
  {
    profile: 'esp-rfid-v2',
    settings: { base: '/rfid', door: 0 },
    first: ['/rfid/send', beat('192.168.1.51', { uptime: 999, hostname: 'esp-rfid' })],
    hears: [['/rfid/cmd', { cmd: 'open', doorip: '192.168.1.51', door: '0' }]],
  },
  {
    profile: 'fabomatic',
    settings: { machine: '1', uid: '96a90bde' },
    hears: [['machine/1/request', { request_type: 'start', uid: '96a90bde' }]],
  },
  {
    profile: 'uhppoted',
    settings: { device: 405419896, door: 4, openCard: 405419896 },
    hears: [
      [
        'uhppoted/gateway/requests/device/door/lock:open',
        {
          message: {
            request: {
              'client-id': 'lintel',
              'request-id': '0',
              'reply-to': 'lintel/uhppoted',
              'device-id': 405419896,
              door: 4,
              'card-number': 405419896,
            },
          },
        },
      ],
    ],
  },
]

/** Doors with a story of their own. */
const more: Record<string, Record<string, unknown>> = {
  held: { profile: 'tasmota', settings: { device: 'held' } },
  asking: { profile: 'plain', settings: { topic: 'asking/relay' } },
  telling: { profile: 'plain', settings: { topic: 'telling/relay' } },
  away: { profile: 'esphome', settings: { prefix: 'away', lock: 'bolt' } },
  killed: { profile: 'value-relay', settings: { command: 'killed/relay', close: '0' }, openMs: 600_000 },
  stopped: { profile: 'value-relay', settings: { command: 'stopped/relay', close: '0' }, openMs: 600_000 },
}
const readers: Record<string, Record<string, unknown>> = {
  held: { replyTopic: 'held/answer' },
  asking: { replyTopic: 'asking/answer' },
  telling: { profile: 'tasmota', topic: 'tele/telling/SENSOR', cardView: 'w26', settings: { buzzer: '2,3' } },
  away: { replyTopic: 'away/answer' },
}

let site: Site
const heard: { topic: string; payload: string; qos: number; retain: boolean }[] = []
const readerIds = new Map<string, string>()
const say = (topic: string, payload: unknown, retain = false) =>
  site.mqtt.publishAsync(topic, typeof payload === 'string' ? payload : JSON.stringify(payload), { qos: 1, retain })
const tap = (name: string) => say(`reader/${name}`, KNOWN_CARD)
const eventually = <T>(check: () => T | Promise<T>) => vi.waitFor(check, { timeout: 15_000, interval: 20 })
const on = (...topics: string[]) => heard.filter(({ topic }) => topics.includes(topic))
const payloads = (...topics: string[]) => on(...topics).map(({ payload }) => payload)
const record = (name: string) => site.events({ id: readerIds.get(name) ?? '' })
const bytes = (hears: Row['hears']) =>
  hears.map(([topic, payload, qos = 0]) => ({
    topic,
    payload: typeof payload === 'string' ? payload : JSON.stringify(payload),
    qos,
    retain: false,
  }))
/** Numbers that are new each time, and the time. */
const settled = (payload: string) =>
  payload
    .replace(/^\{"id":\d+/, '{"id":0')
    .replace(/"(serialNo|request-id)":"\d+"/g, '"$1":"0"')
    .replace(/"time":\d{10}\b/, '"time":0')

beforeAll(async () => {
  site = await startSite(0)
  site.mqtt.on('message', (topic, payload, { qos, retain }) => {
    heard.push({ topic, payload: settled(payload.toString()), qos, retain })
  })
  await site.mqtt.subscribeAsync('#', { qos: 1 })
  const always = [{ days: [1, 2, 3, 4, 5, 6, 7], from: '00:00', to: '24:00' }]
  const schedule = await site.call('POST', '/schedules', { name: 'Always', windows: always })
  const made = [
    ...rows.map(
      ({ profile, settings, openMs }) => [profile, { profile, settings, ...(openMs && { openMs }) }] as const,
    ),
    ...Object.entries(more),
  ]
  const doors: { id: string }[] = []
  for (const [name, door] of made) {
    doors.push(
      await site.call('POST', '/doors', { name, ...door, ...(name === 'held' && { holdScheduleId: schedule.id }) }),
    )
  }
  const wanted = made.map(([name], n) => ({
    profile: 'plain',
    topic: `reader/${name}`,
    doorId: doors[n]?.id,
    ...readers[name],
  }))
  await say('away/status', 'offline', true)
  for (const [n, id] of (await site.readers(wanted)).entries()) readerIds.set(made[n]?.[0] ?? '', id)
})

test('every profile of doors is tried', () => {
  expect(rows.map(({ profile }) => profile)).toEqual(DOOR_PROFILES.map(({ name }) => name))
})

test.concurrent.each(rows.map((row) => [row.profile, row] as const))('%s', async (name, { first, hears }) => {
  const topics = [...new Set(hears.map(([topic]) => topic))]
  if (first) await say(...first)
  await tap(name)
  await eventually(async () => {
    expect(on(...topics)).toEqual(bytes(hears))
    expect(await record(name)).toMatchObject([{ cardNumber: KNOWN_CARD, reason: 'granted' }])
  })
})

test('a door is held open by its schedule, and a tap at it is its person’s and ends nothing', async () => {
  const held = ['cmnd/held/PulseTime1', 'cmnd/held/POWER1']
  // It may be said again, some seconds after it was said, and is then the same.
  const isHeld = () => expect(payloads(...held).join(' ')).toMatch(/^0 ON( 0 ON)*$/)
  await eventually(isHeld)
  await tap('held')
  await eventually(async () => {
    expect(payloads('held/answer')).toEqual(['1'])
    expect(await record('held')).toMatchObject([{ reason: 'granted', personId: expect.any(String) }])
  })
  isHeld()
})

test('a reader that waits for an answer gets it; one that only tells leaves its own relay alone', async () => {
  await tap('asking')
  await say('reader/asking', '424242')
  await say('tele/telling/SENSOR', { Wiegand: { UID: Number(KNOWN_CARD), Size: 26 } })
  await say('tele/telling/SENSOR', { Wiegand: { UID: 424242, Size: 26 } })
  await eventually(() => {
    expect(payloads('asking/answer')).toEqual(['1', '0'])
    expect(payloads('cmnd/telling/Buzzer')).toEqual(['2,3'])
    expect(payloads('asking/relay', 'telling/relay')).toEqual(['1', '1'])
  })
  expect(payloads('cmnd/telling/POWER1')).toEqual([])
})

test('a door whose device is away is not opened, and no opening is on record', async () => {
  await tap('away')
  await eventually(async () => {
    expect(payloads('away/answer')).toEqual(['0'])
    expect(await record('away')).toMatchObject([{ decision: 'denied', reason: 'unavailable' }])
  })
  expect(payloads('away/lock/bolt/command')).toEqual([])
})

test.each([
  ['killed', 'SIGKILL'],
  ['stopped', 'SIGTERM'],
] as const)('a bridge that is %s shuts what it opened', async (name, signal) => {
  await tap(name)
  await eventually(() => expect(payloads(`${name}/relay`)).toEqual(['1']))
  const { child } = site.bridge
  child.kill(signal)
  await once(child, 'exit')
  const next = site.startBridge()
  await eventually(() => expect(payloads(`${name}/relay`)).toEqual(['1', '0']))
  await next.said(/"listening"/)
})
