import type { Effects, Hear, Own, Profile } from './profile.ts'

export const stateLines: readonly Hear[] = [
  {
    topic: '{node...}/status',
    kept: true,
    is: 'presence',
    yes: { '': 'Connected' },
    no: { '': 'Connection Lost' },
  },
  { topic: '{contactTopic}', kept: true, is: 'contact', yes: { '': '1' }, no: { '': '0' } },
]

/** Up to 15 s in milliseconds, beyond that in seconds. */
export const pulse: Effects = [
  [{ topic: '{node...}/cmd', payload: 'LongPulse_mS,{gpio},1,{openMs:upTo15000}' }],
  [{ topic: '{node...}/cmd', payload: 'LongPulse,{gpio},1,{openSeconds}' }],
]

/** Of the device, whether it reads or opens. */
export const own: Own = { device: '{node...}', publish: ['{node...}/+/+'], subscribe: ['{node...}/#'] }

/** `LongPulse_mS` lets go by itself; a literal 1 on `…/GPIO/n` would stay on. */
export const espeasy: Profile = {
  name: 'espeasy',
  title: 'ESPEasy (RC522, PN532, RDM6300, Wiegand and its keypads)',
  sources: [
    'letscontrolit/ESPEasy: src/_C005.cpp, src/_P008_RFID.ino, src/_P017_PN532.ino, src/_P040_ID12.ino, P111_data_struct.cpp',
    'letscontrolit/ESPEasy: docs/source/Controller/C005.rst, docs/source/Plugin/P001_commands_GPIO.repl',
  ],
  decides: 'lintel',
  topics: ['{node...}/{task}/Tag'],
  views: ['decimal4', 'em32-decimal', 'w26', 'w34', 'decimal'],
  keypad: 'with-card',
  settings: {
    gpio: { kind: 'number', min: 0, max: 255, says: 'The pin of the relay; it is on for as long as the reader opens.' },
    denyEvent: {
      kind: 'text',
      says: 'An event that a rule of the unit answers with a sound or a light when it is no.',
    },
    pinTopic: { kind: 'topic', says: 'The topic of the keypad, such as dilny/pin/Tag.' },
    pinCoding: {
      kind: 'choice',
      choices: ['bcd', 'decimal'],
      default: 'bcd',
      says: 'decimal where the task has "Present hex as decimal value" on, else bcd.',
    },
    pinDigits: { kind: 'number', min: 1, max: 16, says: 'How many digits a PIN has: the unit loses leading zeros.' },
    contactTopic: { kind: 'topic', says: 'The state of a switch task at the door: 1 is open.' },
  },
  hears: [
    { is: 'scan', card: { at: '' } },
    { topic: '{pinTopic}', when: { '': { matches: '0*' } }, is: 'ignore', why: 'the value was reset' },
    {
      topic: '{pinTopic}',
      when: { '{pinCoding}': 'bcd' },
      is: 'pin',
      pin: { at: '', as: 'digits-of-bcd', pad: 'pinDigits' },
    },
    { topic: '{pinTopic}', is: 'pin', pin: { at: '', pad: 'pinDigits' } },
    ...stateLines,
  ],
  grant: [...pulse, [{ topic: '{replyTopic}', payload: '1' }]],
  deny: [[{ topic: '{node...}/cmd', payload: 'event,{denyEvent}=1' }], [{ topic: '{replyTopic}', payload: '0' }]],
  noticed: ['+/+/Tag', '/+/+/Tag'],
  own,
}
