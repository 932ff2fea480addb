import { CARD_VIEWS } from '../../api/contract/card-views.ts'
import type { Effect, Profile } from './profile.ts'

const answers = (payload: Effect['payload']) =>
  ['{base}/{reader}/answer', 'lintel/reader/{reader}/answer'].map((topic) => [{ topic, payload, qos: 1 as const }])

/**
 * Lintel's own protocol, for whoever writes firmware: README, “Lintel's own protocol”. What it believes of a message and
 * how it signs its answer is own-protocol/.
 */
export const lintel: Profile = {
  name: 'lintel',
  title: 'Lintel’s own protocol: JSON with an id, a time and a counter, signed if the reader has a key',
  sources: ['README.md: Lintel’s own protocol', 'bridge/profiles/examples/'],
  decides: 'lintel',
  topics: ['lintel/reader/{reader}/scan', '{base...}/{reader}/scan'],
  views: CARD_VIEWS,
  keypad: 'with-card',
  settings: {},
  verify: 'lintel',
  hears: [
    {
      is: 'scan',
      json: true,
      when: { '/card': { present: true } },
      card: { at: '/card' },
      pin: { at: '/pin' },
      take: { question: '/id' },
    },
    { is: 'pin', json: true, when: { '/pin': { present: true } }, pin: { at: '/pin' }, take: { question: '/id' } },
  ],
  answers: true,
  grant: answers({
    id: '{question}',
    decision: 'granted',
    reason: '{reason}',
    openMs: '{openMs}',
    expires: '{expires}',
  }),
  deny: answers({ id: '{question}', decision: 'denied', reason: '{reason}', openMs: 0, expires: '{expires}' }),
}
