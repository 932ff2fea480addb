import { addressLines, doneLine, eventLines, ip } from '../profiles/esp-rfid.ts'
import { espRfidV13, own as ownV13 } from '../profiles/esp-rfid-v1.3.ts'
import { door, espRfidV2, own as ownV2 } from '../profiles/esp-rfid-v2.ts'
import type { Hear, Pointer, Profile, Setting } from '../profiles/profile.ts'

const base: Setting = { kind: 'topic', required: true, says: 'The topic of its configuration, such as /rfid.' }
const unit: Setting = {
  kind: 'text',
  says: 'The host name of the device, where several share the topic: it is opened by its own address.',
}

/** What is no card of what it sends on `…/send`. Its exit button is a request to leave. */
const beside = (device: Pointer, done: readonly Hear[]): readonly Hear[] =>
  [
    ...addressLines(undefined, device),
    { json: true, when: { '/type': 'access', '/uid': { matches: '\\s*' }, '/username': 'Button' }, is: 'rex' } as const,
    ...done,
    ...eventLines,
  ].map((line) => ({ ...line, topic: '{base...}/send' }))

/** How long its relay is on is set on the device. Its address is learned from its heartbeats unless it is given. */
export const espRfidV13Door: Profile = {
  name: 'esp-rfid-v1.3',
  title: 'The relay of an esp-rfid 1.3.x',
  sources: espRfidV13.sources,
  decides: 'lintel',
  topics: [],
  unit: '/door',
  views: [],
  settings: { base, unit, ip },
  hears: [...addressLines('{base...}/sync', '/door'), ...addressLines('{base...}', '/door'), ...beside('/door', [])],
  grant: espRfidV13.grant,
  deny: [],
  own: ownV13,
}

export const espRfidV2Door: Profile = {
  name: 'esp-rfid-v2',
  title: 'The relays of an esp-rfid 2.x',
  sources: espRfidV2.sources,
  decides: 'lintel',
  topics: [],
  unit: '/hostname',
  views: [],
  settings: { base, unit, ip, door },
  hears: beside('/hostname', [doneLine]),
  grant: espRfidV2.grant,
  deny: [],
  own: ownV2,
}
