import {
  accessLines,
  addressLines,
  decides,
  eventLines,
  ip,
  keypad,
  pinAsCardLines,
  removeMessage,
  userMessage,
  wiegand,
} from './esp-rfid.ts'
import type { Own, Profile, Setting } from './profile.ts'

export const door: Setting = {
  kind: 'number',
  min: 0,
  max: 3,
  says: 'Which of several relays to open, from 0; all of them, when left out.',
}

/** Of the device, whether it reads or opens. */
export const own: Own = { device: '{base...} {unit}', publish: ['{base...}/accesslist'] }

/** RC522 readers are `hex`, PN532 readers `hex-unpadded` in every version. */
export const espRfidV2: Profile = {
  name: 'esp-rfid-v2',
  title: 'esp-rfid 2.x',
  sources: [
    'esprfid/esp-rfid@dev: src/mqtt.esp, src/rfid.esp, src/door.esp, src/log.esp, README-MQTT.md',
    'pvtex/esp-rfid@36356dc (release 2.0.0): src/mqtt.esp, src/rfid.esp',
  ],
  decides: 'either',
  topics: ['{base...}/send'],
  unit: '/hostname',
  views: ['hex', 'hex-unpadded', 'decimal', 'w26', 'w34'],
  keypad: 'with-card',
  beatMs: 180_000,
  settings: { decides, ip, door, keypad, wiegand: wiegand('hex') },
  hears: [
    ...pinAsCardLines({ '/type': 'access' }),
    ...accessLines({ '/type': 'access' }, ['hex', 'hex-unpadded', 'decimal']),
    ...addressLines(undefined, '/hostname'),
    ...eventLines,
  ],
  grant: [
    [{ topic: '{base...}/cmd', payload: { cmd: 'open', doorip: '{ip}', door: '{door:text}' } }],
    [{ topic: '{base...}/cmd', payload: { cmd: 'opendoor', doorip: '{ip}' } }],
  ],
  deny: [],
  accessList: {
    add: [userMessage('{base...}/cmd', '1', true)],
    remove: [removeMessage('{base...}/cmd')],
  },
  noticed: ['+/send', '/+/send'],
  own,
}
