import type { Profile } from '../profiles/profile.ts'

/** A machine that is started for somebody from elsewhere. */
export const fabomaticMachine: Profile = {
  name: 'fabomatic',
  title: 'A machine with Fab-O-matic',
  sources: ['fablab-bergamo/FabOMatic-backend: tests/test_mqtt.py'],
  decides: 'lintel',
  topics: [],
  views: [],
  settings: { machine: { kind: 'level', required: true, says: 'The number of the machine.' } },
  hears: [],
  grant: [[{ topic: 'machine/{machine}/request', payload: { request_type: 'start', uid: '{card:lower}' } }]],
  deny: [],
}
