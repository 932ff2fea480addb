import type { Profile } from '../profiles/profile.ts'

/** Whatever opens by one message: Wiren Board, OpenMQTTGateway and anything else with a topic and a payload. */
export const valueRelay: Profile = {
  name: 'value-relay',
  title: 'A relay that opens by a message of its own',
  sources: ['wirenboard/conventions: README.md', '1technophile/OpenMQTTGateway: main/ZactuatorONOFF.ino'],
  decides: 'lintel',
  topics: [],
  views: [],
  settings: {
    command: { kind: 'topic', required: true, says: 'Where the command goes.' },
    open: {
      kind: 'text',
      default: '1',
      says: 'What opens; {openMs} and {openSeconds} in it are how long, in milliseconds and in seconds.',
    },
    state: { kind: 'topic', says: 'Where it says whether it is on.' },
    on: { kind: 'text', default: '1', says: 'What it says when it is on.' },
  },
  hears: [{ topic: '{state}', kept: true, is: 'relay', yes: { '': '{on}' } }],
  grant: [[{ topic: '{command}', payload: '{open:filled}' }]],
  deny: [],
}
