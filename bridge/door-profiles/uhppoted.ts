import type { Profile } from '../profiles/profile.ts'

const OPENED = '/message/reply/response/opened'

/** A door of a UHPPOTE controller. It opens for a card that the controller knows: so one is kept there for Lintel. */
export const uhppotedDoor: Profile = {
  name: 'uhppoted',
  title: 'A door of a UHPPOTE controller at uhppoted-mqtt',
  sources: ['uhppoted/uhppoted-mqtt: documentation/commands/open-door.md'],
  decides: 'lintel',
  topics: [],
  views: [],
  settings: {
    base: { kind: 'topic', default: 'uhppoted/gateway', says: 'The base topic of uhppoted-mqtt.' },
    client: { kind: 'text', default: 'lintel', says: 'Who asks, as uhppoted-mqtt knows its clients.' },
    answers: { kind: 'topic', default: 'lintel/uhppoted', says: 'Where it answers.' },
    device: { kind: 'number', min: 1, required: true, says: 'The number of the controller.' },
    door: { kind: 'number', min: 1, max: 4, default: 1, says: 'Which of its doors.' },
    openCard: { kind: 'number', min: 1, required: true, says: 'A card that may open this door at any time.' },
  },
  hears: [
    {
      topic: '{answers}',
      json: true,
      when: { [OPENED]: [true, 'true'] },
      take: { id: '/message/reply/request-id' },
      is: 'note',
      what: 'done',
      confirms: true,
    },
    {
      topic: '{answers}',
      json: true,
      when: { [OPENED]: [false, 'false'] },
      take: { id: '/message/reply/request-id' },
      is: 'note',
      what: 'refused',
      denies: true,
    },
  ],
  grant: [
    [
      {
        topic: '{base}/requests/device/door/lock:open',
        payload: {
          message: {
            request: {
              'client-id': '{client}',
              'request-id': '{id:text}',
              'reply-to': '{answers}',
              'device-id': '{device}',
              door: '{door}',
              'card-number': '{openCard}',
            },
          },
        },
      },
    ],
  ],
  deny: [],
  own: {
    device: 'uhppoted {base}/',
    publish: ['{answers}', '{answers}/#', '{base}/events/#', '{base}/replies', '{base}/errors', '{base}/system'],
    subscribe: ['{base}/requests/#'],
  },
}
