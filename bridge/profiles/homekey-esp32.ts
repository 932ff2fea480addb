import type { Hear, Own, Profile } from './profile.ts'

/** Bytes of a tag's own number (ISO 14443-3): 4, 7 or 10. No tag can say that it is a HomeKey, whose id has another length. */
const TAG = '[0-9A-Fa-f]{8}|[0-9A-Fa-f]{14}|[0-9A-Fa-f]{20}'

export const target = '{client...}/homekit/set_target_state'

export const stateLines: readonly Hear[] = [
  {
    topic: '{client...}/homekit/state',
    kept: true,
    is: 'lock',
    confirms: true,
    state: '',
    words: { 0: 'unlocked', 1: 'locked', 2: 'jammed', 3: 'unknown', 4: 'unlocking', 5: 'locking' },
  },
  { topic: '{client...}/status', kept: true, is: 'presence', yes: { '': 'online' }, no: { '': 'offline' } },
]

/** Of the device, whether it reads or opens. */
export const own: Own = { device: '{client...}', subscribe: ['{client...}/homekit/+'] }

/** A HomeKey is proven to the device, which says whose it is; a tag is only read. */
export const homekeyEsp32: Profile = {
  name: 'homekey-esp32',
  title: 'HomeKey-ESP32 (Apple HomeKey, and tags)',
  sources: ['rednblkx/HomeKey-ESP32: main/MqttManager.cpp'],
  decides: 'either',
  topics: ['{client...}/homekey/auth'],
  views: ['hex'],
  settings: {
    decides: {
      kind: 'choice',
      choices: ['lintel', 'reader'],
      default: 'lintel',
      says: 'reader: it opens by itself for a HomeKey that it knows, and a tag is only recorded. lintel: Lintel opens.',
    },
  },
  hears: [
    {
      json: true,
      when: { '/homekey': true, '/endpointId': { matches: `(?!(?:${TAG})$)(?:[0-9A-Fa-f]{2}){1,32}` } },
      take: { issuer: '/issuerId' },
      is: 'scan',
      card: { at: '/endpointId' },
      granted: {},
    },
    {
      json: true,
      when: { '/homekey': false, '/uid': { matches: TAG } },
      is: 'scan',
      card: { at: '/uid' },
      granted: { '/homekey': true },
    },
    ...stateLines,
  ],
  grant: [[{ topic: target, payload: '0' }]],
  deny: [],
  noticed: ['+/homekey/auth'],
  own,
}
