import type { Effect, Profile } from '../profiles/profile.ts'
import { openThenShut, shut } from './shut.ts'

const turn = (payload: 'on' | 'off'): Effect => ({ topic: 'shellies/{device}/relay/{relay}/command', payload })

/**
 * It is on until its own timer (`auto_off`) turns it off: set that on the device, or `shut` here. The timer ends being held
 * open too, so with it the relay is turned on again and again.
 */
export const shellyGen1: Profile = {
  name: 'shelly-gen1',
  title: 'Shelly, first generation',
  sources: ['ioBroker.shelly (third party); pastebin zWaNqRer (third party)'],
  decides: 'lintel',
  topics: [],
  views: [],
  settings: {
    device: { kind: 'level', required: true, says: 'The id of the device, such as shelly1-B929CC.' },
    relay: { kind: 'number', min: 0, max: 9, default: 0, says: 'Which relay opens, from 0.' },
    shut,
    input: { kind: 'number', min: 0, max: 9, says: 'Which input is at the door: 1 is open.' },
  },
  hears: [
    {
      topic: 'shellies/{device}/relay/{relay}',
      kept: true,
      is: 'relay',
      yes: { '': 'on' },
      no: { '': ['off', 'overpower'] },
      confirms: true,
    },
    { topic: 'shellies/{device}/input/{input}', kept: true, is: 'contact', yes: { '': '1' }, no: { '': '0' } },
    { topic: 'shellies/{device}/online', kept: true, is: 'presence', yes: { '': 'true' }, no: { '': 'false' } },
  ],
  grant: openThenShut(turn('on'), turn('off')),
  deny: [],
  hold: [[{ ...turn('on'), needs: ['shut'] }]],
  release: [[turn('off')]],
  own: {
    device: 'shellies/{device}',
    publish: [
      'shellies/{device}/+',
      'shellies/{device}/+/+',
      'shellies/{device}/+/+/power',
      'shellies/{device}/+/+/energy',
    ],
    subscribe: ['shellies/{device}/#'],
  },
}
