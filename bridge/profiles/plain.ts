import { CARD_VIEWS } from '../../api/contract/card-views.ts'
import type { Profile } from './profile.ts'

/**
 * The card as text on a literal topic, `1` or `0` on another: the contract of the older system that Lintel replaces. Unlike
 * it, an unknown card is answered too.
 */
export const plain: Profile = {
  name: 'plain',
  title: 'The card as text on a topic, 1 or 0 on another',
  sources: ['matejhendrych/kartickyProGrussyho: src/mqtt_handler.py, mqtt.py-backup'],
  decides: 'lintel',
  topics: ['{scanTopic...}'],
  views: ['decimal', ...CARD_VIEWS.filter((view) => view !== 'decimal')],
  settings: {},
  hears: [{ is: 'scan', card: { at: '' } }],
  answers: true,
  grant: [[{ topic: '{replyTopic}', payload: '1' }]],
  deny: [[{ topic: '{replyTopic}', payload: '0' }]],
}
