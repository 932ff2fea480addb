import type { Effect, Profile } from '../profiles/profile.ts'
import { base, own } from '../profiles/z2m.ts'
import { stateLines, z2mLock } from '../profiles/z2m-lock.ts'
import { openThenShut, shut } from './shut.ts'

const set = (state: 'LOCK' | 'UNLOCK'): Effect => ({ topic: '{topic}/set', payload: { state } })

export const z2mDoor: Profile = {
  name: 'z2m-lock',
  title: 'A lock at Zigbee2MQTT',
  sources: z2mLock.sources,
  decides: 'lintel',
  topics: [],
  views: [],
  settings: {
    topic: { kind: 'topic', required: true, says: 'The topic of the lock, such as zigbee2mqtt/front_lock.' },
    base,
    shut,
  },
  hears: stateLines,
  grant: openThenShut(set('UNLOCK'), set('LOCK')),
  deny: [],
  hold: [[set('UNLOCK')]],
  release: [[set('LOCK')]],
  own,
}
