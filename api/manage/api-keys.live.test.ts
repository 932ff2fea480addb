import { eq } from 'drizzle-orm'
import { beforeAll, describe, expect, test } from 'vitest'
import { accounts, apiKeys, attempts, audit } from '../db/schema.ts'
import { SCOPES } from '../login/permissions.ts'
import { type Body, type Client, PASSWORD, startTestApi, type TestApi } from '../testing/api.ts'
import { type Caller, expectProblem, signIn, withToken } from '../testing/caller.ts'

let api: TestApi
let owner: Caller
let admin: Caller

type Made = { body: Body; key: string; client: Client & Pick<Caller, 'send'> }

const make = async (fields: Record<string, unknown> = {}, maker = owner): Promise<Made> => {
  const { status, body } = await maker.post('/api-keys', { name: 'Payroll', ...fields })
  expect({ status, body }).toMatchObject({ status: 201 })
  const key = String(body['key'])
  return { body, key, client: withToken(api, key) }
}

beforeAll(async () => {
  api = await startTestApi()
  owner = await signIn(api, 'owner')
  admin = await signIn(api, 'admin')
})

describe('a new key', () => {
  test('is shown once, recognisable by its prefix, and kept only as a hash', async () => {
    const { body, key } = await make()
    expect(key).toMatch(/^lintel_[\w-]{43}$/)
    const { key: _, ...shown } = body
    expect(shown).toEqual({
      id: expect.any(String),
      name: 'Payroll',
      prefix: key.slice(0, 13),
      role: 'auditor',
      scopes: null,
      createdAt: expect.any(String),
      createdBy: owner.id,
      expiresAt: null,
      lastUsedAt: null,
    })
    expect((await owner.get(`/api-keys/${body.id}`)).body).toEqual(shown)
    const secret = key.slice(13)
    expect(JSON.stringify(await api.db.select().from(apiKeys))).not.toContain(secret)
    expect(JSON.stringify(await api.db.select().from(audit))).not.toContain(secret)
    const answers = await Promise.all(['/api-keys', `/api-keys/${body.id}`].map((path) => owner.get(path)))
    expect(JSON.stringify(answers)).not.toMatch(/hash/i)
  })

  test.each([
    [undefined, undefined, 'auditor'],
    [undefined, ['people:read', 'audit:read'], 'auditor'],
    [undefined, ['people:write'], 'admin'],
    ['operator', undefined, 'operator'],
    ['admin', ['cards:read'], 'admin'],
  ])('asked for with the role %s and the scopes %j has the role %s', async (role, scopes, given) => {
    const { body } = await make({ role, scopes })
    expect(body).toMatchObject({ role: given, scopes: scopes ?? null })
  })

  test.each([
    ['an owner’s', { role: 'owner' }, 'role'],
    ['a member’s', { role: 'member' }, 'role'],
    ['a king’s', { role: 'king' }, 'role'],
    ['for no scope at all', { scopes: [] }, 'scopes'],
    ['for a scope that does not exist', { scopes: ['people:read', 'people:eat'] }, 'scopes.1'],
    ['for a scope twice', { scopes: ['people:read', 'people:read'] }, 'scopes'],
    ['for accounts', { role: 'admin', scopes: ['accounts:write'] }, 'scopes.0'],
    ['for keys', { role: 'admin', scopes: ['api-keys:write'] }, 'scopes.0'],
    ['for bridges', { role: 'admin', scopes: ['bridges:write'] }, 'scopes.0'],
    ['for one’s own data', { scopes: ['own:read'] }, 'scopes.0'],
    ['for more than its role may', { role: 'auditor', scopes: ['people:read', 'people:write'] }, 'scopes.1'],
    ['that has expired', { expiresAt: '2020-01-01T00:00:00Z' }, 'expiresAt'],
    ['that somebody chose', { key: 'lintel_x' }, 'key'],
  ])('is not %s', async (_, fields, path) => {
    expectProblem(await owner.post('/api-keys', { name: 'Payroll', ...fields }), 422, path)
  })

  test('that is wrong in ten thousand places is refused in a few words', async () => {
    const scopes = Array.from({ length: 10_000 }, () => 'x'.repeat(10))
    const reply = await owner.post('/api-keys', { name: 'Payroll', scopes })
    expectProblem(reply, 422, 'scopes.0')
    expect(JSON.stringify(reply.body).length).toBeLessThan(20_000)
  })

  test('has no more rights than its maker may give', async () => {
    const auditor = await signIn(api, 'auditor')
    expectProblem(await auditor.post('/api-keys', { name: 'Payroll', role: 'auditor' }), 403)
    for (const fields of [{ role: 'operator' }, { role: 'admin' }, { scopes: ['people:write'] }]) {
      expect((await make(fields, admin)).body['createdBy']).toBe(admin.id)
    }
  })
})

describe('a key', () => {
  test('may what its role may', async () => {
    const { client } = await make({ role: 'operator' })
    expect((await client.get('/people')).status).toBe(200)
    expectProblem(await client.post('/people', { name: 'Ada' }), 403)
    expectProblem(await client.get('/accounts'), 403)
  })

  test('with scopes may those and nothing else', async () => {
    const { client } = await make({ role: 'admin', scopes: ['people:read', 'cards:write'] })
    expect((await client.get('/people')).status).toBe(200)
    expectProblem(await client.get('/cards'), 403)
    expectProblem(await client.post('/people', { name: 'Ada' }), 403)
    expectProblem(await client.post('/cards', { personId: owner.id, number: 'AB' }), 422, 'personId')
  })

  test('of an admin makes neither accounts, nor keys, nor bridges, and has no self', async () => {
    const { client, body } = await make({ role: 'admin' })
    expect((await client.post('/people', { name: 'Ada' })).status).toBe(201)
    const some = owner.id
    const refused = await Promise.all([
      client.post('/accounts', { email: 'x@example.org', role: 'member', password: PASSWORD }),
      client.patch(`/accounts/${some}`, { name: 'x' }),
      client.delete(`/accounts/${some}`),
      client.post('/api-keys', { name: 'x' }),
      client.patch(`/api-keys/${body.id}`, { name: 'x' }),
      client.delete(`/api-keys/${body.id}`),
      client.post('/bridges', { name: 'x' }),
      client.post(`/bridges/${some}/rotate`),
      client.delete(`/bridges/${some}`),
      client.get('/me'),
      client.patch('/me', { name: 'x' }),
      client.post('/logout'),
    ])
    for (const reply of refused) expectProblem(reply, 403)
  })

  test('that is revoked stops working at once', async () => {
    const { client, body } = await make()
    expect((await client.get('/people')).status).toBe(200)
    expect((await owner.delete(`/api-keys/${body.id}`)).status).toBe(204)
    expectProblem(await client.get('/people'), 401)
  })

  test('is revoked also by somebody who may not give its role', async () => {
    const { client, body } = await make({ role: 'admin' })
    expect((await admin.delete(`/api-keys/${body.id}`)).status).toBe(204)
    expectProblem(await client.get('/people'), 401)
  })

  test('that expires works until then', async () => {
    const { client, body } = await make({ expiresAt: '2999-01-01T00:00:00Z' })
    expect(body['expiresAt']).toBe('2999-01-01T00:00:00.000Z')
    expect((await client.get('/people')).status).toBe(200)
    await api.db.update(apiKeys).set({ expiresAt: new Date() }).where(eq(apiKeys.id, body.id))
    expectProblem(await client.get('/people'), 401)
  })

  test('says when it was last used', async () => {
    const { client, body } = await make()
    await client.get('/people')
    const { lastUsedAt } = (await owner.get(`/api-keys/${body.id}`)).body
    expect(Date.now() - Date.parse(String(lastUsedAt))).toBeLessThan(60_000)
  })

  test('goes on without its maker, as programs do not leave with people', async () => {
    const maker = await signIn(api, 'admin')
    const { client, body } = await make({ role: 'operator' }, maker)
    await api.db.update(accounts).set({ disabled: true }).where(eq(accounts.id, maker.id))
    expect((await client.get('/people')).status).toBe(200)
    expect((await owner.delete(`/accounts/${maker.id}`)).status).toBe(204)
    expect((await client.get('/people')).status).toBe(200)
    expect((await owner.get(`/api-keys/${body.id}`)).body['createdBy']).toBe(maker.id)
  })

  test('is only renamed: what it may do stays as it was made', async () => {
    const { body } = await make()
    for (const fields of [{ role: 'operator' }, { scopes: ['people:read'] }, { expiresAt: null }, { prefix: 'x' }]) {
      expectProblem(await owner.patch(`/api-keys/${body.id}`, fields), 422, Object.keys(fields)[0])
    }
    expect((await owner.patch(`/api-keys/${body.id}`, { name: 'Hours' })).body['name']).toBe('Hours')
  })

  test.each([
    ['with a letter more', (key: string) => `${key}x`],
    ['with a letter less', (key: string) => key.slice(0, -1)],
    ['in other case', (key: string) => key.toUpperCase()],
    ['without its prefix', (key: string) => key.slice('lintel_'.length)],
  ])('is not taken %s', async (_, bent) => {
    const { key } = await make()
    expectProblem(await withToken(api, bent(key)).get('/people'), 401)
  })

  test('that is wrong a hundred times from one address is refused for its number; a right one is not', async () => {
    const { client, key } = await make()
    await api.db.delete(attempts)
    const wrong = withToken(api, `${key.slice(0, -4)}aaaa`)
    expectProblem(await wrong.get('/people'), 401)
    await api.db.update(attempts).set({ count: 101 })
    const refused = await wrong.get('/people')
    expectProblem(refused, 429)
    expect(refused.headers.get('retry-after')).toMatch(/^[12]$/)
    expect((await client.get('/people')).status).toBe(200)
  })
})

test('each change of a key is on record, once', async () => {
  const { body } = await make({ role: 'admin', scopes: ['people:read'] })
  await owner.patch(`/api-keys/${body.id}`, { name: 'Hours' })
  await owner.delete(`/api-keys/${body.id}`)
  const { key: _, ...made } = body
  const renamed = { ...made, name: 'Hours' }
  const rows = await api.db.select().from(audit).where(eq(audit.targetId, body.id)).orderBy(audit.number)
  expect(rows).toMatchObject([
    { action: 'api-keys.create', actorId: owner.id, before: null, after: made },
    { action: 'api-keys.update', actorId: owner.id, before: made, after: renamed },
    { action: 'api-keys.delete', actorId: owner.id, before: renamed, after: null },
  ])
})

test('every scope is one that an admin’s key can have', async () => {
  expect((await make({ role: 'admin', scopes: SCOPES })).body['scopes']).toEqual(SCOPES)
})
