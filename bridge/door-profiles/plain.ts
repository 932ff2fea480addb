import type { Profile } from '../profiles/profile.ts'

/** A device that opens at a 1 on its topic, and lets go by itself: the relay side of the older system that Lintel replaces. */
export const plainDoor: Profile = {
  name: 'plain',
  title: 'Opens at a 1 on its topic',
  sources: ['matejhendrych/kartickyProGrussyho: src/mqtt_handler.py'],
  decides: 'lintel',
  topics: [],
  views: [],
  settings: { topic: { kind: 'topic', required: true, says: 'Its topic, such as /dilny/open.' } },
  hears: [],
  grant: [[{ topic: '{topic}', payload: '1' }]],
  deny: [],
}
