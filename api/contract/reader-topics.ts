import { profileNamed, type SettingInfo, topicVars } from './profiles.ts'
import type { Settings } from './site.ts'

type Placed = {
  profile: string
  topic: string
  replyTopic: string | null
  unit: string | null
  settings: Settings
}

export type Vars = Readonly<Record<string, string | number>>

/** By the template that a topic came of: two that are equal by chance can so be told from two that the profile wants equal. */
export type Topics = ReadonlyMap<string, string>

/** Where cards and PINs of a reader are heard. */
export const scanTopics = (reader: Placed): Topics => filled(profileNamed(reader.profile)?.hears ?? [], varsOf(reader))

/** Where anything is published for a reader, as far as it is known before a message came. */
export const answerTopics = (reader: Placed): Topics =>
  filled(profileNamed(reader.profile)?.tells ?? [], varsOf(reader))

const PLACE = /\{(\w+)(?:\.\.\.|\/)?(?::\w+)?\}/g

/** Those of which everything is known. */
export const filled = (templates: readonly string[], vars: Vars): Topics =>
  new Map(
    templates.flatMap((template): [string, string][] => {
      const missing = [...template.matchAll(PLACE)].some(([, name = '']) => !Object.hasOwn(vars, name))
      return missing ? [] : [[template, template.replaceAll(PLACE, (_, name: string) => String(vars[name]))]]
    }),
  )

/** What a reader's own topic and settings say, by name. */
export const varsOf = ({ profile: name, topic, replyTopic, unit, settings }: Placed): Vars => {
  const profile = profileNamed(name)
  const inTopic = (profile?.topics ?? []).map((template) => topicVars(template, topic)).find(Boolean)
  return {
    ...settingVars(profile?.settings ?? {}, settings, inTopic),
    topic,
    ...(replyTopic !== null && { replyTopic }),
    ...(unit !== null && { unit }),
  }
}

/** Settings as they were chosen, or as they are unless chosen; what is off is not there. */
export const settingVars = (
  known: Readonly<Record<string, Pick<SettingInfo, 'default'>>>,
  chosen: Settings,
  topic: Vars = {},
): Vars => {
  const defaults = Object.entries(known).map(([name, { default: value }]) => [name, value] as const)
  const all = { ...Object.fromEntries(defaults), ...topic, ...chosen }
  const vars: Record<string, string | number> = {}
  for (const [name, value] of Object.entries(all)) {
    if (value === undefined || value === false) continue
    vars[name] = value === true ? 'true' : value
  }
  return vars
}
