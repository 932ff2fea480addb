import { espeasy, own, pulse, stateLines } from '../profiles/espeasy.ts'
import type { Effects, Profile } from '../profiles/profile.ts'

const gpio = (value: 0 | 1): Effects => [[{ topic: '{node...}/cmd', payload: `GPIO,{gpio},${value}` }]]

export const espeasyRelay: Profile = {
  name: 'espeasy',
  title: 'A relay of an ESPEasy unit',
  sources: espeasy.sources,
  decides: 'lintel',
  topics: [],
  views: [],
  settings: {
    node: {
      kind: 'topic',
      required: true,
      says: 'What its topics begin with: dilny, or /dilny where they begin with a slash.',
    },
    gpio: { kind: 'number', min: 0, max: 255, required: true, says: 'The pin of the relay.' },
    contactTopic: { kind: 'topic', says: 'The state of a switch task at the door: 1 is open.' },
  },
  hears: stateLines,
  grant: pulse,
  deny: [],
  hold: gpio(1),
  release: gpio(0),
  own,
}
