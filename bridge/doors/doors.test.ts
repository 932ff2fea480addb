import fc from 'fast-check'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { SiteDoor, SiteReader } from '../../api/contract/site.ts'
import { DOOR_PROFILES, knownDoor } from '../door-profiles/door-profiles.ts'
import { type By, type News, newsBoard } from '../news.ts'
import { topicsOf } from '../profiles/hear.ts'
import type { Message } from '../profiles/profile.ts'
import { Unacknowledged } from '../publish.ts'
import { siteDoor } from '../testing/door.ts'
import { readerOf } from '../testing/reader.ts'
import { type Doors, doorsOn } from './doors.ts'

// Doors between a broker, a site and a disk that are all played here, on a clock that is set by hand.

const NOW = new Date('2026-03-02T08:00:00.000Z')
const DOOR = '0198c0de-0000-7000-8000-0000000000d1'
const REF = { doorId: DOOR }
const COMMAND: By = { by: 'command', commandId: 'c1' }
const SCAN: By = { by: 'scan', scanId: 's1' }

const doorOf = (profile: string, settings: SiteDoor['settings'], more: Partial<SiteDoor> = {}): SiteDoor =>
  siteDoor({ id: DOOR, profile, settings, timezone: 'Europe/Prague', ...more })
const tasmota = (more: Partial<SiteDoor> = {}) => doorOf('tasmota', { device: 'door1' }, more)
const relay = (more: Partial<SiteDoor> = {}) => doorOf('value-relay', { command: 'gate', close: '0' }, more)
const plain = (more: Partial<SiteDoor> = {}) => doorOf('plain', { topic: 'hall/open' }, more)

let published: string[]
let lifes: (number | undefined)[]
let told: News[]
let logged: string[]
let disk: Buffer | undefined
let publish: (message: Message) => Promise<void>
let waited: number
let record: () => Promise<void>
let recorded: string[]
let diskMs: number
let board: ReturnType<typeof newsBoard>
let doors: Doors
let all: Doors[]

const start = async () => {
  board = newsBoard(() => {})
  board.listen((news) => told.push(news))
  doors = await doorsOn({
    api: { clock: { now: () => new Date(), set() {} } },
    async publish({ topic, payload, qos }, life) {
      await publish({ topic, payload, qos })
      published.push(`${topic} ${payload}`)
      lifes.push(life)
    },
    age: () => waited,
    file: {
      read: async () => disk,
      async write(content) {
        if (diskMs === Number.POSITIVE_INFINITY) throw new Error('no space left')
        if (diskMs > 0) await new Promise((done) => setTimeout(done, diskMs))
        disk = content
      },
    },
    record: async (_, by) => {
      await record()
      recorded.push(by)
    },
    news: board,
    log: (level, event, fields = {}) => logged.push(JSON.stringify({ level, event, ...fields })),
  })
  all.push(doors)
}

beforeEach(async () => {
  vi.useFakeTimers({ now: NOW })
  published = []
  lifes = []
  told = []
  logged = []
  disk = undefined
  publish = async () => {}
  record = async () => {}
  recorded = []
  waited = 0
  diskMs = 0
  all = []
  await start()
})
afterEach(async () => {
  publish = async () => {}
  await Promise.all(all.map((one) => one.stop()))
  vi.useRealTimers()
})

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms)
const use = async (...site: SiteDoor[]) => {
  doors.use(site, [])
  await pass(0)
}
const say = (topic: string, payload: unknown, retained = false) =>
  doors.hear({ topic, payload: Buffer.from(typeof payload === 'string' ? payload : JSON.stringify(payload)), retained })
const open = (by: By = COMMAND, ms = 2000) => doors.open(REF, performance.now() + ms, by)
const is = () => told.map((news) => news.is)
const away = () => Promise.reject(new Error('the broker is away'))
const refused = (detail: string) => ({ state: 'refused', detail })
const delivered = (detail: string) => ({ state: 'delivered', detail })

test('what opens goes out once, with its life, and a device that never says is told so', async () => {
  await use(plain())
  expect(await open()).toEqual(delivered('sent'))
  expect(published).toEqual(['hall/open 1'])
  expect(lifes[0]).toBeGreaterThan(0)
  expect(lifes[0]).toBeLessThanOrEqual(2000)
  expect(told).toContainEqual({ is: 'opening', door: REF, forMs: 3000, by: COMMAND })
})

test('feedback closes the loop: it did, it says no, it says nothing', async () => {
  await use(tasmota())
  const one = open()
  await pass(10)
  say('stat/door1/RESULT', { POWER1: 'ON' })
  expect(await one).toEqual(delivered('opened'))
  const two = open()
  await pass(999)
  say('stat/door1/RESULT', { POWER1: 'OFF' })
  say('stat/door1/RESULT', { POWER2: 'ON' })
  await pass(1)
  expect(await two).toEqual(delivered('no_answer'))
  expect(is().filter((what) => ['opening', 'opened', 'no_answer'].includes(what))).toEqual([
    'opening',
    'opened',
    'opening',
    'no_answer',
  ])
})

test('a Shelly’s reply is about the opening whose number it names, and an error is a no', async () => {
  await use(doorOf('shelly-gen2', { device: 'shelly-a' }))
  const one = open()
  const two = open()
  await pass(0)
  const ids = published.map((line) => JSON.parse(line.slice(line.indexOf('{'))).id)
  expect(new Set(ids).size).toBe(2)
  const reply = { src: 'shelly-a', dst: 'lintel' }
  say('lintel/rpc', { ...reply, id: ids[1], error: { code: -103, message: 'no' } })
  say('lintel/rpc', { ...reply, id: ids[0], src: 'shelly-b', result: {} })
  say('lintel/rpc', { ...reply, id: 1e12, result: {} })
  expect(await two).toEqual(refused('device_refused'))
  say('lintel/rpc', { ...reply, id: ids[0], result: { was_on: false } })
  expect(await one).toEqual(delivered('opened'))
  expect(is()).toEqual(expect.arrayContaining(['opened', 'refused']))
})

test('what Home Assistant opens is on record first, and is not opened where it cannot be', async () => {
  await use(plain())
  const home: By = { by: 'home_assistant' }
  publish = async () => void recorded.push('out')
  expect(await open(home)).toEqual(delivered('sent'))
  expect(recorded).toEqual(['home_assistant', 'out'])
  record = () => Promise.reject(new Error('the disk is full'))
  expect(await open(home)).toEqual(refused('not_possible'))
  expect(published).toHaveLength(1)
  record = async () => void doors.use([plain({ lockdown: { until: null } })], [])
  expect(await open(home)).toEqual(refused('locked_down'))
  record = async () => {}
  doors.use([plain()], [])
  publish = away
  expect(await open(home)).toEqual(refused('broker_away'))
  expect([published.length, is().filter((what) => what === 'refused').length]).toEqual([1, 2])
})

test('to tell waits for no feedback', async () => {
  await use(tasmota())
  expect(await doors.tell(REF, performance.now() + 2000, SCAN)).toEqual(delivered('sent'))
  expect(is()).not.toContain('no_answer')
  await pass(1000)
  expect(is()).toContain('no_answer')
})

test('why a door is not opened is said, and then nothing goes out', async () => {
  expect(await open()).toEqual(refused('unknown_door'))
  await use(tasmota())
  expect(await open(COMMAND, 0)).toEqual(refused('expired'))
  waited = Number.POSITIVE_INFINITY
  expect(await open()).toEqual(refused('broker_away'))
  waited = 0
  publish = away
  expect(await open()).toEqual(refused('broker_away'))
  publish = async () => {}
  say('tele/door1/LWT', 'Offline', true)
  expect(await open(SCAN)).toEqual(refused('device_offline'))
  say('tele/door1/LWT', 'Online', true)
  await use(doorOf('esphome', { prefix: 'hall' }))
  expect(await open()).toEqual(refused('not_possible'))
  await use(doorOf('esp-rfid-v2', { base: '/rfid' }))
  expect(await open()).toEqual(refused('no_address'))
  await use(plain({ lockdown: { until: null } }))
  expect(await open()).toEqual(refused('locked_down'))
  expect(await open({ by: 'home_assistant' })).toEqual(refused('locked_down'))
  expect([published, is().includes('opening')]).toEqual([[], false])
})

test('an address is learned from the device that is meant, and none is taken where several are', async () => {
  await use(doorOf('esp-rfid-v2', { base: '/rfid', unit: 'hall' }))
  const beat = (ip: string, hostname: string) => say('/rfid/send', { type: 'heartbeat', time: 1, ip, hostname })
  beat('10.0.0.9', 'cellar')
  expect(await open()).toEqual(refused('no_address'))
  beat('not an address', 'hall')
  beat('10.0.0.8', 'hall')
  const opening = open()
  await pass(0)
  say('/rfid/send', { type: 'opendoor', ip: '10.0.0.8', hostname: 'hall' })
  expect(await opening).toEqual(delivered('opened'))
  expect(published).toEqual(['/rfid/cmd {"cmd":"opendoor","doorip":"10.0.0.8"}'])
  await use(doorOf('esp-rfid-v2', { base: '/rfid' }))
  beat('10.0.0.9', 'cellar')
  beat('10.0.0.8', 'hall')
  expect(await open(COMMAND)).toEqual(refused('no_address'))
  await use(doorOf('esp-rfid-v2', { base: '/rfid', ip: '10.0.0.7' }))
  await Promise.all([open(), pass(1000)])
  expect(published.at(-1)).toContain('10.0.0.7')
})

test('in a lockdown a card opens only if it was asked about in it: else it is of anybody', async () => {
  await use(plain({ lockdown: { until: null } }))
  const shown = (lockdown: SiteReader['lockdown']) =>
    doors.tell(REF, performance.now() + 2000, SCAN, { card: '1', cardView: 'decimal', lockdown })
  expect(await shown(null)).toEqual(refused('locked_down'))
  expect(published).toEqual([])
  expect(await shown({ until: null })).toEqual(delivered('sent'))
})

test('what comes back is told what it is to be, whenever it was told before', async () => {
  await use(tasmota({ evacuation: { until: null } }))
  expect(published.at(-1)).toBe('cmnd/door1/POWER1 ON')
  published = []
  // It had no power when it was told, and nobody knew.
  say('tele/door1/LWT', 'Online')
  await pass(0)
  expect(published.at(-1)).toBe('cmnd/door1/POWER1 ON')
  await use(doorOf('esphome', { prefix: 'hall', switch: 'strike', shut: true }))
  const opening = open()
  await pass(3_000)
  await opening
  expect(published.slice(-2)).toEqual(['hall/switch/strike/command ON', 'hall/switch/strike/command OFF'])
  published = []
  say('hall/status', 'online')
  await pass(0)
  expect(published).toEqual(['hall/switch/strike/command OFF'])
})

test('a tap at a door that is held open has it told so again, now and then: it may have fallen shut', async () => {
  await use(tasmota({ mode: 'held' }))
  const held = published.length
  await open(SCAN)
  await pass(0)
  expect(published).toHaveLength(held)
  await pass(5_000)
  await open({ by: 'scan', scanId: 's2' })
  await open({ by: 'scan', scanId: 's3' })
  await pass(0)
  expect(published.slice(held)).toEqual(published.slice(0, held))
})

test('an evacuation starts no machine, and says once what it cannot keep open', async () => {
  const evacuation = { until: null }
  await use(doorOf('fabomatic', { machine: '7', uid: '0a0b0c0d' }, { evacuation }))
  await pass(10_000)
  expect(published).toEqual([])
  expect(logged.filter((line) => line.includes('not_possible'))).toHaveLength(1)
})

test('an opening does not overtake the message that shuts its door for a lockdown', async () => {
  await use(relay())
  await open()
  await pass(1_000)
  publish = ({ payload }) => (payload === '0' ? new Promise((resolve) => setTimeout(resolve, 50)) : Promise.resolve())
  const another = open({ by: 'command', commandId: 'c2' })
  doors.use([relay({ lockdown: { until: null } })], [])
  await pass(5_000)
  expect(await another).not.toEqual(delivered('sent'))
  expect(published.at(-1)).toBe('gate 0')
})

test('a card that is held to a reader opens its door once at a time', async () => {
  await use(plain())
  await open(SCAN)
  await pass(1000)
  expect(await open(SCAN)).toEqual(delivered('sent'))
  expect(published).toHaveLength(1)
  await open({ by: 'scan', scanId: 's2' })
  expect(published).toHaveLength(2)
})

test('the second message comes when its time is over, and a later opening puts it off', async () => {
  await use(relay())
  await open()
  await pass(2000)
  await open()
  await pass(2999)
  expect(published).toEqual(['gate 1', 'gate 1'])
  await pass(1)
  expect(published).toEqual(['gate 1', 'gate 1', 'gate 0'])
  expect([lifes.at(-1), disk?.toString()]).toEqual([undefined, '[]'])
})

test('the second message is certain: with the broker away it goes out when that is back', async () => {
  await use(relay())
  await open()
  publish = away
  await pass(10_000)
  publish = async () => {}
  board.tell({ is: 'broker', connected: true })
  await pass(0)
  expect(published).toEqual(['gate 1', 'gate 0'])
  await pass(10_000)
  expect(published).toHaveLength(2)
})

test('the second message is certain: it is sent when the bridge is told to stop, and after it was killed', async () => {
  await use(relay())
  await open()
  const killed = disk
  expect(killed?.toString()).toContain('"gate"')
  await doors.stop()
  expect(published).toEqual(['gate 1', 'gate 0'])
  published = []
  disk = killed
  await start()
  board.tell({ is: 'broker', connected: true })
  await pass(0)
  expect(published).toEqual(['gate 0'])
  expect(disk?.toString()).toBe('[]')
})

test('what opens is not sent where it cannot be noted before, and nothing follows what did not go out', async () => {
  await use(relay())
  publish = away
  expect(await open()).toEqual(refused('broker_away'))
  publish = async () => {}
  board.tell({ is: 'broker', connected: true })
  await pass(10_000)
  expect(published).toEqual([])
  // Perhaps it arrived.
  publish = () => Promise.reject(new Unacknowledged())
  expect(await open()).toEqual(delivered('sent'))
  publish = async () => {}
  await pass(3000)
  expect(published).toEqual(['gate 0'])
})

test('a door is held by one message while its schedule says so, and let go by another; a tap does not end it', async () => {
  // 9:00 in Prague.
  const hold = [{ days: [1], from: '09:01', to: '09:03' }]
  await use(tasmota({ hold }))
  expect(told).toContainEqual({ is: 'mode', door: REF, mode: 'normal' })
  await pass(58_000)
  expect(published).toEqual([])
  await pass(4_000)
  expect(published).toEqual(['cmnd/door1/PulseTime1 0', 'cmnd/door1/POWER1 ON'])
  expect(await open(SCAN)).toEqual(delivered('sent'))
  await pass(100_000)
  expect(published).toHaveLength(2)
  await pass(20_000)
  expect(published.slice(2)).toEqual(['cmnd/door1/POWER1 OFF', 'cmnd/door1/PulseTime1 30'])
  expect(told.flatMap((news) => (news.is === 'mode' ? [news.mode] : []))).toEqual(['normal', 'held', 'normal'])
})

test('a door that no message can hold is opened before it shuts, again and again, until it is let go', async () => {
  await use(plain({ mode: 'held' }))
  expect(await doors.settle(REF, 'hold')).toEqual(delivered('sent'))
  await pass(9_700)
  expect(published).toEqual(Array(5).fill('hall/open 1'))
  // Whatever else changes of the site is no reason to open it.
  await use(plain({ mode: 'held' }))
  expect(published).toHaveLength(5)
  await use(plain())
  await pass(10_000)
  expect(published).toHaveLength(5)
})

test('evacuation comes before lockdown; a lockdown shuts what was held, and goes on when it is over', async () => {
  const until = (ms: number) => ({ until: new Date(NOW.getTime() + ms).toISOString() })
  await use(relay({ evacuation: until(5_000), lockdown: until(10_000) }))
  expect(published).toEqual(['gate 1'])
  await pass(6_000)
  expect(published).toEqual(['gate 1', 'gate 0'])
  expect(await open()).toEqual(refused('locked_down'))
  await pass(5_000)
  expect((await open()).state).toBe('delivered')
  const modes = told.flatMap((news) => (news.is === 'mode' ? [news.mode] : []))
  expect(modes).toEqual(['evacuation', 'lockdown', 'normal'])
})

test('a lockdown ends an opening that is under way', async () => {
  await use(relay())
  await open()
  await use(relay({ lockdown: { until: null } }))
  expect(published).toEqual(['gate 1', 'gate 0'])
  expect(await doors.settle(REF, 'lock')).toEqual(delivered('sent'))
})

test('what is told to shut, or to stay open, while an opening is being noted is so afterwards', async () => {
  diskMs = 50
  await use(relay())
  const opening = open()
  doors.use([relay({ lockdown: { until: null } })], [])
  await pass(10_000)
  expect((await opening).state).toBe('refused')
  expect(published.filter((said) => said === 'gate 1')).toEqual([])
  await use(relay())
  published = []
  const other = open()
  doors.use([relay({ mode: 'held' })], [])
  await pass(10_000)
  expect((await other).state).toBe('delivered')
  expect(published).not.toContain('gate 0')
  diskMs = 0
})

test('with a disk that refuses, an evacuation opens and nothing else does that would have to be shut', async () => {
  diskMs = Number.POSITIVE_INFINITY
  await use(relay())
  expect((await open()).state).toBe('refused')
  await use(relay({ evacuation: { until: null } }))
  expect(published).toEqual(['gate 1'])
  await use(relay())
  expect(published).toEqual(['gate 1', 'gate 0'])
})

test('what was held when the bridge was killed is held still, or let go, as the site then has it', async () => {
  await use(tasmota({ mode: 'held' }))
  const killed = disk
  published = []
  await start()
  board.tell({ is: 'broker', connected: true })
  await use(tasmota({ mode: 'held' }))
  expect(published).toEqual(['cmnd/door1/PulseTime1 0', 'cmnd/door1/POWER1 ON'])
  for (const site of [[tasmota()], []]) {
    published = []
    disk = killed
    await start()
    await use(...site)
    expect(published).toEqual(['cmnd/door1/POWER1 OFF', 'cmnd/door1/PulseTime1 30'])
  }
})

test('a bridge that stops leaves held open what is', async () => {
  await use(tasmota({ evacuation: { until: null } }))
  await doors.stop()
  expect(published).toEqual(['cmnd/door1/PulseTime1 0', 'cmnd/door1/POWER1 ON'])
})

test('a held door that becomes another one is let go as it was held', async () => {
  await use(tasmota({ mode: 'held' }))
  published = []
  await use(doorOf('tasmota', { device: 'door2' }, { mode: 'held' }))
  expect(published.toSorted()).toEqual(
    ['POWER1 OFF', 'PulseTime1 30']
      .map((said) => `cmnd/door1/${said}`)
      .concat(['cmnd/door2/POWER1 ON', 'cmnd/door2/PulseTime1 0']),
  )
})

test('a door is told again when it, or the broker, comes back', async () => {
  await use(tasmota({ mode: 'held' }))
  say('tele/door1/LWT', 'Online', true)
  await pass(0)
  expect(published).toHaveLength(4)
  for (const said of ['Offline', 'Online', 'Online']) say('tele/door1/LWT', said, true)
  await pass(0)
  expect(published).toHaveLength(6)
  board.tell({ is: 'broker', connected: false })
  board.tell({ is: 'broker', connected: true })
  await pass(0)
  expect(published).toHaveLength(8)
  // Nobody hears it being let go while the device is away.
  say('tele/door1/LWT', 'Offline', true)
  await use(tasmota())
  published = []
  say('tele/door1/LWT', 'Online', true)
  await pass(0)
  expect(published).toEqual(['cmnd/door1/POWER1 OFF', 'cmnd/door1/PulseTime1 30'])
})

test('an order is settled when its message went out, and not before', async () => {
  publish = away
  await use(tasmota({ mode: 'held' }))
  expect(await doors.settle(REF, 'hold')).toEqual(refused('broker_away'))
  expect(await open()).toEqual(refused('broker_away'))
  publish = async () => {}
  board.tell({ is: 'broker', connected: true })
  expect(await doors.settle(REF, 'hold')).toEqual(delivered('sent'))
  await pass(5_000)
  expect(published).toHaveLength(2)
  publish = away
  await use(tasmota())
  expect(await doors.settle(REF, 'release')).toEqual(refused('broker_away'))
  expect(logged.filter((line) => line.includes('door_not_told')).length).toBeLessThanOrEqual(2)
  expect(await doors.settle({ doorId: 'other' }, 'hold')).toEqual(refused('unknown_door'))
  await use(tasmota({ mode: 'held', lockdown: { until: null } }))
  expect(await doors.settle(REF, 'hold')).toEqual(refused('locked_down'))
})

test('a time zone that nobody knows is no order, and is said once', async () => {
  const hold = [{ days: [1, 2, 3, 4, 5, 6, 7], from: '00:00', to: '24:00' }]
  await use(plain({ timezone: 'Nowhere/At_All', hold }), tasmota({ id: 'other', mode: 'held' }))
  await pass(180_000)
  expect(published.filter((said) => said.startsWith('hall'))).toEqual([])
  expect(published).toContain('cmnd/door1/POWER1 ON')
  expect(logged.filter((line) => line.includes('no_mode'))).toHaveLength(1)
  expect((await open()).state).toBe('delivered')
})

test('a reader without a door is opened by its own answer, as far as that needs no card, and in an evacuation again and again', async () => {
  const reader = (profile: string, topic: string, more: Partial<SiteReader> = {}) =>
    readerOf({ profile, topic, cardView: 'hex', ...more })
  const byId = (id: string) => doors.open({ readerId: id }, performance.now() + 2000, COMMAND)
  const relays = [
    reader('plain', 'a', { id: 'plain', replyTopic: 'a/open' }),
    reader('vf-access', 'access_device/v2/event/access_online', { id: 'asks' }),
    reader('lintel', 'lintel/reader/7/scan', { id: 'signs' }),
    reader('plain', 'b', { id: 'elsewhere', replyTopic: 'b/open', doorId: DOOR }),
    reader('plain', 'c', { id: 'locked', replyTopic: 'c/open', lockdown: { until: null } }),
  ]
  doors.use([], relays)
  expect(await byId('plain')).toEqual(delivered('sent'))
  expect(await byId('asks')).toEqual(refused('not_possible'))
  expect(await byId('signs')).toEqual(refused('not_possible'))
  expect(await byId('elsewhere')).toEqual(refused('unknown_door'))
  expect(await byId('locked')).toEqual(refused('locked_down'))
  expect(await doors.settle({ readerId: 'plain' }, 'hold')).toEqual(refused('not_possible'))
  expect(published).toEqual(['a/open 1'])
  published = []
  doors.use([], [{ ...relays[0], evacuation: { until: null } } as SiteReader])
  await pass(7_300)
  expect(published).toEqual(Array(4).fill('a/open 1'))
})

test('whoever starts a machine is named to it only by a card that it understands', async () => {
  await use(doorOf('fabomatic', { machine: '7', uid: '0a0b0c0d' }))
  const shown = (card: string, cardView: SiteReader['cardView']) =>
    doors.tell(REF, performance.now() + 2000, { by: 'scan', scanId: card }, { card, cardView, lockdown: null })
  await shown('96A90BDE', 'hex4-reversed')
  await shown('6159760', 'decimal')
  expect(published.map((line) => JSON.parse(line.slice(line.indexOf('{'))).uid)).toEqual(['96a90bde', '0a0b0c0d'])
})

test('500 doors that shut by a second message are opened at once, with few writes to the disk', async () => {
  const many = Array.from({ length: 500 }, (_, n) =>
    doorOf('value-relay', { command: `gate/${n}`, close: '0' }, { id: `door-${n}` }),
  )
  await use(...many)
  const done = await Promise.all(many.map(({ id }) => doors.open({ doorId: id }, performance.now() + 2000, COMMAND)))
  expect(done.every(({ state }) => state === 'delivered')).toBe(true)
  await pass(3000)
  expect(published).toHaveLength(1000)
})

test('500 relays that answer on one topic are told apart by their names, and each opening has its own answer', async () => {
  const many = Array.from({ length: 500 }, (_, n) =>
    doorOf('shelly-gen2', { device: `shelly-${n}` }, { id: `door-${n}` }),
  )
  await use(...many)
  const opening = many.map(({ id }) => doors.open({ doorId: id }, performance.now() + 2000, COMMAND))
  await pass(0)
  for (const line of published) {
    const { id } = JSON.parse(line.slice(line.indexOf('{')))
    const [src] = line.split('/')
    say('lintel/rpc', src === 'shelly-7' ? { id, src, error: { code: -1 } } : { id, src, result: {} })
  }
  const done = await Promise.all(opening)
  expect(done.filter(({ detail }) => detail === 'opened')).toHaveLength(499)
  expect(done[7]).toEqual(refused('device_refused'))
})

/** A value for each setting, so that everything is listened to. */
const settingsOf = (profile: (typeof DOOR_PROFILES)[number]): SiteDoor['settings'] =>
  Object.fromEntries(
    Object.entries(profile.settings).map(([name, { kind, min = 1, choices = [] }]) => [
      name,
      kind === 'number' ? min : kind === 'boolean' ? true : kind === 'choice' ? (choices[0] ?? '') : `own-${name}`,
    ]),
  )

test('property: no message of any bytes opens a door, or keeps one open', async () => {
  const site = DOOR_PROFILES.map((profile) => doorOf(profile.name, settingsOf(profile), { id: profile.name }))
  await use(...site)
  const topics = site.flatMap(({ profile, settings }) => {
    const door = knownDoor(profile, settings)
    return door ? topicsOf(door) : []
  })
  const words = fc.constantFrom('1', 'ON', 'on', 'true', 'online', 'Online', 'UNLOCKED', '{"POWER1":"ON"}', '0', '4')
  const json = fc.jsonValue({ maxDepth: 3 }).map((value) => JSON.stringify(value))
  const bytes = fc.oneof(
    words.map(Buffer.from),
    json.map(Buffer.from),
    fc.uint8Array({ maxLength: 80 }).map((array) => Buffer.from(array)),
  )
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.constantFrom(...topics), bytes, fc.boolean()), { maxLength: 20 }),
      async (said) => {
        for (const [topic, payload, retained] of said) doors.hear({ topic, payload, retained })
        await pass(1100)
        expect(published).toEqual([])
      },
    ),
    { numRuns: 60 },
  )
})
