import type { Pointer, Rewrite, Take, Test, Vars } from './profile.ts'

/** The payload as it was read: text, or JSON. */
export type Payload = unknown

/**
 * JSON, in which a number that JavaScript cannot hold exactly, or that is not written as digits alone, stays the text that
 * stood there: card numbers go beyond 2^53. Undefined when it is no JSON.
 */
export const readJson = (text: string): Payload => {
  try {
    const read: Payload = JSON.parse(text)
    return INEXACT.test(text) ? JSON.parse(text.replace(TOKENS, exactly)) : read
  } catch {
    return undefined
  }
}

/** Such numbers stand behind one of these; dates and card numbers in strings do not. */
const INEXACT = /(?:^|[:,[\s])(?:-?\d+[.eE]|-?\d{16}|-0(?!\d))/
/** Of a text that is JSON: its strings, and its numbers. A reviver would do, at several times the price. */
const TOKENS = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g

const exactly = (token: string): string => {
  if (token.startsWith('"')) return token
  const value = Number(token)
  return Number.isSafeInteger(value) && String(value) === token ? token : `"${token}"`
}

/** Only these: in other alphabets' spaces a card could hide from whoever compares it. */
export const trimmed = (text: string): string => text.replace(/^[\t\n\v\f\r ]+|[\t\n\v\f\r ]+$/g, '')

/** What stands at a place (RFC 6901); undefined when there is nothing. Only what the message itself has. */
export const at = (payload: Payload, pointer: Pointer): unknown => {
  if (pointer === '') return payload
  if (!pointer.startsWith('/')) return undefined
  let value = payload
  for (const name of stepsOf(pointer)) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
    value = (value as Record<string, unknown>)[name]
  }
  return value
}

/** There are as many pointers as profiles and settings name: each is taken apart once. */
const stepsOf = (pointer: Pointer): readonly string[] => {
  const known = steps.get(pointer)
  if (known) return known
  const made = pointer
    .slice(1)
    .split('/')
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'))
  steps.set(pointer, made)
  return made
}
const steps = new Map<Pointer, readonly string[]>()

/** A text, a number or a boolean as text; undefined for everything else. */
export const textOf = (value: unknown): string | undefined =>
  typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined

const VARIABLE = /^\{(\w+)\}$/
const SETTING = /^\*\{(\w+)\}$/
const NAME = /\{(\w+)\}/g

const variable = (vars: Vars, name: string) => (Object.hasOwn(vars, name) ? vars[name] : undefined)

/** The place that a profile's pointer means for this reader; undefined where a variable is missing. */
export const placeOf = (pointer: Pointer, vars: Vars): Pointer | undefined => {
  const [, setting] = SETTING.exec(pointer) ?? []
  if (setting !== undefined) return textOf(variable(vars, setting))
  if (!pointer.includes('{')) return pointer
  let missing = false
  const place = pointer.replaceAll(NAME, (_, name: string) => {
    const value = variable(vars, name)
    missing ||= value === undefined
    return String(value)
  })
  return missing ? undefined : place
}

export const found = (payload: Payload, pointer: Pointer, vars: Vars): unknown => {
  const place = placeOf(pointer, vars)
  return place === undefined ? undefined : at(payload, place)
}

/** Whether everything is as it must be; and then what the named groups of patterns found. */
export const fits = (
  tests: Readonly<Record<Pointer, Test>>,
  payload: Payload,
  vars: Vars,
): Record<string, string> | undefined => {
  const groups = {}
  for (const [pointer, test] of Object.entries(tests)) {
    const [, name] = VARIABLE.exec(pointer) ?? []
    const free = SETTING.test(pointer) && placeOf(pointer, vars) === undefined
    const value = name === undefined ? found(payload, pointer, vars) : variable(vars, name)
    if (!free && !passes(test, value, vars, groups)) return undefined
  }
  return groups
}

const passes = (test: Test, value: unknown, vars: Vars, groups: object): boolean => {
  if (isSeveral(test)) return test.some((one) => passes(one, value, vars, groups))
  if (typeof test !== 'object') {
    const [, name] = VARIABLE.exec(String(test)) ?? []
    if (name === undefined) return textOf(value) === String(test)
    const wanted = variable(vars, name)
    return wanted === undefined ? value !== undefined : textOf(value) === String(wanted)
  }
  if ('present' in test) return (value !== undefined) === test.present
  if ('has' in test) {
    const values: unknown[] = Array.isArray(value) ? value : [value]
    return values.some((one) => typeof one === 'string' && test.has.includes(one))
  }
  const text = textOf(value)
  const match = text === undefined || text.length > MOST ? null : patternOf(test.matches).exec(text)
  Object.assign(groups, match?.groups)
  return match !== null
}

const isSeveral = (test: Test): test is readonly (string | number | boolean)[] => Array.isArray(test)

const patterns = new Map<string, RegExp>()
const patternOf = (source: string): RegExp => {
  const pattern = patterns.get(source) ?? new RegExp(`^(?:${source})$`, 'u')
  patterns.set(source, pattern)
  return pattern
}

/** The text at a place, rewritten as it is to be; undefined when there is none, or it is not what the rewriting expects. */
export const taken = ({ at: pointer, as, pad }: Take, payload: Payload, vars: Vars): string | undefined => {
  const value = found(payload, pointer, vars)
  const text = typeof value === 'boolean' ? undefined : textOf(value)
  if (text === undefined) return undefined
  const rewritten = as === undefined ? trimmed(text) : REWRITE[as](trimmed(text))
  const digits = pad === undefined ? 0 : Number(vars[pad] ?? 0)
  return rewritten?.padStart(digits, '0')
}

const MOST = 128
const digits = (text: string, radix: 10 | 16): bigint | undefined => {
  const allowed = radix === 10 ? /^\d+$/ : /^[0-9A-Fa-f]+$/
  return text.length <= MOST && allowed.test(text) ? BigInt(radix === 10 ? text : `0x${text}`) : undefined
}

const REWRITE: Record<Rewrite, (text: string) => string | undefined> = {
  'hex-to-decimal': (text) => digits(text, 16)?.toString(),
  wiegand: (text) => (text.endsWith('h') ? digits(text.slice(0, -1), 16) : digits(text, 10))?.toString(),
  'digits-of-bcd': (text) => {
    const keys = digits(text, 10)?.toString(16)
    return keys !== undefined && /^\d+$/.test(keys) ? keys : undefined
  },
}
