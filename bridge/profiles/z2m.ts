import type { Hear, Own, Setting } from './profile.ts'

/* What Zigbee2MQTT says of every device. */

export const base: Setting = { kind: 'topic', default: 'zigbee2mqtt', says: 'The base topic of Zigbee2MQTT.' }

export const presenceLines: readonly Hear[] = [
  {
    topic: '{topic}/availability',
    json: true,
    kept: true,
    is: 'presence',
    yes: { '/state': 'online' },
    no: { '/state': 'offline' },
  },
  // As it was before version 2.
  { topic: '{topic}/availability', kept: true, is: 'presence', yes: { '': 'online' }, no: { '': 'offline' } },
  {
    topic: '{base}/bridge/state',
    json: true,
    kept: true,
    is: 'presence',
    yes: { '/state': 'online' },
    no: { '/state': 'offline' },
  },
  { topic: '{base}/bridge/state', kept: true, is: 'presence', yes: { '': 'online' }, no: { '': 'offline' } },
]

/** Zigbee2MQTT is one client for all its devices, and listens to everything under its base topic. */
export const own: Own = {
  device: 'zigbee2mqtt {base}',
  publish: ['{base}/+', '{base}/+/availability', '{base}/bridge/+', '{base}/bridge/response/#'],
  subscribe: ['{base}/#'],
}
