import { createHmac } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Audience, CALLS, claimedBridge, open, seal, sealingKey } from './envelope.ts'

const bytes = Uint8Array.from({ length: 32 }, (_, n) => n)
const key = await sealingKey(bytes)
const bridge = '0198c0de-0000-7000-8000-00000000000a'
const { ask, answer } = CALLS.check
const now = new Date('2026-01-01T12:00:00.400Z')
const seconds = (offset: number) => Math.floor(now.getTime() / 1000) + offset

const base64url = (value: string | Buffer) => Buffer.from(value).toString('base64url')
const hmac = (text: string, secret: Uint8Array, hash = 'sha256') => createHmac(hash, secret).update(text).digest()

const header = { alg: 'HS256', kid: bridge }
const claims = { aud: ask, iat: seconds(0), exp: seconds(30), jti: 'one', scan: { id: 'scan' } }

/** A JWS made by hand, so that anything can be wrong with it. */
const forge = (head: object, payload: object, sign = (text: string) => hmac(text, bytes)) => {
  const text = `${base64url(JSON.stringify(head))}.${base64url(JSON.stringify(payload))}`
  return `${text}.${base64url(sign(text))}`
}
const without = (claim: keyof typeof claims) => ({ ...claims, [claim]: undefined })
const [head, body, signature] = forge(header, claims).split('.')
const signed = (text: string) => `${text}.${base64url(hmac(text, bytes))}`

test('what was sealed is what is opened, and the envelope stays behind', async () => {
  const sealed = await seal({ scan: { id: 'scan', card: 'Žižka ✓' } }, ask, bridge, key, now)
  expect(await open(sealed, ask, key, now)).toEqual({ scan: { id: 'scan', card: 'Žižka ✓' } })
  expect(claimedBridge(sealed)).toBe(bridge)
})

test('a message cannot bring an envelope of its own', async () => {
  const own = { aud: answer, iat: 0, exp: seconds(9e6), jti: 'mine' }
  const sealed = await seal({ ...own, reason: 'granted' }, ask, bridge, key, now)
  expect(await open(sealed, ask, key, now)).toEqual({ reason: 'granted' })
  await expect(open(sealed, answer, key, now)).rejects.toThrow()
})

test('each seal has its own id', async () => {
  const jti = async () => JSON.parse(atob((await seal({}, ask, bridge, key, now)).split('.')[1] ?? '')).jti
  expect(await jti()).not.toBe(await jti())
})

test('property: any message comes out as it went in', async () => {
  const message = fc.dictionary(
    fc.string().filter((name) => !['aud', 'iat', 'exp', 'jti', 'nbf', 'iss', 'sub', '__proto__'].includes(name)),
    fc.jsonValue({ maxDepth: 2 }),
  )
  await fc.assert(
    fc.asyncProperty(message, async (some) => {
      const opened = await open(await seal(some, ask, bridge, key, now), ask, key, now)
      expect(opened).toEqual(JSON.parse(JSON.stringify(some)))
    }),
    { numRuns: 50 },
  )
})

test('the forger of these tests can seal, so what is refused below is refused for its fault', async () => {
  expect(await open(forge(header, claims), ask, key, now)).toEqual({ scan: { id: 'scan' } })
})

test.for([
  ['with a changed payload', `${head}.${base64url(JSON.stringify({ ...claims, jti: 'two' }))}.${signature}`],
  ['with a changed header', `${base64url(JSON.stringify({ ...header, kid: 'two' }))}.${body}.${signature}`],
  ['with a changed signature', `${head}.${body}.${signature?.startsWith('A') ? 'B' : 'A'}${signature?.slice(1)}`],
  ['with half a signature', `${head}.${body}.${signature?.slice(0, 20)}`],
  ['with no signature', `${head}.${body}.`],
  ['in two parts', `${head}.${body}`],
  ['in four parts', `${head}.${body}.${signature}.`],
  ['that is empty', ''],
  ['that is a JSON body', JSON.stringify(claims)],
  ['signed with another key', forge(header, claims, (text) => hmac(text, bytes.toReversed()))],
  ['signed with an empty key', forge(header, claims, (text) => hmac(text, new Uint8Array()))],
  ['with alg none and no signature', forge({ ...header, alg: 'none' }, claims, () => Buffer.alloc(0))],
  ['with alg none, signed well', forge({ ...header, alg: 'none' }, claims)],
  ['with alg HS512, signed well', forge({ ...header, alg: 'HS512' }, claims, (text) => hmac(text, bytes, 'sha512'))],
  ['with alg HS512, signed as HS256', forge({ ...header, alg: 'HS512' }, claims)],
  ['with no alg', forge({ kid: bridge }, claims)],
  ['with a critical header nobody here knows', forge({ ...header, crit: ['b'], b: 1 }, claims)],
  ['for nobody', forge(header, without('aud'))],
  ['for another audience', forge(header, { ...claims, aud: answer })],
  ['for an audience that only begins alike', forge(header, { ...claims, aud: `${ask}s` })],
  ['without iat', forge(header, without('iat'))],
  ['without exp', forge(header, without('exp'))],
  ['without jti', forge(header, without('jti'))],
  ['whose iat is text', forge(header, { ...claims, iat: String(claims.iat) })],
  ['whose iat is null', forge(header, { ...claims, iat: null })],
  ['whose exp is text', forge(header, { ...claims, exp: String(claims.exp) })],
  ['that has expired although it is young', forge(header, { ...claims, iat: seconds(-20), exp: seconds(-10) })],
  ['that is old although it claims a year', forge(header, { ...claims, iat: seconds(-31), exp: seconds(3e7) })],
  ['that is not yet good', forge(header, { ...claims, nbf: seconds(60) })],
  ['whose claims are a list', signed(`${head}.${base64url('[]')}`)],
  ['whose claims are no JSON', signed(`${head}.${base64url('{')}`)],
] as const)('a message %s does not open', async ([, sealed]) => {
  await expect(open(sealed, ask, key, now)).rejects.toThrow()
})

test.for([
  [-10, false],
  [0, true],
  [29, true],
  [30, true],
  [31, false],
  [3600, false],
] as const)('a message %i seconds old opens: %s', async ([age, good]) => {
  const sealed = await seal({ good }, ask, bridge, key, new Date(now.getTime() - age * 1000))
  const opened = open(sealed, ask, key, now)
  await (good ? expect(opened).resolves.toEqual({ good }) : expect(opened).rejects.toThrow())
})

test('a message sealed with one key does not open with another', async () => {
  const other = await sealingKey(bytes.toReversed())
  await expect(open(await seal({}, ask, bridge, key, now), ask, other, now)).rejects.toThrow()
  await expect(open(await seal({}, ask, bridge, other, now), ask, key, now)).rejects.toThrow()
})

const audiences: Audience[] = Object.values(CALLS).flatMap((call) => [call.ask, call.answer])
test('every call has a pair of audiences that no other has', () => {
  expect(new Set(audiences).size).toBe(audiences.length)
})

test.for(audiences.flatMap((sent) => audiences.map((wanted) => [sent, wanted] as const)))(
  'what is for %s opens as %s only when they are the same',
  async ([sent, wanted]) => {
    const opened = open(await seal({ sent }, sent, bridge, key, now), wanted, key, now)
    await (sent === wanted ? expect(opened).resolves.toEqual({ sent }) : expect(opened).rejects.toThrow())
  },
)

describe('the bridge that a message claims', () => {
  const claiming = (kid: unknown) => forge({ ...header, kid }, claims)
  test.for([
    ['its kid', claiming(bridge), bridge],
    ['its kid where base64url differs from base64', forge({ ...header, odd: '~~~~???' }, claims), bridge],
    ['its kid in lower case', claiming(bridge.toUpperCase()), bridge],
    ['its kid even when the rest is not worth opening', `${head}.x`, bridge],
    ['nobody without a kid', claiming(undefined), undefined],
    ['nobody with a number', claiming(1), undefined],
    ['nobody with a list that holds one', claiming([bridge]), undefined],
    ['nobody with an empty kid', claiming(''), undefined],
    ['nobody with a name', claiming('bridge'), undefined],
    ['nobody with something after the id', claiming(`${bridge}\n`), undefined],
    ['nobody with something before the id', claiming(` ${bridge}`), undefined],
    ['nobody with a huge kid', claiming(bridge.repeat(10_000)), undefined],
    ['nobody with a huge header', forge({ pad: 'x'.repeat(2_000), ...header }, claims), undefined],
    ['nobody when it is empty', '', undefined],
    ['nobody when its header is null', `${base64url('null')}.x.x`, undefined],
    ['nobody when its header is text', `${base64url(JSON.stringify(bridge))}.x.x`, undefined],
    ['nobody when its header is no base64', '*.x.x', undefined],
    ['nobody when its header is no JSON', `${base64url('{')}.x.x`, undefined],
    ['nobody when it is huge', 'A'.repeat(5_000_000), undefined],
  ] as const)('is %s', ([, sealed, claimed]) => {
    expect(claimedBridge(sealed)).toBe(claimed)
  })

  test('property: whatever the text, it is nobody or an id, and never throws', () => {
    const anyText = fc.uint16Array().map((units) => String.fromCharCode(...units))
    const anyHeader = fc.oneof(fc.json(), anyText).map((json) => `${base64url(json)}.x.x`)
    const anyKid = fc.oneof(fc.jsonValue(), anyText, fc.uuid()).map(claiming)
    fc.assert(
      fc.property(fc.oneof(anyText, anyHeader, anyKid), (sealed) => {
        expect(claimedBridge(sealed) ?? bridge).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
      }),
      { numRuns: 500 },
    )
  })
})
