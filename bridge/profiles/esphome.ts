import type { Effects, Hear, Own, Profile, Setting } from './profile.ts'

/** What of it can open. */
export const openers: Readonly<Record<string, Setting>> = {
  lock: { kind: 'level', says: 'The lock that opens (its object id), by UNLOCK.' },
  button: { kind: 'level', says: 'The button that opens, by PRESS.' },
  switch: { kind: 'level', says: 'The switch that opens, by ON; the device must turn it off by itself.' },
}

export const contact: Setting = { kind: 'level', says: 'The binary_sensor at the door: ON is open.' }

export const stateLines: readonly Hear[] = [
  { topic: '{prefix}/status', kept: true, is: 'presence', yes: { '': 'online' }, no: { '': 'offline' } },
  {
    topic: '{prefix}/binary_sensor/{contact}/state',
    kept: true,
    is: 'contact',
    yes: { '': 'ON' },
    no: { '': 'OFF' },
  },
]

export const lock = '{prefix}/lock/{lock}/command'
export const switchTopic = '{prefix}/switch/{switch}/command'
export const press: Effects = [[{ topic: '{prefix}/button/{button}/command', payload: 'PRESS' }]]

/** Of the device, whether it reads or opens. */
export const own: Own = {
  device: '{prefix}',
  publish: ['{prefix}/+/+/state', '{prefix}/debug'],
  subscribe: ['{prefix}/+/+/command', '{prefix}/+/+/+/command'],
}

/** ESPHome has no topic of its own for cards: whoever writes the YAML publishes `x` of `on_tag` where they like. */
export const esphome: Profile = {
  name: 'esphome',
  title: 'ESPHome (rc522, pn532, pn7160, rdm6300, wiegand and key_collector)',
  sources: [
    'esphome/esphome@33fdbbe: components/nfc/nfc.cpp, rdm6300/rdm6300.cpp, wiegand/wiegand.cpp, key_collector',
    'esphome/esphome@33fdbbe: components/mqtt/mqtt_client.cpp, mqtt_component.h, mqtt_lock.cpp, mqtt_button.cpp',
  ],
  decides: 'lintel',
  topics: ['{scanTopic...}'],
  refuses: {
    '{front/}sensor/{object}/state':
      'must not be the state of a text_sensor: ESPHome publishes it again, as if it were new, whenever it connects; publish in on_tag instead',
  },
  views: ['hex', 'em32-decimal', 'w26', 'w34', 'decimal', 'text'],
  keypad: 'with-card',
  settings: {
    prefix: { kind: 'topic', says: 'The topic_prefix of the device: needed for all that follows but pinTopic.' },
    ...openers,
    denyButton: { kind: 'level', says: 'The button that says no, by PRESS.' },
    pinTopic: { kind: 'topic', says: 'Where a key_collector publishes the PIN.' },
    contact,
  },
  hears: [{ is: 'scan', card: { at: '' } }, { topic: '{pinTopic}', is: 'pin', pin: { at: '' } }, ...stateLines],
  grant: [
    [{ topic: lock, payload: 'UNLOCK' }],
    ...press,
    [{ topic: switchTopic, payload: 'ON' }],
    [{ topic: '{replyTopic}', payload: '1' }],
  ],
  deny: [
    [{ topic: '{prefix}/button/{denyButton}/command', payload: 'PRESS' }],
    [{ topic: '{replyTopic}', payload: '0' }],
  ],
  own,
}
