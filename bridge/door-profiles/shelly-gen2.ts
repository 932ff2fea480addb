import type { Effect, Json, Profile } from '../profiles/profile.ts'

/** The short form has no time in it, and cannot be told from one that failed. */
const short = (payload: 'on' | 'off'): Effect => ({
  topic: '{device}/command/switch:{relay}',
  payload,
  qos: 1,
  needs: ['short'],
})

const set = (params: Readonly<Record<string, Json>>): Effect => ({
  topic: '{device}/rpc',
  payload: { id: '{id}', src: '{src}', method: 'Switch.Set', params: { id: '{relay}', ...params } },
  qos: 1,
})

/** `toggle_after` is in the command: on, and off by itself, in one message. */
export const shellyGen2: Profile = {
  name: 'shelly-gen2',
  title: 'Shelly, second generation and later',
  sources: [
    'shelly-api-docs.shelly.cloud/gen2: Mqtt, Switch, RPCProtocol, RPCChannels, Notifications',
    'command/switch:0: third party; needs enable_control',
  ],
  decides: 'lintel',
  topics: [],
  views: [],
  settings: {
    device: { kind: 'topic', required: true, says: 'The MQTT prefix of the device, such as shellyplus1-a8032abe54dc.' },
    relay: { kind: 'number', min: 0, max: 9, default: 0, says: 'Which switch opens, from 0.' },
    src: { kind: 'level', default: 'lintel', says: 'Where it answers: on this topic, with /rpc behind it.' },
    short: {
      kind: 'boolean',
      says: 'Use the short command, which has no time in it: auto_off must be set on the device.',
    },
    input: { kind: 'number', min: 0, max: 9, says: 'Which input is at the door: true is open.' },
  },
  hears: [
    {
      topic: '{src}/rpc',
      json: true,
      when: {
        '{short}': { present: false },
        '/src': '{device}',
        '/id': { present: true },
        '/error': { present: true },
      },
      take: { id: '/id', code: '/error/code' },
      is: 'note',
      what: 'refused',
      denies: true,
    },
    {
      topic: '{src}/rpc',
      json: true,
      when: { '{short}': { present: false }, '/src': '{device}', '/id': { present: true } },
      take: { id: '/id' },
      is: 'note',
      what: 'done',
      confirms: true,
    },
    {
      topic: '{device}/events/rpc',
      json: true,
      when: { '/params/input:{input}/state': [true, false] },
      is: 'contact',
      yes: { '/params/input:{input}/state': true },
    },
    { topic: '{device}/online', kept: true, is: 'presence', yes: { '': 'true' }, no: { '': 'false' } },
  ],
  grant: [[short('on')], [set({ on: true, toggle_after: '{openSeconds}' })]],
  deny: [],
  // With the short command there is `auto_off` on the device, which would end it: so it is opened again and again.
  hold: [[{ ...set({ on: true }), without: ['short'] }]],
  release: [[short('off')], [set({ on: false })]],
  own: {
    device: '{device}',
    publish: ['{device}/status/#', '{device}/events/rpc', '{device}/online', '{device}/announce'],
    subscribe: ['{device}/rpc', '{device}/command', '{device}/command/#'],
  },
}
