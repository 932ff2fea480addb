import { writeFile } from 'node:fs/promises'
import type { ProfileInfo } from '../../api/contract/profiles.ts'
import type { Profile } from './profile.ts'
import { PROFILES } from './profiles.ts'

const FILE = new URL('../../api/contract/profiles.json', import.meta.url)

/** What the API has to know of a profile when a reader is saved. Profiles without topics are no readers. */
export const infosOf = (profiles: readonly Profile[]): ProfileInfo[] =>
  profiles
    .filter(({ topics }) => topics.length > 0)
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
      }),
    )

export const textOfInfos = (profiles: readonly Profile[]): string => `${JSON.stringify(infosOf(profiles), null, 2)}\n`

if (import.meta.main) await writeFile(FILE, textOfInfos(PROFILES))
