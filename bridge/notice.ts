import { topicVars } from '../api/contract/profiles.ts'
import { settingVars } from '../api/contract/reader-topics.ts'
import { isPlainText } from '../api/contract/scan.ts'
import type { Seen } from '../api/contract/seen.ts'
import type { SiteReader } from '../api/contract/site.ts'
import { hear } from './profiles/hear.ts'
import { at, readJson, textOf } from './profiles/places.ts'
import type { Hear, Profile } from './profiles/profile.ts'
import { fillTopic } from './profiles/tell.ts'

/** A device by what it publishes: where a reader would have its topic, and what it calls itself. Never a card. */
export type Device = Pick<Seen, 'profile' | 'topic' | 'unit'>

/** Readers say little; what is longer is not looked at. Bytes. */
const MOST_BYTES = 4 * 1024
const MOST_UNIT = 128
const MOST_TOPIC = 500

/** Topics of others: discovery, which anybody can write there to be kept; and what bridges say. */
const NOT_OURS = /^(?:homeassistant|lintel|\$[^/]*)\//

const PLACES = /\{(\w+)(?:\.\.\.|\/)?\}/g
const placesIn = (template: string): string[] => [...template.matchAll(PLACES)].map(([, name = '']) => name)
const literals = (template: string): number => template.replaceAll(PLACES, '').length

/** Does a topic fit a filter with wildcards (MQTT 3.1.1, 4.7)? */
export const fitsFilter = (filter: string, topic: string): boolean => {
  const [steps, levels] = [filter.split('/'), topic.split('/')]
  const deep = steps.at(-1) === '#'
  if (deep ? levels.length < steps.length - 1 : levels.length !== steps.length) return false
  return steps.every((step, i) => step === '+' || (deep && i === steps.length - 1) || step === levels[i])
}

/** Says something of a reader; of the weak ones, which all devices of a firmware say, only with a guard that looks into it. */
const isEvidence = ({ is, json, when = {} }: Hear): boolean => {
  if (is === 'scan' || is === 'pin' || is === 'record') return true
  return (is === 'heartbeat' || is === 'presence') && json === true && Object.keys(when).length > 0
}

const SAYS: readonly string[] = ['scan', 'pin', 'record', 'heartbeat', 'presence'] satisfies Hear['is'][]

/** The same profile, in which what is no evidence says nothing. */
const onlyEvidence = (profile: Profile): Profile => ({
  ...profile,
  hears: profile.hears.map((line): Hear => {
    if (isEvidence(line) || !SAYS.includes(line.is)) return line
    const { topic, json, when } = line
    return {
      ...(topic !== undefined && { topic }),
      ...(json && { json }),
      ...(when && { when }),
      is: 'ignore',
      why: '',
    }
  }),
})

const NOBODY = '00000000-0000-4000-8000-000000000000'
const readerAt = (profile: Profile, topic: string, cardView: SiteReader['cardView']): SiteReader => ({
  id: NOBODY,
  name: '',
  profile: profile.name,
  doorId: null,
  lockdown: null,
  evacuation: null,
  topic,
  replyTopic: null,
  unit: null,
  settings: {},
  cardView,
  openMs: 0,
  pinAlone: false,
  holdMs: 0,
  offline: 'deny',
  offlineHours: 1,
})

/** The topics that a reader would have whose device publishes on this one, with the template that each is like. */
const readerTopics = (profile: Profile, topic: string): { topic: string; template: string }[] => {
  const allowed = profile.topics.filter((template) => topicVars(template, topic))
  const own = profile.hears.some((line) => line.topic === undefined) ? allowed.slice(0, 1) : []
  const found = own.map((template) => ({ topic, template }))
  for (const line of profile.hears) {
    for (const template of line.topic === undefined ? [] : profile.topics) {
      // A place that only a setting can fill would fit anything.
      const known = placesIn(template)
      if (!placesIn(line.topic ?? '').every((name) => known.includes(name))) continue
      const vars = topicVars(line.topic ?? '', topic)
      const reader = vars && fillTopic(template, vars)
      if (reader !== undefined && topicVars(template, reader)) found.push({ topic: reader, template })
    }
  }
  const refused = (one: string) => Object.keys(profile.refuses ?? {}).some((template) => topicVars(template, one))
  return [...new Map(found.map((one) => [one.topic, one])).values()].filter(
    (one) => one.topic.length <= MOST_TOPIC && !refused(one.topic),
  )
}

/** Would a reader of this profile take it for something, in any of its views? */
const speaks = (profile: Profile, reader: string, topic: string, payload: Buffer, now: Date): boolean => {
  const inTopic = profile.topics.map((one) => topicVars(one, reader)).find(Boolean)
  const vars = settingVars(profile.settings, {}, inTopic)
  for (const view of profile.views) {
    const known = { reader: readerAt(profile, reader, view), profile, vars: { ...vars, topic: reader } }
    const heard = hear(known, { topic, payload, retained: false }, now)
    if (Array.isArray(heard)) return heard.some(({ is }) => SAYS.includes(is))
    // Another view would change nothing.
    if (heard.dropped !== 'not_this_view' && heard.dropped !== 'not_a_card') return false
  }
  return false
}

const unitOf = ({ unit }: Profile, payload: Buffer): string | undefined => {
  const text = unit === undefined ? undefined : textOf(at(readJson(payload.toString('utf8')), unit))
  return text !== undefined && text !== '' && text.length <= MOST_UNIT && isPlainText(text) ? text : undefined
}

/**
 * What kinds of device say such things on such a topic: none, one, or several that cannot be told apart. The closest counts,
 * whose topics leave least open.
 */
export const noticer = (profiles: readonly Profile[]) => {
  const candidates = profiles
    .filter(({ noticed = [], topics }) => noticed.length > 0 && topics.length > 0)
    .map((profile) => ({ noticed: profile.noticed ?? [], profile: onlyEvidence(profile) }))

  const notice = (topic: string, payload: Buffer, now: Date): Device[] => {
    if (payload.length > MOST_BYTES || NOT_OURS.test(topic) || !isPlainText(topic)) return []
    const found = candidates.flatMap(({ noticed, profile }) => {
      if (!noticed.some((filter) => fitsFilter(filter, topic))) return []
      const heard = readerTopics(profile, topic).filter((one) => speaks(profile, one.topic, topic, payload, now))
      const unit = heard.length > 0 ? unitOf(profile, payload) : undefined
      // Where devices share a topic, each says its name: without it, it is another firmware's message, or nobody's.
      if (profile.unit !== undefined && unit === undefined) return []
      return heard.map((one) => ({
        device: { profile: profile.name, topic: one.topic, ...(unit !== undefined && { unit }) },
        close: literals(one.template),
      }))
    })
    const closest = Math.max(...found.map(({ close }) => close))
    return found.filter(({ close }) => close === closest).map(({ device }) => device)
  }
  return { notice, filters: [...new Set(candidates.flatMap(({ noticed }) => noticed))] }
}
