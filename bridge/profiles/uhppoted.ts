import type { Profile } from './profile.ts'

/** A controller has decided when its event arrives. To open it from here is a door's business: bridge/doors/uhppoted.ts. */
export const uhppoted: Profile = {
  name: 'uhppoted',
  title: 'UHPPOTE controllers at uhppoted-mqtt',
  sources: [
    'uhppoted/uhppoted-mqtt: device/listen.go, mqtt/mqtt.go, documentation/commands/get-event.md (the outer message inferred)',
  ],
  decides: 'reader',
  topics: ['{front/}events/live'],
  unit: '/message/event/device-id',
  views: ['decimal', 'text'],
  settings: {
    door: { kind: 'number', min: 1, max: 4, says: 'Which door of the controller; all of them, when left out.' },
  },
  hears: [
    {
      json: true,
      when: { '/message/event/card-number': { present: true }, '/message/event/door-id': '{door}' },
      is: 'record',
      card: { at: '/message/event/card-number' },
      id: '/message/event/event-id',
      granted: { '/message/event/access-granted': true },
    },
  ],
  grant: [],
  deny: [],
  noticed: ['+/+/events/live'],
  own: {
    device: 'uhppoted {front/}',
    publish: ['{front/}events/#', '{front/}replies', '{front/}errors', '{front/}system'],
    subscribe: ['{front/}requests/#'],
  },
}
