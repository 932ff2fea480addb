import type { CardView } from '../../api/contract/card-views.ts'
import type { Effects, Hear, Profile, Rewrite, Setting } from './profile.ts'

const scan = (
  views: readonly CardView[],
  sensor: string,
  { as, size }: { as?: Rewrite; size?: readonly number[] } = {},
): Hear => ({
  json: true,
  also: true,
  when: { [`/${sensor}/UID`]: { present: true }, ...(size && { [`/${sensor}/Size`]: size }) },
  views,
  is: 'scan',
  card: { at: `/${sensor}/UID`, ...(as && { as }) },
})

/** A number or, with SetOption123, hex with an h behind it; 0 when there was no digit, or the parity was wrong. */
const NOT_ZERO = '0*[1-9A-Fa-f][0-9A-Fa-f]*h?'

export const relaySettings: Readonly<Record<string, Setting>> = {
  relay: { kind: 'number', min: 1, max: 32, default: 1, says: 'Which relay opens: 1 is POWER1.' },
  pulse: {
    kind: 'boolean',
    says: 'Send PulseTime before each opening; else the relay is on for as long as PulseTime says on the device.',
  },
}

export const contactSettings: Readonly<Record<string, Setting>> = {
  contact: { kind: 'number', min: 1, max: 32, says: 'Which switch is at the door: 1 is Switch1.' },
  contactOpen: { kind: 'choice', choices: ['ON', 'OFF'], default: 'ON', says: 'What the switch says of an open door.' },
}

/** In a `SENSOR` message, beside anything else. */
export const switchLine: Hear = {
  json: true,
  kept: true,
  when: { '/Switch{contact}': ['ON', 'OFF'] },
  is: 'contact',
  yes: { '/Switch{contact}': '{contactOpen}' },
}

/** By what stands before `LWT` and before `RESULT`. A device with one relay calls it POWER. */
export const stateLines = (tele: string, stat: string): readonly Hear[] => [
  {
    topic: `${stat}RESULT`,
    json: true,
    also: true,
    when: { '/Switch{contact}/Action': ['ON', 'OFF'] },
    is: 'contact',
    yes: { '/Switch{contact}/Action': '{contactOpen}' },
  },
  {
    topic: `${stat}RESULT`,
    json: true,
    when: { '/POWER{relay}': ['ON', 'OFF'] },
    is: 'relay',
    yes: { '/POWER{relay}': 'ON' },
    confirms: true,
  },
  {
    topic: `${stat}RESULT`,
    json: true,
    when: { '{relay}': '1', '/POWER': ['ON', 'OFF'] },
    is: 'relay',
    yes: { '/POWER': 'ON' },
    confirms: true,
  },
  { topic: `${tele}LWT`, kept: true, is: 'presence', yes: { '': 'Online' }, no: { '': 'Offline' } },
  { topic: `${tele}STATE`, json: true, is: 'heartbeat' },
]

/** PulseTime first: the relay is not on before it knows for how long. */
export const pulse = (cmnd: string): Effects => [
  [
    { topic: `${cmnd}PulseTime{relay}`, payload: '{pulseTime}', needs: ['pulse'] },
    { topic: `${cmnd}POWER{relay}`, payload: 'ON' },
  ],
  [{ topic: `${cmnd}POWER{relay}`, payload: 'ON' }],
]

/**
 * FullTopic may have the prefix before or behind the topic. The relay lets go by PulseTime, which is kept on the device.
 */
export const tasmota: Profile = {
  name: 'tasmota',
  title: 'Tasmota (RC522, PN532, RDM6300, Wiegand and its keypads)',
  sources: [
    'arendst/Tasmota: tasmota/tasmota_xsns_sensor/xsns_40, xsns_51, xsns_80, xsns_82; xdrv_02_9_mqtt.ino',
    'tasmota/docs@9849ab94: docs/MFRC522.md, docs/PN532.md, docs/Commands.md',
  ],
  decides: 'lintel',
  topics: ['{front/}tele/{back/}SENSOR'],
  views: ['hex', 'em32-hex', 'em32-decimal', 'w26', 'w34'],
  keypad: 'with-card',
  beatMs: 300_000,
  settings: {
    ...relaySettings,
    buzzer: { kind: 'text', says: 'What Buzzer is told when it is no, such as 2,3; nothing, when left out.' },
    ...contactSettings,
    pinDigits: { kind: 'number', min: 1, max: 9, says: 'How many digits a PIN has: the device loses leading zeros.' },
  },
  hears: [
    scan(['hex'], 'RC522'),
    scan(['hex'], 'PN532'),
    scan(['em32-hex'], 'RDM6300'),
    scan(['em32-decimal'], 'RDM6300', { as: 'hex-to-decimal' }),
    scan(['w26'], 'Wiegand', { as: 'wiegand', size: [24, 26] }),
    scan(['w34'], 'Wiegand', { as: 'wiegand', size: [32, 34] }),
    {
      json: true,
      also: true,
      when: { '/Wiegand/Size': 4, '/Wiegand/UID': { matches: NOT_ZERO } },
      is: 'pin',
      pin: { at: '/Wiegand/UID', as: 'wiegand', pad: 'pinDigits' },
    },
    switchLine,
    ...stateLines('{front/}tele/{back/}', '{front/}stat/{back/}'),
  ],
  grant: pulse('{front/}cmnd/{back/}'),
  deny: [[{ topic: '{front/}cmnd/{back/}Buzzer', payload: '{buzzer}' }]],
  setup: [[{ topic: '{front/}cmnd/{back/}PulseTime{relay}', payload: '{pulseTime}' }]],
  noticed: ['tele/+/SENSOR', '+/tele/SENSOR'],
  own: {
    device: '{front/}tele/{back/}',
    publish: ['{front/}tele/{back/}#', '{front/}stat/{back/}#'],
    subscribe: ['{front/}cmnd/{back/}#'],
  },
}
