import {
  accessLines,
  addressLines,
  decides,
  ip,
  keypad,
  pinAsCardLines,
  removeMessage,
  userMessage,
  wiegand,
} from './esp-rfid.ts'
import { door, espRfidV2 } from './esp-rfid-v2.ts'
import type { Hear, Profile } from './profile.ts'

const lock: Pick<Hear & { is: 'lock' }, 'kept' | 'is' | 'state' | 'words'> = {
  kept: true,
  is: 'lock',
  state: '',
  words: { LOCKED: 'locked', UNLOCKED: 'unlocked' },
}

/** The same firmware with Home Assistant's topics: each unit has its own, and says by its will that it is gone. */
export const espRfidV2Ha: Profile = {
  name: 'esp-rfid-v2-ha',
  title: 'esp-rfid 2.x in its Home Assistant mode',
  sources: ['esprfid/esp-rfid@dev: src/mqtt.esp, src/door.esp, src/main.cpp', 'pvtex/esp-rfid@6540c9e: src/mqtt.esp'],
  decides: 'either',
  topics: ['{base...}/tag'],
  views: espRfidV2.views,
  keypad: 'with-card',
  beatMs: 180_000,
  settings: { decides, ip, door, keypad, wiegand: wiegand('hex') },
  hears: [
    ...pinAsCardLines({}),
    ...accessLines({}, ['hex', 'hex-unpadded', 'decimal']),
    ...addressLines('{base...}/send', '/hostname'),
    { topic: '{base...}/io/door', kept: true, is: 'contact', yes: { '': 'ON' }, no: { '': 'OFF' } },
    { topic: '{base...}/io/tamper', kept: true, is: 'tamper', yes: { '': 'ON' }, no: { '': 'OFF' } },
    { topic: '{base...}/io/doorbell', when: { '': 'ON' }, is: 'note', what: 'doorbell' },
    { topic: '{base...}/io/lock{door}', ...lock },
    { topic: '{base...}/io/lock0', when: { '{door}': { present: false } }, ...lock },
    { topic: '{base...}/avty', kept: true, is: 'presence', yes: { '': 'online' }, no: { '': 'offline' } },
  ],
  // Its own announcement names no address: in this mode it asks for none.
  grant: [...espRfidV2.grant, [{ topic: '{base...}/cmd', payload: { cmd: 'opendoor' } }]],
  deny: [],
  accessList: {
    add: [userMessage('{base...}/cmd', '1', true)],
    remove: [removeMessage('{base...}/cmd')],
  },
  noticed: ['+/tag', '/+/tag'],
  own: { device: '{base...}', publish: ['{base...}/accesslist', '{base...}/io/+', '{base...}/notify/+'] },
}
