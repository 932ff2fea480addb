import type { Effect, Hear, Profile } from '../profiles/profile.ts'
import { openThenShut, shut } from './shut.ts'

/** What happened at the lock: action, trigger, authorisation, code and source, with commas between. */
const event = (source: number, what: string): Hear => ({
  topic: '{device}/lockActionEvent',
  when: { '': { matches: `(?<action>\\d+),(?<trigger>\\d+),(?<authorisation>\\d+),(?<code>\\d+),${source}` } },
  is: 'note',
  what,
})

const act = (payload: string): Effect => ({ topic: '{device}/lockAction', payload })

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
    shut,
  },
  hears: [
    event(0, 'decided_by_button'),
    event(1, 'decided_by_keypad'),
    event(2, 'decided_by_fingerprint'),
    {
      topic: '{device}/state',
      kept: true,
      is: 'lock',
      state: '',
      words: {
        1: 'locked',
        2: 'unlocking',
        3: 'unlocked',
        4: 'locking',
        5: 'unlocked',
        6: 'unlocked',
        7: 'unlocking',
        254: 'jammed',
      },
      confirms: true,
    },
    { topic: '{device}/doorsensorState', kept: true, is: 'contact', yes: { '': '3' }, no: { '': '2' } },
    { topic: '{device}/connected', kept: true, is: 'presence', yes: { '': 'true' }, no: { '': 'false' } },
  ],
  grant: openThenShut(act('{action}'), act('2')),
  deny: [],
  hold: [[act('{action}')]],
  release: [[act('2')]],
  own: {
    device: '{device}',
    publish: [
      'state',
      'mode',
      'name',
      'firmware',
      'deviceType',
      'serverConnected',
      'ringactionState',
      'commandResponse',
      'batteryCritical',
      'batteryChargeState',
      'batteryCharging',
      'keypadBatteryCritical',
      'doorsensorBatteryCritical',
    ].map((said) => `{device}/${said}`),
    subscribe: ['{device}/lock', '{device}/unlock', '{device}/lockAction'],
  },
}
