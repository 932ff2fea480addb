import { fabomatic } from '../profiles/fabomatic.ts'
import type { Effects, Profile } from '../profiles/profile.ts'

const start = (uid: string): Effects => [
  [{ topic: 'machine/{machine}/request', payload: { request_type: 'start', uid } }],
]

/** A machine that is started for somebody from elsewhere: for the card that was shown, or for the one that is set. */
export const fabomaticMachine: Profile = {
  name: 'fabomatic',
  title: 'A machine with Fab-O-matic',
  sources: fabomatic.sources,
  decides: 'lintel',
  topics: [],
  views: fabomatic.views,
  settings: {
    machine: { kind: 'level', required: true, says: 'The number of the machine.' },
    uid: {
      kind: 'text',
      says: 'The card that it is started for where none was shown, or one that the machine would read in another way: as the machine says it.',
    },
  },
  hears: [
    { topic: 'machine/{machine}', json: true, when: { '/action': 'alive' }, take: { ip: '/ip' }, is: 'heartbeat' },
  ],
  grant: [...start('{card:lower}'), ...start('{uid}')],
  deny: [],
  once: true,
  own: { device: 'machine/{machine}', subscribe: ['machine/{machine}/reply'] },
}
