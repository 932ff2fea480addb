import { contact, esphome, lock, openers, own, press, stateLines, switchTopic } from '../profiles/esphome.ts'
import type { Profile } from '../profiles/profile.ts'
import { openThenShut, shut } from './shut.ts'

/** By its lock, its button or its switch: the first of these that is set up. */
export const esphomeDoor: Profile = {
  name: 'esphome',
  title: 'A lock, a button or a switch of ESPHome',
  sources: esphome.sources,
  decides: 'lintel',
  topics: [],
  views: [],
  settings: {
    prefix: { kind: 'topic', required: true, says: 'The topic_prefix of the device.' },
    ...openers,
    opensBy: {
      kind: 'choice',
      choices: ['UNLOCK', 'OPEN'],
      default: 'UNLOCK',
      says: 'What the lock is told: OPEN lets the latch go too, where the lock can.',
    },
    shut,
    contact,
  },
  hears: [
    {
      topic: '{prefix}/lock/{lock}/state',
      kept: true,
      is: 'lock',
      state: '',
      words: {
        LOCKED: 'locked',
        UNLOCKED: 'unlocked',
        LOCKING: 'locking',
        UNLOCKING: 'unlocking',
        JAMMED: 'jammed',
        OPEN: 'unlocked',
        OPENING: 'unlocking',
      },
      confirms: true,
    },
    {
      topic: '{prefix}/switch/{switch}/state',
      kept: true,
      when: { '{lock}': { present: false }, '{button}': { present: false } },
      is: 'relay',
      yes: { '': 'ON' },
      no: { '': 'OFF' },
      confirms: true,
    },
    ...stateLines,
  ],
  grant: [
    ...openThenShut({ topic: lock, payload: '{opensBy}' }, { topic: lock, payload: 'LOCK' }),
    ...press,
    ...openThenShut({ topic: switchTopic, payload: 'ON' }, { topic: switchTopic, payload: 'OFF' }),
  ],
  deny: [],
  hold: [[{ topic: lock, payload: '{opensBy}' }], [{ topic: switchTopic, payload: 'ON', without: ['button'] }]],
  release: [[{ topic: lock, payload: 'LOCK' }], [{ topic: switchTopic, payload: 'OFF', without: ['button'] }]],
  own,
}
