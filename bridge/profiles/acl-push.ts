import type { Profile } from './profile.ts'

/** dfirebaugh/mqtt_rfid goes by its own list, and says what it did. Its `open` does not work, and its relay is its own. */
export const aclPush: Profile = {
  name: 'acl-push',
  title: 'mqtt_rfid (a reader with its own list, told by Lintel)',
  sources: ['dfirebaugh/mqtt_rfid: lib/event.py, lib/access_control.py, lib/acl.py'],
  decides: 'reader',
  topics: ['{base...}/access_denied'],
  views: ['hex'],
  beatMs: 60_000,
  settings: {},
  hears: [
    // `remote` is its echo of an opening from afar.
    { topic: '{base...}/access_granted', when: { '': 'remote' }, is: 'ignore', why: 'opened from afar' },
    { topic: '{base...}/access_granted', is: 'scan', card: { at: '' }, granted: {} },
    { is: 'scan', card: { at: '' }, granted: { '': { present: false } } },
    { topic: '{base...}/heartbeat', when: { '': 'OK' }, is: 'heartbeat' },
    {
      topic: '{base...}/acl_response',
      json: true,
      when: { '/hash': { present: true } },
      take: { hash: '/hash' },
      is: 'note',
      what: 'acl_hash',
    },
  ],
  grant: [],
  deny: [],
  accessList: {
    add: [{ topic: '{base...}/adduser', payload: '{card:upper}' }],
    remove: [{ topic: '{base...}/removeuser', payload: '{card:upper}' }],
    query: [{ topic: '{base...}/acl', payload: '' }],
  },
  noticed: ['+/access_denied', '/+/access_denied'],
  own: { device: '{base...}', subscribe: ['{base...}/open'] },
}
