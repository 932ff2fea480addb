import { beforeAll, expect, test, vi } from 'vitest'
import { PROFILES } from './profiles/profiles.ts'
import { KNOWN_CARD, type Site, startSite } from './testing/site.ts'

// Every profile through a real broker: what its reader says, and the very bytes that it hears.

type Said = { topic: string; payload: string; qos: number; retain: boolean }
const FIRST = 'DE0BA996'
const SEVEN = '045E0AB2C34D80'
const PIN = '504391'
const VF = 'access_device/v2/event'

type Row = {
  profile: string
  reader: Record<string, unknown>
  /** Said before, by the way. */
  first?: readonly [topic: string, payload: unknown]
  /** Of a card that is let in, and of one that nobody knows; on the reader's topic unless said. */
  says: unknown
  says2?: unknown
  on?: string
  /** What is heard for each of the two: topic, payload, and 1 behind it where QoS is 1. */
  hears?: readonly (readonly [topic: string, payload: unknown, qos?: 1])[]
  hears2?: readonly (readonly [topic: string, payload: unknown, qos?: 1])[]
  /** What is on record of the first, where it is not `granted`, and by which number. */
  reason?: string
  card: string
}

const espRfid = (uid: string, access = 'Denied') => ({
  uid,
  username: 'Unknown',
  access,
  time: 1605991375,
  doorName: 'Door',
  type: 'access',
  isKnown: 'false',
  hostname: 'esp-rfid',
})
const asks = (uuid: string, serialNo: string, code: string, type = '200') => ({
  serialNo,
  uuid,
  time: 1640917147,
  sign: '',
  data: { type, code, timeStamp: 1640917147, message: 'VOUCHER_NOT_FOUND' },
})
const answers = (uuid: string, serialNo: string, code: string, message = '', what = 'access_online_reply') =>
  [`${VF}/${uuid}/${what}`, { serialNo, uuid, code, time: 0, sign: '', data: {}, message }, 1] as const
const typed = (code: string, transaction: number) => ({
  action: 'disarm',
  action_code: code,
  action_transaction: transaction,
  action_zone: 23,
  battery: 100,
})
const armMode = (mode: string, transaction: number) =>
  ['zigbee2mqtt/keypad_front/set', { arm_mode: { mode, transaction } }] as const
const fabomatic = (is_valid: boolean, name: string, level: number) =>
  ['machine/1/reply', { request_ok: true, is_valid, name, missing_auth: false, level }] as const

const rows: Row[] = [
  {
    profile: 'plain',
    reader: { topic: '/dilny/rfid/Tag', replyTopic: '/dilny/open' },
    says: KNOWN_CARD,
    says2: '424242',
    hears: [['/dilny/open', '1']],
    hears2: [['/dilny/open', '0']],
    card: KNOWN_CARD,
  },
  {
    profile: 'espeasy',
    reader: { topic: 'dilny/rfid/Tag', cardView: 'decimal4', settings: { gpio: 12, denyEvent: 'deny' } },
    says: '3725306262',
    says2: '424242',
    hears: [['dilny/cmd', 'LongPulse_mS,12,1,3000']],
    hears2: [['dilny/cmd', 'event,deny=1']],
    card: '3725306262',
  },
  {
    profile: 'json',
    reader: { topic: 'stat/rfid-hall', replyTopic: 'hall/open', settings: { cardAt: '/uid' } },
    says: { uid: SEVEN, type: 'NFC Forum Type 2' },
    says2: { uid: '01020304' },
    hears: [['hall/open', '1']],
    hears2: [['hall/open', '0']],
    card: SEVEN,
  },
  {
    profile: 'esp-rfid-v1.0',
    reader: { topic: '/rfid10' },
    says: { type: 'access', time: 1, isKnown: 'false', access: 'Denied', username: 'Unknown', uid: 'deba996' },
    reason: 'reader_denied',
    card: 'deba996',
  },
  {
    profile: 'esp-rfid-v1.3',
    reader: { topic: '/rfid13/send', settings: { decides: 'lintel' } },
    first: ['/rfid13/sync', { type: 'heartbeat', time: 1605991375, ip: '192.168.1.50', door: 'esp-rfid' }],
    says: { type: 'access', time: 1, isKnown: 'false', access: 'Denied', uid: '45eab2c34d80', door: 'esp-rfid' },
    hears: [['/rfid13', { cmd: 'opendoor', doorip: '192.168.1.50' }]],
    card: '45eab2c34d80',
  },
  {
    profile: 'esp-rfid-v2',
    reader: { topic: '/rfid/send', settings: { decides: 'lintel', door: 0 } },
    first: ['/rfid/send', { type: 'heartbeat', time: 1, uptime: 999, ip: '192.168.1.51', hostname: 'esp-rfid' }],
    says: espRfid('de0ba996'),
    says2: espRfid('01020304'),
    hears: [['/rfid/cmd', { cmd: 'open', doorip: '192.168.1.51', door: '0' }]],
    card: 'de0ba996',
  },
  {
    profile: 'esp-rfid-v2-ha',
    reader: { topic: '/rfidha/tag' },
    says: { uid: 'de0ba996', username: 'jan', access: 'Always', time: '21.11.2020 22:42:55\n', doorName: 'Door' },
    reason: 'reader_granted',
    card: 'de0ba996',
  },
  {
    profile: 'tasmota',
    reader: { topic: 'tele/door1/SENSOR', settings: { pulse: true, buzzer: '2,3' } },
    says: { Time: '2026-03-02T07:58:11', RC522: { UID: SEVEN } },
    says2: { Time: '2026-03-02T07:58:11', RC522: { UID: 'BA839D07', Data: '', Type: 'MIFARE 1KB' } },
    hears: [
      ['cmnd/door1/PulseTime1', '30'],
      ['cmnd/door1/POWER1', 'ON'],
    ],
    hears2: [['cmnd/door1/Buzzer', '2,3']],
    card: SEVEN,
  },
  {
    profile: 'esphome',
    reader: { topic: 'pn532/tag', settings: { prefix: 'front', lock: 'front_door', denyButton: 'deny' } },
    says: 'DE-0B-A9-96',
    says2: '01-02-03-04',
    hears: [['front/lock/front_door/command', 'UNLOCK']],
    hears2: [['front/button/deny/command', 'PRESS']],
    card: 'DE-0B-A9-96',
  },
  {
    profile: 'z2m-keypad',
    reader: { topic: 'zigbee2mqtt/keypad_front' },
    says: typed(PIN, 99),
    says2: typed('918273', 100),
    hears: [armMode('disarm', 99)],
    hears2: [armMode('invalid_code', 100)],
    card: 'PIN',
  },
  {
    profile: 'z2m-lock',
    reader: { topic: 'zigbee2mqtt/front_lock' },
    says: { action: 'unlock', action_source: 3, action_source_name: 'rfid', action_user: 4, state: 'UNLOCK' },
    reason: 'reader_granted',
    card: '4',
  },
  {
    profile: 'fabomatic',
    reader: { topic: 'machine/1' },
    says: { action: 'checkuser', uid: '96a90bde' },
    says2: { action: 'checkuser', uid: '01020304' },
    hears: [fabomatic(true, 'Ada', 2)],
    hears2: [fabomatic(false, 'Unknown', 0)],
    card: '96a90bde',
  },
  {
    profile: 'vf-access',
    reader: { topic: `${VF}/access_online`, unit: 'e4720000964b5c00' },
    says: asks('e4720000964b5c00', '0000000001', FIRST),
    says2: asks('e4720000964b5c00', '0000000002', '01020304'),
    hears: [answers('e4720000964b5c00', '0000000001', '000000')],
    hears2: [answers('e4720000964b5c00', '0000000002', '100000', 'denied')],
    card: FIRST,
  },
  {
    profile: 'acl-push',
    reader: { topic: 'frontdoor/access_denied' },
    on: 'frontdoor/access_granted',
    says: SEVEN,
    reason: 'reader_granted',
    card: SEVEN,
  },
  {
    profile: 'homekey-esp32',
    reader: { topic: '4c11ae0d51a2/homekey/auth' },
    says: { uid: FIRST, homekey: false, atqa: '0004', sak: '08', readerId: '4c11ae0d51a2' },
    hears: [['4c11ae0d51a2/homekit/set_target_state', '0']],
    card: FIRST,
  },
  {
    profile: 'uhppoted',
    reader: { topic: 'uhppoted/gateway/events/live' },
    says: {
      message: {
        event: { 'device-id': 405419896, 'event-id': 50, 'access-granted': true, 'door-id': 4, 'card-number': 8165538 },
      },
    },
    reason: 'reader_granted',
    card: '8165538',
  },
]
/** Lintel's own, which has signatures and a test of its own. */
const ELSEWHERE = ['lintel']

let site: Site
const heard: Said[] = []
const readerOf = new Map<Row | string, string>()
const say = (topic: string, payload: unknown, retain = false) =>
  site.mqtt.publishAsync(topic, typeof payload === 'string' ? payload : JSON.stringify(payload), { qos: 1, retain })
const topicOf = ({ on, reader }: Row) => on ?? String(reader['topic'])
const eventually = <T>(check: () => T | Promise<T>) => vi.waitFor(check, { timeout: 10_000, interval: 20 })
const on = (topics: readonly string[]) => heard.filter(({ topic }) => topics.includes(topic))
const record = async (key: Row | string) => site.events({ id: readerOf.get(key) ?? '' })
const bytes = (hears: Row['hears'] = []): Said[] =>
  hears.map(([topic, payload, qos = 0]) => ({
    topic,
    payload: typeof payload === 'string' ? payload : JSON.stringify(payload),
    qos,
    retain: false,
  }))

const more: [string, Record<string, unknown>][] = [
  ['second terminal', { profile: 'vf-access', topic: `${VF}/access_online`, unit: 'f5' }],
  ['keypad', { profile: 'esphome', topic: 'gate/tag', replyTopic: 'gate/open', settings: { pinTopic: 'gate/pin' } }],
]

beforeAll(async () => {
  site = await startSite(0)
  const { items } = await site.call('GET', '/people')
  const personId = items[0]?.id ?? ''
  await Promise.all([FIRST, SEVEN].map((number) => site.call('POST', '/cards', { personId, number })))
  await site.call('PUT', `/people/${personId}/pin`, { pin: PIN })
  site.mqtt.on('message', (topic, payload, { qos, retain }) => {
    heard.push({ topic, payload: payload.toString().replace(/"time":\d{10}\b/, '"time":0'), qos, retain })
  })
  await site.mqtt.subscribeAsync('#', { qos: 1 })
  // What the broker has kept is nothing, whatever the profile: else each of these would be on record twice.
  await Promise.all(rows.map((row) => say(topicOf(row), row.says, true)))
  const ids = await site.readers([
    ...rows.map(({ profile, reader }) => ({ profile, ...reader })),
    ...more.map(([, reader]) => reader),
  ])
  await site.bridge.said(/"retained":\d/)
  await Promise.all(rows.map((row) => say(topicOf(row), '', true)))
  for (const [n, id] of ids.entries()) readerOf.set(rows[n] ?? more[n - rows.length]?.[0] ?? '', id)
})

test('every profile with readers is tried', () => {
  const tried = [...rows.map(({ profile }) => profile), ...ELSEWHERE]
  expect(PROFILES.filter(({ topics, name }) => topics.length > 0 && !tried.includes(name))).toEqual([])
})

test.concurrent.each(rows.map((row) => [row.profile, row] as const))('%s', async (_, row) => {
  const { first, says, says2, hears, hears2, reason = 'granted', card } = row
  const from = topicOf(row)
  const answered = [...bytes(hears), ...bytes(hears2)]
  const topics = [...new Set(answered.map(({ topic }) => topic))].filter((topic) => topic !== from)
  if (first) await say(...first)
  await say(from, says)
  await eventually(async () => {
    expect(on(topics)).toEqual(bytes(hears))
    expect(await record(row)).toMatchObject([{ cardNumber: card, reason }])
  })
  if (says2 === undefined) return
  await say(from, says2)
  await eventually(async () => {
    expect(on(topics)).toEqual(answered)
    expect((await record(row)).map((event) => event['decision'])).toEqual(['denied', 'granted'])
  })
})

test('two terminals on one topic are two readers, each answered by the number that it gave', async () => {
  await Promise.all([
    say(`${VF}/access_online`, asks('f5', '0000000001', FIRST)),
    say(`${VF}/access_online`, asks('e4720000964b5c00', '0000000003', SEVEN)),
    say(`${VF}/access_online`, asks('0f', '0000000004', FIRST)),
  ])
  await eventually(() =>
    expect(on([`${VF}/f5/access_online_reply`])).toEqual(bytes([answers('f5', '0000000001', '000000')])),
  )
  await eventually(() =>
    expect(on([`${VF}/e4720000964b5c00/access_online_reply`])).toContainEqual(
      bytes([answers('e4720000964b5c00', '0000000003', '000000')])[0],
    ),
  )
  expect(await record('second terminal')).toHaveLength(1)
  expect(on([`${VF}/0f/access_online_reply`])).toEqual([])
})

test('a record that a terminal repeats until it is acknowledged is on record once, and acknowledged each time', async () => {
  const before = (await record('second terminal')).length
  const timeStamp = Math.floor(Date.now() / 1000) - 3600
  const data = [{ userId: 'U001', type: '200', timeStamp, result: 0, name: 'Jan', code: FIRST, extra: {}, error: '' }]
  const written = { serialNo: '6w8keif5g6', uuid: 'f5', time: timeStamp, sign: '', data }
  const reply = bytes([answers('f5', '6w8keif5g6', '000000', '', 'access_reply')])
  for (const times of [1, 2]) {
    await say(`${VF}/access`, written)
    await eventually(() => expect(on([`${VF}/f5/access_reply`])).toEqual(Array(times).fill(reply[0])))
  }
  const events = await record('second terminal')
  expect(events).toHaveLength(before + 1)
  expect(events.find(({ reason }) => reason === 'reader_granted')).toMatchObject({
    cardNumber: FIRST,
    at: new Date(timeStamp * 1000).toISOString(),
  })
})

test('a PIN typed apart belongs to the card before it; nothing of it is in the bridge’s log', async () => {
  await say('gate/pin', PIN)
  await site.bridge.said(/"pin_without_card":1/)
  await say('gate/tag', 'DE-0B-A9-96')
  await eventually(() => expect(on(['gate/open'])).toHaveLength(1))
  await say('gate/pin', PIN)
  await eventually(() => expect(on(['gate/open'])).toHaveLength(2))
  expect((await record('keypad')).map(({ cardNumber }) => cardNumber)).toEqual(['DE-0B-A9-96', 'DE-0B-A9-96'])
  expect(site.bridge.log.join('')).not.toMatch(new RegExp(`${PIN}|918273|${FIRST}|DE-0B-A9-96`, 'i'))
})
