import { expect, test } from 'vitest'
import type { CardView } from '../../api/contract/card-views.ts'
import type { SiteReader } from '../../api/contract/site.ts'
import { knownDoor } from '../door-profiles/door-profiles.ts'
import { readerOf } from '../testing/reader.ts'
import { hear } from './hear.ts'
import type { Heard, Vars } from './profile.ts'
import { known } from './profiles.ts'
import { messagesOf, openingVars } from './tell.ts'

/* The same firmwares with other cards, names, topics and orders than in the fixtures. */

type Setup = Partial<SiteReader>
const NOW = new Date(1_700_000_000_000)

const at = (profile: string, topic: string, cardView: CardView, setup: Setup = {}) => {
  const found = known(readerOf({ profile, topic, cardView, ...setup }))
  if (!found) throw new Error('no such profile')
  return found
}

const short = (heard: Heard): unknown => {
  const { vars: _vars, reply: _reply, ...said } = heard
  return said
}

/** What a message on the reader's own topic, or on another, says without what is only remembered of it. */
const said = (as: ReturnType<typeof at>, payload: unknown, topic = as.reader.topic, retained = false) => {
  const text = typeof payload === 'string' ? payload : JSON.stringify(payload)
  const heard = hear(as, { topic, payload: Buffer.from(text), retained }, NOW)
  return 'dropped' in heard ? heard.dropped : heard.map(short)
}

const answers = (as: ReturnType<typeof at>, payload: unknown, grants: boolean, more: Vars = {}) => {
  const text = typeof payload === 'string' ? payload : JSON.stringify(payload)
  const heard = hear(as, { topic: as.reader.topic, payload: Buffer.from(text), retained: false }, NOW)
  const found = 'dropped' in heard ? {} : heard[0]?.vars
  const vars = { ...as.vars, ...openingVars(as.reader.openMs, NOW, NOW), ...more }
  return messagesOf(grants ? as.profile.grant : as.profile.deny, vars, found)
}

const scan = (card: string, more = {}) => [{ is: 'scan', card, ...more }]

test.for([
  ['hex', { RC522: { UID: '74103794' } }, scan('74103794')],
  ['hex', { PN532: { Auth: 'Ok', Data: 'x', UID: '04AABBCCDDEE80' }, Extra: [1], Time: 'x' }, scan('04AABBCCDDEE80')],
  ['hex', { RC522: { UID: '00000000' } }, 'removal'],
  ['hex', { Wiegand: { UID: 4340757, Size: 26 } }, 'not_this_view'],
  ['hex', { Time: 'x', Uptime: '0T00:15:12' }, 'ignored'],
  ['em32-hex', { RDM6300: { UID: '0073f04c' } }, scan('0073f04c')],
  ['em32-decimal', { RDM6300: { UID: '0073F04C' } }, scan('7598156')],
  ['w26', { Wiegand: { Size: 24, UID: 16777215 } }, scan('16777215')],
  ['w26', { Wiegand: { Size: 26, UID: 16777216 } }, 'not_a_card'],
  ['w34', { Wiegand: { UID: 'DE0BA996h', Size: 32 } }, scan('3725306262')],
  ['w34', { Wiegand: { UID: 4294967296, Size: 34 } }, 'not_a_card'],
  ['w34', { Wiegand: { UID: '0h', Size: 34 } }, 'removal'],
  ['w34', { Wiegand: { UID: 7, Size: 8 } }, 'ignored'],
  ['w26', { Wiegand: { UID: 0, Size: 4 } }, 'ignored'],
  ['w26', { Wiegand: { UID: 91, Size: 4 } }, [{ is: 'pin', pin: '000091' }]],
  ['w26', { Wiegand: { UID: '5Bh', Size: 4 } }, [{ is: 'pin', pin: '000091' }]],
  ['hex', { RC522: { UID: 'DE0BA996' }, Switch2: 'OFF' }, [...scan('DE0BA996'), { is: 'contact', on: true }]],
  [
    'hex',
    { PN532: { UID: '045E0AB2C34D80' }, RC522: { UID: 'DE0BA996' } },
    [...scan('DE0BA996'), ...scan('045E0AB2C34D80')],
  ],
] as const)('tasmota, seen as %s: %j', ([view, payload, wanted]) => {
  const settings = { pinDigits: 6, contact: 2, contactOpen: 'OFF' }
  expect(said(at('tasmota', 'tele/shed-7/SENSOR', view, { settings }), payload)).toEqual(wanted)
})

test.for([
  ['tele/shed/SENSOR', 'cmnd/shed/POWER3', 'tele/shed/LWT'],
  ['shed/tele/SENSOR', 'shed/cmnd/POWER3', 'shed/tele/LWT'],
  ['/home/up/tele/shed/SENSOR', '/home/up/cmnd/shed/POWER3', '/home/up/tele/shed/LWT'],
] as const)('tasmota with the topic %s is opened at %s', ([topic, power, lwt]) => {
  const as = at('tasmota', topic, 'hex', { settings: { relay: 3, pulse: true, buzzer: '5,1' }, openMs: 20_000 })
  expect(answers(as, {}, true)).toEqual([
    { topic: power.replace('POWER', 'PulseTime'), payload: '120', qos: 0 },
    { topic: power, payload: 'ON', qos: 0 },
  ])
  expect(answers(as, {}, false)).toEqual([{ topic: power.replace('POWER3', 'Buzzer'), payload: '5,1', qos: 0 }])
  expect(said(as, 'Offline', lwt, true)).toEqual([{ is: 'presence', on: false }])
})

test.for([
  ['decimal4', '0073271986', scan('0073271986')],
  ['decimal4', '4294967296', 'not_a_card'],
  ['w26', '066,15381', scan('066,15381')],
  ['w34', '18446744073709551615', 'not_a_card'],
  ['decimal', '18446744073709551615', scan('18446744073709551615')],
  ['decimal4', 'None', 'removal'],
  ['decimal4', '3725306262x', 'not_a_card'],
] as const)('espeasy, seen as %s: %s', ([view, payload, wanted]) => {
  expect(said(at('espeasy', 'house/hall/gate/Tag', view), payload)).toEqual(wanted)
})

test('an ESPEasy unit is told on its own topics, with or without a slash before them', () => {
  const settings = { gpio: 5, pinTopic: '/gate/keys/Tag', pinDigits: 4 }
  const as = at('espeasy', '/gate/card/Tag', 'decimal4', { settings, openMs: 700, replyTopic: '/gate/other' })
  expect(answers(as, '1', true)).toEqual([{ topic: '/gate/cmd', payload: 'LongPulse_mS,5,1,700', qos: 0 }])
  expect(answers(as, '1', false)).toEqual([{ topic: '/gate/other', payload: '0', qos: 0 }])
  expect(said(as, '1063', '/gate/keys/Tag')).toEqual([{ is: 'pin', pin: '0427' }])
  expect(said(as, '0', '/gate/keys/Tag')).toEqual([{ is: 'ignore', why: 'the value was reset' }])
  // A star is ten in a nibble, and no digit.
  expect(said(as, '2600', '/gate/keys/Tag')).toBe('not_a_card')
  expect(said(as, '1063', '/gate/keys/Tag', true)).toBe('retained')
  expect(said(as, 'Connected', 'gate/status')).toBe('foreign_topic')
  const bare = at('espeasy', 'gate/card/Tag', 'decimal4', { replyTopic: 'gate/GPIO/4' })
  expect(answers(bare, '1', true)).toEqual([{ topic: 'gate/GPIO/4', payload: '1', qos: 0 }])
  expect(said(bare, 'Connection Lost', 'gate/status', true)).toEqual([{ is: 'presence', on: false }])
})

test.for([
  [{ cardAt: '/tag/id' }, 'decimal', '{"tag":{"id":12345678901234567890}}', scan('12345678901234567890')],
  [{ cardAt: '/tag/id' }, 'decimal', '{"tag":{"id":9007199254740993}}', scan('9007199254740993')],
  [{ cardAt: '/tag/id' }, 'decimal', '{"tag":{"id":1e3}}', 'not_a_card'],
  [{ cardAt: '/tag/id' }, 'decimal', '{"tag":{"id":-5}}', 'not_a_card'],
  [{ cardAt: '/tag/id' }, 'text', '{"tag":{"id":true}}', 'not_a_card'],
  [{ cardAt: '/tag/id' }, 'text', '{"tag":{"id":["A"]}}', 'not_a_card'],
  [{ cardAt: '/tag/id' }, 'hex', '{"tag":{}}', 'not_a_card'],
  [{ cardAt: '/tag/id' }, 'hex', '{"tag":{"id":"ＡＢ"}}', 'not_a_card'],
  [{ cardAt: '/tag/id' }, 'hex', 'DE0BA996', 'malformed'],
  [{ cardAt: '/__proto__/id' }, 'hex', '{"__proto__":{"id":"DE0BA996"}}', scan('DE0BA996')],
  [{ cardAt: '/constructor/name' }, 'text', '{}', 'not_a_card'],
  [{ cardAt: '/a~1b/~0' }, 'hex', '{"a/b":{"~":"DE-0B-A9-96"}}', scan('DE-0B-A9-96')],
  [
    { cardAt: '/uid', pinAt: '/pin' },
    'hex',
    '{"pin":"0427","uid":"de:0b:a9:96"}',
    scan('de:0b:a9:96', { pin: '0427' }),
  ],
  [{ cardAt: '/uid', pinAt: '/pin' }, 'hex', '{"pin":"04 27","uid":"deba9906"}', scan('deba9906')],
  [{ cardAt: '/uid', guardAt: '/type' }, 'hex', '{"uid":"DEBA9906"}', 'ignored'],
  [{ cardAt: '/uid', guardAt: '/type' }, 'hex', '{"uid":"DEBA9906","type":null}', scan('DEBA9906')],
  [{ cardAt: '/uid', guardAt: '/type', guardValue: 'tag' }, 'hex', '{"uid":"DEBA9906","type":"x"}', 'ignored'],
  [{ cardAt: '/uid', listAt: '/tags' }, 'hex', '{"tags":{"uid":"DEBA9906"}}', 'ignored'],
  [{ cardAt: '/uid', listAt: '/tags' }, 'hex', '{"tags":[{"uid":"0"},{"uid":"AABBCCDD"},{}]}', scan('AABBCCDD')],
  [{ cardAt: '', listAt: '' }, 'hex', '["AABBCCDD","AABBCCEE"]', [...scan('AABBCCDD'), ...scan('AABBCCEE')]],
] as const)('json by %j, seen as %s: %s', ([settings, view, payload, wanted]) => {
  expect(said(at('json', '/gate/cards', view, { settings }), payload)).toEqual(wanted)
})

const access = { hostname: 'gate', isKnown: 'true', type: 'access', username: 'eva', time: 'yesterday\n', more: {} }
test.for([
  ['hex', { ...access, uid: 'AABBCCDD', access: 'Admin' }, scan('AABBCCDD', { decided: 'granted' })],
  ['hex', { ...access, uid: '4b00423c15', access: 'Expired' }, scan('4b00423c15', { decided: 'denied' })],
  ['hex', { ...access, uid: 'AABBCCDD', access: ['Denied', 'Expired'] }, scan('AABBCCDD', { decided: 'denied' })],
  [
    'hex',
    { ...access, uid: '04AABBCCDDEE80', access: ['Expired', 'Admin'], pincode: '12345678' },
    [{ is: 'scan', card: '04AABBCCDDEE80', pin: '12345678', decided: 'granted' }],
  ],
  ['hex', { ...access, uid: 'AABBCCDD', access: 'Denied', hostname: 'shed' }, 'foreign_topic'],
  ['hex', { ...access, uid: 'AABBCCDD', access: 'Denied', hostname: undefined }, 'foreign_topic'],
  ['hex', { ...access, uid: '123456', access: 'Always' }, [{ is: 'note', what: 'card_or_pin' }]],
  ['hex-unpadded', { ...access, uid: '123456', access: 'Denied' }, scan('123456', { decided: 'denied' })],
  ['w26', { ...access, uid: '423c15', access: 'Denied' }, scan('4340757', { decided: 'denied' })],
  ['hex', { ...access, type: 'INFO', cmd: 'event', src: 'door', desc: 'Door Closed' }, [{ is: 'contact', on: false }]],
  ['hex', { ...access, type: 'WARN', cmd: 'event', src: 'tamper', desc: '?' }, [{ is: 'tamper', on: true }]],
] as const)('esp-rfid 2, seen as %s: %j', ([view, payload, wanted]) => {
  expect(said(at('esp-rfid-v2', 'site/rfid/send', view, { unit: 'gate' }), payload)).toEqual(wanted)
})

test('an esp-rfid that Lintel decides for is asked about what it denied, and recorded for what it opened', () => {
  const as = at('esp-rfid-v2', 'site/rfid/send', 'hex', { settings: { decides: 'lintel' } })
  expect(said(as, { ...access, uid: 'AABBCCDD', access: 'Denied' })).toEqual(scan('AABBCCDD'))
  expect(said(as, { ...access, uid: 'AABBCCDD', access: 'Always' })).toEqual(scan('AABBCCDD', { decided: 'granted' }))
})

test('an esp-rfid is opened by its address, and not without it', () => {
  const as = at('esp-rfid-v1.3', 'devnfc/send', 'hex-unpadded')
  const payload = '{"cmd":"opendoor","doorip":"10.0.0.9"}'
  expect(answers(as, {}, true, { ip: '10.0.0.9' })).toEqual([{ topic: 'devnfc', payload, qos: 0 }])
  expect(answers(as, {}, true)).toEqual([])
  const one = at('esp-rfid-v2-ha', '/rfid/tag', 'hex', { settings: { door: 2, ip: '10.0.0.8' } })
  expect(answers(one, {}, true)).toEqual([
    { topic: '/rfid/cmd', payload: '{"cmd":"open","doorip":"10.0.0.8","door":"2"}', qos: 0 },
  ])
  expect(said(one, 'LOCKED', '/rfid/io/lock2')).toEqual([{ is: 'lock', state: 'locked' }])
  expect(said(one, 'LOCKED', '/rfid/io/lock0')).toBe('ignored')
  const byTopic = at('esp-rfid-v2-ha', 'gate/tag', 'hex')
  expect(answers(byTopic, {}, true)).toEqual([{ topic: 'gate/cmd', payload: '{"cmd":"opendoor"}', qos: 0 }])
})

test('ESPHome opens by what is set up, and never by a text_sensor', () => {
  const all = { prefix: 'gate', lock: 'bolt', button: 'buzz', switch: 'strike' }
  const opens = (settings: SiteReader['settings']) =>
    answers(at('esphome', 'gate/tag', 'hex', { settings, replyTopic: 'gate/open' }), '', true)[0]
  expect(opens(all)).toMatchObject({ topic: 'gate/lock/bolt/command', payload: 'UNLOCK' })
  expect(opens({ prefix: 'gate', switch: 'strike' })).toMatchObject({ topic: 'gate/switch/strike/command' })
  expect(opens({ prefix: 'gate' })).toEqual({ topic: 'gate/open', payload: '1', qos: 0 })
  expect(said(at('esphome', 'sensor/a/state', 'hex'), 'DE-0B-A9-96')).toBe('foreign_topic')
  expect(said(at('esphome', '/a/b/sensor/a/state', 'hex'), 'DE-0B-A9-96')).toBe('foreign_topic')
})

test('a keypad at Zigbee2MQTT is answered by the number it gave, whatever the number is', () => {
  const as = at('z2m-keypad', '/z2m/floor 1/keypad', 'text')
  const asked = { linkquality: 1, action_transaction: '7/#', action_code: 427, action: 'disarm', tamper: true }
  expect(said(as, asked)).toEqual([
    { is: 'pin', pin: '427' },
    { is: 'tamper', on: true },
  ])
  const payload = '{"arm_mode":{"mode":"disarm","transaction":"7/#"}}'
  expect(answers(as, asked, true)).toEqual([{ topic: '/z2m/floor 1/keypad/set', payload, qos: 0 }])
  expect(said(as, { action: 'disarm', action_code: '+1A2B' })).toEqual(scan('+1A2B'))
  expect(said(as, { action: 'arm_all_zones', action_code: '0427' })).toEqual([{ is: 'note', what: 'armed' }])
  expect(said(as, { state: 'offline' }, '/z2m/floor 1/keypad/availability', true)).toEqual([
    { is: 'presence', on: false },
  ])
  expect(said(as, 'online', '/z2m/floor 1/keypad/availability', true)).toEqual([{ is: 'presence', on: true }])
})

test('a lock at Zigbee2MQTT says whom it let in, and not who turned it by hand', () => {
  const as = at('z2m-lock', 'zigbee2mqtt/back', 'decimal')
  const by = (action_source_name: string, action_user: unknown) =>
    said(as, { action: 'unlock', action_user, action_source_name, door_state: 'open' })
  const open = { is: 'contact', on: true }
  expect(by('fingerprint', 12)).toEqual([...scan('12', { decided: 'granted' }), open])
  expect(by('manual', 12)).toEqual([open])
  expect(by('keypad', null)).toEqual([open])
})

test('a machine is answered by its own name for whom it let in', () => {
  const as = at('fabomatic', 'machine/17', 'hex4-reversed', { settings: { level: 1 } })
  const tap = { uid: '9437 1074'.replace(' ', ''), action: 'checkuser', extra: 1 }
  expect(said(as, tap)).toEqual(scan('94371074'))
  expect(answers(as, tap, true, { name: 'Eva "}' })).toEqual([
    {
      topic: 'machine/17/reply',
      payload: '{"request_ok":true,"is_valid":true,"name":"Eva \\"}","missing_auth":false,"level":1}',
      qos: 0,
    },
  ])
  expect(said(as, { ...tap, uid: '04AABBCCDDEE80' })).toBe('not_a_card')
})

test('a terminal is answered by its own numbers, and records are acknowledged whatever is in them', () => {
  const topic = 'site/access_device/v2/event/access_online'
  const as = at('vf-access', topic, 'hex')
  const ask = (type: string | number, code: string, more = {}) => ({
    data: { code, type },
    uuid: 'ab12',
    serialNo: 9,
    ...more,
  })
  expect(said(as, ask(200, 'aabbccdd'))).toEqual(scan('aabbccdd'))
  expect(said(as, ask('100', 'AABBCCDD'))).toBe('not_this_view')
  expect(said(as, ask('400', '000427'))).toEqual([{ is: 'pin', pin: '000427' }])
  expect(said(as, ask('300', 'U001'))).toEqual([{ is: 'note', what: 'not_a_card' }])
  expect(said(at('vf-access', topic, 'text'), ask('101', 'visitor:17'))).toEqual(scan('visitor:17'))
  expect(said(at('vf-access', topic, 'hex', { unit: 'cd34' }), ask('200', 'AABBCCDD'))).toBe('foreign_topic')
  expect(answers(as, ask('400', '0427'), false)).toEqual([
    {
      topic: 'site/access_device/v2/event/ab12/access_online_reply',
      payload: '{"serialNo":9,"uuid":"ab12","code":"100000","time":1700000000,"sign":"","data":{},"message":"denied"}',
      qos: 1,
    },
  ])
  // A name with a slash would choose a topic, and a terminal without a number cannot know the answer.
  expect(answers(as, ask('200', 'AABBCCDD', { uuid: 'a/b' }), true)).toEqual([])
  expect(answers(as, ask('200', 'AABBCCDD', { serialNo: undefined }), true)).toEqual([])

  const records = (data: unknown) => {
    const payload = Buffer.from(JSON.stringify({ uuid: 'ab12', serialNo: 'n1', data }))
    const heard = hear(as, { topic: 'site/access_device/v2/event/access', payload, retained: false }, NOW)
    if ('dropped' in heard) throw new Error(heard.dropped)
    expect(heard[0]?.reply).toMatchObject([{ topic: 'site/access_device/v2/event/ab12/access_reply' }])
    return heard.map(short)
  }
  const one = { type: '200', code: 'AABBCCDD', result: 0, timeStamp: 1_650_000_000 }
  expect(records([{ type: '400', code: '0427', result: 0 }, one, { ...one, result: 1, timeStamp: 'x' }])).toEqual([
    { is: 'record', card: 'AABBCCDD', decided: 'granted', key: 'n1#1', time: 1_650_000_000 },
    { is: 'record', card: 'AABBCCDD', decided: 'denied', key: 'n1#2' },
  ])
  expect(records([{ type: '400', code: '0427' }])).toEqual([{ is: 'ignore', why: 'a record of no card' }])
  expect(records([{ ...one, code: 'zz' }])).toEqual([{ is: 'ignore', why: 'not_a_card' }])
})

test('a tag cannot pass for a HomeKey, nor a HomeKey for a tag', () => {
  const as = at('homekey-esp32', 'door/1/homekey/auth', 'hex')
  expect(said(as, { homekey: true, endpointId: '0A1B2C3D4E5F60', issuerId: 'x' })).toBe('ignored')
  expect(said(as, { homekey: false, uid: '0A1B2C3D4E5F' })).toBe('ignored')
  expect(said(as, { homekey: false, uid: '0a1b2c3d4e5f60', endpointId: 'DE0BA9960000' })).toEqual(
    scan('0a1b2c3d4e5f60'),
  )
  const alone = at('homekey-esp32', 'a/homekey/auth', 'hex', { settings: { decides: 'reader' } })
  expect(said(alone, { homekey: true, endpointId: 'AABBCCDDEEFF' })).toEqual(
    scan('AABBCCDDEEFF', { decided: 'granted' }),
  )
  expect(said(alone, { homekey: false, uid: 'AABBCCDD' })).toEqual(scan('AABBCCDD', { decided: 'denied' }))
})

test('readers that decide by themselves are heard as they decided', () => {
  const pushed = at('acl-push', '/shop/door/access_denied', 'hex')
  expect(said(pushed, 'aabbccdd')).toEqual(scan('aabbccdd', { decided: 'denied' }))
  expect(said(pushed, '04AABBCCDDEE80', '/shop/door/access_granted')).toEqual(
    scan('04AABBCCDDEE80', { decided: 'granted' }),
  )
  expect(said(pushed, 'AABBCCDD', 'shop/door/access_granted')).toBe('foreign_topic')
  const event = {
    'card-number': 10058400,
    'access-granted': false,
    'event-id': 7,
    'door-id': 2,
    'device-id': 201020304,
  }
  const board = at('uhppoted', 'events/live', 'decimal', { unit: '201020304', settings: { door: 2 } })
  expect(said(board, { message: { event } })).toEqual([{ is: 'record', card: '10058400', decided: 'denied', key: '7' }])
  expect(said(board, { message: { event: { ...event, 'door-id': 3 } } })).toBe('ignored')
  expect(said(board, { message: { event: { ...event, 'device-id': 1 } } })).toBe('foreign_topic')
})

test('a relay with its own message is told how long, and nothing it says is a card', () => {
  const door = knownDoor('value-relay', { command: 'a/b', open: '{"on":{openSeconds},"x":"{nothing}"}', state: 'a' })
  const full = knownDoor('value-relay', { command: 'a/b', open: '{"on":{openSeconds},"o":"{open}"}' })
  const simple = knownDoor('value-relay', { command: 'a/b', open: 'pulse {openMs}', state: 'a/s', on: 'yes' })
  const told = (as: typeof door) => as && messagesOf(as.profile.grant, { ...as.vars, ...openingVars(1500, NOW, NOW) })
  expect(told(door)).toEqual([])
  expect(told(full)).toEqual([])
  expect(told(simple)).toEqual([{ topic: 'a/b', payload: 'pulse 1500', qos: 0 }])
  const heard = simple && hear(simple, { topic: 'a/s', payload: Buffer.from('yes'), retained: true }, NOW)
  expect(heard).toMatchObject([{ is: 'relay', on: true }])
})

/** What a door is told to do, as topic and payload, with 1 behind it where QoS is 1; `+` and a number where it comes later. */
const doorSays = (
  what: 'grant' | 'hold' | 'release',
  profile: string,
  settings: SiteReader['settings'],
  openMs = 3000,
  more: Vars = {},
): string[] => {
  const door = knownDoor(profile, settings)
  if (!door) throw new Error('no such profile')
  const vars = { ...door.vars, ...openingVars(openMs, NOW, NOW), id: 7, ...more }
  return messagesOf(door.profile[what] ?? [], vars).map(({ topic, payload, qos, afterMs }) =>
    [topic, payload, ...(qos ? ['1'] : []), ...(afterMs === undefined ? [] : [`+${afterMs}`])].join(' '),
  )
}

const rpc = (device: string, params: object) =>
  `${device}/rpc {"id":7,"src":"lintel","method":"Switch.Set","params":${JSON.stringify(params)}} 1`

test.for([
  ['plain', { topic: 'device/domecek/ctecka/potvrzeni' }, 0, ['device/domecek/ctecka/potvrzeni 1']],
  ['espeasy', { node: 'gate', gpio: 255 }, 15_000, ['gate/cmd LongPulse_mS,255,1,15000']],
  ['espeasy', { node: '/a/gate', gpio: 0 }, 15_001, ['/a/gate/cmd LongPulse,0,1,16']],
  ['tasmota', { device: 'up/gate', relay: 32 }, 3000, ['cmnd/up/gate/POWER32 ON']],
  ['tasmota', { device: 'gate', pulse: true }, 11_100, ['cmnd/gate/PulseTime1 111', 'cmnd/gate/POWER1 ON']],
  ['tasmota', { device: 'gate', pulse: true }, 11_101, ['cmnd/gate/PulseTime1 112', 'cmnd/gate/POWER1 ON']],
  ['tasmota', { device: 'g', pulse: true, topicFirst: true }, 0, ['g/cmnd/PulseTime1 1', 'g/cmnd/POWER1 ON']],
  ['esphome', { prefix: 'g', lock: 'a', button: 'b', switch: 'c', opensBy: 'OPEN' }, 1, ['g/lock/a/command OPEN']],
  ['esphome', { prefix: 'g', lock: 'a', shut: true }, 900, ['g/lock/a/command UNLOCK', 'g/lock/a/command LOCK +900']],
  ['esphome', { prefix: 'g', button: 'b', switch: 'c', shut: true }, 1, ['g/button/b/command PRESS']],
  ['esphome', { prefix: 'g', switch: 'c' }, 1, ['g/switch/c/command ON']],
  ['shelly-gen1', { device: 'shelly25-1', relay: 1 }, 1, ['shellies/shelly25-1/relay/1/command on']],
  [
    'shelly-gen1',
    { device: 's', shut: true },
    2500,
    ['shellies/s/relay/0/command on', 'shellies/s/relay/0/command off +2500'],
  ],
  ['shelly-gen2', { device: 'a/b', relay: 3 }, 0, [rpc('a/b', { id: 3, on: true, toggle_after: 1 })]],
  ['shelly-gen2', { device: 'pro4pm' }, 600_000, [rpc('pro4pm', { id: 0, on: true, toggle_after: 600 })]],
  ['shelly-gen2', { device: 'plus1' }, 1001, [rpc('plus1', { id: 0, on: true, toggle_after: 2 })]],
  ['shelly-gen2', { device: 'plus1', relay: 9, short: true }, 1001, ['plus1/command/switch:9 on 1']],
  ['value-relay', { command: 'a' }, 1, ['a 1']],
  ['value-relay', { command: 'a', open: 'on', close: 'off {openMs}' }, 70, ['a on', 'a off 70 +70']],
  ['value-relay', { command: 'a', close: '0', closeAfterMs: 0 }, 70, ['a 1', 'a 0 +0']],
  // What cannot be shut is not opened.
  ['value-relay', { command: 'a', close: '{nothing}' }, 70, []],
  ['z2m-lock', { topic: 'z/back door' }, 1, ['z/back door/set {"state":"UNLOCK"}']],
  ['nuki', { device: 'nuki/1', action: 1, shut: true }, 5, ['nuki/1/lockAction 1', 'nuki/1/lockAction 2 +5']],
  ['homekey-esp32', { client: 'door/1' }, 1, ['door/1/homekit/set_target_state 0']],
  ['fabomatic', { machine: '17' }, 1, []],
  ['esp-rfid-v1.3', { base: 'devnfc' }, 1, []],
  ['esp-rfid-v1.3', { base: 'devnfc', ip: '10.1.2.3' }, 1, ['devnfc {"cmd":"opendoor","doorip":"10.1.2.3"}']],
  ['esp-rfid-v2', { base: 'd', ip: '10.1.2.3', door: 3 }, 1, ['d/cmd {"cmd":"open","doorip":"10.1.2.3","door":"3"}']],
  [
    'vf-access',
    { device: 'ab12', prefix: 'site/' },
    1,
    [
      'site/access_device/v2/cmd/ab12/control {"serialNo":"7","uuid":"ab12","time":1700000000,"sign":"","data":{"command":1,"extra":{}}} 1',
    ],
  ],
] as const)('a door of %s with %j that opens for %i ms is told %j', ([profile, settings, openMs, wanted]) => {
  expect(doorSays('grant', profile, settings, openMs)).toEqual(wanted)
})

test.for([
  ['espeasy', { node: 'g', gpio: 5 }, ['g/cmd GPIO,5,1'], ['g/cmd GPIO,5,0']],
  [
    'tasmota',
    { device: 'g', relay: 2 },
    ['cmnd/g/PulseTime2 0', 'cmnd/g/POWER2 ON'],
    ['cmnd/g/POWER2 OFF', 'cmnd/g/PulseTime2 30'],
  ],
  ['esphome', { prefix: 'g', lock: 'a' }, ['g/lock/a/command UNLOCK'], ['g/lock/a/command LOCK']],
  ['esphome', { prefix: 'g', switch: 'a' }, ['g/switch/a/command ON'], ['g/switch/a/command OFF']],
  // A press cannot hold, and the timer of the device would end what the first Shelly and the short command hold.
  ['esphome', { prefix: 'g', button: 'a', switch: 'b' }, [], []],
  ['shelly-gen1', { device: 's' }, [], ['shellies/s/relay/0/command off']],
  ['shelly-gen1', { device: 's', shut: true }, ['shellies/s/relay/0/command on'], ['shellies/s/relay/0/command off']],
  ['shelly-gen2', { device: 's' }, [rpc('s', { id: 0, on: true })], [rpc('s', { id: 0, on: false })]],
  ['shelly-gen2', { device: 's', short: true }, [], ['s/command/switch:0 off 1']],
  ['z2m-lock', { topic: 'z/l' }, ['z/l/set {"state":"UNLOCK"}'], ['z/l/set {"state":"LOCK"}']],
  ['nuki', { device: 'n' }, ['n/lockAction 3'], ['n/lockAction 2']],
  ['homekey-esp32', { client: 'h' }, ['h/homekit/set_target_state 0'], ['h/homekit/set_target_state 1']],
  ['value-relay', { command: 'a' }, [], []],
  ['value-relay', { command: 'a', close: '0' }, ['a 1'], ['a 0']],
  ['value-relay', { command: 'a', hold: 'on', release: 'off', close: '0' }, ['a on'], ['a off']],
  ['value-relay', { command: 'a', hold: 'on' }, [], []],
  ['plain', { topic: 'a' }, [], []],
] as const)('a door of %s with %j is held by %j and let go by %j', ([profile, settings, hold, release]) => {
  expect([doorSays('hold', profile, settings), doorSays('release', profile, settings)]).toEqual([hold, release])
})

test.for([
  ['tasmota', { device: 'g', relay: 2 }, 'stat/g/RESULT', '{"POWER2":"ON"}', 'done'],
  ['tasmota', { device: 'g' }, 'stat/g/RESULT', '{"POWER":"ON"}', 'done'],
  ['tasmota', { device: 'g', relay: 2 }, 'stat/g/RESULT', '{"POWER":"ON"}', 'ignored'],
  ['tasmota', { device: 'g' }, 'g/stat/RESULT', '{"POWER1":"OFF"}', undefined],
  ['esphome', { prefix: 'g', lock: 'a' }, 'g/lock/a/state', 'UNLOCKING', 'done'],
  ['esphome', { prefix: 'g', lock: 'a' }, 'g/lock/a/state', 'JAMMED', 'refused'],
  ['esphome', { prefix: 'g', lock: 'a' }, 'g/lock/a/state', 'LOCKED', undefined],
  ['esphome', { prefix: 'g', switch: 'a' }, 'g/switch/a/state', 'ON', 'done'],
  ['esphome', { prefix: 'g', switch: 'a', button: 'b' }, 'g/switch/a/state', 'ON', 'ignored'],
  ['shelly-gen1', { device: 's' }, 'shellies/s/relay/0', 'on', 'done'],
  ['shelly-gen1', { device: 's' }, 'shellies/s/relay/1', 'on', 'foreign_topic'],
  ['shelly-gen2', { device: 's' }, 'lintel/rpc', '{"id":7,"src":"s","result":{}}', 'done'],
  ['shelly-gen2', { device: 's' }, 'lintel/rpc', '{"id":7,"src":"s","error":{"code":-1}}', 'refused'],
  ['shelly-gen2', { device: 's' }, 'lintel/rpc', '{"id":7,"src":"t","result":{}}', 'ignored'],
  ['z2m-lock', { topic: 'z/l' }, 'z/l', '{"state":"UNLOCK"}', 'done'],
  ['z2m-lock', { topic: 'z/l' }, 'z/l', '{"lock_state":"not_fully_locked","state":"LOCK"}', 'refused'],
  ['homekey-esp32', { client: 'h' }, 'h/homekit/state', '4', 'done'],
  ['nuki', { device: 'n' }, 'n/state', '5', 'done'],
  ['value-relay', { command: 'a', state: 'a/s', on: 'yes' }, 'a/s', 'yes', 'done'],
  [
    'uhppoted',
    { device: 1, openCard: 2 },
    'lintel/uhppoted',
    '{"message":{"reply":{"request-id":"7","response":{"opened":false}}}}',
    'refused',
  ],
  ['esp-rfid-v2', { base: 'b' }, 'b/send', '{"type":"open","ip":"10.0.0.1"}', 'done'],
] as const)('of a door of %s with %j, on %s %s is: %s', ([profile, settings, topic, payload, wanted]) => {
  const door = knownDoor(profile, settings)
  const heard = door && hear(door, { topic, payload: Buffer.from(payload), retained: false }, NOW)
  if (!heard) throw new Error('no such profile')
  expect('dropped' in heard ? heard.dropped : heard[0]?.feedback).toBe(wanted)
})

test('terminals share their topics, and a door is the one whose number is named', () => {
  const door = knownDoor('vf-access', { device: 'ab12' })
  const heard = (uuid: string) =>
    door &&
    hear(
      door,
      {
        topic: 'access_device/v2/event/alarm',
        payload: Buffer.from(JSON.stringify({ uuid, data: { type: 256, value: 0 } })),
        retained: false,
      },
      NOW,
    )
  expect(heard('ab12')).toMatchObject([{ is: 'contact', on: true }])
  expect(heard('cd34')).toEqual({ dropped: 'ignored' })
})
