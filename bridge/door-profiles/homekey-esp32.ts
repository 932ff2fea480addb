import { homekeyEsp32, own, stateLines, target } from '../profiles/homekey-esp32.ts'
import type { Profile } from '../profiles/profile.ts'
import { openThenShut, shut } from './shut.ts'

const UNLOCKED = { topic: target, payload: '0' }
const LOCKED = { topic: target, payload: '1' }

export const homekeyDoor: Profile = {
  name: 'homekey-esp32',
  title: 'The lock of a HomeKey-ESP32',
  sources: homekeyEsp32.sources,
  decides: 'lintel',
  topics: [],
  views: [],
  settings: {
    client: { kind: 'topic', required: true, says: 'What its topics begin with, such as 4c11ae0d51a2.' },
    shut,
  },
  hears: stateLines,
  grant: openThenShut(UNLOCKED, LOCKED),
  deny: [],
  hold: [[UNLOCKED]],
  release: [[LOCKED]],
  own,
}
