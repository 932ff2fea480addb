import { accessLines, addressLines, decides, eventLines, ip, removeMessage, userMessage, wiegand } from './esp-rfid.ts'
import type { Own, Profile } from './profile.ts'

/** Of the device, whether it reads or opens. */
export const own: Own = { device: '{base...} {unit}', publish: ['{base...}/accesslist'] }

/** Commands go to the base topic, which all units share: so they name the unit's address. It reads 255 bytes at most. */
export const espRfidV13: Profile = {
  name: 'esp-rfid-v1.3',
  title: 'esp-rfid 1.3.x',
  sources: ['esprfid/esp-rfid@1.3.7: src/mqtt.esp, README-MQTT.md'],
  decides: 'either',
  topics: ['{base...}/send'],
  unit: '/door',
  views: ['hex-unpadded', 'hex', 'decimal', 'w26', 'w34'],
  beatMs: 180_000,
  settings: { decides, ip, wiegand: wiegand('decimal') },
  hears: [
    ...accessLines({ '/type': 'access' }, ['hex-unpadded', 'hex', 'decimal']),
    ...addressLines('{base...}/sync', '/door'),
    ...addressLines('{base...}', '/door'),
    ...addressLines(undefined, '/door'),
    ...eventLines,
  ],
  grant: [[{ topic: '{base...}', payload: { cmd: 'opendoor', doorip: '{ip}' } }]],
  deny: [],
  accessList: {
    add: [userMessage('{base...}', '1', false)],
    // Disabled first: not every build of this version knows how to forget one.
    remove: [userMessage('{base...}', '0', false), removeMessage('{base...}')],
  },
  noticed: ['+/send', '/+/send'],
  own,
}
