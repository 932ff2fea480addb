import type { Hear, Profile } from './profile.ts'
import { base, own, presenceLines } from './z2m.ts'

export const stateLines: readonly Hear[] = [
  {
    json: true,
    also: true,
    when: { '/action': { matches: '.*unlock_failure.*' } },
    take: { action: '/action', source: '/action_source_name' },
    is: 'note',
    what: 'unlock_failure',
  },
  {
    json: true,
    also: true,
    when: { '/lock_state': { present: true } },
    is: 'lock',
    confirms: true,
    state: '/lock_state',
    words: { locked: 'locked', unlocked: 'unlocked', not_fully_locked: 'jammed' },
  },
  {
    json: true,
    when: { '/lock_state': { present: false }, '/state': ['LOCK', 'UNLOCK'] },
    also: true,
    is: 'lock',
    confirms: true,
    state: '/state',
    words: { LOCK: 'locked', UNLOCK: 'unlocked' },
  },
  {
    json: true,
    when: { '/door_state': ['open', 'closed'] },
    is: 'contact',
    yes: { '/door_state': 'open' },
  },
  ...presenceLines,
]

/** A lock with its own codes and tags says which of its users it let in, by number: that number is the card. */
export const z2mLock: Profile = {
  name: 'z2m-lock',
  title: 'A lock at Zigbee2MQTT',
  sources: ['Koenkk/zigbee-herdsman-converters@df72005: src/converters/fromZigbee.ts, src/converters/toZigbee.ts'],
  decides: 'reader',
  topics: ['{above...}/{device}'],
  views: ['decimal', 'text'],
  settings: { base },
  hears: [
    {
      json: true,
      also: true,
      when: {
        '/action': ['unlock', 'keypad_unlock', 'rf_unlock', 'rfid_unlock', 'fingerprint_unlock'],
        '/action_user': { matches: '0*[1-9]\\d*' },
        '/action_source_name': ['keypad', 'rf', 'rfid', 'fingerprint'],
      },
      take: { source: '/action_source_name' },
      is: 'scan',
      card: { at: '/action_user' },
      granted: {},
    },
    ...stateLines,
  ],
  grant: [[{ topic: '{topic}/set', payload: { state: 'UNLOCK' } }]],
  deny: [],
  noticed: ['zigbee2mqtt/+'],
  own,
}
