import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { type CardView, keyOfCard, keyOfScan } from '../../api/contract/card-views.ts'
import { mistakesIn } from '../../api/contract/profiles.ts'
import { settingVars } from '../../api/contract/reader-topics.ts'
import type { Settings } from '../../api/contract/site.ts'
import { knownDoor } from '../door-profiles/door-profiles.ts'
import { readerOf } from '../testing/reader.ts'
import { hear, type Listened } from './hear.ts'
import type { Effect, Heard, Message, Vars } from './profile.ts'
import { known, PROFILES } from './profiles.ts'
import { messageOf, messagesOf, openingVars } from './tell.ts'

/*
 * Every line of fixtures.jsonl is a message as a firmware sends or wants it. The marks: V is read in the firmware's own
 * source, D in its documentation, 3P with third parties only, I inferred; a test's name says which.
 */

type Expect = Readonly<Record<string, unknown>> & { kind: string; id?: string }
type Line = {
  profile: string
  dir: 'in' | 'out'
  topic: string
  qos: 0 | 1 | 2
  retain: boolean
  payload: string
  expect: Expect
  mark: 'V' | 'D' | '3P' | 'I'
  note: string
}

const LINES: Line[] = readFileSync(new URL('fixtures.jsonl', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line))

type Setup = {
  profile?: string
  topic: string
  view: CardView
  replyTopic?: string
  unit?: string
  settings?: Settings
}

/** The reader that a line is about, by the profile it names; more than one where a line's view or topic says so. */
const READERS: Readonly<Record<string, Setup | ((line: Line) => Setup)>> = {
  karty: { profile: 'plain', topic: '/dilny/rfid/Tag', view: 'decimal', replyTopic: '/dilny/open' },
  'karty-hex': {
    profile: 'plain',
    topic: 'device/domecek/ctecka/request',
    view: 'hex',
    replyTopic: 'device/domecek/ctecka/potvrzeni',
  },
  espeasy: ({ topic, expect: { id, encoding, kind } }) => ({
    topic: topic.startsWith('/') ? '/dilny/rfid/Tag' : 'dilny/rfid/Tag',
    view: id?.startsWith('em32') ? 'em32-decimal' : id?.startsWith('w26') ? 'w26' : 'decimal4',
    ...(topic === '/dilny/GPIO/12' && { replyTopic: topic }),
    settings: {
      ...(topic === '/dilny/cmd' && { gpio: 12 }),
      ...(kind === 'deny' && { denyEvent: 'deny' }),
      pinTopic: '/dilny/pin/Tag',
      pinCoding: encoding === undefined ? 'decimal' : 'bcd',
    },
  }),
  'esp-rfid-v1.0': { topic: '/rfid', view: 'hex-unpadded' },
  'esp-rfid-v1.3': { topic: '/rfid/send', view: 'hex-unpadded', unit: 'esp-rfid' },
  'esp-rfid-v2': ({ expect: { id, relay } }) => ({
    topic: '/rfid/send',
    view: id?.startsWith('unpadded') ? 'hex-unpadded' : 'hex',
    unit: 'esp-rfid',
    settings: relay === undefined ? {} : { door: 0 },
  }),
  'esp-rfid-v2-ha': { topic: '/rfid/tag', view: 'hex' },
  tasmota: ({ topic, expect: { id } }) => ({
    topic: `tele/${topic.split('/')[1]}/SENSOR`,
    view: id?.startsWith('em32') ? 'em32-hex' : id?.startsWith('w26') ? 'w26' : id?.startsWith('w34') ? 'w34' : 'hex',
    settings: { contact: 1, buzzer: '2,3' },
  }),
  esphome: ({ topic, expect: { id, kind } }) => ({
    topic: kind === 'scan' || kind === 'ignore' ? topic : 'frontdoor/tag',
    view: id?.startsWith('em32') ? 'em32-decimal' : id?.startsWith('num') ? 'decimal' : 'hex',
    settings: {
      prefix: 'frontdoor',
      pinTopic: 'frontdoor/keypad',
      contact: 'door_contact',
      denyButton: 'deny',
      ...(topic.includes('/lock/') ? { lock: 'front_door' } : { button: 'open_door' }),
    },
  }),
  'z2m-keypad': { topic: 'zigbee2mqtt/keypad_front', view: 'text' },
  'z2m-lock': { topic: 'zigbee2mqtt/front_lock', view: 'decimal' },
  z2m: { profile: 'z2m-lock', topic: 'zigbee2mqtt/front_lock', view: 'decimal' },
  'acl-push': { topic: 'frontdoor/access_denied', view: 'hex' },
  fabomatic: { topic: 'machine/1', view: 'hex4-reversed' },
  'homekey-esp32': { topic: '4c11ae0d51a2/homekey/auth', view: 'hex' },
  'vf-access': { topic: 'access_device/v2/event/access_online', view: 'hex', unit: 'e4720000964b5c00' },
  uhppoted: { topic: 'uhppoted/gateway/events/live', view: 'decimal', unit: '405419896' },
  oxrs: { profile: 'json', topic: 'stat/rfid-hall', view: 'hex', settings: { cardAt: '/uid' } },
  'zebra-iotc': {
    profile: 'json',
    topic: 'zebra/data',
    view: 'hex',
    settings: { cardAt: '/data/idHex', guardAt: '/data/format', guardValue: 'epc' },
  },
  'impinj-iot': {
    profile: 'json',
    topic: 'impinj/events',
    view: 'hex',
    settings: { cardAt: '/tagInventoryEvent/epcHex', guardAt: '/eventType', guardValue: 'tagInventory' },
  },
}

/** Devices that are no readers, by the profile a line names: the door's profile and its settings. */
const DOOR_PROFILES: Readonly<Record<string, (line: Line) => readonly [string, Settings]>> = {
  'shelly-gen1': () => ['shelly-gen1', { device: 'shelly1-B929CC' }],
  'shelly-gen2': ({ topic }) => [
    'shelly-gen2',
    { device: 'shellyplus1-a8032abe54dc', src: 'karty-bridge', input: 0, short: topic.includes('/command/') },
  ],
  nuki: () => ['nuki', { device: 'nuki/2BB28570' }],
  wirenboard: () => [
    'value-relay',
    { command: '/devices/wb-mr6c_25/controls/K1/on', state: '/devices/wb-mr6c_25/controls/K1' },
  ],
  'omg-onoff': () => [
    'value-relay',
    {
      command: 'home/OpenMQTTGateway/commands/MQTTtoONOFF',
      open: '{"gpio":13,"cmd":"high_pulse","pulse_length":{openMs}}',
    },
  ],
  // What the terminal, the machine and the controller do when nobody asked at them.
  'vf-access open': () => ['vf-access', { device: 'e4720000964b5c00' }],
  'fabomatic open': () => ['fabomatic', { machine: '1' }],
  'uhppoted open': () => [
    'uhppoted',
    { client: 'QWERTY', answers: 'uhppoted/reply/97531', device: 405419896, door: 4, openCard: 405419896 },
  ],
}

/** Profiles that have no topic for scans, or none yet. */
const DEVICES: Readonly<Record<string, Settings>> = {
  'tool-control-poc': { device: 'ESP32-30AEA49F247A' },
  'fabreader-apdu': { reader: '00042' },
  'ha-discovery': { component: 'tag', object: '0AFFD2' },
}

const there = <T>(value: T | undefined): T => {
  if (value === undefined) throw new Error('not there')
  return value
}

const listenedFor = (line: Line): Listened => {
  const door = DOOR_PROFILES[`${line.profile} ${line.expect.kind}`] ?? DOOR_PROFILES[line.profile]
  if (door) return there(knownDoor(...door(line)))
  const device = DEVICES[line.profile]
  if (device) {
    const profile = there(PROFILES.find(({ name }) => name === line.profile))
    const reader = { topic: '', unit: null, cardView: 'hex' } as const
    return { reader, profile, vars: settingVars(profile.settings, device) }
  }
  const told = there(READERS[line.profile])
  const { profile = line.profile, view, ...setup } = typeof told === 'function' ? told(line) : told
  return there(known(readerOf({ profile, cardView: view, ...setup })))
}

const hearing = (line: Line, as: Listened = listenedFor(line)) =>
  hear(as, { topic: line.topic, payload: Buffer.from(line.payload), retained: line.retain }, new Date())

const firstOf = (line: Line): Heard => {
  const heard = hearing(line)
  if ('dropped' in heard) throw new Error(`dropped: ${heard.dropped}`)
  return there(heard[0])
}

/** The card of section 12 of the notes whose first bytes these are. */
const wholeCard = (prefix: string) => (prefix === '045E0AB2' ? '045E0AB2C34D80' : prefix)

/** That a card's text in its reader's view is the card that the line names: `hex:DE0BA996`, `w26:4340757`, … */
const expectCard = (view: CardView, card: string, { id, canonical, canonical_prefix, fc, cn }: Expect) => {
  const [form = '', value = ''] = String(id).split(':')
  const key = there(keyOfScan(view, card))
  const whole = (text: unknown) => keyOfCard(view, { form: 'hex', number: wholeCard(String(text).replace('hex:', '')) })
  if (form === 'em32') expect(key).toBe(whole(`4B${value}`))
  else if (form === 'num' && view === 'hex') expect(BigInt(`0x${key}`)).toBe(BigInt(value))
  else expect(key).toBe(value.toUpperCase())
  if (canonical !== undefined) expect(key).toBe(whole(canonical))
  if (canonical_prefix !== undefined) expect(key).toBe(whole(canonical_prefix))
  if (fc !== undefined) expect(keyOfScan(view, `${fc},${cn}`)).toBe(key)
}

const CHECKS: Readonly<Record<string, (line: Line) => void>> = {
  scan(line) {
    const { expect: wanted } = line
    const { cardView } = listenedFor(line).reader
    const heard = firstOf(line)
    if (heard.is !== 'scan') throw new Error(heard.is)
    expectCard(cardView, heard.card, wanted)
    expect(heard.pin).toBe(wanted['pin'])
    const letsIn = /"access":(?:\["Always"|"Always")/.test(line.payload) || wanted['granted'] === true
    expect(heard.decided).toBe(wanted['decided'] === 'reader' ? (letsIn ? 'granted' : 'denied') : undefined)
    expect(heard.vars).toMatchObject({
      ...(wanted['correlate'] !== undefined && { correlate: wanted['correlate'] }),
      ...(wanted['issuer'] !== undefined && { issuer: wanted['issuer'] }),
    })
  },
  record(line) {
    const heard = firstOf(line)
    if (heard.is !== 'record') throw new Error(heard.is)
    if (line.expect.id !== undefined) expectCard(listenedFor(line).reader.cardView, heard.card, line.expect)
    expect(heard).toMatchObject({
      decided: 'granted',
      ...(line.expect['dedupe'] !== undefined && { key: line.expect['dedupe'], time: 1639475284, card: 'DE0BA996' }),
    })
  },
  pin(line) {
    const { digits, correlate, transaction } = line.expect
    expect(firstOf(line)).toMatchObject({
      is: 'pin',
      pin: digits,
      vars: { ...(correlate !== undefined && { correlate }), ...(transaction !== undefined && { transaction }) },
    })
  },
  error: (line) => expect(hearing(line)).toEqual({ dropped: 'not_a_card' }),
  ignore(line) {
    const as = listenedFor(line)
    const heard = hearing(line, as)
    expect('dropped' in heard ? ['ignore'] : heard.map(({ is }) => is)).toEqual(['ignore'])
    if (line.profile === 'esphome') {
      const reader = readerOf({ profile: 'esphome', topic: line.topic, cardView: 'hex' })
      expect(mistakesIn(reader)).toMatchObject([{ path: 'topic', message: expect.stringContaining('text_sensor') }])
    }
  },
  ambiguous: (line) => expect(firstOf(line)).toMatchObject({ is: 'note', what: 'card_or_pin' }),
  heartbeat: (line) =>
    expect(firstOf(line)).toMatchObject({
      is: 'heartbeat',
      vars: line.expect['ip'] === undefined ? {} : { ip: line.expect['ip'] },
    }),
  rex: (line) => expect(firstOf(line)).toMatchObject({ is: 'rex' }),
  contact(line) {
    const { open = line.expect['raw'] === true || line.expect['raw'] === 'ON' } = line.expect
    expect(firstOf(line)).toMatchObject({ is: 'contact', on: open })
  },
  'contact-state': (line) => expect(firstOf(line)).toMatchObject({ is: 'contact', on: line.expect['raw'] === 'ON' }),
  presence: (line) => expect(firstOf(line)).toMatchObject({ is: 'presence', on: line.expect['online'] }),
  relay: (line) => expect(firstOf(line)).toMatchObject({ is: 'relay', on: line.expect['on'] }),
  lock(line) {
    const { state = line.expect['locked'] ? 'locked' : 'unlocked' } = line.expect
    expect(firstOf(line)).toMatchObject({ is: 'lock', state })
  },
  'reader-decided'(line) {
    const { user_slot, source, code_id } = line.expect
    expect(firstOf(line)).toMatchObject(
      user_slot === undefined
        ? { is: 'note', what: `decided_by_${source}`, vars: { code: String(code_id) } }
        : { is: 'scan', card: String(user_slot), decided: 'granted', vars: { source } },
    )
  },
  ack: (line) => expect(firstOf(line)).toMatchObject({ is: 'note', what: 'done', vars: { id: line.expect['id'] } }),
  'acl-hash'(line) {
    const uids = there(line.expect['uids'] as string[] | undefined)
    const hash = createHash('sha256').update(uids.toSorted().join('')).digest('hex')
    expect(firstOf(line)).toMatchObject({ is: 'note', what: 'acl_hash', vars: { hash } })
  },
  'session-start': (line) => expect(firstOf(line)).toMatchObject({ is: 'note', what: 'session_start' }),
  'session-stop': (line) =>
    expect(firstOf(line)).toMatchObject({
      is: 'note',
      what: 'session_stop',
      vars: { seconds: line.expect['seconds'] },
    }),
  'enrol-request'(line) {
    const { vars } = firstOf(line)
    expect(`hex:${vars['card']}`).toBe(line.expect.id)
    expect(`hex:${String(vars['by']).replace(/^0{6}/, '')}`).toBe(line.expect['by'])
  },
  hello: (line) =>
    expect(firstOf(line)).toMatchObject({ is: 'note', what: 'hello', vars: { reader: line.expect['reader'] } }),
  'card-present'(line) {
    const heard = firstOf(line)
    expect(heard).toMatchObject({ is: 'note', what: 'card_present' })
    expect(`hex:${heard.vars['card']}`).toBe(line.expect.id)
  },
  discovery: (line) =>
    expect(firstOf(line)).toMatchObject({
      is: 'note',
      what: 'discovery',
      vars: { topic: '0AFFD2/tag_scanned', template: '{{ value_json.PN532.UID }}' },
    }),
}

/** Who is asking when an answer is built: what the other lines' messages said, and what the bridge knows. */
const AT = new Date(1_640_917_147_000)
const ANSWER: Vars = { ...openingVars(3000, AT, AT), reason: 'granted', ip: '192.168.1.50' }
const TOLD: Readonly<Record<string, Vars>> = {
  'fabomatic grant': { name: 'user name' },
  'fabomatic open': { card: '96a90bde' },
  'vf-access open': { id: '0000000003' },
  'uhppoted open': { id: 'AH173635G3' },
  'shelly-gen2 open': { id: 7001 },
}
const LISTED: Vars = { user: 'jan', since: 0, until: 1608466200, card: 'DE0BA996' }

/** What a line that came in left to be answered. */
const foundBy = (profile: string): Vars => {
  const line = LINES.find(
    ({ profile: name, dir, expect: { kind } }) =>
      name === profile && dir === 'in' && (kind === 'scan' || kind === 'pin'),
  )
  return line ? firstOf(line).vars : {}
}

const told = (line: Line): Message[] => {
  const { profile, vars } = listenedFor(line)
  const { kind, pulse } = line.expect
  const all = { ...vars, ...ANSWER, ...TOLD[`${line.profile} ${kind}`] }
  const one = (effects: readonly Effect[] | undefined, more: Vars) =>
    there(effects).flatMap((effect) => messageOf(effect, { ...all, ...more }) ?? [])
  const replyTo = (action: string, topic: string, at: Date) => {
    const came = { topic, payload: Buffer.from(action), retained: false }
    const heard = hear(listenedFor(line), came, at)
    return 'dropped' in heard ? [] : heard.flatMap(({ reply }) => reply)
  }
  switch (kind) {
    case 'open':
    case 'grant':
      return messagesOf(profile.grant, all, foundBy(line.profile))
    case 'deny':
      return messagesOf(profile.deny, all, foundBy(line.profile))
    case 'setup':
      expect(pulse).toBeUndefined()
      return messagesOf(there(profile.setup), all)
    case 'acl-add':
      return one(profile.accessList?.add, LISTED)
    case 'acl-del':
      return one(profile.accessList?.remove, LISTED)
    case 'acl-query':
      return one(profile.accessList?.query, {})
    case 'acl-replace':
      return there(profile.accessList?.whole).flatMap(
        (effect) =>
          messageOf(effect, vars, {}, { admins: [], inductors: ['DE0BA996'], cards: ['045E0AB2C34D80'] }) ?? [],
      )
    case 'ack': {
      const record = there(LINES.find(({ expect: { dedupe } }) => dedupe !== undefined))
      return replyTo(record.payload, record.topic, new Date(1_639_475_285_000))
    }
    case 'reply': {
      const actions = String(line.expect['to']).split('|')
      const replies = actions.map((action) =>
        replyTo(JSON.stringify({ action, uid: '96a90bde' }), 'machine/1', AT).map((message) => JSON.stringify(message)),
      )
      return [...new Set(replies.flat())].map((message) => JSON.parse(message))
    }
    default:
      throw new Error(`nothing says ${kind}`)
  }
}

const titled = LINES.map((line, index) => {
  const { profile, dir, topic, payload, expect: wanted, mark } = line
  const shown = payload.length > 60 ? `${payload.slice(0, 60)}…` : payload
  const verb = dir === 'in' ? 'hears' : 'says'
  return [`${index + 1} [${mark}] ${profile} ${verb} ${wanted.kind}: ${topic} ${shown}`, line] as const
})

test.for(titled.filter(([, { dir }]) => dir === 'in'))('%s', ([, line]) => {
  there(CHECKS[line.expect.kind])(line)
})

test.for(titled.filter(([, { dir }]) => dir === 'out'))('%s', ([, line]) => {
  const { topic, payload, qos } = line
  expect(told(line)).toEqual([{ topic, payload, qos }])
  expect(line.retain).toBe(false)
})

/** The door that a line opens which a reader of the same firmware has too. */
const DOORS: Readonly<Record<string, (line: Line) => readonly [string, Settings]>> = {
  ...DOOR_PROFILES,
  karty: ({ topic }) => ['plain', { topic }],
  'karty-hex': ({ topic }) => ['plain', { topic }],
  espeasy: ({ topic }) =>
    topic.endsWith('/cmd') ? ['espeasy', { node: '/dilny', gpio: 12 }] : ['plain', { topic: '/dilny/GPIO/12' }],
  'esp-rfid-v1.3': () => ['esp-rfid-v1.3', { base: '/rfid' }],
  'esp-rfid-v2': ({ expect: { relay } }) => ['esp-rfid-v2', { base: '/rfid', ...(relay !== undefined && { door: 0 }) }],
  tasmota: () => ['tasmota', { device: 'door1' }],
  esphome: ({ topic }) => [
    'esphome',
    { prefix: 'frontdoor', ...(topic.includes('/lock/') ? { lock: 'front_door' } : { button: 'open_door' }) },
  ],
  'z2m-lock': () => ['z2m-lock', { topic: 'zigbee2mqtt/front_lock' }],
  'homekey-esp32': () => ['homekey-esp32', { client: '4c11ae0d51a2' }],
}
const opening = titled.filter(
  ([
    ,
    {
      dir,
      expect: { kind },
    },
  ]) => dir === 'out' && kind === 'open',
)

test.for(opening)('as a door: %s', ([, line]) => {
  const { topic, payload, qos, profile } = line
  const find = DOORS[`${profile} open`] ?? DOORS[profile]
  const { profile: door, vars } = there(knownDoor(...there(find)(line)))
  const all = { ...vars, ...ANSWER, ...TOLD[`${profile} open`] }
  expect(messagesOf(door.grant, all)).toEqual([{ topic, payload, qos }])
})

test('every line is tried, and every profile has one', () => {
  expect(titled.length).toBeGreaterThanOrEqual(137)
  const named = new Set(LINES.map((line) => listenedFor(line).profile.name))
  // Lintel's own protocol has its vectors in own-protocol/.
  expect(PROFILES.filter(({ name, verify }) => !named.has(name) && !verify)).toEqual([])
})
