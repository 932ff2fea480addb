import fc from 'fast-check'
import { jwtVerify, SignJWT } from 'jose'
import { expect, test } from 'vitest'
import { open, seal, sealingKey } from './envelope.ts'

// The contract says: a compact JWS as jose makes it. What we seal jose opens, and the other way round.

const BRIDGE = '0198c0de-0000-7000-8000-000000000001'
const now = new Date('2026-01-05T09:00:00Z')
const bytes = fc.uint8Array({ minLength: 32, maxLength: 32 })
const text = fc.string({ unit: 'grapheme', maxLength: 40 })

test('property: jose opens what we seal', async () => {
  await fc.assert(
    fc.asyncProperty(bytes, text, async (key, card) => {
      const sealed = await seal({ card }, 'lintel:access-check', BRIDGE, sealingKey(key), now)
      const { payload, protectedHeader } = await jwtVerify(sealed, key, {
        algorithms: ['HS256'],
        audience: 'lintel:access-check',
        requiredClaims: ['iat', 'exp', 'jti'],
        maxTokenAge: 30,
        currentDate: now,
      })
      expect(protectedHeader).toEqual({ alg: 'HS256', kid: BRIDGE })
      expect(payload).toMatchObject({ card, exp: Number(payload.iat) + 30 })
    }),
  )
})

test('property: we open what jose seals', async () => {
  await fc.assert(
    fc.asyncProperty(bytes, text, async (key, card) => {
      const sealed = await new SignJWT({ card })
        .setProtectedHeader({ alg: 'HS256', kid: BRIDGE })
        .setAudience('lintel:access-answer')
        .setIssuedAt(now)
        .setExpirationTime(new Date(now.getTime() + 30_000))
        .setJti('one')
        .sign(key)
      expect(await open(sealed, 'lintel:access-answer', sealingKey(key), now)).toEqual({ card })
    }),
  )
})

test.each([
  ['nbf in the future', { nbf: Math.floor(now.getTime() / 1000) + 60 }, {}],
  ['an extension that must be understood', {}, { crit: ['b64'], b64: true }],
])('%s is refused', async (_name, claims, header) => {
  const key = new Uint8Array(32).fill(7)
  const sealed = await new SignJWT(claims)
    .setProtectedHeader({ alg: 'HS256', kid: BRIDGE, ...header })
    .setAudience('lintel:access-check')
    .setIssuedAt(now)
    .setExpirationTime(new Date(now.getTime() + 30_000))
    .setJti('one')
    .sign(key)
  await expect(open(sealed, 'lintel:access-check', sealingKey(key), now)).rejects.toThrow()
})
