import type { Profile } from './profile.ts'
import { base, own, presenceLines } from './z2m.ts'

const DIGITS = '\\d{1,16}'

/** An alarm keypad asks to disarm, and asks again until it is answered by the number it gave. Some read tags too. */
export const z2mKeypad: Profile = {
  name: 'z2m-keypad',
  title: 'A keypad at Zigbee2MQTT',
  sources: [
    'Koenkk/zigbee-herdsman-converters@df72005: src/converters/fromZigbee.ts, src/converters/toZigbee.ts',
    'Koenkk/zigbee2mqtt@6835cbf: lib/extension/availability.ts, lib/extension/homeassistant.ts, issues 11564, 17043',
  ],
  decides: 'lintel',
  topics: ['{above...}/{device}'],
  views: ['text', 'hex', 'hex-reversed', 'decimal'],
  keypad: 'alone',
  settings: {
    base,
    pinDigits: { kind: 'number', min: 1, max: 16, says: 'How many digits a PIN has, for a keypad that loses zeros.' },
  },
  hears: [
    {
      json: true,
      also: true,
      when: { '/action': 'disarm', '/action_code': { matches: DIGITS } },
      take: { transaction: '/action_transaction' },
      is: 'pin',
      pin: { at: '/action_code', pad: 'pinDigits' },
    },
    {
      json: true,
      also: true,
      when: { '/action': 'disarm', '/action_code': { matches: `(?!${DIGITS}$).+` } },
      take: { transaction: '/action_transaction' },
      is: 'scan',
      card: { at: '/action_code' },
    },
    { json: true, also: true, when: { '/tamper': true }, is: 'tamper', yes: {} },
    { json: true, when: { '/action': ['emergency', 'panic', 'fire'] }, is: 'note', what: 'emergency' },
    {
      json: true,
      when: { '/action': { matches: 'arm_.+|exit_delay' } },
      take: { action: '/action' },
      is: 'note',
      what: 'armed',
    },
    { json: true, when: { '/action': { present: false }, '/tamper': [false] }, is: 'ignore', why: 'no action' },
    { json: true, when: { '/action': '' }, is: 'ignore', why: 'no action' },
    ...presenceLines,
  ],
  answers: true,
  grant: [
    [{ topic: '{topic}/set', payload: { arm_mode: { mode: 'disarm', transaction: '{transaction}' } } }],
    [{ topic: '{topic}/set', payload: { arm_mode: { mode: 'disarm' } } }],
  ],
  deny: [[{ topic: '{topic}/set', payload: { arm_mode: { mode: 'invalid_code', transaction: '{transaction}' } } }]],
  noticed: ['zigbee2mqtt/+'],
  own,
}
