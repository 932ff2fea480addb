import { eq } from 'drizzle-orm'
import { beforeAll, describe, expect, test } from 'vitest'
import { apiKeys, audit, refreshTokens, sessions } from '../db/schema.ts'
import { hashOf, KEY_PREFIX, newSecret } from '../login/tokens.ts'
import { PASSWORD, startTestApi, type TestApi } from '../testing/api.ts'
import { type Caller, expectProblem, newSession, send, signIn, walk, withToken } from '../testing/caller.ts'
import { enrol } from '../testing/factor.ts'

// Where an account is signed in: seen and ended by itself and by those above it, and at once.

let api: TestApi

const refresh = (token: string) => api.stranger.post('/login/refresh', { refresh_token: token })
const actions = async (actorId: string) =>
  (await api.db.select().from(audit).where(eq(audit.actorId, actorId)).orderBy(audit.number))
    .filter(({ action }) => !action.startsWith('login'))
    .map(({ action, targetKind }) => `${action} ${targetKind}`)

const currentId = async (caller: Caller) =>
  String((await caller.get('/me/sessions')).body.items.find(({ current }) => current)?.id)

const expectEnded = async (caller: Caller) => {
  expectProblem(await caller.get('/me'), 401)
  expectProblem(await refresh(caller.refreshToken), 401)
}
const expectAlive = async (caller: Caller) => expect((await caller.get('/me')).status).toBe(200)

beforeAll(async () => {
  api = await startTestApi()
})

describe('my sessions', () => {
  test('are shown newest first, with where they come from and which one asks', async () => {
    const me = await signIn(api, 'member')
    await newSession(api, await signIn(api, 'member'))
    const body = JSON.stringify({ email: me.email, password: PASSWORD })
    await send(api, 'POST', '/login', { body, headers: { 'user-agent': 'Firefox', 'cf-connecting-ip': '203.0.113.7' } })
    const { status, body: page } = await me.get('/me/sessions')
    const instant = expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/)
    const times = { createdAt: instant, usedAt: instant, expiresAt: instant }
    expect({ status, page }).toEqual({
      status: 200,
      page: {
        items: [
          { id: expect.any(String), ...times, address: '203.0.113.7', userAgent: 'Firefox', current: false },
          { id: expect.any(String), ...times, address: null, userAgent: null, current: true },
        ],
        nextCursor: null,
      },
    })
    expect(await walk(me, '/me/sessions', 1)).toEqual(page.items.map(({ id }) => id))
    expectProblem(await me.get('/me/sessions?limit=501'), 422, 'limit')
    expectProblem(await me.get('/me/sessions?surplus=1'), 422, 'surplus')
  })

  test('do not include those that are over', async () => {
    const me = await signIn(api, 'member')
    const [idle, over] = [await newSession(api, me), await newSession(api, me)]
    const hourAgo = new Date(Date.now() - 3_600_001)
    await api.db
      .update(sessions)
      .set({ usedAt: hourAgo })
      .where(eq(sessions.id, await currentId(idle)))
    await api.db
      .update(sessions)
      .set({ expiresAt: new Date() })
      .where(eq(sessions.id, await currentId(over)))
    expect((await me.get('/me/sessions')).body.items).toHaveLength(1)
  })

  test('are ended one by one, at once', async () => {
    const me = await signIn(api, 'member')
    const [one, other] = [await newSession(api, me), await newSession(api, me)]
    const path = `/me/sessions/${await currentId(one)}`
    expect((await me.delete(path)).status).toBe(204)
    await expectEnded(one)
    await expectAlive(other)
    await expectAlive(me)
    expectProblem(await me.delete(path), 404)
    expect((await me.delete(`/me/sessions/${await currentId(me)}`)).status).toBe(204)
    await expectEnded(me)
    expect(await actions(me.id)).toEqual(['me.sessions.delete session', 'me.sessions.delete session'])
  })

  test('are ended all but the one that asks', async () => {
    const [me, stranger] = [await signIn(api, 'member'), await signIn(api, 'member')]
    const others = [await newSession(api, me), await newSession(api, me)]
    expect((await me.delete('/me/sessions')).status).toBe(204)
    for (const other of others) await expectEnded(other)
    await expectAlive(me)
    await expectAlive(stranger)
    expect(await actions(me.id)).toEqual(['me.sessions.delete account'])
  })

  test('are nobody else’s: a foreign one is as unknown as none', async () => {
    const [me, stranger] = [await signIn(api, 'owner'), await signIn(api, 'member')]
    const foreign = await me.delete(`/me/sessions/${await currentId(stranger)}`)
    const none = await me.delete(`/me/sessions/${crypto.randomUUID()}`)
    expectProblem(foreign, 404)
    expect(foreign.body).toEqual(none.body)
    expectProblem(await me.delete('/me/sessions/mine'), 422, 'id')
    await expectAlive(stranger)
  })

  test('are for whoever is signed in', async () => {
    expectProblem(await api.stranger.get('/me/sessions'), 401)
    expectProblem(await api.stranger.delete('/me/sessions'), 401)
    expectProblem(await api.stranger.delete(`/me/sessions/${crypto.randomUUID()}`), 401)
  })
})

describe('the sessions of others', () => {
  test('are shown and ended by whoever may grant their role', async () => {
    const [owner, admin] = [await signIn(api, 'owner'), await signIn(api, 'admin')]
    const other = await signIn(api, 'operator')
    const [one, two] = [await newSession(api, other), await newSession(api, other)]
    const path = `/accounts/${other.id}/sessions`
    const { items } = (await admin.get(path)).body
    expect(items).toHaveLength(3)
    expect(items.every(({ current }) => current === false)).toBe(true)
    expect(await walk(owner, path, 2)).toEqual(items.map(({ id }) => id))

    expect((await admin.delete(`${path}/${await currentId(one)}`)).status).toBe(204)
    await expectEnded(one)
    await expectAlive(two)
    expect((await owner.delete(path)).status).toBe(204)
    await expectEnded(two)
    await expectEnded(other)
    expect((await owner.get(path)).body.items).toEqual([])
    expect(await actions(admin.id)).toEqual(['accounts.sessions.delete account'])
    expect(await actions(owner.id)).toEqual(['accounts.sessions.delete account'])
  })

  test('of those above are not ended', async () => {
    const [owner, admin, colleague] = [
      await signIn(api, 'owner'),
      await signIn(api, 'admin'),
      await signIn(api, 'admin'),
    ]
    for (const above of [owner, colleague]) {
      const path = `/accounts/${above.id}/sessions`
      expectProblem(await admin.delete(path), 403)
      expectProblem(await admin.delete(`${path}/${await currentId(above)}`), 403)
      await expectAlive(above)
    }
    expect((await owner.delete(`/accounts/${admin.id}/sessions`)).status).toBe(204)
    await expectEnded(admin)
  })

  test.each(['operator', 'auditor', 'member'] as const)(
    'are not ended by the role %s, which may be told of them',
    async (role) => {
      const [me, other] = [await signIn(api, role), await signIn(api, 'member')]
      const path = `/accounts/${other.id}/sessions`
      expect((await me.get(path)).status).toBe(role === 'auditor' ? 200 : 403)
      expectProblem(await me.delete(path), 403)
      expectProblem(await me.delete(`${path}/${await currentId(other)}`), 403)
      await expectAlive(other)
    },
  )

  test('are only theirs: a session of a third is a 404', async () => {
    const owner = await signIn(api, 'owner')
    const [other, third] = [await signIn(api, 'member'), await signIn(api, 'member')]
    expectProblem(await owner.delete(`/accounts/${other.id}/sessions/${await currentId(third)}`), 404)
    expectProblem(await owner.delete(`/accounts/${other.id}/sessions/${crypto.randomUUID()}`), 404)
    expectProblem(await owner.get(`/accounts/${crypto.randomUUID()}/sessions`), 404)
    expectProblem(await owner.delete(`/accounts/${other.id}/sessions/first`), 422, 'sessionId')
    await expectAlive(third)
  })
})

describe('a session ends', () => {
  test('when nobody uses it for an hour, with all its tokens', async () => {
    const me = await signIn(api, 'member')
    const idle = (minutes: number) =>
      api.db
        .update(sessions)
        .set({ usedAt: new Date(Date.now() - minutes * 60_000) })
        .where(eq(sessions.accountId, me.id))
    await idle(59)
    await expectAlive(me)
    // That use was noted: the hour begins again.
    const [session] = await api.db.select().from(sessions).where(eq(sessions.accountId, me.id))
    expect(Date.now() - (session?.usedAt.getTime() ?? 0)).toBeLessThan(30_000)
    await idle(61)
    await expectEnded(me)
  })

  test('a day after the sign-in, however much it is used', async () => {
    const me = await signIn(api, 'member')
    const { body } = await api.stranger.post('/login', { email: me.email, password: PASSWORD })
    const [, newest] = await api.db.select().from(sessions).where(eq(sessions.accountId, me.id)).orderBy(sessions.id)
    const hours = ((newest?.expiresAt.getTime() ?? 0) - Date.now()) / 3_600_000
    expect(hours).toBeGreaterThan(23.9)
    expect(hours).toBeLessThanOrEqual(24)
    const refreshed = await refresh(String(body['refresh_token']))
    const [, same] = await api.db.select().from(sessions).where(eq(sessions.accountId, me.id)).orderBy(sessions.id)
    expect(same?.expiresAt).toEqual(newest?.expiresAt)
    await api.db
      .update(sessions)
      .set({ expiresAt: new Date(Date.now() - 1) })
      .where(eq(sessions.accountId, me.id))
    expectProblem(await withToken(api, String(refreshed.body['access_token'])).get('/me'), 401)
    expectProblem(await refresh(String(refreshed.body['refresh_token'])), 401)
  })

  test('when the second factor changes, except the one that changes it', async () => {
    const me = await signIn(api, 'member')
    const before = await newSession(api, me)
    await enrol(api, me)
    await expectEnded(before)
    const between = await newSession(api, me)
    expect((await me.delete('/me/totp')).status).toBe(204)
    await expectEnded(between)
    await expectAlive(me)
  })

  test('when somebody was signing in with the password that is changed meanwhile', async () => {
    const me = await signIn(api, 'member')
    const owner = await signIn(api, 'owner')
    const body = { email: me.email, password: PASSWORD }
    const [signedIn] = await Promise.all([
      api.stranger.post('/login', body),
      owner.patch(`/accounts/${me.id}`, { password: 'a horse of another colour' }),
    ])
    if (signedIn.status === 200)
      expectProblem(await withToken(api, String(signedIn.body['access_token'])).get('/me'), 401)
    else expectProblem(signedIn, 401)
    await expectEnded(me)
  })
})

describe('no token is taken for another', () => {
  let me: Caller
  let key: string

  beforeAll(async () => {
    me = await signIn(api, 'operator')
    key = `${KEY_PREFIX}${newSecret()}`
    const values = { name: 'Reports', role: 'operator' as const, prefix: key.slice(0, 12), hash: await hashOf(key) }
    await api.db.insert(apiKeys).values({ ...values, createdAt: new Date() })
  })

  test('each is good for what it is, so what refuses them below is their kind', async () => {
    await expectAlive(me)
    expect((await withToken(api, key).get('/people')).status).toBe(200)
    expect((await refresh((await newSession(api, me)).refreshToken)).status).toBe(200)
  })

  test.each([
    ['an access token', () => me.token],
    ['an API key', () => key],
    ['an API key without its prefix', () => key.slice(KEY_PREFIX.length)],
    ['the id of a session', () => currentId(me)],
    ['the hash of a refresh token', async () => hashOf(me.refreshToken)],
  ])('%s is no refresh token', async (_, token) => {
    expectProblem(await refresh(String(await token()).slice(0, 128)), 401)
    const whole = await refresh(String(await token()))
    expect([401, 422]).toContain(whole.status)
    await expectAlive(me)
  })

  test.each([
    ['a refresh token', () => me.refreshToken],
    ['a refresh token with a key’s prefix', () => `${KEY_PREFIX}${me.refreshToken}`],
    ['an API key without its prefix', () => key.slice(KEY_PREFIX.length)],
    ['the hash of an API key', async () => hashOf(key)],
    ['the hash of an API key with its prefix', async () => `${KEY_PREFIX}${await hashOf(key)}`],
    ['the id of a session', () => currentId(me)],
  ])('%s opens nothing as a bearer token', async (_, token) => {
    expectProblem(await withToken(api, await token()).get('/people'), 401)
  })

  test('a key whose text is a refresh token’s, and a refresh token whose text is a key’s, stay what they are', async () => {
    const [session] = await api.db.select().from(sessions).where(eq(sessions.accountId, me.id))
    const twin = `${KEY_PREFIX}${newSecret()}`
    await api.db.insert(refreshTokens).values({ hash: await hashOf(twin), sessionId: String(session?.id) })
    expectProblem(await withToken(api, twin).get('/people'), 401)
    expectProblem(await refresh(key), 401)
  })
})
