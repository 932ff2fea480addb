import * as v from 'valibot'
import { beforeEach, expect, test, vi } from 'vitest'
import { sealingKey } from '../api/contract/envelope.ts'
import type { HandedOver } from '../api/contract/hand-over.ts'
import { type Answer, answerOf, type Scan } from '../api/contract/scan.ts'
import { type SiteDoor, SiteReader } from '../api/contract/site.ts'
import type { Arrival } from './arrivals.ts'
import { type Bridge, bridgeOn, type State } from './bridge.ts'
import { doorsOn } from './doors/doors.ts'
import { linkToApi } from './link.ts'
import type { Log } from './log.ts'
import { noMetrics } from './metrics.ts'
import { type News, newsBoard } from './news.ts'
import type { Message } from './profiles/profile.ts'
import { Unacknowledged } from './publish.ts'
import { queueOf } from './queue.ts'
import { answerAt } from './testing/answers.ts'
import { siteDoor } from './testing/door.ts'

// One bridge between a broker and an API that are both played here.

const NOW = new Date('2026-03-02T08:00:00.000Z')
const IN_TIME = new Date(NOW.getTime() + 3_000).toISOString()
const bridgeId = '0198c0de-0000-7000-8000-00000000000b'
let made = 0
/** A reader by its profile and topic, and what else is to be said of it. */
const reader = (profile: string, topic: string, more: Partial<SiteReader> = {}): SiteReader => {
  made += 1
  const id = `0198c0de-0000-7000-8000-${String(made).padStart(12, '0')}`
  const rest = { replyTopic: null, cardView: 'hex', holdMs: 3000, offline: 'snapshot', offlineHours: 24, ...more }
  return v.parse(SiteReader, { id, name: id, profile, topic, ...rest })
}

let asked: { scan: Scan; want?: string[] }[]
let published: Message[]
let lifes: (number | undefined)[]
let kept: HandedOver[]
let noted: Arrival[]
let settled: string[]
let states: (readonly [string, State['is']])[]
let news: News[]
let logged: string[]
let acknowledged: string[]
/** What the API says to a scan, and what the broker does with a message; 503 is that it cannot say anything. */
let decide: (scan: Scan) => Partial<Answer> | number | Promise<Partial<Answer>>
let publish: (message: Message) => Promise<void>
let waited: number
let bridge: Bridge

const api = await answerAt(
  { id: bridgeId, key: sealingKey(new Uint8Array(32).fill(7)), clock: { now: () => NOW, set() {} } },
  {
    async check(message) {
      const { scan, want } = message as { scan: Scan; want?: string[] }
      asked.push({ scan, ...(want && { want }) })
      const said = await decide(scan)
      if (typeof said === 'number') return said
      const reason = scan.decided ? (`reader_${scan.decided}` as const) : 'granted'
      const decision = answerOf(said.reason ?? reason)
      return { scan: scan.id, decision, reason, openMs: 3000, expiresAt: IN_TIME, ...said }
    },
  },
)

beforeEach(async () => {
  asked = []
  published = []
  lifes = []
  kept = []
  noted = []
  settled = []
  states = []
  news = []
  logged = []
  acknowledged = []
  decide = () => ({})
  publish = async () => {}
  waited = 0
  const ids = { cardId: '0198c0de-0000-7000-8000-0000000000c1', personId: '0198c0de-0000-7000-8000-0000000000c2' }
  const board = newsBoard(() => {})
  board.listen((said) => {
    if (said.is !== 'said' && said.is !== 'scanned') news.push(said)
    if (said.is === 'said' && 'reader' in said) states.push([said.reader.id, said.state.is])
  })
  const publishing = async (message: Message, lifeMs?: number) => {
    published.push(message)
    lifes.push(lifeMs)
    await publish(message)
  }
  const log: Log = (level, event, fields = {}) => logged.push(JSON.stringify({ level, event, ...fields }))
  const file = { read: async () => undefined, write: async () => {} }
  const doors = await doorsOn({
    api,
    publish: publishing,
    age: () => waited,
    file,
    record: async () => {},
    news: board,
    log,
  })
  bridge = bridgeOn({
    api,
    age: () => waited,
    publish: publishing,
    link: linkToApi(() => {}),
    offline: {
      ready: () => true,
      decide: () => ({ reason: 'card_blocked', openMs: 3000, snapshot: 'v1', ...ids }),
      inForce() {},
      age: () => 0,
    },
    keep: { now: async (event) => void kept.push(event), atLast: async (event) => void kept.push(event) },
    arrivals: {
      found: [],
      done: [],
      note: (arrival) => noted.push(arrival),
      settled: (id) => settled.push(id),
      mark: () => () => {},
      refused: () => 0,
      close() {},
    },
    queue: queueOf(),
    metrics: noMetrics,
    own: { use() {}, believe: () => ({ refused: 'malformed' }), sign: (_, answer) => answer },
    log,
    doors,
    news: board,
  })
  return () => Promise.all([bridge.settle(), doors.stop()])
})

let messages = 0
const say = (topic: string, payload: string | object, retained = false) => {
  messages += 1
  const name = `${topic} ${messages}`
  const text = typeof payload === 'string' ? payload : JSON.stringify(payload)
  bridge.receive({
    id: messages,
    topic,
    payload: Buffer.from(text),
    retained,
    acknowledge: () => acknowledged.push(name),
    known: () => undefined,
    hold() {},
  })
  return name
}
const eventually = <T>(check: () => T) => vi.waitFor(check, { timeout: 5_000, interval: 5 })
const done = (name: string) => eventually(() => expect(acknowledged).toContain(name))
const told = () => published.map(({ topic, payload }) => `${topic} ${payload}`)
const dropped = () => logged.filter((line) => line.includes('"dropped"')).at(-1)

const VF = 'access_device/v2/event'
const vf = (uuid: string, serialNo: string, code = 'DE0BA996', type = '200') => ({
  serialNo,
  uuid,
  time: 1640917147,
  sign: '',
  data: { type, code, timeStamp: 1640917147, message: 'VOUCHER_NOT_FOUND' },
})
const vfRecord = (uuid: string, serialNo: string, timeStamp: number) => ({
  serialNo,
  uuid,
  time: timeStamp,
  data: [{ userId: 'U001', type: '200', timeStamp, result: 0, code: 'DE0BA996' }],
})

test('devices that share a topic are told apart, and each is answered by the number it gave', async () => {
  const [a, b] = ['a1', 'b2'].map((unit) => reader('vf-access', `${VF}/access_online`, { unit }))
  const rest = reader('vf-access', `${VF}/access_online`)
  bridge.use([rest, ...[a, b].flatMap((one) => one ?? [])], [])
  for (const [uuid, serial] of [
    ['b2', '7'],
    ['a1', '8'],
    ['c3', '9'],
  ] as const) {
    await done(say(`${VF}/access_online`, vf(uuid, serial)))
  }
  expect(asked.map(({ scan }) => scan.readerId)).toEqual([b?.id, a?.id, rest.id])
  await eventually(() => expect(published).toHaveLength(3))
  expect(published.map(({ topic, payload, qos }) => [topic, JSON.parse(payload).serialNo, qos])).toEqual([
    [`${VF}/b2/access_online_reply`, '7', 1],
    [`${VF}/a1/access_online_reply`, '8', 1],
    [`${VF}/c3/access_online_reply`, '9', 1],
  ])
})

test('a state that devices share is every reader’s; a scan that nobody is set up for is nobody’s', async () => {
  const [one, two] = ['one', 'two'].map((name) => reader('z2m-keypad', `zigbee2mqtt/${name}`))
  bridge.use(
    [one, two].flatMap((each) => each ?? []),
    [],
  )
  await done(say('zigbee2mqtt/bridge/state', { state: 'online' }, true))
  await done(say('zigbee2mqtt/three', { action: 'disarm', action_code: '0427' }))
  expect(states).toEqual([one, two].map((each) => [each?.id, 'presence']))
  expect(dropped()).toContain('"foreign_topic":1')
  expect([asked, published]).toEqual([[], []])
})

const espRfid = (uid: string, access = 'Denied', hostname = 'hall') => ({
  uid,
  username: 'Unknown',
  access,
  time: 1605991375,
  doorName: 'Door',
  type: 'access',
  isKnown: 'false',
  hostname,
})
const beat = (ip: string, hostname = 'hall') => ({ type: 'heartbeat', time: 1, uptime: 999, ip, hostname })

test('what a reader decided is recorded as that, once, and nothing is published', async () => {
  bridge.use([reader('esp-rfid-v2', '/rfid/send')], [])
  say('/rfid/send', beat('192.168.1.50'))
  await done(say('/rfid/send', espRfid('de0ba996', 'Always')))
  await done(say('/rfid/send', espRfid('de0ba996', 'Always')))
  await done(say('/rfid/send', espRfid('045e0ab2c34d80')))
  expect(asked.map(({ scan: { card, decided } }) => [card, decided])).toEqual([
    ['de0ba996', 'granted'],
    ['045e0ab2c34d80', 'denied'],
  ])
  expect(noted.map(({ decided }) => decided)).toEqual(['granted', 'denied'])
  expect([published, kept]).toEqual([[], []])
})

test.each([
  ['the API is away', () => 503, 0],
  ['it had waited', () => ({}), Number.POSITIVE_INFINITY],
])('what a reader decided goes into the spool as that when %s', async (_, answer, age) => {
  decide = answer
  waited = age
  bridge.use([reader('esp-rfid-v2', '/rfid/send')], [])
  await done(say('/rfid/send', espRfid('de0ba996', 'Always')))
  const whose = { cardId: expect.any(String), personId: expect.any(String) }
  expect(kept).toMatchObject([{ card: 'de0ba996', reason: 'reader_granted', openMs: 0, answered: true, ...whose }])
  expect(published).toEqual([])
})

test('a reader that may leave it to Lintel is opened at the address that its device said last', async () => {
  const settings = { decides: 'lintel' }
  bridge.use([reader('esp-rfid-v2', '/rfid/send', { settings, holdMs: 0 })], [])
  await done(say('/rfid/send', espRfid('de0ba996')))
  await eventually(() => expect(kept).toMatchObject([{ reason: 'unavailable' }]))
  expect(logged.join()).toContain('no_address')
  say('/rfid/send', beat('192.168.1.50'))
  say('/rfid/send', beat('192.168.1.51', 'cellar'))
  await done(say('/rfid/send', espRfid('de0ba996')))
  await done(say('/rfid/send', espRfid('de0ba996', 'Always')))
  await done(say('/rfid/send', espRfid('de0ba996', 'Denied', 'cellar')))
  await eventually(() => expect(published).toHaveLength(2))
  expect(asked.map(({ scan }) => scan.decided)).toEqual([undefined, undefined, 'granted', undefined])
  expect(told()).toEqual(
    ['192.168.1.50', '192.168.1.51'].map((doorip) => `/rfid/cmd ${JSON.stringify({ cmd: 'opendoor', doorip })}`),
  )
  expect(kept).toHaveLength(1)
})

test('a record is one scan however often it comes, and is acknowledged to the device when it is safe', async () => {
  const uuid = 'e4720000964b5c00'
  bridge.use([reader('vf-access', `${VF}/access_online`)], [])
  const at = NOW.getTime() / 1000 - 86_400
  waited = Number.POSITIVE_INFINITY
  await done(say(`${VF}/access`, vfRecord(uuid, 's1', at)))
  decide = () => 503
  await done(say(`${VF}/access`, vfRecord(uuid, 's1', at)))
  await done(say(`${VF}/access`, vfRecord(uuid, 's2', at)))
  const [first, again, other] = [asked[0]?.scan.id, ...kept.map(({ id }) => id)]
  expect([first === again, first === other]).toEqual([true, false])
  expect(asked[0]?.scan).toMatchObject({ at: '2026-03-01T08:00:00.000Z', decided: 'granted' })
  expect(kept.map(({ at, reason }) => [at, reason])).toEqual([
    ['2026-03-01T08:00:00.000Z', 'reader_granted'],
    ['2026-03-01T08:00:00.000Z', 'reader_granted'],
  ])
  await eventually(() => expect(published).toHaveLength(3))
  expect(published.map(({ topic, payload }) => [topic, JSON.parse(payload).serialNo])).toEqual(
    ['s1', 's1', 's2'].map((serial) => [`${VF}/${uuid}/access_reply`, serial]),
  )
})

test('a record that is not safe yet is acknowledged to nobody', async () => {
  bridge.use([reader('vf-access', `${VF}/access_online`)], [])
  let go = (_: Partial<Answer>) => {}
  const asking = new Promise<Partial<Answer>>((resolve) => {
    go = resolve
  })
  decide = () => asking
  const name = say(`${VF}/access`, vfRecord('e4720000964b5c00', 's1', NOW.getTime() / 1000))
  await eventually(() => expect(asked).toHaveLength(1))
  expect([published, acknowledged, noted.length, settled]).toEqual([[], [], 1, []])
  go({})
  await done(name)
})

const esphome = (more: Partial<SiteReader> = {}) =>
  reader('esphome', 'hall/tag', {
    replyTopic: 'hall/answer',
    settings: { prefix: 'hall', pinTopic: 'hall/pin' },
    ...more,
  })

test('a PIN belongs to the card before it, is asked anew when it is another, and is kept nowhere', async () => {
  decide = ({ pin }) => ({ reason: pin === undefined ? 'pin_required' : pin === '5040' ? 'granted' : 'wrong_pin' })
  bridge.use([esphome()], [])
  await done(say('hall/tag', 'DE-0B-A9-96'))
  for (const pin of ['9191', '9191', '5040', '5040']) await done(say('hall/pin', pin))
  await eventually(() => expect(published).toHaveLength(5))
  expect(asked.map(({ scan: { card, pin } }) => [card, pin])).toEqual([
    ['DE-0B-A9-96', undefined],
    ['DE-0B-A9-96', '9191'],
    ['DE-0B-A9-96', '5040'],
  ])
  expect(told()).toEqual(['0', '0', '0', '1', '1'].map((said) => `hall/answer ${said}`))
  decide = () => 503
  await done(say('hall/pin', '9292'))
  expect(kept).toMatchObject([{ card: 'DE-0B-A9-96', reason: 'card_blocked' }])
  expect(JSON.stringify([noted, kept, logged])).not.toMatch(/9191|5040|9292/)
  expect(logged.join()).not.toContain('DE-0B-A9-96')
})

test('a PIN alone is a scan where it may open alone, and else nothing', async () => {
  bridge.use([esphome()], [])
  await done(say('hall/pin', '5040'))
  expect(dropped()).toContain('"pin_without_card":1')
  bridge.use([esphome({ pinAlone: true })], [])
  await done(say('hall/pin', '5040'))
  expect(asked.map(({ scan: { card, pin } }) => [card, pin])).toEqual([['PIN', '5040']])
  expect(noted.map(({ card }) => card)).toEqual(['PIN'])
})

test('a keypad that asks again is answered by its newest number, and its PIN was typed once', async () => {
  decide = () => ({ reason: 'wrong_pin' })
  bridge.use([reader('z2m-keypad', 'zigbee2mqtt/keypad', { pinAlone: true, cardView: 'text' })], [])
  for (const transaction of [99, 99, 100]) {
    const said = { action: 'disarm', action_code: '0427', action_transaction: transaction }
    await done(say('zigbee2mqtt/keypad', said))
  }
  await eventually(() => expect(published).toHaveLength(3))
  expect(asked).toHaveLength(1)
  expect(published.map(({ payload }) => JSON.parse(payload).arm_mode)).toEqual(
    [99, 99, 100].map((transaction) => ({ mode: 'invalid_code', transaction })),
  )
})

test('a reader that came back is not believed at once', async () => {
  bridge.use([esphome()], [])
  for (const said of ['online', 'offline', 'online']) await done(say('hall/status', said, true))
  await done(say('hall/tag', 'DE-0B-A9-96'))
  await done(say('hall/pin', '5040'))
  expect(dropped()).toContain('"came_back"')
  waited = Number.POSITIVE_INFINITY
  await done(say('hall/tag', 'DE-0B-A9-96'))
  expect([asked, kept.map(({ reason }) => reason)]).toEqual([[], ['late']])
})

test('what opens goes out in its order, and where the first does not, the rest does not either', async () => {
  const settings = { relay: 2, pulse: true }
  bridge.use([reader('tasmota', 'tele/door/SENSOR', { settings, holdMs: 0 })], [])
  const scan = { RC522: { UID: 'DE0BA996' } }
  await done(say('tele/door/SENSOR', scan))
  const both = ['cmnd/door/PulseTime2 30', 'cmnd/door/POWER2 ON']
  await eventually(() => expect(told()).toEqual(both))
  expect(lifes.every((life) => life !== undefined && life > 0 && life <= 2_000)).toBe(true)
  publish = () => Promise.reject(new Unacknowledged())
  await done(say('tele/door/SENSOR', scan))
  await eventually(() => expect(kept).toMatchObject([{ reason: 'unavailable', openMs: 0 }]))
  expect(told()).toEqual([...both, both[0]])
})

test('when nobody knows whether the last of it arrived, the opening stays on record', async () => {
  publish = () => Promise.reject(new Unacknowledged())
  bridge.use([reader('vf-access', `${VF}/access_online`)], [])
  await done(say(`${VF}/access_online`, vf('e4720000964b5c00', '1')))
  await eventually(() => expect(logged.join()).toContain('"unanswered"'))
  await bridge.settle()
  expect(kept).toEqual([])
})

test('whose card it is is asked only for a display; without a name it is answered all the same', async () => {
  bridge.use(
    [reader('fabomatic', 'machine/1', { cardView: 'hex4-reversed' }), reader('plain', 'door', { replyTopic: 'open' })],
    [],
  )
  decide = () => ({ name: 'Ada' })
  await done(say('machine/1', { action: 'checkuser', uid: '96a90bde' }))
  decide = () => ({})
  await done(say('machine/1', { action: 'checkuser', uid: '96a90bdf' }))
  await done(say('door', 'DE0BA996'))
  expect(asked.map(({ want }) => want)).toEqual([['name'], ['name'], undefined])
  await eventually(() => expect(published).toHaveLength(3))
  expect(published.slice(0, 2).map(({ payload }) => JSON.parse(payload).name)).toEqual(['Ada', ''])
})

test('what is no scan is counted, told on, and written down by ids alone', async () => {
  const tasmota = reader('tasmota', 'tele/door/SENSOR', { settings: { contact: 1 } })
  bridge.use([tasmota], [])
  await done(say('stat/door/RESULT', { Switch1: { Action: 'ON' } }))
  await done(say('tele/door/LWT', 'Online', true))
  expect(states).toEqual([
    [tasmota.id, 'contact'],
    [tasmota.id, 'presence'],
  ])
  expect(logged.join()).toMatch(/"heard","contact":1/)
  expect([asked, published]).toEqual([[], []])
})

test('a message with several cards in it is acknowledged when all of them are safe', async () => {
  const settings = { listAt: '/tags', cardAt: '/id' }
  bridge.use([reader('json', 'uhf', { settings, replyTopic: 'open' })], [])
  let go = () => {}
  const asking = new Promise<void>((resolve) => {
    go = resolve
  })
  decide = ({ card }) => (card === 'DE0BA996' ? {} : asking.then(() => ({})))
  const name = say('uhf', { tags: [{ id: 'DE0BA996' }, { id: '045E0AB2C34D80' }, { id: 'DE0BA996' }] })
  await eventually(() => expect(settled.length).toBeGreaterThan(0))
  expect([asked.length, acknowledged]).toEqual([2, []])
  go()
  await done(name)
})

const DOOR = '0198c0de-0000-7000-8000-0000000000d0'
const doorWith = (more: Partial<SiteDoor> = {}): SiteDoor =>
  siteDoor({ id: DOOR, profile: 'plain', settings: { topic: 'front/open' }, ...more })
const withDoor = (profile: string, topic: string, more: Partial<SiteReader> = {}) =>
  reader(profile, topic, { doorId: DOOR, ...more })

test('a reader with a door opens that door first, and gets its answer if it waits for one', async () => {
  const [asks, tells] = [
    withDoor('plain', 'a', { replyTopic: 'a/answer' }),
    withDoor('espeasy', 'b/rfid/Tag', { cardView: 'decimal4', settings: { gpio: 5, denyEvent: 'no' } }),
  ]
  bridge.use([asks, tells], [doorWith()])
  await done(say('a', 'DE0BA996'))
  await done(say('b/rfid/Tag', '3725306262'))
  await eventually(() => expect(told()).toEqual(['front/open 1', 'a/answer 1', 'front/open 1']))
  expect(lifes[0]).toBeLessThanOrEqual(2_000)
  expect(news.map((one) => one.is)).toEqual(['mode', 'decided', 'opening', 'decided', 'opening'])
  expect(news.at(-1)).toMatchObject({ door: { doorId: DOOR }, by: { by: 'scan', scanId: asked[1]?.scan.id } })
  decide = () => ({ reason: 'no_rule' })
  await done(say('b/rfid/Tag', '3725306263'))
  await eventually(() => expect(told().slice(3)).toEqual(['b/cmd event,no=1']))
  expect(kept).toEqual([])
})

test('a door that could not be told is no opening, and its reader says no', async () => {
  bridge.use([withDoor('plain', 'a', { replyTopic: 'a/answer', holdMs: 0 })], [doorWith()])
  publish = async ({ topic }) => {
    if (topic === 'front/open') throw new Error('the broker is away')
  }
  await done(say('a', 'DE0BA996'))
  await eventually(() => expect(kept).toMatchObject([{ reason: 'unavailable', openMs: 0 }]))
  expect(told()).toEqual(['front/open 1', 'a/answer 0'])
  publish = async () => {}
  decide = () => ({ expiresAt: new Date(NOW.getTime() - 1).toISOString() })
  await done(say('a', 'DE0BA997'))
  await eventually(() => expect(kept).toHaveLength(2))
  expect(kept[1]).toMatchObject({ reason: 'late' })
  expect(told().slice(2)).toEqual(['a/answer 0'])
  // Of a door that is not there nothing is known.
  bridge.use([withDoor('espeasy', 'b/rfid/Tag', { cardView: 'decimal4', settings: { gpio: 5 } })], [])
  decide = () => ({})
  await done(say('b/rfid/Tag', '3725306262'))
  await eventually(() => expect(kept).toHaveLength(3))
  expect(told()).toHaveLength(3)
})

test('at a door that is held open a tap is on record, and nothing is sent to the door', async () => {
  bridge.use([withDoor('plain', 'a', { replyTopic: 'a/answer' })], [doorWith({ mode: 'held' })])
  await eventually(() => expect(told()).toEqual(['front/open 1']))
  await done(say('a', 'DE0BA996'))
  await eventually(() => expect(told()).toEqual(['front/open 1', 'a/answer 1']))
  expect([asked.length, kept]).toEqual([1, []])
})

test('what a reader opened itself is told as its opening too, and no door is opened by it', async () => {
  bridge.use([withDoor('esp-rfid-v2', '/rfid/send')], [doorWith()])
  await done(say('/rfid/send', espRfid('de0ba996', 'Always')))
  await eventually(() => expect(news.map((one) => one.is)).toEqual(['mode', 'decided', 'opening']))
  expect(news.find(({ is }) => is === 'decided')).toMatchObject({ decision: 'granted', reason: 'reader_granted' })
  expect(published).toEqual([])
})

test('nobody gets in a lockdown the answer that the same card got before it', async () => {
  const door = reader('plain', 'door', { cardView: 'decimal', replyTopic: 'door/open' })
  bridge.use([door], [])
  await done(say('door', '801'))
  await eventually(() => expect(told()).toEqual(['door/open 1']))
  decide = () => ({ reason: 'lockdown' })
  bridge.use([{ ...door, lockdown: { until: null } }], [])
  await done(say('door', '801'))
  await eventually(() => expect(told()).toEqual(['door/open 1', 'door/open 0']))
  await done(say('door', '801'))
  await eventually(() => expect(told()).toEqual(['door/open 1', 'door/open 0', 'door/open 0']))
  expect(asked).toHaveLength(2)
})
