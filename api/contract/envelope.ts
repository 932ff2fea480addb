import { createHmac, createSecretKey, type KeyObject, randomUUID, timingSafeEqual } from 'node:crypto'

/** One pair of audiences per sealed call: a question can never pass for an answer, nor one call for another. */
export const CALLS = {
  check: { path: '/internal/access-check', ask: 'lintel:access-check', answer: 'lintel:access-answer' },
  config: { path: '/internal/config', ask: 'lintel:config', answer: 'lintel:config-answer' },
  snapshot: { path: '/internal/snapshot', ask: 'lintel:snapshot', answer: 'lintel:snapshot-answer' },
  events: { path: '/internal/events', ask: 'lintel:events', answer: 'lintel:events-answer' },
  seen: { path: '/internal/seen', ask: 'lintel:seen', answer: 'lintel:seen-answer' },
  accessList: { path: '/internal/access-list', ask: 'lintel:access-list', answer: 'lintel:access-list-answer' },
  commands: { path: '/internal/commands', ask: 'lintel:commands', answer: 'lintel:commands-answer' },
  outcomes: { path: '/internal/outcomes', ask: 'lintel:outcomes', answer: 'lintel:outcomes-answer' },
  deviceEvents: { path: '/internal/device-events', ask: 'lintel:device-events', answer: 'lintel:device-events-answer' },
} as const
export type Call = (typeof CALLS)[keyof typeof CALLS]
export type Audience = Call['ask' | 'answer']

export const SEALED = 'application/jose'

/** Seconds for which a sealed message is good. */
const FRESH = 30
/** Seconds by which the two clocks may disagree; taken out of the freshness, not added to it. */
const SKEW = 5

/** A bridge's 32 bytes as a key that can seal and open. */
export type SealingKey = KeyObject
export const sealingKey = (bytes: Uint8Array): SealingKey => createSecretKey(Uint8Array.from(bytes))

/*
 * A compact JWS (RFC 7515, HS256), the very bytes that jose would make and take; envelope.test.ts holds the two against
 * each other. Made here with node:crypto, which Workers have too, because jose goes through WebCrypto and so through the
 * thread pool: a quarter of a millisecond each time, four times per scan, where this takes a thirtieth.
 */
const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
const decode = (part: string): unknown => JSON.parse(Buffer.from(part, 'base64url').toString('utf8'))
const sign = (text: string, key: SealingKey): string => createHmac('sha256', key).update(text).digest('base64url')

/** Seal a message so that only a holder of `key` could have written it, only just now, and only for `audience`. */
export const seal = async (
  message: Record<string, unknown>,
  audience: Audience,
  kid: string,
  key: SealingKey,
  now: Date,
): Promise<string> => {
  const iat = Math.floor(now.getTime() / 1000)
  const claims = { ...message, aud: audience, iat, exp: iat + FRESH, jti: randomUUID() }
  const text = `${encode({ alg: 'HS256', kid })}.${encode(claims)}`
  return `${text}.${sign(text, key)}`
}

/**
 * The message inside, without its envelope. Throws unless the seal is whole, made with `key`, addressed to `audience`
 * and at most 30 seconds old. The signature comes first: nothing is read that is not sealed.
 */
export const open = async (
  sealed: string,
  audience: Audience,
  key: SealingKey,
  now: Date,
): Promise<Record<string, unknown>> => {
  const [head = '', body = '', signature = '', ...more] = sealed.split('.')
  const ours = Buffer.from(sign(`${head}.${body}`, key))
  const theirs = Buffer.from(signature)
  if (more.length > 0 || ours.length !== theirs.length || !timingSafeEqual(ours, theirs)) throw new Error('a bad seal')

  const header = decode(head)
  if (!isObject(header) || header['alg'] !== 'HS256' || 'crit' in header) throw new Error('not sealed as agreed')
  const claims = decode(body)
  if (!isObject(claims)) throw new Error('not a message')
  const { aud, iat, exp, jti, nbf, ...message } = claims
  const at = Math.floor(now.getTime() / 1000)
  if (aud !== audience) throw new Error('for somebody else')
  if (!isNumber(iat) || iat > at + SKEW || at - iat > FRESH) throw new Error('not from just now')
  if (!isNumber(exp) || exp <= at - SKEW) throw new Error('expired')
  if (nbf !== undefined && !(isNumber(nbf) && nbf <= at + SKEW)) throw new Error('not good yet')
  if (typeof jti !== 'string') throw new Error('without an id')
  return message
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const isNumber = (value: unknown): value is number => Number.isFinite(value)

/** The `kid` a sealed message claims, or undefined: not yet proof of anything. Long or odd ones are nobody's. */
export const claimedBridge = (sealed: string): string | undefined => {
  try {
    const [head = ''] = sealed.slice(0, 1024).split('.')
    const header = decode(head)
    const kid = isObject(header) ? header['kid'] : undefined
    return typeof kid === 'string' && UUID.test(kid) ? kid.toLowerCase() : undefined
  } catch {
    return undefined
  }
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i
