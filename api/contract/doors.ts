import known from './doors.json' with { type: 'json' }
import { type Mistake, type OwnTopics, type SettingInfo, settingMistakes } from './profiles.ts'
import { filled, settingVars, type Topics, type Vars } from './reader-topics.ts'
import type { Settings } from './site.ts'

/*
 * What has to be known of a door's profile when a door is saved, as contract/profiles.ts has it of readers. The profiles
 * themselves are bridge/door-profiles/, one file each; `npm run profiles` writes doors.json.
 */

export type DoorInfo = {
  name: string
  title: string
  settings: Record<string, SettingInfo>
  /** It can be kept open by one message, and let go by another; else it is opened again and again. */
  holds: boolean
  /** Templates of the topics where it says something, and of those where something is published for it. */
  says: string[]
  tells: string[]
  own?: OwnTopics
}

export const DOORS: readonly DoorInfo[] = known as DoorInfo[]

export const doorNamed = (name: string): DoorInfo | undefined => DOORS.find((door) => door.name === name)

type Told = { profile: string; settings: Settings }

/** What is wrong with a door by its profile: a sentence each, none when it will do. */
export const mistakesInDoor = ({ profile: name, settings }: Told): Mistake[] => {
  const profile = doorNamed(name)
  if (profile) return settingMistakes(profile, settings)
  return [
    {
      path: 'profile',
      message: `is not known here: use one of ${DOORS.map((door) => door.name).join(', ')}`,
    },
  ]
}

/** What a door's settings say, by name. */
export const varsOfDoor = ({ profile, settings }: Told): Vars =>
  settingVars(doorNamed(profile)?.settings ?? {}, settings)

/** Where anything is published for a door, as far as it is known before a message came. */
export const toldTopics = (door: Told): Topics => filled(doorNamed(door.profile)?.tells ?? [], varsOfDoor(door))

/** Where a door says something of itself. */
export const saidTopics = (door: Told): Topics => filled(doorNamed(door.profile)?.says ?? [], varsOfDoor(door))
