import { eq } from 'drizzle-orm'
import { beforeAll, describe, expect, test } from 'vitest'
import { accounts, sessions } from '../db/schema.ts'
import { PASSWORD, type Reply, startTestApi, type TestApi } from '../testing/api.ts'
import { type Caller, despiteReset, expectProblem, newSession, send, signIn, withToken } from '../testing/caller.ts'

let api: TestApi
let known: Caller

const login = (email: string, password: string) => api.stranger.post('/login', { email, password })
const refresh = (refreshToken: unknown) => api.stranger.post('/login/refresh', { refresh_token: refreshToken })
const answer = ({ status, body }: Reply) => ({ status, body })

beforeAll(async () => {
  api = await startTestApi()
  known = await signIn(api, 'member')
})

describe('signing in', () => {
  test('gives tokens as OAuth spells them, in any case of the e-mail', async () => {
    const { status, body, headers } = await login(`  ${known.email.toUpperCase()} `, PASSWORD)
    expect({ status, body }).toEqual({
      status: 200,
      body: {
        access_token: expect.any(String),
        token_type: 'Bearer',
        expires_in: 1800,
        refresh_token: expect.stringMatching(/^[\w-]{43}$/),
      },
    })
    expect(headers.get('cache-control')).toBe('no-store')
    const me = await withToken(api, String(body['access_token'])).get('/me')
    expect(me.body).toMatchObject({ email: known.email })
  })

  test('says the same of an unknown e-mail, a wrong password and a disabled account', async () => {
    const disabled = await signIn(api, 'member')
    await api.db.update(accounts).set({ disabled: true }).where(eq(accounts.id, disabled.id))
    const wrong = await login(known.email, `${PASSWORD}.`)
    expectProblem(wrong, 401)
    expect(answer(await login('nobody@example.org', PASSWORD))).toEqual(answer(wrong))
    expect(answer(await login(disabled.email, PASSWORD))).toEqual(answer(wrong))
    const names = ({ headers }: Reply) => [...headers.keys()].filter((name) => name !== 'date').sort()
    expect(names(await login('nobody@example.org', PASSWORD))).toEqual(names(wrong))
  })

  test.each([
    ['no e-mail', { password: PASSWORD }, 'email'],
    ['an e-mail that is none', { email: 'ada', password: PASSWORD }, 'email'],
    ['no password', { email: 'ada@example.org' }, 'password'],
    ['an empty password', { email: 'ada@example.org', password: '' }, 'password'],
    ['a password of 73 bytes', { email: 'ada@example.org', password: 'x'.repeat(73) }, 'password'],
    ['a password with a NUL', { email: 'ada@example.org', password: `${PASSWORD}\0` }, 'password'],
    ['a password that is a number', { email: 'ada@example.org', password: 1 }, 'password'],
    ['a code that is too long', { email: 'ada@example.org', password: PASSWORD, code: '1'.repeat(65) }, 'code'],
    ['a field more', { email: 'ada@example.org', password: PASSWORD, role: 'owner' }, 'role'],
  ])('refuses %s', async (_, body, path) => {
    expectProblem(await api.stranger.post('/login', body), 422, path)
  })

  test('refuses what is not JSON', async () => {
    const body = JSON.stringify({ email: known.email, password: PASSWORD })
    expectProblem(await send(api, 'POST', '/login', { body, type: 'text/plain' }), 415)
    expectProblem(await send(api, 'POST', '/login', { body: body.slice(1) }), 400)
    const large = `"${'x'.repeat(256 * 1024)}"`
    expectProblem(await despiteReset(() => send(api, 'POST', '/login', { body: large })), 413)
  })
})

describe('a refresh token', () => {
  test('is exchanged once for new tokens, and the session goes on', async () => {
    const me = await newSession(api, known)
    const { status, body } = await refresh(me.refreshToken)
    expect(status).toBe(200)
    expect(body['refresh_token']).not.toBe(me.refreshToken)
    expect((await withToken(api, String(body['access_token'])).get('/me')).status).toBe(200)
    expect((await me.get('/me')).status).toBe(200)
    expect((await refresh(body['refresh_token'])).status).toBe(200)
  })

  test('that is used again ends the session for everybody who has it', async () => {
    const me = await newSession(api, known)
    const { body } = await refresh(me.refreshToken)
    expectProblem(await refresh(me.refreshToken), 401)
    expectProblem(await refresh(body['refresh_token']), 401)
    expectProblem(await withToken(api, String(body['access_token'])).get('/me'), 401)
    expect((await known.get('/me')).status).toBe(200)
  })

  test('that two tabs use at the same moment signs nobody out: each gets tokens of its own, which go on', async () => {
    const me = await newSession(api, known)
    const replies = await Promise.all([refresh(me.refreshToken), refresh(me.refreshToken)])
    expect(replies.map(({ status }) => status)).toEqual([200, 200])
    const [one, other] = replies.map(({ body }) => String(body['refresh_token']))
    expect(one).not.toBe(other)
    expect([(await refresh(one)).status, (await refresh(other)).status]).toEqual([200, 200])
  })

  test('of two that were exchanged at the same moment still ends the session when it comes a third time', async () => {
    const me = await newSession(api, known)
    const [, other] = await Promise.all([refresh(me.refreshToken), refresh(me.refreshToken)])
    expectProblem(await refresh(me.refreshToken), 401)
    expectProblem(await refresh(other.body['refresh_token']), 401)
  })

  test('of a session that has ended is refused', async () => {
    const me = await signIn(api, 'member')
    await api.db.update(sessions).set({ expiresAt: new Date() }).where(eq(sessions.accountId, me.id))
    expectProblem(await refresh(me.refreshToken), 401)
    expectProblem(await me.get('/me'), 401)
  })

  test('of a disabled account is refused', async () => {
    const me = await signIn(api, 'member')
    await api.db.update(accounts).set({ disabled: true }).where(eq(accounts.id, me.id))
    expectProblem(await refresh(me.refreshToken), 401)
  })

  test('is kept by the API only as a hash', async () => {
    const me = await newSession(api, known)
    const rows = JSON.stringify(await api.db.select().from(sessions))
    expect(rows).not.toContain(me.refreshToken)
    expect(rows).not.toContain(me.token)
  })

  test('says the same whether it is unknown or used', async () => {
    const me = await newSession(api, known)
    await refresh(me.refreshToken)
    expect(answer(await refresh(me.refreshToken))).toEqual(answer(await refresh('unknown')))
  })

  test.each([
    ['no token', {}, 'refresh_token'],
    ['an empty one', { refresh_token: '' }, 'refresh_token'],
    ['a number', { refresh_token: 1 }, 'refresh_token'],
    ['one that is too long', { refresh_token: 'x'.repeat(129) }, 'refresh_token'],
    ['a field more', { refresh_token: 'x', grant_type: 'refresh_token' }, 'grant_type'],
  ])('is not %s', async (_, body, path) => {
    expectProblem(await api.stranger.post('/login/refresh', body), 422, path)
  })
})

describe('signing out', () => {
  test('ends this session at once, and no other', async () => {
    const me = await newSession(api, known)
    expect((await me.post('/logout')).status).toBe(204)
    expectProblem(await me.get('/me'), 401)
    expectProblem(await me.post('/logout'), 401)
    expectProblem(await refresh(me.refreshToken), 401)
    expect((await known.get('/me')).status).toBe(200)
  })

  test('needs somebody who is signed in', async () => {
    expectProblem(await api.stranger.post('/logout'), 401)
  })
})
