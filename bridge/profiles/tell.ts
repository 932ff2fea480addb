import { profileNamed, topicVars } from '../../api/contract/profiles.ts'
import type { SiteReader } from '../../api/contract/site.ts'
import type { Effect, Effects, Json, Message, Vars } from './profile.ts'

const PLACE = /\{(\w+)(?:\.\.\.)?\}/g
const ONE = /^\{(\w+)\}$/

/** What a reader's own topic and settings say, by name. */
export const varsOf = (reader: SiteReader): Vars => {
  const info = profileNamed(reader.profile)
  const topic = (info?.topics ?? []).map((template) => topicVars(template, reader.topic)).find(Boolean) ?? {}
  const vars: Record<string, string | number> = {}
  for (const [name, { default: value }] of Object.entries(info?.settings ?? {})) {
    if (value !== undefined) vars[name] = plain(value)
  }
  Object.assign(vars, topic)
  for (const [name, value] of Object.entries(reader.settings)) vars[name] = plain(value)
  vars['topic'] = reader.topic
  if (reader.replyTopic !== null) vars['replyTopic'] = reader.replyTopic
  if (reader.unit !== null) vars['unit'] = reader.unit
  return vars
}

const plain = (value: string | number | boolean) => (typeof value === 'boolean' ? String(value) : value)

/** Variables about an opening of so many milliseconds at a time. */
export const openingVars = (openMs: number, at: Date, expiresAt: Date): Vars => ({
  openMs,
  openSeconds: Math.max(1, Math.ceil(openMs / 1000)),
  // Tasmota's PulseTime: tenths of a second up to 111, from 112 on seconds plus 100.
  pulseTime: Math.max(1, openMs <= 11_100 ? Math.ceil(openMs / 100) : Math.ceil(openMs / 1000) + 100),
  now: Math.floor(at.getTime() / 1000),
  expires: Math.floor(expiresAt.getTime() / 1000),
})

/** A template with its variables in place; undefined when one of them is missing. */
export const fill = (template: string, vars: Vars): string | undefined => {
  let missing = false
  const text = template.replaceAll(PLACE, (_, name: string) => {
    missing ||= !Object.hasOwn(vars, name)
    return String(vars[name])
  })
  return missing ? undefined : text
}

/**
 * The same for a topic. `found` are variables that came in a message: such a one may be one level and nothing else, or
 * whoever may publish there could choose where the bridge publishes.
 */
export const fillTopic = (template: string, vars: Vars, found: Vars = {}): string | undefined => {
  const foreign = Object.entries(found).filter(([, value]) => !/^[^/+#\p{Cc}\p{Cs}]{1,128}$/u.test(String(value)))
  const own = { ...vars, ...found }
  for (const [name] of foreign) delete own[name]
  const topic = fill(template, own)
  return topic === undefined || topic === '' || /[+#]/.test(topic) ? undefined : topic
}

const fillJson = (template: Json, vars: Vars): Json | undefined => {
  if (typeof template === 'string') {
    const [, name] = ONE.exec(template) ?? []
    if (name === undefined) return fill(template, vars)
    return Object.hasOwn(vars, name) ? vars[name] : undefined
  }
  if (Array.isArray(template)) {
    const items = template.map((item) => fillJson(item, vars))
    return items.includes(undefined) ? undefined : (items as Json[])
  }
  if (typeof template !== 'object' || template === null) return template
  const entries = Object.entries(template).map(([key, value]) => [key, fillJson(value, vars)] as const)
  return entries.some(([, value]) => value === undefined) ? undefined : (Object.fromEntries(entries) as Json)
}

/** One message, or undefined when something it needs is not there. `found` came in a message, and `vars` did not. */
export const messageOf = ({ topic, payload, qos = 0 }: Effect, vars: Vars, found: Vars = {}): Message | undefined => {
  const all = { ...found, ...vars }
  const where = fillTopic(topic, vars, Object.fromEntries(Object.entries(found).filter(([name]) => !(name in vars))))
  const what = typeof payload === 'string' ? fill(payload, all) : fillJson(payload, all)
  if (where === undefined || what === undefined) return undefined
  return { topic: where, payload: typeof payload === 'string' ? String(what) : JSON.stringify(what), qos }
}

/** The first of the alternatives that has all it needs: all its messages in order. None when there is none. */
export const messagesOf = (effects: Effects, vars: Vars, found: Vars = {}): Message[] => {
  for (const alternative of effects) {
    const messages = alternative.map((effect) => messageOf(effect, vars, found))
    if (messages.every((message) => message !== undefined)) return messages
  }
  return []
}
