import { type JWTPayload, jwtVerify, SignJWT } from 'jose'

/** One pair of audiences per sealed call: a question can never pass for an answer, nor one call for another. */
export const CALLS = {
  check: { path: '/internal/access-check', ask: 'lintel:access-check', answer: 'lintel:access-answer' },
  config: { path: '/internal/config', ask: 'lintel:config', answer: 'lintel:config-answer' },
} as const
export type Call = (typeof CALLS)[keyof typeof CALLS]
export type Audience = Call['ask' | 'answer']

export const SEALED = 'application/jose'

/** Seconds for which a sealed message is good. */
const FRESH = 30
/** Seconds by which the two clocks may disagree; taken out of the freshness, not added to it. */
const SKEW = 5

/** A bridge's 32 bytes as a key that can seal and open. Import once and keep it: the import costs as much as a seal. */
export const sealingKey = (bytes: Uint8Array): Promise<CryptoKey> =>
  crypto.subtle.importKey('raw', Uint8Array.from(bytes), { name: 'HMAC', hash: 'SHA-256' }, false, ['sign', 'verify'])

/** A compact JWS (RFC 7515) that only a holder of `key` could have written, only just now, and only for `audience`. */
export const seal = (
  message: Record<string, unknown>,
  audience: Audience,
  kid: string,
  key: CryptoKey,
  now: Date,
): Promise<string> => {
  const iat = Math.floor(now.getTime() / 1000)
  return new SignJWT(message)
    .setProtectedHeader({ alg: 'HS256', kid })
    .setAudience(audience)
    .setIssuedAt(iat)
    .setExpirationTime(iat + FRESH)
    .setJti(crypto.randomUUID())
    .sign(key)
}

/**
 * The message inside, without its envelope. Throws unless the seal is whole, made with `key`, addressed to `audience`
 * and at most 30 seconds old.
 */
export const open = async (sealed: string, audience: Audience, key: CryptoKey, now: Date): Promise<JWTPayload> => {
  const { payload } = await jwtVerify(sealed, key, {
    algorithms: ['HS256'],
    audience,
    maxTokenAge: FRESH - SKEW,
    clockTolerance: SKEW,
    requiredClaims: ['aud', 'iat', 'exp', 'jti'],
    currentDate: now,
  })
  const { aud: _aud, iat: _iat, exp: _exp, jti: _jti, ...message } = payload
  return message
}

/** The `kid` a sealed message claims, or undefined: not yet proof of anything. Long or odd ones are nobody's. */
export const claimedBridge = (sealed: string): string | undefined => {
  try {
    const [head = ''] = sealed.slice(0, 1024).split('.')
    const { kid } = JSON.parse(atob(head.replaceAll('-', '+').replaceAll('_', '/'))) as { kid?: unknown }
    return typeof kid === 'string' && UUID.test(kid) ? kid.toLowerCase() : undefined
  } catch {
    return undefined
  }
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i
