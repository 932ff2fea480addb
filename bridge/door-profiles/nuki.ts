import type { Hear, Profile } from '../profiles/profile.ts'

/** What happened at the lock: action, trigger, authorisation, code and source, with commas between. */
const event = (source: number, what: string): Hear => ({
  topic: '{device}/lockActionEvent',
  when: { '': { matches: `(?<action>\\d+),(?<trigger>\\d+),(?<authorisation>\\d+),(?<code>\\d+),${source}` } },
  is: 'note',
  what,
})

export const nuki: Profile = {
  name: 'nuki',
  title: 'Nuki Smart Lock',
  sources: ['Nardol/Nuki-MQTT-auto.-Discovery (third party)', 'ioBroker: nuki (third party)'],
  decides: 'lintel',
  topics: [],
  views: [],
  settings: {
    device: { kind: 'topic', required: true, says: 'The topic of the lock, such as nuki/2BB28570.' },
    action: { kind: 'number', min: 1, max: 6, default: 3, says: '1 unlocks, 3 unlatches too.' },
  },
  hears: [
    event(0, 'decided_by_button'),
    event(1, 'decided_by_keypad'),
    event(2, 'decided_by_fingerprint'),
    { topic: '{device}/doorsensorState', kept: true, is: 'contact', yes: { '': '3' }, no: { '': '2' } },
    { topic: '{device}/connected', kept: true, is: 'presence', yes: { '': 'true' }, no: { '': 'false' } },
  ],
  grant: [[{ topic: '{device}/lockAction', payload: '{action}' }]],
  deny: [],
}
