import { describe, expect, test } from 'vitest'
import { fitsFilter, noticer } from './notice.ts'
import type { Profile } from './profiles/profile.ts'

const AT = new Date('2026-03-02T08:00:00Z')

const common = { sources: [], decides: 'lintel', settings: {}, grant: [], deny: [] } as const

const sensor: Profile = {
  ...common,
  name: 'sensor',
  title: 'As Tasmota is',
  topics: ['tele/{node...}/SENSOR'],
  views: ['hex', 'em32-hex'],
  hears: [
    { json: true, when: { '/RC522/UID': { present: true } }, views: ['hex'], is: 'scan', card: { at: '/RC522/UID' } },
    {
      json: true,
      when: { '/RDM6300/UID': { present: true } },
      views: ['em32-hex'],
      is: 'scan',
      card: { at: '/RDM6300/UID' },
    },
    { topic: 'tele/{node...}/LWT', kept: true, is: 'presence', yes: { '': 'Online' } },
  ],
  noticed: ['tele/+/SENSOR', 'tele/+/LWT'],
}
const shared: Profile = {
  ...common,
  name: 'shared',
  title: 'As esp-rfid 2 is',
  topics: ['{base...}/send'],
  unit: '/hostname',
  views: ['hex'],
  hears: [
    { json: true, when: { '/type': 'access' }, is: 'scan', card: { at: '/uid' } },
    { topic: '{base...}/sync', json: true, when: { '/type': 'heartbeat' }, is: 'heartbeat' },
  ],
  noticed: ['+/send', '+/sync'],
}
const older: Profile = { ...shared, name: 'older', unit: '/door' }
const keypad: Profile = {
  ...common,
  name: 'keypad',
  title: 'As a Zigbee keypad is',
  topics: ['{base}/{name}'],
  views: ['text'],
  settings: { pinTopic: { kind: 'topic', says: '' } },
  hears: [
    { topic: '{pinTopic}', is: 'pin', pin: { at: '' } },
    { json: true, when: { '/action': ['disarm', 'arm_all_zones'] }, is: 'pin', pin: { at: '/action_code' } },
  ],
  noticed: ['zigbee2mqtt/+', 'homeassistant/+'],
}
const literal: Profile = {
  ...common,
  name: 'literal',
  title: 'Text, as ESPEasy has it',
  topics: ['{node...}/{task}/Tag'],
  refuses: { 'dull/{task}/Tag': 'is somebody else’s' },
  views: ['decimal4'],
  hears: [{ is: 'scan', card: { at: '' } }],
  noticed: ['+/+/Tag'],
}

const { notice, filters } = noticer([sensor, shared, older, keypad, literal, { ...literal, name: 'no', noticed: [] }])
const noticed = (topic: string, said: unknown) =>
  notice(topic, Buffer.from(typeof said === 'string' ? said : JSON.stringify(said)), AT)

describe('a device is noticed', () => {
  test.each([
    ['a scan', 'tele/door1/SENSOR', { Time: 'x', RC522: { UID: 'DE0BA996' } }, 'sensor', 'tele/door1/SENSOR'],
    ['a scan in its other view', 'tele/door1/SENSOR', { RDM6300: { UID: '00423C15' } }, 'sensor', 'tele/door1/SENSOR'],
    ['a PIN', 'zigbee2mqtt/front', { action: 'disarm', action_code: '0427' }, 'keypad', 'zigbee2mqtt/front'],
    ['a text', 'dilny/rfid/Tag', '3725306262', 'literal', 'dilny/rfid/Tag'],
  ])('by %s', (_, topic, said, profile, reader) => {
    expect(noticed(topic, said)).toEqual([{ profile, topic: reader }])
  })

  test('by a heartbeat on another topic, as the reader that it would be, and by the name that it has there', () => {
    const beat = { type: 'heartbeat', ip: '192.168.1.50', hostname: 'east' }
    expect(noticed('rfid/sync', beat)).toEqual([{ profile: 'shared', topic: 'rfid/send', unit: 'east' }])
  })

  test('as the version that finds its name, and as both when both do; without a name it is nobody', () => {
    const scan = { type: 'access', uid: 'de0ba996' }
    expect(noticed('rfid/send', { ...scan, door: 'west' })).toEqual([
      { profile: 'older', topic: 'rfid/send', unit: 'west' },
    ])
    const both = noticed('rfid/send', { ...scan, door: 'west', hostname: 'east' })
    expect(both.map(({ profile }) => profile)).toEqual(['shared', 'older'])
    expect(noticed('rfid/send', scan)).toEqual([])
    expect(noticed('rfid/send', { ...scan, hostname: 'a\u0000b' })).toEqual([])
  })

  test('without its card: nothing of that is in what is noted', () => {
    expect(JSON.stringify(noticed('tele/door1/SENSOR', { RC522: { UID: 'DE0BA996' } }))).not.toMatch(/de0ba996/i)
  })
})

describe('nothing is noticed', () => {
  test.each([
    ['a lamp', 'zigbee2mqtt/lamp', { state: 'ON', brightness: 254, linkquality: 120 }],
    ['a lamp with a button', 'zigbee2mqtt/lamp', { action: 'toggle' }],
    ['another sensor of the firmware', 'tele/plug/SENSOR', { Time: 'x', ENERGY: { Power: 3 } }],
    ['being there, which every device of the firmware says', 'tele/plug/LWT', 'Online'],
    ['a card that was taken away', 'dilny/rfid/Tag', '0'],
    ['what is no card', 'dilny/rfid/Tag', 'Connected'],
    ['discovery', 'homeassistant/front', { action: 'disarm', action_code: '0427' }],
    ['a topic that is refused', 'dull/rfid/Tag', '3725306262'],
    ['a topic that nobody watches', 'a/b/c/rfid/Tag', '3725306262'],
    ['half a JSON', 'rfid/send', '{"type":"access"'],
    ['too much of it', 'rfid/send', { type: 'access', uid: 'de0ba996', more: 'x'.repeat(5_000) }],
  ])('by %s', (_, topic, said) => {
    expect(noticed(topic, said)).toEqual([])
  })

  test('by any bytes, and none make it throw', () => {
    for (let i = 0; i < 256; i++) {
      const bytes = Buffer.from([i, 255 - i, 0x7b, i])
      for (const topic of ['rfid/send', 'dilny/rfid/Tag', 'zigbee2mqtt/x']) expect(notice(topic, bytes, AT)).toEqual([])
    }
  })
})

test('what is watched is what the profiles say, each once', () => {
  expect(filters).toEqual([
    'tele/+/SENSOR',
    'tele/+/LWT',
    '+/send',
    '+/sync',
    'zigbee2mqtt/+',
    'homeassistant/+',
    '+/+/Tag',
  ])
})

test.each([
  ['+/send', 'a/send', true],
  ['+/send', '/a/send', false],
  ['/+/send', '/a/send', true],
  ['a/#', 'a', true],
  ['a/#', 'a/b/c', true],
  ['a/#', 'ab', false],
  ['a/+', 'a/b/c', false],
])('the filter %s and the topic %s: %s', (filter, topic, fits) => {
  expect(fitsFilter(filter, topic)).toBe(fits)
})
