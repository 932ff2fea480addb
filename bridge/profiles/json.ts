import { CARD_VIEWS } from '../../api/contract/card-views.ts'
import type { Profile } from './profile.ts'

/** Any reader that publishes JSON: the settings say where in it the card is. OXRS, Zebra IoT Connector, Impinj and others. */
export const json: Profile = {
  name: 'json',
  title: 'The card somewhere in a JSON message (OXRS, Zebra IoT Connector, Impinj IoT and others)',
  sources: [
    'sumnerboy12/OXRS-BJ-RFIDReader-ESP-FW: src/main.cpp (topic inferred)',
    'ZebraDevs/RFID_ZIOTC_Examples (third party)',
    'Impinj IoT device interface, a sample of an emulator (third party)',
  ],
  decides: 'lintel',
  topics: ['{scanTopic...}'],
  views: ['hex', ...CARD_VIEWS.filter((view) => view !== 'hex')],
  keypad: 'with-card',
  settings: {
    cardAt: {
      kind: 'pointer',
      required: true,
      says: 'Where the card is, such as /uid or /data/idHex; empty when the message, or each item, is the card.',
    },
    listAt: {
      kind: 'pointer',
      says: 'Where an array of cards is, empty when the message is one; the other places count from its items.',
    },
    guardAt: { kind: 'pointer', says: 'What must be there for the message to be a scan, such as /type.' },
    guardValue: { kind: 'text', says: 'The value that must be there, such as access; any, when left out.' },
    pinAt: { kind: 'pointer', says: 'Where the PIN is that was typed with the card.' },
  },
  hears: [
    {
      json: true,
      each: '*{listAt}',
      when: { '*{guardAt}': '{guardValue}' },
      is: 'scan',
      card: { at: '*{cardAt}' },
      pin: { at: '*{pinAt}' },
    },
  ],
  answers: true,
  grant: [[{ topic: '{replyTopic}', payload: '1' }]],
  deny: [[{ topic: '{replyTopic}', payload: '0' }]],
}
