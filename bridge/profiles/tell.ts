import type { Effect, Effects, Json, Lists, Message, Vars } from './profile.ts'

const PLACE = /\{(\w+)(?:\.\.\.|\/)?(?::(\w+))?\}/g
const ONE = /^\{(\w+)(?::(\w+))?\}$/
const LIST = /^\{(\w+)\.\.\.(?::(\w+))?\}$/

/** Variables about an opening of so many milliseconds at a time. */
export const openingVars = (openMs: number, at: Date, expiresAt: Date): Vars => ({
  openMs,
  openSeconds: Math.max(1, Math.ceil(openMs / 1000)),
  // Tasmota's PulseTime: tenths of a second up to 111, from 112 on seconds plus 100.
  pulseTime: Math.max(1, openMs <= 11_100 ? Math.ceil(openMs / 100) : Math.ceil(openMs / 1000) + 100),
  now: Math.floor(at.getTime() / 1000),
  expires: Math.floor(expiresAt.getTime() / 1000),
})

/** A variable written as it is asked for; undefined when it is not there, or cannot be written so. */
const written = (vars: Vars, name: string, how: string | undefined): string | number | undefined => {
  if (!Object.hasOwn(vars, name)) return undefined
  const value = vars[name]
  const text = String(value)
  if (how === undefined) return value
  if (how === 'text') return text
  if (how === 'lower') return text.toLowerCase()
  if (how === 'upper') return text.toUpperCase()
  if (how === 'number') return /^\d{1,15}$/.test(text) ? Number(text) : undefined
  if (how === 'filled') return fill(text, Object.fromEntries(Object.entries(vars).filter(([other]) => other !== name)))
  const [, most] = /^upTo(\d+)$/.exec(how) ?? []
  if (most !== undefined) return Number(text) <= Number(most) ? value : undefined
  const [, zeros] = /^zeros(\d+)$/.exec(how) ?? []
  return zeros === undefined ? undefined : text.padStart(Number(zeros), '0')
}

/** A template with its variables in place; undefined when one of them is missing. */
export const fill = (template: string, vars: Vars): string | undefined => {
  let missing = false
  const text = template.replaceAll(PLACE, (_, name: string, how: string | undefined) => {
    const value = written(vars, name, how)
    missing ||= value === undefined
    return String(value)
  })
  return missing ? undefined : text
}

/**
 * The same for a topic. `found` are variables that came in a message: such a one may be one level and nothing else, or
 * whoever may publish there could choose where the bridge publishes.
 */
export const fillTopic = (template: string, vars: Vars, found: Vars = {}): string | undefined => {
  const foreign = Object.entries(found).filter(([, value]) => !/^[^/+#$\p{Cc}\p{Cs}]{1,128}$/u.test(String(value)))
  const own = { ...vars, ...found }
  for (const [name] of foreign) delete own[name]
  const topic = fill(template, own)
  return topic === undefined || topic === '' || /[+#]/.test(topic) ? undefined : topic
}

const fillJson = (template: Json, vars: Vars, lists: Lists): Json | undefined => {
  if (typeof template === 'string') {
    const [, name, how] = ONE.exec(template) ?? []
    return name === undefined ? fill(template, vars) : written(vars, name, how)
  }
  if (Array.isArray(template)) {
    const [, list, how] = LIST.exec(template.length === 1 ? String(template[0]) : '') ?? []
    const items =
      list === undefined
        ? template.map((item) => fillJson(item, vars, lists))
        : (Object.hasOwn(lists, list) ? lists[list] : undefined)?.map((each) => written({ each }, 'each', how))
    if (!items) return undefined
    return items.includes(undefined) ? undefined : (items as Json[])
  }
  if (typeof template !== 'object' || template === null) return template
  const entries = Object.entries(template).map(([key, value]) => [key, fillJson(value, vars, lists)] as const)
  return entries.some(([, value]) => value === undefined) ? undefined : (Object.fromEntries(entries) as Json)
}

/** One message, or undefined when something it needs is not there. `found` came in a message, and `vars` did not. */
export const messageOf = (effect: Effect, vars: Vars, found: Vars = {}, lists: Lists = {}): Message | undefined => {
  const { topic, payload, qos = 0, needs = [], without = [], afterMs } = effect
  const all = { ...found, ...vars }
  if (!needs.every((name) => Object.hasOwn(all, name)) || without.some((name) => Object.hasOwn(all, name))) {
    return undefined
  }
  const foreign = Object.entries(found).filter(([name]) => !Object.hasOwn(vars, name))
  const where = fillTopic(topic, vars, Object.fromEntries(foreign))
  const what = typeof payload === 'string' ? fill(payload, all) : fillJson(payload, all, lists)
  const later = afterMs === undefined ? undefined : Number(fill(afterMs, all))
  if (where === undefined || what === undefined || Number.isNaN(later)) return undefined
  const told = typeof payload === 'string' ? String(what) : JSON.stringify(what)
  return { topic: where, payload: told, qos, ...(later !== undefined && { afterMs: later }) }
}

/** The first of the alternatives that has all it needs: all its messages in order. None when there is none. */
export const messagesOf = (effects: Effects, vars: Vars, found: Vars = {}): Message[] => {
  for (const alternative of effects) {
    const messages = alternative.map((effect) => messageOf(effect, vars, found))
    if (messages.every((message) => message !== undefined)) return messages
  }
  return []
}
