import { accessLines, addressLines, decides, wiegand } from './esp-rfid.ts'
import type { Profile } from './profile.ts'

/** It never subscribes: it can be heard and not told. A door beside it can be. */
export const espRfidV10: Profile = {
  name: 'esp-rfid-v1.0',
  title: 'esp-rfid 1.0.x',
  sources: ['esprfid/esp-rfid@1.0.2: src/mqtt.esp, src/rfid.esp'],
  decides: 'either',
  topics: ['{base...}'],
  views: ['hex-unpadded', 'hex', 'decimal', 'w26', 'w34'],
  beatMs: 180_000,
  settings: { decides, wiegand: wiegand('decimal') },
  hears: [...accessLines({ '/type': 'access' }, ['hex-unpadded', 'hex', 'decimal']), ...addressLines()],
  grant: [[{ topic: '{replyTopic}', payload: '1' }]],
  deny: [[{ topic: '{replyTopic}', payload: '0' }]],
  own: { device: '{base...}' },
}
