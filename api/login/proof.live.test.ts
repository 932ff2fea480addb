import { eq } from 'drizzle-orm'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { apiKeys, audit, sessions } from '../db/schema.ts'
import { PASSWORD, type Reply, startTestApi, type TestApi } from '../testing/api.ts'
import { type Caller, expectProblem, newSession, signIn, withToken } from '../testing/caller.ts'
import { codeOf, enrol, steady } from '../testing/factor.ts'
import { hashOf, KEY_PREFIX, newSecret } from './tokens.ts'

// Sensitive actions ask for the password or a code again when the last proof is older than ten minutes.

let api: TestApi
let owner: Caller

const MINUTE_MS = 60_000
const proven = (id: string, minutesAgo: number) =>
  api.db
    .update(sessions)
    .set({ provenAt: new Date(Date.now() - minutesAgo * MINUTE_MS) })
    .where(eq(sessions.accountId, id))

const isProofRequired = ({ status, body }: Reply) =>
  status === 403 && body['type'] === 'urn:lintel:problem:proof-required'

const onRecord = async (id: string) =>
  (await api.db.select().from(audit).where(eq(audit.targetId, id)).orderBy(audit.number)).map(({ action }) => action)

beforeAll(async () => {
  api = await startTestApi()
  owner = await signIn(api, 'owner')
})

describe('without a recent proof', () => {
  const nobody = crypto.randomUUID()
  const SENSITIVE: [string, string, unknown?][] = [
    ['POST', '/accounts', { email: 'new@example.org', role: 'member', password: PASSWORD }],
    ['PATCH', '/accounts/{id}', { role: 'admin' }],
    ['PATCH', '/accounts/{id}', { password: PASSWORD }],
    ['PATCH', '/accounts/{id}', { email: 'new@example.org' }],
    ['PATCH', '/accounts/{id}', { disabled: true }],
    ['DELETE', '/accounts/{id}'],
    ['DELETE', '/accounts/{id}/totp'],
    ['POST', '/bridges', { name: 'Cellar' }],
    ['POST', '/bridges/{id}/rotate'],
    ['DELETE', '/bridges/{id}'],
    ['POST', '/readers/{id}/key'],
    ['DELETE', '/readers/{id}/key'],
    ['POST', '/webhooks', { name: 'Pager', url: 'https://receiver.example.org/' }],
    ['PATCH', '/webhooks/{id}', { url: 'https://elsewhere.example.org/' }],
    ['POST', '/webhooks/{id}/rotate'],
    ['POST', '/webhooks/{id}/test'],
    ['DELETE', '/webhooks/{id}'],
    ['POST', '/me/totp'],
    ['POST', '/me/totp/confirm', { code: '123456' }],
    ['DELETE', '/me/totp'],
    ['POST', '/me/recovery-codes'],
  ]

  test.each(SENSITIVE)(
    '%s %s (%j) is refused with a word of its own, and with one it is not',
    async (method, path, body) => {
      const ask = () =>
        owner.send(method, path.replace('{id}', nobody), body === undefined ? {} : { body: JSON.stringify(body) })
      await proven(owner.id, 11)
      const refused = await ask()
      expect(isProofRequired(refused)).toBe(true)
      expect(refused.body['detail']).toContain('/api/v1/me/proof')
      expect(refused.headers.get('content-type')).toBe('application/problem+json')
      await proven(owner.id, 9)
      expect(isProofRequired(await ask())).toBe(false)
    },
  )

  test('everything else goes on', async () => {
    const other = await signIn(api, 'member')
    await proven(owner.id, 11)
    const { body: bridge } = await owner.get('/bridges')
    expect(bridge.items).toBeDefined()
    expect((await owner.post('/people', { name: 'Ada' })).status).toBe(201)
    expect((await owner.patch('/me', { name: 'Owner' })).status).toBe(200)
    expect((await owner.get('/me/sessions')).status).toBe(200)
    expect((await owner.delete(`/accounts/${other.id}/sessions`)).status).toBe(204)
  })

  test('a new password of one’s own asks for the current one, which is proof enough', async () => {
    const me = await signIn(api, 'member')
    await proven(me.id, 11)
    expectProblem(await me.patch('/me', { password: 'a horse of another colour' }), 422, 'currentPassword')
    const change = { password: 'a horse of another colour', currentPassword: PASSWORD }
    expect((await me.patch('/me', change)).status).toBe(200)
  })

  test('whoever may not do it at all is told so first', async () => {
    const other = await signIn(api, 'operator')
    await proven(other.id, 11)
    expectProblem(await other.post('/bridges', { name: 'Cellar' }), 403)
    expect(isProofRequired(await other.post('/bridges', { name: 'Cellar' }))).toBe(false)
  })
})

describe('a proof', () => {
  let me: Caller
  beforeEach(async () => {
    await steady()
    me = await signIn(api, 'owner')
    await proven(me.id, 11)
  })
  const mayAct = async (who: Caller = me) => !isProofRequired(await who.delete(`/bridges/${crypto.randomUUID()}`))

  test('by password opens the way for this session and no other, and is on record', async () => {
    const elsewhere = await newSession(api, me)
    await proven(me.id, 11)
    expect(await mayAct()).toBe(false)
    expect((await me.post('/me/proof', { password: PASSWORD })).status).toBe(204)
    expect(await mayAct()).toBe(true)
    expect(await mayAct(elsewhere)).toBe(false)
    expect(await onRecord(me.id)).toEqual(['me.proof'])
  })

  test('by code, or by both, is as good; a code is good once', async () => {
    const { secret, recoveryCodes } = await enrol(api, await newSession(api, me))
    me = await newSession(api, me)
    const prove = async (body: unknown) => {
      await proven(me.id, 11)
      return [(await me.post('/me/proof', body)).status, await mayAct()]
    }
    expect(await prove({ code: codeOf(secret) })).toEqual([204, true])
    expect(await prove({ code: codeOf(secret) })).toEqual([422, false])
    expect(await prove({ code: recoveryCodes[0] })).toEqual([204, true])
    expect(await prove({ code: recoveryCodes[0] })).toEqual([422, false])
    expect(await prove({ password: PASSWORD, code: recoveryCodes[1] })).toEqual([204, true])
    expect(await prove({ password: `${PASSWORD}.`, code: recoveryCodes[2] })).toEqual([422, false])
    expect(await prove({ code: recoveryCodes[2] })).toEqual([204, true])
    expect(await prove({ code: 'wrong' })).toEqual([422, false])
  })

  test.each([
    ['nothing', {}, ''],
    ['a wrong password', { password: `${PASSWORD}.` }, 'password'],
    ['an empty password', { password: '' }, 'password'],
    ['a password of 73 bytes', { password: 'x'.repeat(73) }, 'password'],
    ['a code where there is no second factor', { code: '123456' }, 'code'],
    ['a number', { code: 123456 }, 'code'],
    ['a long code', { code: '1'.repeat(65) }, 'code'],
    ['a field more', { password: PASSWORD, sessionId: 'x' }, 'sessionId'],
  ])('is not %s', async (_, body, path) => {
    expectProblem(await me.post('/me/proof', body), 422, path)
    expect(await mayAct()).toBe(false)
  })

  test('that fails is on record', async () => {
    await me.post('/me/proof', { password: `${PASSWORD}.` })
    await me.post('/me/proof', { code: '123456' })
    expect(await onRecord(me.id)).toEqual(['me.proof.failed', 'me.proof.failed'])
  })

  test('comes from an account: nobody else has one, and a key never does what asks for it', async () => {
    expectProblem(await api.stranger.post('/me/proof', { password: PASSWORD }), 401)
    const key = `${KEY_PREFIX}${newSecret()}`
    const values = { name: 'Reports', role: 'owner' as const, prefix: key.slice(0, 12), hash: await hashOf(key) }
    await api.db.insert(apiKeys).values({ ...values, createdAt: new Date() })
    const program = withToken(api, key)
    expect((await program.get('/people')).status).toBe(200)
    expectProblem(await program.post('/me/proof', { password: PASSWORD }), 403)
    expectProblem(await program.post('/bridges', { name: 'Cellar' }), 403)
    expectProblem(await program.post('/me/totp'), 403)
    expectProblem(await program.get('/me/sessions'), 403)
  })

  test('is the sign-in itself', async () => {
    const { body } = await api.stranger.post('/login', { email: me.email, password: PASSWORD })
    const fresh = withToken(api, String(body['access_token']))
    expect((await fresh.post('/bridges', { name: 'Cellar' })).status).toBe(201)
  })

  test('is not a refresh', async () => {
    const { body } = await api.stranger.post('/login/refresh', { refresh_token: me.refreshToken })
    const fresh = withToken(api, String(body['access_token']))
    expect(isProofRequired(await fresh.post('/bridges', { name: 'Cellar' }))).toBe(true)
  })
})
