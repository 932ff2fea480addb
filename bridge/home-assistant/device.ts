import type { SiteDoor, SiteReader } from '../../api/contract/site.ts'
import { knownDoor } from '../door-profiles/door-profiles.ts'
import type { Listened } from '../profiles/hear.ts'
import { placeOf } from '../profiles/places.ts'
import type { Hear } from '../profiles/profile.ts'
import { known } from '../profiles/profiles.ts'
import { fillTopic } from '../profiles/tell.ts'
import { doorTopics, statusTopic } from '../topics.ts'

/** What can be heard of a door besides scans: from itself, or its contact and tamper from a reader that opens it. */
export type Says = Record<'contact' | 'tamper' | 'presence', boolean>

export const saysOf = (door: SiteDoor, readers: readonly SiteReader[]): Says => {
  const own = knownDoor(door.profile, door.settings)
  const opening = readers.filter(({ doorId }) => doorId === door.id).flatMap((reader) => known(reader) ?? [])
  const all = own ? [own, ...opening] : opening
  return {
    contact: all.some((one) => says(one, 'contact')),
    tamper: all.some((one) => says(one, 'tamper')),
    presence: own !== undefined && says(own, 'presence'),
  }
}

const says = ({ profile, vars }: Listened, what: keyof Says): boolean =>
  profile.hears.some(
    (line) =>
      line.is === what &&
      fillTopic(line.topic ?? '{topic}', vars) !== undefined &&
      placesOf(line).every((place) => placeOf(place, vars) !== undefined),
  )

/** Where it looks in a message: what is asked of settings is no place. */
const placesOf = (line: Hear): string[] =>
  [...Object.keys(line.when ?? {}), ...('yes' in line ? Object.keys(line.yes) : [])].filter(
    (place) => !place.startsWith('{'),
  )

/** What happens at a door, as the event entity has it: scans, somebody who leaves, and an order of Home Assistant's that came to nothing. */
const EVENT_TYPES = ['granted', 'denied', 'exit', 'refused'] as const
export type EventType = (typeof EVENT_TYPES)[number]

/** Longer names are cut. Letters. */
const MOST_NAME = 100

/** Text, whatever somebody typed. */
export const plain = (text: string): string => {
  const letters = [...text.replaceAll(/[\p{Cc}\p{Cs}]/gu, ' ')]
  return letters.slice(0, MOST_NAME).join('').trim()
}

/**
 * A door for Home Assistant's device discovery (2024.11 and later; integrations/mqtt, core components/mqtt/discovery.py). Topics
 * are in full, as `~` is not looked at where a device has components. Home Assistant keeps a component that is no longer
 * named; one with nothing but its platform is removed, so what this door does not have is named so.
 */
export const deviceOf = ({ id, name, profile, homeAssistant }: SiteDoor, has: Says, bridgeId: string): string => {
  const topics = doorTopics(id)
  const unique = (what: string) => ({ unique_id: `lintel_${id}_${what}` })
  const orders = homeAssistant === 'command'
  const availability = [statusTopic(bridgeId), ...(has.presence ? [topics.online] : [])]
  return JSON.stringify({
    dev: {
      ids: [`lintel_${id}`],
      name: plain(name),
      mdl: knownDoor(profile, {})?.profile.title ?? profile,
    },
    o: { name: 'Lintel' },
    avty: availability.map((t) => ({ t })),
    avty_mode: 'all',
    cmps: {
      lock: {
        p: 'lock',
        ...(orders && {
          ...unique('lock'),
          name: null,
          state_topic: topics.state,
          command_topic: topics.set,
          // Once for each time that it is asked for: with QoS 1 Home Assistant says it again after its broker was away.
          qos: 0,
          retain: false,
        }),
      },
      // A lock must have a command topic (MQTT_RW_SCHEMA): where there are no orders it is a sensor, on while it is open.
      locked: {
        p: 'binary_sensor',
        ...(!orders && {
          ...unique('locked'),
          name: null,
          device_class: 'lock',
          state_topic: topics.state,
          value_template: "{{ 'OFF' if value == 'LOCKED' else 'ON' if value else '' }}",
        }),
      },
      contact: {
        p: 'binary_sensor',
        ...(has.contact && { ...unique('contact'), device_class: 'door', state_topic: topics.contact }),
      },
      tamper: {
        p: 'binary_sensor',
        ...(has.tamper && { ...unique('tamper'), device_class: 'tamper', state_topic: topics.tamper }),
      },
      event: {
        p: 'event',
        ...unique('event'),
        name: 'Scan',
        state_topic: topics.event,
        event_types: EVENT_TYPES,
      },
    },
  })
}
