import type { Effect, Effects, Profile } from '../profiles/profile.ts'
import { contactSettings, pulse, relaySettings, stateLines, switchLine, tasmota } from '../profiles/tasmota.ts'

const PREFIX_FIRST = 'cmnd/{device}/'
const TOPIC_FIRST = '{device}/cmnd/'

/** The same in the order in which the device has its topics. */
const either = (effects: (cmnd: string) => Effects): Effects => [
  ...effects(TOPIC_FIRST).map((all) => all.map(needing('topicFirst'))),
  ...effects(PREFIX_FIRST),
]
const needing =
  (name: string) =>
  (effect: Effect): Effect => ({ ...effect, needs: [...(effect.needs ?? []), name] })

const linesBy = (tele: string, stat: string) => [{ ...switchLine, topic: `${tele}SENSOR` }, ...stateLines(tele, stat)]

/** PulseTime would end it: so there is none while it is held open, and afterwards there is. */
export const tasmotaRelay: Profile = {
  name: 'tasmota',
  title: 'A relay with Tasmota',
  sources: tasmota.sources,
  decides: 'lintel',
  topics: [],
  views: [],
  settings: {
    device: { kind: 'topic', required: true, says: 'The topic of the device, such as door1.' },
    topicFirst: { kind: 'boolean', says: 'FullTopic is %topic%/%prefix%/, and not %prefix%/%topic%/.' },
    ...relaySettings,
    ...contactSettings,
  },
  hears: [...linesBy('tele/{device}/', 'stat/{device}/'), ...linesBy('{device}/tele/', '{device}/stat/')],
  grant: either(pulse),
  deny: [],
  hold: either((cmnd) => [
    [
      { topic: `${cmnd}PulseTime{relay}`, payload: '0' },
      { topic: `${cmnd}POWER{relay}`, payload: 'ON' },
    ],
  ]),
  release: either((cmnd) => [
    [
      { topic: `${cmnd}POWER{relay}`, payload: 'OFF' },
      { topic: `${cmnd}PulseTime{relay}`, payload: '{pulseTime}' },
    ],
  ]),
  // As a reader on it calls it that has the prefix first.
  own: {
    device: 'tele/{device}/',
    publish: ['tele/{device}/#', 'stat/{device}/#', '{device}/tele/#', '{device}/stat/#'],
    subscribe: ['cmnd/{device}/#', '{device}/cmnd/#'],
  },
}
