import { writeFile } from 'node:fs/promises'
import type { DoorInfo } from '../../api/contract/doors.ts'
import type { ProfileInfo } from '../../api/contract/profiles.ts'
import { DOOR_PROFILES } from '../door-profiles/door-profiles.ts'
import type { Hear, Profile } from './profile.ts'
import { PROFILES } from './profiles.ts'
import { told } from './told.ts'

const FILES = {
  profiles: new URL('../../api/contract/profiles.json', import.meta.url),
  doors: new URL('../../api/contract/doors.json', import.meta.url),
}

/** What the API has to know of a profile when a reader is saved. Profiles without topics are no readers. */
export const infosOf = (profiles: readonly Profile[]): ProfileInfo[] =>
  profiles
    .filter(({ topics }) => topics.length > 0)
    .map(told)
    .map(
      ({
        name,
        title,
        decides,
        topics,
        refuses = {},
        unit,
        views,
        keypad = 'none' as const,
        settings,
        hears,
        own,
        ...rest
      }): ProfileInfo => ({
        name,
        title,
        decides,
        topics: [...topics],
        refuses,
        unit: unit !== undefined,
        views: [...views],
        keypad,
        settings: JSON.parse(JSON.stringify(settings)),
        hears: unique(hears.filter(isOfPeople).map(({ topic = '{topic}' }) => topic)),
        says: unique(hears.map(({ topic = '{topic}' }) => topic)),
        tells: unique(effectTopics([hears, rest])),
        ...(own && { own: JSON.parse(JSON.stringify(own)) }),
      }),
    )

/** The same of what opens and reads no cards. */
export const doorInfosOf = (profiles: readonly Profile[]): DoorInfo[] =>
  profiles.map(({ name, title, settings, hears, own, ...rest }) => ({
    name,
    title,
    settings: JSON.parse(JSON.stringify(settings)),
    holds: rest.hold !== undefined,
    says: unique(hears.map(({ topic = '{topic}' }) => topic)),
    tells: unique(effectTopics([hears, rest])),
    ...(own && { own: JSON.parse(JSON.stringify(own)) }),
  }))

const unique = (texts: readonly string[]): string[] => [...new Set(texts)]

/** Cards and PINs: what must not come from anywhere but a reader. */
const isOfPeople = ({ is }: Hear): boolean => is === 'scan' || is === 'pin' || is === 'record'

/** Where every message that a profile has goes to, wherever in it the message stands. */
const effectTopics = (part: unknown): string[] => {
  if (typeof part !== 'object' || part === null) return []
  if ('payload' in part && 'topic' in part) return [String(part.topic)]
  return Object.values(part).flatMap(effectTopics)
}

const textOf = (infos: unknown): string => `${JSON.stringify(infos, null, 2)}\n`

if (import.meta.main) {
  await writeFile(FILES.profiles, textOf(infosOf(PROFILES)))
  await writeFile(FILES.doors, textOf(doorInfosOf(DOOR_PROFILES)))
}
