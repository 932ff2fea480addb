import { eq } from 'drizzle-orm'
import { beforeAll, describe, expect, inject, test } from 'vitest'
import { app } from '../app.ts'
import { accounts, apiKeys, sessions } from '../db/schema.ts'
import { PASSWORD, type Reply, startTestApi, type TestApi } from '../testing/api.ts'
import { expectProblem, newSession, send, signIn, withToken } from '../testing/caller.ts'
import { codeOf, enrol, forgetCodes } from '../testing/factor.ts'
import { hashOf, KEY_PREFIX, newSecret } from './tokens.ts'

// REQUIRE_MFA: owners and admins set up a second factor at their first sign-in, and do nothing before.

let api: TestApi

const OPEN = ['GET /me', 'POST /me/totp', 'POST /me/totp/confirm', 'POST /logout']

const NOTHING = crypto.randomUUID()

/** Every route of the app for whoever is signed in, with the id of nothing. */
const ROUTES = app.routes
  .filter(({ method, path }) => method !== 'ALL' && path.startsWith('/api/v1/') && !path.startsWith('/api/v1/login'))
  .map(({ method, path }) => `${method} ${path.slice('/api/v1'.length).replaceAll(/:\w+/g, NOTHING)}`)

const isFactorRequired = ({ status, body }: Reply) =>
  status === 403 && body['type'] === 'urn:lintel:problem:factor-required'

beforeAll(async () => {
  api = await startTestApi({ REQUIRE_MFA: 'true' })
})

describe.each(['owner', 'admin'] as const)('an account of the role %s without a second factor', (role) => {
  test('signs in with the password, and then can do nothing but set one up', async () => {
    const { email } = await signIn(api, role)
    const { status, body } = await api.stranger.post('/login', { email, password: PASSWORD })
    expect(status).toBe(200)
    const me = withToken(api, String(body['access_token']))
    const closed = [...new Set(ROUTES)].filter((route) => !OPEN.includes(route))
    expect(closed.length).toBeGreaterThan(40)
    const asked = role === 'owner' ? closed : closed.slice(0, 5)
    for (const route of asked) {
      const [method = '', path = ''] = route.split(' ')
      expect({ route, refused: isFactorRequired(await me.send(method, path)) }).toEqual({ route, refused: true })
    }
    expect(isFactorRequired(await me.get('/nothing'))).toBe(true)
    expect((await me.get('/me')).body).toMatchObject({ role, totp: false })
    expect((await me.post('/logout')).status).toBe(204)
  }, 120_000)

  test('stays shut out with a refreshed token, in any spelling of a path', async () => {
    const me = await signIn(api, role)
    for (const path of ['/me/', '/me/../people', '//people', '/%70eople', '/me/sessions', '/ME', '/me/totp/confirm/']) {
      const status = (await me.get(path)).status
      expect([path, [401, 403, 404].includes(status)]).toEqual([path, true])
    }
    const { body } = await api.stranger.post('/login/refresh', { refresh_token: me.refreshToken })
    expect(isFactorRequired(await withToken(api, String(body['access_token'])).get('/people'))).toBe(true)
  })

  test('is free with the first code, at once and in that session; the next sign-in asks for one', async () => {
    const me = await signIn(api, role)
    const { secret } = await enrol(api, me)
    expect((await me.get('/people')).status).toBe(200)
    const refused = await api.stranger.post('/login', { email: me.email, password: PASSWORD })
    expect(refused.body['type']).toBe('urn:lintel:problem:code-required')
    const signedIn = await api.stranger.post('/login', { email: me.email, password: PASSWORD, code: codeOf(secret) })
    expect((await withToken(api, String(signedIn.body['access_token'])).get('/people')).status).toBe(200)
  })

  test('needs no proof but the sign-in, however long the first code takes', async () => {
    const me = await signIn(api, role)
    await api.db
      .update(sessions)
      .set({ provenAt: new Date(Date.now() - 3_600_000) })
      .where(eq(sessions.accountId, me.id))
    await enrol(api, me)
    expect((await me.get('/people')).status).toBe(200)
  })

  test('does not get rid of it again, but changes to another device', async () => {
    const me = await signIn(api, role)
    const { secret } = await enrol(api, me)
    const refused = await me.delete('/me/totp')
    expectProblem(refused, 403)
    expect(refused.body['detail']).toMatch(/needs a second factor/)
    const { body } = await me.post('/me/totp', { code: codeOf(secret) })
    expect((await me.get('/people')).status).toBe(200)
    expect((await me.post('/me/totp/confirm', { code: codeOf(String(body['secret'])) })).status).toBe(200)
    expect((await me.get('/people')).status).toBe(200)
  })
})

test.each(['operator', 'auditor', 'member'] as const)('the role %s needs none, and may have one', async (role) => {
  const me = await signIn(api, role)
  expect((await me.get('/people')).status).toBe(200)
  await enrol(api, me)
  expect((await me.get('/people')).status).toBe(200)
  expect((await me.delete('/me/totp')).status).toBe(204)
})

test('whoever becomes an administrator, or loses the factor, sets one up first', async () => {
  const owner = await signIn(api, 'owner')
  await enrol(api, owner)
  const other = await signIn(api, 'operator')
  expect((await other.get('/people')).status).toBe(200)
  await owner.patch(`/accounts/${other.id}`, { role: 'admin' })
  expect(isFactorRequired(await other.get('/people'))).toBe(true)
  await enrol(api, other)
  await forgetCodes(api, other.id)
  expect((await other.get('/people')).status).toBe(200)

  expect((await owner.delete(`/accounts/${other.id}/totp`)).status).toBe(204)
  expectProblem(await other.get('/people'), 401)
  const again = await newSession(api, other)
  expect(isFactorRequired(await again.get('/people'))).toBe(true)
})

test('a program with a key has no factor, and needs none', async () => {
  const key = `${KEY_PREFIX}${newSecret()}`
  const values = { name: 'Reports', role: 'admin' as const, prefix: key.slice(0, 12), hash: await hashOf(key) }
  await api.db.insert(apiKeys).values({ ...values, createdAt: new Date() })
  expect((await withToken(api, key).get('/people')).status).toBe(200)
  expectProblem(await withToken(api, key).post('/me/totp'), 403)
})

describe.runIf(inject('runtime') === 'workerd')('on Workers, when nobody says whether', () => {
  let unsaid: TestApi
  beforeAll(async () => {
    unsaid = await startTestApi()
  })

  const peopleOf = async (headers: Record<string, string>) => {
    const { token } = await signIn(unsaid, 'owner')
    return send(unsaid, 'GET', '/people', { token, headers })
  }

  test('a factor is needed wherever Cloudflare serves, and not on this machine', async () => {
    expect((await peopleOf({})).status).toBe(200)
    expect(isFactorRequired(await peopleOf({ 'cf-ray': '230b030023ae2822-SJC' }))).toBe(true)
  })

  test('NODE_ENV may say that this is production', async () => {
    const production = await startTestApi({ NODE_ENV: 'production' })
    const owner = await signIn(production, 'owner')
    expect(isFactorRequired(await owner.get('/people'))).toBe(true)
    const { id } = owner
    const [account] = await production.db.select().from(accounts).where(eq(accounts.id, id))
    expect(account?.totp).toBe(false)
  })
})
