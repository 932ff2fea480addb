import type { Effect, Hear, Profile } from './profile.ts'

const reply = (payload: Effect['payload']): Effect => ({ topic: 'machine/{machine}/reply', payload })

const told = (action: string, what: string, answer: Effect): Hear => ({
  json: true,
  when: { '/action': action },
  take: { card: '/uid', seconds: '/duration' },
  is: 'note',
  what,
  reply: [answer],
})

const done = reply({ request_ok: true, message: '' })
const welcome = (name: string) =>
  reply({ request_ok: true, is_valid: true, name, missing_auth: false, level: '{level}' })

/** A machine waits two seconds for its answer, once. A second tap is a log-out: so no two of them are the same scan. */
export const fabomatic: Profile = {
  name: 'fabomatic',
  title: 'Fab-O-matic (machines of a fab lab)',
  sources: [
    'fablab-bergamo/Fab-O-matic@435e605: src/MQTTtypes.cpp, src/RFIDWrapper.tpp, include/card.hpp',
    'fablab-bergamo/FabOMatic-backend: tests/test_mqtt.py, src/FabOMatic/logic/MachineLogic.py',
  ],
  decides: 'lintel',
  topics: ['machine/{machine}'],
  views: ['hex4-reversed'],
  holdMs: 0,
  beatMs: 120_000,
  settings: {
    level: { kind: 'number', min: 0, max: 9, default: 2, says: 'The level of whoever is let in; 2 is staff.' },
    machineName: { kind: 'text', default: 'Machine', says: 'What the machine is called on its display.' },
    description: { kind: 'text', default: 'Description', says: 'What its display says of the machine.' },
    machineType: { kind: 'number', min: 0, max: 9999, default: 1, says: 'The number of its type.' },
    logoff: { kind: 'number', min: 0, max: 100_000, default: 120, says: 'Minutes until it logs somebody out.' },
    grace: { kind: 'number', min: 0, max: 100_000, default: 2, says: 'Minutes of grace before it goes off.' },
  },
  hears: [
    { json: true, when: { '/action': 'checkuser' }, is: 'scan', card: { at: '/uid' } },
    told(
      'checkmachine',
      'check_machine',
      reply({
        request_ok: true,
        is_valid: true,
        maintenance: false,
        allowed: true,
        name: '{machineName}',
        logoff: '{logoff}',
        type: '{machineType}',
        grace: '{grace}',
        description: '{description}',
      }),
    ),
    told('startuse', 'session_start', done),
    told('inuse', 'session', done),
    told('stopuse', 'session_stop', done),
    told('maintenance', 'maintenance', done),
    { json: true, when: { '/action': 'alive' }, take: { ip: '/ip' }, is: 'heartbeat' },
  ],
  answers: true,
  grant: [[welcome('{name}')], [welcome('')]],
  deny: [[reply({ request_ok: true, is_valid: false, name: 'Unknown', missing_auth: false, level: 0 })]],
  noticed: ['machine/+'],
  once: true,
  own: { device: 'machine/{machine}', subscribe: ['machine/{machine}/request'] },
}
