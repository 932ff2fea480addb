import { base64url, jwtVerify, SignJWT } from 'jose'
import * as v from 'valibot'
import { deriveKey, rootKeys } from '../keys.ts'
import type { Platform } from '../platform.ts'
import { Id } from '../validate.ts'

const ISSUER = 'lintel'
const AUDIENCE = 'lintel:api'
const TYPE = 'at+jwt'

const signingKey = (root: Uint8Array) => deriveKey(root, 'lintel access token')

type Claims = { accountId: string; sessionId: string }

/** An access token (JWT; RFC 9068's `typ`) and how many seconds it is good for. */
export const issue = async (platform: Platform, { accountId, sessionId }: Claims) => {
  const seconds = platform.config.ACCESS_TOKEN_MINUTES * 60
  const iat = Math.floor(platform.now().getTime() / 1000)
  const token = await new SignJWT({ sid: sessionId })
    .setProtectedHeader({ alg: 'HS256', typ: TYPE })
    .setIssuer(ISSUER)
    .setAudience(AUDIENCE)
    .setSubject(accountId)
    .setIssuedAt(iat)
    .setExpirationTime(iat + seconds)
    .sign(await signingKey(platform.config.APP_KEY))
  return { token, seconds }
}

/** Seconds by which the clocks of two nodes may disagree on when a token was issued. */
const SKEW = 60

/** What is signed well may still be no token: nothing but ids reaches the database. */
const Payload = v.object({ sub: Id, sid: Id, iat: v.number() })

/**
 * Throws unless it is an access token of ours, from no later than now, that has not expired: algorithm, kind, issuer and
 * audience are pinned.
 */
export const verify = async (platform: Platform, token: string): Promise<Claims> => {
  const options = {
    algorithms: ['HS256'],
    typ: TYPE,
    issuer: ISSUER,
    audience: AUDIENCE,
    requiredClaims: ['sub', 'sid', 'iat', 'exp'],
    currentDate: platform.now(),
  }
  const { payload } = await Promise.any(
    rootKeys(platform.config).map(async (root) => jwtVerify(token, await signingKey(root), options)),
  )
  const { sub, sid, iat } = v.parse(Payload, payload)
  if (iat > platform.now().getTime() / 1000 + SKEW) throw new Error('issued in the future')
  return { accountId: sub, sessionId: sid }
}

/** What an API key begins with, so that scanners for lost secrets know one. */
export const KEY_PREFIX = 'lintel_'

/** 256 random bits for somebody else to keep: a refresh token, an API key. We keep only its hash. */
export const newSecret = () => base64url.encode(crypto.getRandomValues(new Uint8Array(32)))

export const hashOf = async (token: string): Promise<string> =>
  base64url.encode(new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(token))))
