import { createHmac, randomUUID } from 'node:crypto'
import { eq } from 'drizzle-orm'
import { base64url, exportJWK, exportSPKI, generateKeyPair, SignJWT } from 'jose'
import { beforeAll, describe, expect, inject, test } from 'vitest'
import { CALLS, seal } from '../contract/envelope.ts'
import { accounts, apiKeys, mailTokens, refreshTokens, sessions } from '../db/schema.ts'
import { deriveKey } from '../keys.ts'
import { PASSWORD, type Reply, startTestApi, type TestApi } from '../testing/api.ts'
import { type Caller, expectProblem, newSession, replyOf, send, signIn, withToken } from '../testing/caller.ts'
import { type Bridge, keyOf as keyOfBridge, post, registerBridge } from '../testing/sealed.ts'
import { keyOf } from '../testing/things.ts'
import { hashOf, KEY_PREFIX, newSecret } from './tokens.ts'

/** The APP_KEY of the tests: that it is, the first row of the forged tokens proves. */
const APP_KEY = Uint8Array.from({ length: 32 }, (_, i) => (i * 37 + 11) % 256)
const NOBODY = '0198c1a2-0000-7000-8000-000000000000'

let api: TestApi
let owner: Caller
let known: Caller
let bridge: Bridge
let ourKey: Uint8Array
/** The session of the tokens that are made here. */
let sid: string
/** What everybody is told who has no token. */
let nobody: ReturnType<typeof answer>

const now = () => Math.floor(Date.now() / 1000)
const answer = ({ status, body }: Reply) => ({ status, body })
const refresh = (token: unknown) => api.stranger.post('/login/refresh', { refresh_token: token })
const part = (value: unknown) => base64url.encode(typeof value === 'string' ? value : JSON.stringify(value))

type Forged = {
  header?: Record<string, unknown>
  claims?: Record<string, unknown>
  key?: Uint8Array | string
  hash?: 'sha256' | 'sha384' | 'sha512'
}

/** A token as the API would issue it, but for what the row says: by node's own HMAC, which takes any key and any header. */
const forge = ({ header, claims, key = ourKey, hash = 'sha256' }: Forged = {}): string => {
  const payload = { sid, iss: 'lintel', aud: 'lintel:api', sub: known.id, iat: now(), exp: now() + 600, ...claims }
  const text = `${part({ alg: 'HS256', typ: 'at+jwt', ...header })}.${part(payload)}`
  return `${text}.${createHmac(hash, key).update(text).digest('base64url')}`
}

const unsigned = (alg: string, signature = ''): string => {
  const [, payload] = forge().split('.')
  return `${part({ alg, typ: 'at+jwt' })}.${payload}.${signature}`
}

/** Signed well, with a key of the attacker's own, which the header offers to be checked with. */
const withOwnKey = async (alg: 'RS256' | 'ES256', offer: 'jwk' | 'x5c' | 'none'): Promise<string> => {
  const { publicKey, privateKey } = await generateKeyPair(alg)
  const jwk = await exportJWK(publicKey)
  const offered = { jwk: { jwk }, x5c: { x5c: [part(await exportSPKI(publicKey))] }, none: {} }[offer]
  return new SignJWT({ sid, iss: 'lintel', aud: 'lintel:api', sub: known.id, iat: now(), exp: now() + 600 })
    .setProtectedHeader({ alg, typ: 'at+jwt', ...offered })
    .sign(privateKey)
}

/** The refusal of this token is the one that everybody gets who has none. */
const expectNobody = async (token: string) => {
  const refused = await withToken(api, token).get('/me')
  expectProblem(refused, 401)
  expect(answer(refused)).toEqual(nobody)
}

beforeAll(async () => {
  api = await startTestApi()
  owner = await signIn(api, 'owner')
  known = await signIn(api, 'member')
  bridge = await registerBridge(api, owner)
  ourKey = await deriveKey(APP_KEY, 'lintel access token')
  const [session] = await api.db.select().from(sessions).where(eq(sessions.accountId, known.id))
  sid = String(session?.id)
  nobody = answer(await api.stranger.get('/me'))
})

describe('an access token', () => {
  test('that is made like ours is good, so what refuses the others is their fault', async () => {
    expect((await withToken(api, forge()).get('/me')).body).toMatchObject({ id: known.id })
  })

  test.each<[string, () => string | Promise<string>]>([
    ['of the algorithm none', () => unsigned('none')],
    ['of the algorithm None', () => unsigned('None')],
    ['of the algorithm nOnE', () => unsigned('nOnE')],
    ['of the algorithm none, with a signature that is good', () => unsigned('none', forge().split('.')[2])],
    ['of no algorithm', () => unsigned('')],
    ['of HS384', () => forge({ header: { alg: 'HS384' }, hash: 'sha384' })],
    ['of HS512', () => forge({ header: { alg: 'HS512' }, hash: 'sha512' })],
    ['that says HS512 and is signed as HS256', () => forge({ header: { alg: 'HS512' } })],
    ['that says HS256 and is signed as HS512', () => forge({ hash: 'sha512' })],
    ['that says hs256', () => forge({ header: { alg: 'hs256' } })],
    ['of RS256', () => withOwnKey('RS256', 'none')],
    ['of ES256', () => withOwnKey('ES256', 'none')],
    ['of RS256, with its own jwk', () => withOwnKey('RS256', 'jwk')],
    ['of ES256, with its own x5c', () => withOwnKey('ES256', 'x5c')],
    ['that says RS256 and is signed with our key', () => forge({ header: { alg: 'RS256' } })],
    ['without a signature', () => forge().replace(/[^.]+$/, '')],
    ['of two parts', () => forge().replace(/\.[^.]+$/, '')],
    ['of five parts', () => `${forge()}..`],
    ['signed with another key', () => forge({ key: new Uint8Array(32).fill(7) })],
    ['signed with an empty key', () => forge({ key: '' })],
    ['signed with zeros', () => forge({ key: new Uint8Array(32) })],
    ['signed with APP_KEY itself', () => forge({ key: APP_KEY })],
    ['signed with a bridge’s key', () => forge({ key: base64url.decode(bridge.key) })],
    [
      'signed with a bridge’s key, and named after it',
      () => forge({ key: base64url.decode(bridge.key), header: { kid: bridge.id } }),
    ],
    ['whose payload was changed', () => forge().replace(/\.[^.]+\./, `.${part({ sub: owner.id })}.`)],
    ['whose header was changed', () => forge().replace(/^[^.]+/, part({ alg: 'HS256', typ: 'at+jwt', kid: 'x' }))],
  ])('%s is refused like no token at all', async (_, token) => expectNobody(await token()))

  // None of these says where our key comes from: signed with another key they change nothing, whatever they point to.
  test.each<[string, Record<string, unknown>]>([
    ['kid', { kid: '../../../../dev/null' }],
    ['kid', { kid: "' union select ''--" }],
    ['kid', { kid: 'x'.repeat(2_000) }],
    ['jku', { jku: 'https://evil.example.org/keys.json' }],
    ['jwk', { jwk: { kty: 'oct', k: '' } }],
    ['x5u', { x5u: 'https://evil.example.org/key.pem' }],
    ['x5c', { x5c: ['MIIB'] }],
  ])('signed with an empty key and a %s that leads to it is refused', async (_, header) => {
    await expectNobody(forge({ header, key: '' }))
    await expectNobody(forge({ header: { ...header, alg: 'none' }, key: '' }))
  })

  test.each<[string, Forged]>([
    ['that must be understood to be read', { header: { crit: ['lintel'], lintel: true } }],
    ['whose crit is no list', { header: { crit: 'exp' } }],
    ['whose payload says that it is not encoded', { header: { b64: false, crit: ['b64'] } }],
    ['of the kind JWT', { header: { typ: 'JWT' } }],
    ['of the kind of a refresh token', { header: { typ: 'rt+jwt' } }],
    ['of an empty kind', { header: { typ: '' } }],
    ['of no kind', { header: { typ: undefined } }],
    ['that has expired', { claims: { iat: now() - 601, exp: now() - 1 } }],
    ['that expires when it is issued', { claims: { exp: now() } }],
    ['that never expires', { claims: { exp: undefined } }],
    ['whose expiry is a text', { claims: { exp: String(now() + 600) } }],
    ['that is not good yet', { claims: { nbf: now() + 600 } }],
    ['that was issued in the future', { claims: { iat: now() + 600, exp: now() + 1_200 } }],
    ['that was issued at no time', { claims: { iat: undefined } }],
    ['from somebody else', { claims: { iss: 'lintels' } }],
    ['from nobody', { claims: { iss: undefined } }],
    ['for somebody else', { claims: { aud: 'lintel:access-check' } }],
    ['for nobody', { claims: { aud: undefined } }],
    ['of nobody', { claims: { sub: undefined } }],
    ['of everybody', { claims: { sub: '*' } }],
    ['of a list', { claims: { sub: [NOBODY] } }],
    ['of no session', { claims: { sid: undefined } }],
    ['of a session that is no id', { claims: { sid: "' or true --" } }],
    ['of a session that is an object', { claims: { sid: { id: NOBODY } } }],
    ['of an unknown session', { claims: { sid: NOBODY } }],
    ['of this session for an unknown account', { claims: { sub: NOBODY } }],
  ])('%s is refused like no token at all, although the signature is good', async (_, forged) => {
    await expectNobody(forge(forged))
  })

  test('of this session for another account is refused, and the other way round', async () => {
    await expectNobody(forge({ claims: { sub: owner.id } }))
    const [session] = await api.db.select().from(sessions).where(eq(sessions.accountId, owner.id))
    await expectNobody(forge({ claims: { sid: session?.id } }))
  })

  test.each<[string, (token: string) => string]>([
    ['in capitals', (token) => token.toUpperCase()],
    ['in small letters', (token) => token.toLowerCase()],
    ['padded', (token) => `${token}=`],
    ['with a space inside', (token) => token.replace('.', '. ')],
    ['in quotes', (token) => `"${token}"`],
    ['with a comma behind it', (token) => `${token},`],
    ['with a dot behind it', (token) => `${token}.`],
    ['with a dot before it', (token) => `.${token}`],
    ['with one more letter', (token) => `${token}A`],
    ['in percents', (token) => token.replaceAll('.', '%2e')],
    ['twice', (token) => `${token}, Bearer ${token}`],
    ['in base64 that is not for addresses', (token) => token.replace(/[-_]|$/, '+')],
  ])('written %s is another text, and refused', async (_, written) => {
    await expectNobody(written(known.token))
  })

  test('whose last bits differ, which mean nothing, ends with its session like any other spelling', async () => {
    const me = await newSession(api, known)
    const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    const last = letters.indexOf(me.token.at(-1) ?? '')
    const others = [1, 2, 3].map((bits) => `${me.token.slice(0, -1)}${letters[last ^ bits]}`)
    await me.post('/logout')
    for (const token of [me.token, ...others]) await expectNobody(token)
  })
})

describe('a token of one kind is no token of another', () => {
  test('a refresh token, its hash, the hash of a key and a bridge’s message open nothing', async () => {
    const message = await seal({ scan: {} }, CALLS.check.ask, bridge.id, await keyOfBridge(bridge.key), new Date())
    const key = await keyOf(api, 'owner')
    const tokens = [known.refreshToken, await hashOf(known.refreshToken), await hashOf(key), message, bridge.key]
    for (const token of tokens) await expectNobody(token)
    for (const token of tokens) await expectNobody(`${KEY_PREFIX}${token}`)
  })

  test('an access token, an API key and what came by mail cannot be exchanged for tokens', async () => {
    const mailed = newSecret()
    const values = { accountId: known.id, purpose: 'reset', expiresAt: new Date(Date.now() + 60_000) } as const
    await api.db.insert(mailTokens).values({ ...values, hash: await hashOf(mailed) })
    const [{ hash = '' } = {}] = await api.db.select().from(refreshTokens)
    for (const token of [mailed, await keyOf(api, 'owner'), hash]) expectProblem(await refresh(token), 401)
    // Longer than any refresh token: not even looked at.
    expectProblem(await refresh(known.token), 422, 'refresh_token')
    await expectNobody(mailed)
  })

  test('a bridge’s calls take no access token and no API key', async () => {
    const key = await keyOf(api, 'owner')
    for (const call of Object.values(CALLS)) {
      for (const token of [owner.token, key]) {
        const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/jose' }
        const body = forge({ claims: { sub: owner.id, aud: call.ask } })
        expectProblem(await replyOf(await api.fetch(call.path, { method: 'POST', headers, body })), 401)
        expectProblem(await replyOf(await post(api, call, token)), 401)
      }
    }
  })

  test('an API key that has expired, or was revoked, or is spelled otherwise, opens nothing', async () => {
    const key = await keyOf(api, 'auditor')
    expect((await withToken(api, key).get('/people')).status).toBe(200)
    for (const other of [key.toUpperCase(), `${key}A`, key.slice(0, -1), key.slice(KEY_PREFIX.length), KEY_PREFIX]) {
      expectProblem(await withToken(api, other).get('/people'), 401)
    }
    const it = eq(apiKeys.hash, await hashOf(key))
    await api.db
      .update(apiKeys)
      .set({ expiresAt: new Date(Date.now() - 1) })
      .where(it)
    expectProblem(await withToken(api, key).get('/people'), 401)
    await api.db.update(apiKeys).set({ expiresAt: null }).where(it)
    expect((await withToken(api, key).get('/people')).status).toBe(200)
    await api.db.delete(apiKeys).where(it)
    expectProblem(await withToken(api, key).get('/people'), 401)
  })
})

describe('a token that was good is refused at once', () => {
  const of = ({ id }: Caller) => eq(accounts.id, id)
  test.each<[string, (me: Caller) => Promise<unknown>]>([
    ['when its session was ended', (me) => me.post('/logout')],
    [
      'when its session is too old',
      (me) => api.db.update(sessions).set({ expiresAt: new Date() }).where(eq(sessions.accountId, me.id)),
    ],
    [
      'when its session was idle for too long',
      (me) =>
        api.db
          .update(sessions)
          .set({ usedAt: new Date(Date.now() - 61 * 60_000) })
          .where(eq(sessions.accountId, me.id)),
    ],
    ['when its account was disabled', (me) => api.db.update(accounts).set({ disabled: true }).where(of(me))],
    ['when its account was deleted', (me) => api.db.delete(accounts).where(of(me))],
    [
      'when its refresh token is used a second time',
      async (me) => [await refresh(me.refreshToken), await refresh(me.refreshToken)],
    ],
  ])('%s, and so is its refresh token', async (_, happens) => {
    const me = await signIn(api, 'admin')
    expect((await me.get('/me')).status).toBe(200)
    await happens(me)
    await expectNobody(me.token)
    expectProblem(await refresh(me.refreshToken), 401)
  })

  test('when its role was lowered, for what the role may no longer do', async () => {
    const me = await signIn(api, 'owner')
    expect((await me.get('/accounts')).status).toBe(200)
    await api.db.update(accounts).set({ role: 'operator' }).where(of(me))
    expectProblem(await me.get('/accounts'), 403)
    expectProblem(await me.post('/people', { name: 'Ada' }), 403)
  })

  test('when a refresh token is replayed, and nothing that was made of either copy goes on', async () => {
    const me = await newSession(api, known)
    const { body } = await refresh(me.refreshToken)
    const { body: next } = await refresh(body['refresh_token'])
    expectProblem(await refresh(body['refresh_token']), 401)
    for (const token of [me.token, body['access_token'], next['access_token']]) await expectNobody(String(token))
    expectProblem(await refresh(next['refresh_token']), 401)
    expect((await known.get('/me')).status).toBe(200)
  })

  test.each<[string, (token: string) => string]>([
    ['padded', (token) => `${token}=`],
    ['in capitals', (token) => token.toUpperCase()],
    ['with a space', (token) => `${token} `],
    ['with a NUL', (token) => `${token}\0`],
    ['cut', (token) => token.slice(0, -1)],
    ['in another alphabet', (token) => token.replace(/.$/, 'ｘ')],
  ])('a refresh token written %s is none, and harms nobody', async (_, written) => {
    const me = await newSession(api, known)
    expect([401, 422]).toContain((await refresh(written(me.refreshToken))).status)
    expect((await refresh(me.refreshToken)).status).toBe(200)
  })
})

describe('where a token stands', () => {
  const withHeader = (authorization: string) => send(api, 'GET', '/me', { headers: { authorization } })

  // RFC 9110, section 11.1: the name of a scheme is case-insensitive.
  test.each(['Bearer', 'bearer', 'BEARER', 'bEaReR'])('after %s it counts', async (scheme) => {
    expect((await withHeader(`${scheme} ${known.token}`)).status).toBe(200)
  })

  test.each([
    ['Basic', () => `Basic ${known.token}`],
    ['Basic with a password', () => `Basic ${btoa(`${known.email}:${PASSWORD}`)}`],
    ['Token', () => `Token ${known.token}`],
    ['Digest', () => `Digest ${known.token}`],
    ['DPoP', () => `DPoP ${known.token}`],
    ['two schemes', () => `Bearer Bearer ${known.token}`],
    ['no scheme', () => known.token],
    ['no space', () => `Bearer${known.token}`],
    ['a tab', () => `Bearer\t${known.token}`],
    ['a colon', () => `Bearer: ${known.token}`],
    ['nothing behind Bearer', () => 'Bearer '],
    ['a parameter', () => `Bearer token="${known.token}"`],
  ])('after %s it does not', async (_, header) => {
    expectProblem(await withHeader(header()), 401)
  })

  test('two Authorization headers are none, whichever comes first', async () => {
    const ask = async (...tokens: string[]) => {
      const headers = new Headers()
      for (const token of tokens) headers.append('authorization', `Bearer ${token}`)
      return replyOf(await api.fetch('/api/v1/me', { headers }))
    }
    expect((await ask(known.token)).status).toBe(200)
    for (const tokens of [
      [known.token, 'x'],
      ['x', known.token],
      [known.token, known.token],
      [known.token, owner.token],
    ]) {
      expectProblem(await ask(...tokens), 401)
    }
  })

  test('it is not taken from the address, a cookie, a body or a header of another name', async () => {
    const { token } = known
    for (const name of ['access_token', 'token', 'authorization', 'api_key', 'bearer']) {
      expectProblem(await api.stranger.get(`/me?${name}=${token}`), 401)
      expectProblem(await send(api, 'GET', '/me', { headers: { cookie: `${name}=${token}` } }), 401)
      expectProblem(await send(api, 'PATCH', '/me', { body: JSON.stringify({ [name]: token, name: 'Ada' }) }), 401)
      const form = { body: `${name}=${token}`, type: 'application/x-www-form-urlencoded' }
      expect([401, 415]).toContain((await send(api, 'PATCH', '/me', form)).status)
    }
    for (const name of [
      'x-authorization',
      'proxy-authorization',
      'x-access-token',
      'x-api-key',
      'x-forwarded-authorization',
    ]) {
      expectProblem(await send(api, 'GET', '/me', { headers: { [name]: `Bearer ${token}` } }), 401)
    }
  })

  test('one that is far too long is refused like any other', async () => {
    // Over HTTP a server stops reading headers long before.
    const length = inject('runtime') === 'node' ? 1_000_000 : 7_000
    for (const token of [
      'A'.repeat(length),
      `${KEY_PREFIX}${'A'.repeat(length)}`,
      '.'.repeat(length),
      `${'A.'.repeat(length / 2)}`,
    ]) {
      await expectNobody(token)
    }
  })
})

describe('a header changes neither who asks nor what is asked', () => {
  const TRICKS: Record<string, string>[] = [
    { 'x-forwarded-for': '127.0.0.1' },
    { 'x-forwarded-for': '127.0.0.1, 10.0.0.1', 'x-real-ip': '127.0.0.1', 'true-client-ip': '127.0.0.1' },
    { forwarded: 'for=127.0.0.1;host=localhost;proto=https' },
    { 'x-forwarded-host': 'localhost', 'x-forwarded-proto': 'https', 'x-forwarded-port': '443' },
    { 'x-original-url': '/health', 'x-rewrite-url': '/health' },
    { 'x-original-url': '/api/v1/login', 'x-override-url': '/api/v1/login' },
    { 'x-http-method-override': 'OPTIONS', 'x-http-method': 'HEAD', 'x-method-override': 'OPTIONS' },
    { 'x-forwarded-user': 'owner', 'remote-user': 'owner', 'x-remote-user': 'owner', 'x-user-id': NOBODY },
    { 'x-forwarded-client-cert': 'Subject="CN=owner"', 'ssl-client-verify': 'SUCCESS' },
    { 'x-middleware-subrequest': 'middleware', 'x-internal': 'true', 'x-admin': 'true' },
    { origin: 'https://doors.example.org', referer: 'https://doors.example.org/' },
    { 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'navigate' },
    { 'cf-connecting-ip': '127.0.0.1', 'cf-access-jwt-assertion': 'eyJhbGciOiJub25lIn0.e30.' },
  ]
  test.each(TRICKS)('%j', async (headers) => {
    expect(answer(await send(api, 'GET', '/accounts', { headers }))).toEqual(nobody)
    const forbidden = answer(await known.get('/accounts'))
    expect(answer(await known.send('GET', '/accounts', { headers }))).toEqual(forbidden)
    expect(answer(await known.send('GET', '/me', { headers }))).toEqual(answer(await known.get('/me')))
  })

  test('a read stays a read, and a change what it was', async () => {
    const { body: person } = await owner.post('/people', { name: `Ada ${randomUUID()}` })
    for (const name of ['x-http-method-override', 'x-http-method', 'x-method-override']) {
      const headers = { [name]: 'DELETE' }
      expect((await owner.send('GET', `/people/${person.id}`, { headers })).body).toMatchObject({ id: person.id })
      expectProblem(await owner.send('POST', `/people/${person.id}`, { headers }), 404)
      expect((await owner.get(`/people/${person.id}?_method=DELETE`)).status).toBeLessThan(500)
    }
    expect((await owner.get(`/people/${person.id}`)).status).toBe(200)
  })

  test.each([
    '/api/v1//me',
    '/api/v1/me/',
    '/api/v1/login/../me',
    '/api/v1/login/%2e%2e/me',
    '/api/v1/login/..%2fme',
    '/api/v1/login;/../me',
    '/API/V1/me',
    '/api/v1/ME',
    '/api/v1/me%00',
    '/api/v1/me;x',
    '/api/v1/me.json',
    '/internal/../api/v1/me',
    '/docs/../api/v1/me',
    '/api%2fv1%2fme',
  ])('%s is no way around it', async (path) => {
    const reply = await replyOf(await api.fetch(path))
    expect({ path, refused: [401, 404].includes(reply.status) }).toEqual({ path, refused: true })
    expect(reply.body).not.toHaveProperty('email')
  })

  test.each(['HEAD', 'OPTIONS', 'QUERY', 'PROPFIND'])(
    '%s shows nothing of what a GET would be refused',
    async (method) => {
      const { status, headers } = await api.fetch('/api/v1/accounts', { method })
      expect({ method, status }).toEqual({ method, status: method === 'OPTIONS' ? 204 : 401 })
      expect(headers.get('content-type') ?? 'application/problem+json').toBe('application/problem+json')
    },
  )
})
