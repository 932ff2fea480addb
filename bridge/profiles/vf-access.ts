import type { Effect, Hear, Profile } from './profile.ts'

const EVENT = '{front/}access_device/v2/event'

const answer = (what: string, code: string, message: string): Effect => ({
  topic: `${EVENT}/{uuid}/${what}`,
  payload: { serialNo: '{correlate}', uuid: '{uuid}', code, time: '{now}', sign: '', data: {}, message },
  qos: 1,
})

const asked = (type: readonly (string | number)[]) =>
  ({ json: true, when: { '/data/type': type }, take: { correlate: '/serialNo', uuid: '/uuid' } }) as const

const record = (type: readonly (string | number)[]) =>
  ({
    topic: `${EVENT}/access`,
    json: true,
    take: { correlate: '/serialNo', uuid: '/uuid' },
    reply: [answer('access_reply', '000000', '')],
    each: '/data',
    when: { '/type': type },
  }) as const

const written = {
  is: 'record',
  card: { at: '/code' },
  id: '{correlate}',
  time: '/timeStamp',
  granted: { '/result': 0 },
} as const

/** By where its events are, and what else must be so: terminals share these topics. */
export const stateLines = (event: string, when: NonNullable<Hear['when']> = {}): readonly Hear[] => {
  const of = (what: string) => ({ topic: `${event}/${what}`, json: true }) as const
  const alarm = (type: number) => ({ ...of('alarm'), when: { ...when, '/data/type': type } })
  return [
    { ...alarm(256), is: 'contact', yes: { '/data/value': 0 }, no: { '/data/value': 1 } },
    { ...alarm(257), is: 'note', what: 'fire' },
    { ...alarm(258), is: 'tamper', yes: {} },
    { ...of('heartbeat'), when, is: 'heartbeat' },
    { ...of('connect'), when, is: 'presence', yes: {} },
    { ...of('offline'), when, kept: true, is: 'presence', yes: { '': { present: false } } },
  ]
}

const CARD = ['200']
const QR = ['100', '101', '103']
const HEX = ['hex', 'hex-reversed'] as const

/**
 * VF and Vguang terminals. They ask by a serial number and wait five seconds, and they repeat a record of what happened
 * until it is acknowledged. A record of a PIN has the PIN in it: nothing of it is kept.
 */
export const vfAccess: Profile = {
  name: 'vf-access',
  title: 'VF and Vguang terminals on DejaOS (VF105, VF203, DW200)',
  sources: ['DejaOS/DejaOS: apps/solutions/face/face_access/VF105 MQTT协议（DejaOS版本）_V2.md'],
  decides: 'lintel',
  topics: [`${EVENT}/access_online`],
  unit: '/uuid',
  views: ['hex', 'hex-reversed', 'text'],
  keypad: 'with-card',
  settings: {},
  hears: [
    { ...asked(CARD), views: HEX, is: 'scan', card: { at: '/data/code' } },
    { ...asked([...CARD, ...QR]), views: ['text'], is: 'scan', card: { at: '/data/code' } },
    { ...asked(['400']), is: 'pin', pin: { at: '/data/code' } },
    { ...asked(['205', '300', '500']), is: 'note', what: 'not_a_card' },
    { ...record(CARD), views: HEX, ...written },
    { ...record([...CARD, ...QR]), views: ['text'], ...written },
    { ...record([]), each: '/data', when: {}, is: 'ignore', why: 'a record of no card' },
    ...stateLines(EVENT),
  ],
  answers: true,
  grant: [[answer('access_online_reply', '000000', '')]],
  deny: [[answer('access_online_reply', '100000', 'denied')]],
  noticed: ['access_device/v2/event/access_online', '+/access_device/v2/event/access_online'],
  own: {
    device: 'vf-access {front/}{unit}',
    subscribe: ['{front/}access_device/v2/cmd/{unit}/+', '{front/}access_device/v2/event/{unit}/+'],
  },
}
