import { CARD_VIEWS, type CardView } from './card-views.ts'
import known from './profiles.json' with { type: 'json' }
import type { Settings } from './site.ts'

/*
 * What has to be known of a profile when a reader is saved. The profiles themselves are bridge/profiles/, one file each;
 * `npm run profiles` writes their part of profiles.json, and a test holds the two against each other.
 */

export type SettingInfo = {
  kind: 'text' | 'topic' | 'level' | 'pointer' | 'number' | 'boolean' | 'choice'
  says: string
  required?: boolean
  default?: string | number | boolean
  choices?: string[]
  min?: number
  max?: number
}

export type ProfileInfo = {
  name: string
  title: string
  decides: 'lintel' | 'reader' | 'either'
  topics: string[]
  refuses: Record<string, string>
  /** Devices can share a topic, and `unit` tells them apart. */
  unit: boolean
  views: CardView[]
  keypad: 'none' | 'with-card' | 'alone'
  settings: Record<string, SettingInfo>
  /** Templates of the topics where cards and PINs are heard, of all where anything is, and of those where something is published. */
  hears: string[]
  says: string[]
  tells: string[]
  own?: OwnTopics
}

/** What the firmware itself wants at the broker besides; readers and doors of the same `device` are one (broker/rules.ts). */
export type OwnTopics = { device?: string; publish?: string[]; subscribe?: string[] }

export const PROFILES: readonly ProfileInfo[] = known as ProfileInfo[]

export const profileNamed = (name: string): ProfileInfo | undefined => PROFILES.find((profile) => profile.name === name)

export type Mistake = { path: string; message: string }

/** What of a reader its profile has a say in. */
type Told = {
  profile: string
  topic: string
  replyTopic: string | null
  cardView: string
  unit: string | null
  settings: Settings
}

/** What is wrong with a reader by its profile: a sentence each, none when it will do. */
export const mistakesIn = (reader: Told): Mistake[] => {
  const profile = profileNamed(reader.profile)
  if (!profile) {
    const names = PROFILES.map(({ name }) => name).join(', ')
    return [{ path: 'profile', message: `is not known here: use one of ${names}` }]
  }
  return [
    ...topicMistakes(profile, reader.topic),
    ...viewMistakes(profile, reader.cardView),
    ...(reader.unit !== null && !profile.unit
      ? [{ path: 'unit', message: `readers of the profile ${profile.name} do not share a topic, so leave it out` }]
      : []),
    ...settingMistakes(profile, reader.settings),
  ]
}

const topicMistakes = ({ name, topics, refuses }: ProfileInfo, topic: string): Mistake[] => {
  for (const [template, why] of Object.entries(refuses)) {
    if (topicVars(template, topic)) return [{ path: 'topic', message: why }]
  }
  if (topics.some((template) => topicVars(template, topic))) return []
  return [{ path: 'topic', message: `must be like ${topics.join(' or ')} for the profile ${name}` }]
}

const viewMistakes = ({ name, views }: ProfileInfo, view: string): Mistake[] =>
  (views as string[]).includes(view) || !(CARD_VIEWS as readonly string[]).includes(view)
    ? []
    : [{ path: 'cardView', message: `must be one of ${views.join(', ')} for the profile ${name}` }]

/** Of a reader's profile or of a door's. */
export const settingMistakes = (profile: Pick<ProfileInfo, 'name' | 'settings'>, settings: Settings): Mistake[] => {
  const names = Object.keys(profile.settings)
  const mistakes: Mistake[] = Object.keys(settings)
    .filter((name) => !names.includes(name))
    .map((name) => ({
      path: `settings.${name}`,
      message:
        names.length === 0
          ? `the profile ${profile.name} has no settings`
          : `is no setting of the profile ${profile.name}, which has ${names.join(', ')}`,
    }))
  for (const [name, setting] of Object.entries(profile.settings)) {
    const path = `settings.${name}`
    const value = settings[name]
    if (value === undefined) {
      if (setting.required) mistakes.push({ path, message: `is needed: ${setting.says}` })
      continue
    }
    const message = wrongValue(setting, value)
    if (message !== undefined) mistakes.push({ path, message })
  }
  return mistakes
}

const MOST_LETTERS = 500

const wrongValue = (setting: SettingInfo, value: string | number | boolean): string | undefined => {
  const { kind, min = Number.MIN_SAFE_INTEGER, max = Number.MAX_SAFE_INTEGER, choices = [] } = setting
  if (kind === 'boolean') return typeof value === 'boolean' ? undefined : 'must be true or false'
  if (kind === 'number') {
    const fits = typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max
    return fits ? undefined : `must be a whole number from ${min} to ${max}`
  }
  if (kind === 'pointer' && typeof value === 'string' && !value.startsWith('/'))
    return value === '' ? undefined : 'must be a place in the JSON, such as /data/uid, or empty for all of it'
  if (typeof value !== 'string' || value === '') return 'must be a text that is not empty'
  if (value.length > MOST_LETTERS) return `must have at most ${MOST_LETTERS} letters`
  if (/\p{Cc}|\p{Cs}/u.test(value)) return 'must not contain control characters'
  if (kind === 'choice') return choices.includes(value) ? undefined : `must be one of ${choices.join(', ')}`
  if (kind === 'text' || kind === 'pointer') return undefined
  if (/[+#]/.test(value) || value.startsWith('$')) return 'must not have the wildcards + or #, nor begin with $'
  return kind === 'level' && value.includes('/') ? 'must be one level of a topic, without /' : undefined
}

/**
 * What the places of a template stand for in a topic; undefined when the topic is not like it. `{name}` is one level (which
 * may be empty nowhere), `{name...}` one or more, `{name/}` any number and the slash behind them, or nothing; everything else
 * is literal, a leading slash too.
 */
export const topicVars = (template: string, topic: string): Record<string, string> | undefined => {
  const found = patternOf(template).exec(topic)
  return found ? { ...found.groups } : undefined
}

const patterns = new Map<string, RegExp>()
const patternOf = (template: string): RegExp => {
  const known = patterns.get(template)
  if (known) return known
  const source = template
    .split(/(\{\w+(?:\.\.\.|\/)?\})/)
    .map((part) => {
      const [, name, many] = /^\{(\w+)(\.\.\.|\/)?\}$/.exec(part) ?? []
      if (name === undefined) return part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')
      if (many === '/') return `(?<${name}>(?:.*/)?)`
      return many ? `(?<${name}>.+)` : `(?<${name}>[^/]+)`
    })
    .join('')
  const pattern = new RegExp(`^${source}$`, 'u')
  patterns.set(template, pattern)
  return pattern
}
