import { doors, readers } from '../db/schema.ts'
import type { Db } from '../platform.ts'

/*
 * A site with a device of each kind, and by hand what each may do at the broker: nothing here asks the rules. `publish` and
 * `hear` are literal topics, of all that are named on this page.
 */

const BASE = { cardView: 'hex' as const, timezone: 'UTC', openMs: 3_000 }
const DOOR = { timezone: 'UTC', openMs: 3_000, heldOpenMs: 0, preAlarmMs: 0 }

type Reader = Pick<typeof readers.$inferInsert, 'profile' | 'topic' | 'replyTopic' | 'unit' | 'settings'>
type Door = Pick<typeof doors.$inferInsert, 'profile' | 'settings'>
type Device = { publish: string[]; hear: string[] } & ({ reader: Reader } | { door: Door })

export const DEVICES: Record<string, Device> = {
  plain: {
    reader: { profile: 'plain', topic: '/dilny/rfid/Tag', replyTopic: '/dilny/open' },
    publish: ['/dilny/rfid/Tag'],
    hear: ['/dilny/open'],
  },
  'plain, of one level': {
    reader: { profile: 'plain', topic: 'karty', replyTopic: 'pushopen' },
    publish: ['karty'],
    hear: ['pushopen'],
  },
  lintel: {
    reader: { profile: 'lintel', topic: 'lintel/reader/front/scan' },
    publish: ['lintel/reader/front/scan'],
    hear: ['lintel/reader/front/answer'],
  },
  espeasy: {
    reader: {
      profile: 'espeasy',
      topic: '/sklad/rfid/Tag',
      settings: { gpio: 12, pinTopic: '/sklad/pin/Tag', contactTopic: '/sklad/door/State' },
    },
    publish: ['/sklad/rfid/Tag', '/sklad/pin/Tag', '/sklad/door/State', '/sklad/status', '/sklad/bme/Temperature'],
    hear: [
      '/sklad/cmd',
      '/sklad/rfid/Tag',
      '/sklad/pin/Tag',
      '/sklad/door/State',
      '/sklad/status',
      '/sklad/bme/Temperature',
    ],
  },
  tasmota: {
    reader: { profile: 'tasmota', topic: 'tele/door1/SENSOR', settings: { relay: 1, buzzer: '2,3' } },
    publish: [
      'tele/door1/SENSOR',
      'stat/door1/RESULT',
      'tele/door1/LWT',
      'tele/door1/STATE',
      'tele/door1/INFO1',
      'stat/door1/POWER2',
    ],
    hear: ['cmnd/door1/PulseTime1', 'cmnd/door1/POWER1', 'cmnd/door1/Buzzer', 'cmnd/door1/POWER2'],
  },
  'a relay in the namespace of that tasmota': {
    door: {
      profile: 'value-relay',
      settings: { command: 'cmnd/door1/POWER2', state: 'stat/door1/POWER2' },
    },
    publish: [
      'tele/door1/SENSOR',
      'stat/door1/RESULT',
      'tele/door1/LWT',
      'tele/door1/STATE',
      'tele/door1/INFO1',
      'stat/door1/POWER2',
    ],
    hear: ['cmnd/door1/PulseTime1', 'cmnd/door1/POWER1', 'cmnd/door1/Buzzer', 'cmnd/door1/POWER2'],
  },
  'another tasmota': {
    reader: { profile: 'tasmota', topic: 'tele/door2/SENSOR', settings: { relay: 1, buzzer: '2,3' } },
    publish: ['tele/door2/SENSOR', 'stat/door2/RESULT', 'tele/door2/LWT', 'tele/door2/STATE'],
    hear: ['cmnd/door2/PulseTime1', 'cmnd/door2/POWER1', 'cmnd/door2/Buzzer'],
  },
  esphome: {
    reader: { profile: 'esphome', topic: 'cards/esp', settings: { prefix: 'esp', lock: 'front', contact: 'door' } },
    publish: ['cards/esp', 'esp/status', 'esp/binary_sensor/door/state', 'esp/debug', 'esp/lock/front/state'],
    hear: ['esp/lock/front/command', 'esp/switch/light/command'],
  },
  'a keypad at Zigbee2MQTT': {
    reader: { profile: 'z2m-keypad', topic: 'zigbee2mqtt/keypad' },
    publish: ['zigbee2mqtt/keypad', 'zigbee2mqtt/keypad/availability', 'zigbee2mqtt/bridge/state', 'zigbee2mqtt/lamp'],
    hear: [
      'zigbee2mqtt/keypad/set',
      'zigbee2mqtt/keypad',
      'zigbee2mqtt/keypad/availability',
      'zigbee2mqtt/bridge/state',
      'zigbee2mqtt/lamp',
    ],
  },
  'esp-rfid 1.3': {
    reader: { profile: 'esp-rfid-v1.3', topic: 'old/send', unit: 'hall' },
    publish: ['old/send', 'old/sync', 'old/accesslist'],
    hear: ['old'],
  },
  'esp-rfid 2, which shares its topics': {
    reader: { profile: 'esp-rfid-v2', topic: 'rfid/send', unit: 'north' },
    publish: ['rfid/send', 'rfid/accesslist'],
    hear: ['rfid/cmd'],
  },
  'a terminal': {
    reader: { profile: 'vf-access', topic: 'access_device/v2/event/access_online', unit: 'e472' },
    publish: [
      'access_device/v2/event/access_online',
      'access_device/v2/event/access',
      'access_device/v2/event/alarm',
      'access_device/v2/event/heartbeat',
      'access_device/v2/event/connect',
      'access_device/v2/event/offline',
    ],
    hear: [
      'access_device/v2/event/e472/access_reply',
      'access_device/v2/event/e472/access_online_reply',
      'access_device/v2/cmd/e472/control',
    ],
  },
  'another terminal': {
    reader: { profile: 'vf-access', topic: 'access_device/v2/event/access_online', unit: 'f583' },
    publish: [
      'access_device/v2/event/access_online',
      'access_device/v2/event/access',
      'access_device/v2/event/alarm',
      'access_device/v2/event/heartbeat',
      'access_device/v2/event/connect',
      'access_device/v2/event/offline',
    ],
    hear: ['access_device/v2/event/f583/access_reply', 'access_device/v2/event/f583/access_online_reply'],
  },
  'shelly, first generation': {
    door: { profile: 'shelly-gen1', settings: { device: 'shelly1-B929CC', input: 0 } },
    publish: [
      'shellies/shelly1-B929CC/relay/0',
      'shellies/shelly1-B929CC/input/0',
      'shellies/shelly1-B929CC/online',
      'shellies/shelly1-B929CC/info',
    ],
    hear: [
      'shellies/shelly1-B929CC/relay/0/command',
      'shellies/shelly1-B929CC/relay/0',
      'shellies/shelly1-B929CC/input/0',
      'shellies/shelly1-B929CC/online',
      'shellies/shelly1-B929CC/info',
    ],
  },
  'shelly, second generation': {
    door: { profile: 'shelly-gen2', settings: { device: 'shellyplus1-a803', short: true, input: 0 } },
    publish: [
      'lintel/rpc',
      'shellyplus1-a803/events/rpc',
      'shellyplus1-a803/online',
      'shellyplus1-a803/status/switch:0',
    ],
    hear: ['shellyplus1-a803/command/switch:0', 'shellyplus1-a803/rpc'],
  },
  'a relay': {
    door: { profile: 'value-relay', settings: { command: 'gate/open', state: 'gate/state' } },
    publish: ['gate/state'],
    hear: ['gate/open'],
  },
}

/** What no device may publish on or hear. */
export const OF_NOBODY = [
  '$SYS/broker/version',
  'lintel/bridge/00000000-0000-4000-8000-000000000000/status',
  'lintel/door/front/set',
  'homeassistant/lock/front/config',
  'somewhere/else',
  'cmnd/tasmotas/POWER1',
  'zigbee2mqtt/bridge/request/permit_join',
  'esp/lock/front/command/x',
  'esp',
  'zigbee2mqtt',
]

/** Every topic of this page. */
export const TOPICS = [
  ...new Set([...Object.values(DEVICES).flatMap(({ publish, hear }) => [...publish, ...hear]), ...OF_NOBODY]),
]

/** The devices as rows; gives the id of each. */
export const addDevices = async (db: Db): Promise<Map<string, { kind: 'reader' | 'door'; id: string }>> => {
  const made = new Map<string, { kind: 'reader' | 'door'; id: string }>()
  for (const [name, device] of Object.entries(DEVICES)) {
    const [row] =
      'reader' in device
        ? await db
            .insert(readers)
            .values({ name, ...BASE, ...device.reader })
            .returning({ id: readers.id })
        : await db
            .insert(doors)
            .values({ name, ...DOOR, ...device.door })
            .returning({ id: doors.id })
    made.set(name, { kind: 'reader' in device ? 'reader' : 'door', id: String(row?.id) })
  }
  return made
}
