import type { Profile } from './profile.ts'

/**
 * What devices announce for Home Assistant: a proposal for whoever sets a reader up, and never more than that. So it is
 * neither a reader nor a door.
 */
export const haDiscovery: Profile = {
  name: 'ha-discovery',
  title: 'Announcements for Home Assistant',
  sources: ['home-assistant.io: integrations/mqtt, tag.mqtt'],
  decides: 'lintel',
  topics: [],
  views: ['text'],
  settings: {
    prefix: { kind: 'topic', default: 'homeassistant', says: 'The discovery prefix.' },
    component: { kind: 'level', required: true, says: 'What is announced, such as tag or lock.' },
    object: { kind: 'topic', required: true, says: 'The object id, with its node id before it if there is one.' },
  },
  hears: [
    {
      topic: '{prefix}/{component}/{object}/config',
      json: true,
      kept: true,
      take: { topic: '/topic', template: '/value_template' },
      is: 'note',
      what: 'discovery',
    },
  ],
  grant: [],
  deny: [],
}
