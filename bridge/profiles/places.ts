import type { Pointer, Rewrite, Take, Test, Vars } from './profile.ts'

/** The payload as it was read: text, or JSON. */
export type Payload = unknown

/**
 * JSON, in which a number that JavaScript cannot hold exactly, or that is not written as digits alone, stays the text that
 * stood there: card numbers go beyond 2^53. Undefined when it is no JSON.
 */
export const readJson = (text: string): Payload => {
  try {
    return JSON.parse(text, exactly as Parameters<typeof JSON.parse>[1])
  } catch {
    return undefined
  }
}

// The third argument (TC39: JSON.parse source text access) is in Node 24, and not yet in TypeScript's library.
const exactly = (_key: string, value: unknown, { source }: { source?: string }): unknown =>
  typeof value === 'number' && (!Number.isSafeInteger(value) || String(value) !== source) ? source : value

/** What stands at a place (RFC 6901); undefined when there is nothing. Only what the message itself has. */
export const at = (payload: Payload, pointer: Pointer): unknown => {
  if (pointer === '') return payload
  let value = payload
  for (const step of pointer.slice(1).split('/')) {
    const name = step.replaceAll('~1', '/').replaceAll('~0', '~')
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
    value = (value as Record<string, unknown>)[name]
  }
  return value
}

/** A text, a number or a boolean as text; undefined for everything else. */
export const textOf = (value: unknown): string | undefined =>
  typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined

const VARIABLE = /^\{(\w+)\}$/

export const holds = (tests: Readonly<Record<Pointer, Test>>, payload: Payload, vars: Vars): boolean =>
  Object.entries(tests).every(([place, test]) => {
    const [, variable] = VARIABLE.exec(place) ?? []
    return passes(test, variable === undefined ? at(payload, place) : vars[variable])
  })

const passes = (test: Test, value: unknown): boolean => {
  if (Array.isArray(test)) return test.some((one) => passes(one as Test, value))
  if (typeof test !== 'object') return textOf(value) === String(test)
  if ('present' in test) return (value !== undefined) === test.present
  const text = textOf(value)
  return text !== undefined && 'matches' in test && new RegExp(`^(?:${test.matches})$`, 'u').test(text)
}

/** The text at a place, rewritten as it is to be; undefined when there is none, or it is not what the rewriting expects. */
export const taken = ({ at: place, as, pad }: Take, payload: Payload, vars: Vars): string | undefined => {
  const text = textOf(at(payload, place))?.trim()
  if (text === undefined) return undefined
  const rewritten = as === undefined ? text : REWRITE[as](text)
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
