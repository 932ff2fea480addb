import { profileNamed, topicVars } from './profiles.ts'
import type { Settings } from './site.ts'

type Placed = {
  profile: string
  topic: string
  replyTopic: string | null
  unit: string | null
  settings: Settings
}

/** By the template that a topic came of: two that are equal by chance can so be told from two that the profile wants equal. */
type Topics = ReadonlyMap<string, string>

/** Where cards and PINs of a reader are heard. */
export const scanTopics = (reader: Placed): Topics => filled(reader, profileNamed(reader.profile)?.hears ?? [])

/** Where anything is published for a reader, as far as it is known before a message came. */
export const answerTopics = (reader: Placed): Topics => filled(reader, profileNamed(reader.profile)?.tells ?? [])

const PLACE = /\{(\w+)(?:\.\.\.|\/)?(?::\w+)?\}/g

const filled = (reader: Placed, templates: readonly string[]): Topics => {
  const vars = varsOf(reader)
  return new Map(
    templates.flatMap((template): [string, string][] => {
      const missing = [...template.matchAll(PLACE)].some(([, name = '']) => !vars.has(name))
      return missing ? [] : [[template, template.replaceAll(PLACE, (_, name: string) => vars.get(name) ?? '')]]
    }),
  )
}

const varsOf = ({ profile: name, topic, replyTopic, unit, settings }: Placed): Map<string, string> => {
  const profile = profileNamed(name)
  const inTopic = (profile?.topics ?? []).map((template) => topicVars(template, topic)).find(Boolean) ?? {}
  const defaults = Object.entries(profile?.settings ?? {}).map(([key, setting]) => [key, setting.default] as const)
  const said = [
    ...defaults,
    ...Object.entries(inTopic),
    ...Object.entries(settings),
    ['topic', topic] as const,
    ['replyTopic', replyTopic ?? undefined] as const,
    ['unit', unit ?? undefined] as const,
  ]
  const vars = new Map<string, string>()
  for (const [key, value] of said) {
    if (value === undefined) continue
    if (value === false) vars.delete(key)
    else vars.set(key, String(value))
  }
  return vars
}
