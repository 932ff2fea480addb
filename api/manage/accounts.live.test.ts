import { eq } from 'drizzle-orm'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { accounts } from '../db/schema.ts'
import { PASSWORD, startTestApi, type TestApi } from '../testing/api.ts'
import { type Caller, expectProblem, newSession, signIn } from '../testing/caller.ts'

// Who signs in: other people's accounts, and one's own.

const NEW_PASSWORD = 'a horse of another colour'

let api: TestApi
let owner: Caller

const signsIn = async (email: string, password: string) =>
  (await api.stranger.post('/login', { email, password })).status === 200

let added = 0
const newAccount = (fields: object = {}) => ({
  email: `somebody-${++added}@example.org`,
  role: 'member',
  password: PASSWORD,
  ...fields,
})

beforeAll(async () => {
  api = await startTestApi()
  owner = await signIn(api, 'owner')
})

describe('an account', () => {
  test('signs in with the password it was given, and never shows it', async () => {
    const fields = newAccount({ email: ' New@Example.org', name: 'New', role: 'auditor' })
    const posted = await owner.post('/accounts', fields)
    expect(posted.body).toEqual({
      id: posted.body.id,
      email: 'new@example.org',
      name: 'New',
      role: 'auditor',
      personId: null,
      disabled: false,
      totp: false,
    })
    const path = `/accounts/${posted.body.id}`
    const replies = [
      posted,
      await owner.get(path),
      await owner.get('/accounts'),
      await owner.patch(path, { password: NEW_PASSWORD }),
      await owner.get('/me'),
    ]
    for (const { body } of replies) expect(JSON.stringify(body)).not.toMatch(/\$2[aby]\$|hash|password|horse/i)
    expect(await signsIn('NEW@example.org', NEW_PASSWORD)).toBe(true)
    expect(await signsIn('new@example.org', PASSWORD)).toBe(false)
  })

  test('has an e-mail address of its own, in any case', async () => {
    const other = await signIn(api, 'member')
    expectProblem(await owner.post('/accounts', newAccount({ email: other.email.toUpperCase() })), 409)
    expectProblem(await owner.patch(`/accounts/${owner.id}`, { email: other.email }), 409)
    const { body } = await owner.patch(`/accounts/${other.id}`, { email: 'Renamed@Example.org' })
    expect(body['email']).toBe('renamed@example.org')
  })

  test('may belong to a person, who is then not deleted', async () => {
    const { body: person } = await owner.post('/people', { name: 'Ada' })
    const other = await signIn(api, 'member')
    const { body } = await owner.patch(`/accounts/${other.id}`, { personId: person.id })
    expect(body['personId']).toBe(person.id)
    const refused = await owner.delete(`/people/${person.id}`)
    expectProblem(refused, 409)
    expect(refused.body['detail']).toMatch(/account/)
    await owner.patch(`/accounts/${other.id}`, { personId: null })
    expect((await owner.delete(`/people/${person.id}`)).status).toBe(204)
  })

  test('that is disabled is signed out at once, and for good', async () => {
    const other = await signIn(api, 'member')
    expect((await other.get('/me')).status).toBe(200)
    expect((await owner.patch(`/accounts/${other.id}`, { disabled: true })).body['disabled']).toBe(true)
    expectProblem(await other.get('/me'), 401)
    expectProblem(await api.stranger.post('/login/refresh', { refresh_token: other.refreshToken }), 401)
    expect(await signsIn(other.email, PASSWORD)).toBe(false)

    await owner.patch(`/accounts/${other.id}`, { disabled: false })
    expectProblem(await other.get('/me'), 401)
    expect(await signsIn(other.email, PASSWORD)).toBe(true)
  })

  test('that is deleted is signed out at once', async () => {
    const other = await signIn(api, 'member')
    expect((await owner.delete(`/accounts/${other.id}`)).status).toBe(204)
    expectProblem(await other.get('/me'), 401)
    expectProblem(await api.stranger.post('/login/refresh', { refresh_token: other.refreshToken }), 401)
  })

  test('with a new password is signed out where the old one was used', async () => {
    const other = await signIn(api, 'member')
    await owner.patch(`/accounts/${other.id}`, { password: NEW_PASSWORD })
    expectProblem(await other.get('/me'), 401)
    expect((await owner.get('/me')).status).toBe(200)
  })

  test('may do what its role says from the moment it says so', async () => {
    const other = await signIn(api, 'auditor')
    expectProblem(await other.post('/groups', { name: 'Mine' }), 403)
    await owner.patch(`/accounts/${other.id}`, { role: 'admin' })
    expect((await other.post('/groups', { name: 'Mine' })).status).toBe(201)
    await owner.patch(`/accounts/${other.id}`, { role: 'operator' })
    expectProblem(await other.post('/groups', { name: 'Mine' }), 403)
  })
})

describe('a password', () => {
  const REFUSED: [string, string][] = [
    ['of 14 characters', 'x'.repeat(14)],
    ['of 14 characters that take 4 bytes each', '🔑'.repeat(14)],
    ['of 73 bytes', 'x'.repeat(73)],
    ['of 37 characters that take 2 bytes each', 'é'.repeat(37)],
    ['with a NUL', `${PASSWORD}\0`],
    ['with half a surrogate pair', `${PASSWORD}\ud800`],
    ['that is empty', ''],
  ]
  test.each(REFUSED)('%s is refused wherever one is chosen', async (_, password) => {
    expectProblem(await owner.post('/accounts', newAccount({ password })), 422, 'password')
    expectProblem(await owner.patch(`/accounts/${owner.id}`, { password }), 422, 'password')
    expectProblem(await owner.patch('/me', { password, currentPassword: PASSWORD }), 422, 'password')
  })

  test.each([
    ['of 15 characters', 'x'.repeat(15)],
    ['of 72 bytes', 'é'.repeat(36)],
    ['with spaces at its ends', `  ${PASSWORD}  `],
  ])('%s is taken as it is', async (_, password) => {
    const { body } = await owner.post('/accounts', newAccount({ password }))
    expect(await signsIn(String(body['email']), password)).toBe(true)
  })
})

describe('owners', () => {
  let admin: Caller

  beforeAll(async () => {
    admin = await signIn(api, 'admin')
  })

  beforeEach(async () => {
    await api.db.update(accounts).set({ role: 'owner', disabled: false }).where(eq(accounts.id, owner.id))
  })

  const owners = async () => {
    const { items } = (await owner.get('/accounts?limit=500')).body
    return items.filter(({ role, disabled }) => role === 'owner' && !disabled).map(({ id }) => id)
  }

  test('are made and changed by owners only', async () => {
    const other = await signIn(api, 'member')
    expectProblem(await admin.post('/accounts', newAccount({ role: 'owner' })), 403)
    expectProblem(await admin.patch(`/accounts/${other.id}`, { role: 'owner' }), 403)
    expectProblem(await admin.patch(`/accounts/${admin.id}`, { role: 'owner' }), 403)
    for (const change of [{ role: 'member' }, { disabled: true }, { password: NEW_PASSWORD }, { name: 'Mine' }]) {
      expectProblem(await admin.patch(`/accounts/${owner.id}`, change), 403)
    }
    expectProblem(await admin.delete(`/accounts/${owner.id}`), 403)
    expect((await owner.get('/me')).body).toMatchObject({ role: 'owner', disabled: false, name: null })
  })

  test('alone make administrators, who make and change everybody below themselves', async () => {
    const { body: other } = await owner.post('/accounts', newAccount({ role: 'admin' }))
    expectProblem(await admin.post('/accounts', newAccount({ role: 'admin' })), 403)
    expectProblem(await admin.patch(`/accounts/${other.id}`, { disabled: true }), 403)
    expectProblem(await admin.delete(`/accounts/${other.id}`), 403)

    const { status, body } = await admin.post('/accounts', newAccount({ role: 'operator' }))
    expect(status).toBe(201)
    expectProblem(await admin.patch(`/accounts/${body.id}`, { role: 'admin' }), 403)
    expect((await admin.patch(`/accounts/${body.id}`, { role: 'auditor' })).status).toBe(200)
    expect((await admin.delete(`/accounts/${body.id}`)).status).toBe(204)
  })

  test('are never none: the last one who can sign in stays', async () => {
    const path = `/accounts/${owner.id}`
    const disabled = await signIn(api, 'owner')
    await owner.patch(`/accounts/${disabled.id}`, { disabled: true })
    for (const change of [{ disabled: true }, { role: 'admin' }, { role: 'member', name: 'Me' }]) {
      expectProblem(await owner.patch(path, change), 409)
    }
    expectProblem(await owner.delete(path), 409)
    expect((await owner.patch(path, { role: 'owner', disabled: false, name: 'Still here' })).status).toBe(200)
    expect((await owner.delete(`/accounts/${disabled.id}`)).status).toBe(204)
    expect(await owners()).toEqual([owner.id])
  })

  test('may go when there is another one', async () => {
    const second = await signIn(api, 'owner')
    expect((await second.patch(`/accounts/${owner.id}`, { role: 'admin' })).status).toBe(200)
    expectProblem(await second.delete(`/accounts/${second.id}`), 409)
    expectProblem(await owner.delete(`/accounts/${second.id}`), 403)
    expect((await second.patch(`/accounts/${owner.id}`, { role: 'owner' })).status).toBe(200)
    expect((await second.delete(`/accounts/${second.id}`)).status).toBe(204)
  })

  test('who remove each other at the same moment do not leave nobody', async () => {
    for (const change of [{ role: 'admin' }, { disabled: true }]) {
      const second = await signIn(api, 'owner')
      const replies = await Promise.all([
        owner.patch(`/accounts/${second.id}`, change),
        second.patch(`/accounts/${owner.id}`, change),
      ])
      const left = await api.db.select().from(accounts).where(eq(accounts.role, 'owner'))
      expect(left.filter(({ disabled }) => !disabled)).toHaveLength(1)
      // Whoever came second was refused: by the rule, or because the change had already taken the right away.
      const [first, later] = replies.map(({ status }) => status).sort()
      expect(first).toBe(200)
      expect([401, 403, 409]).toContain(later)
      await api.db.update(accounts).set({ role: 'owner', disabled: false }).where(eq(accounts.id, owner.id))
      await api.db.delete(accounts).where(eq(accounts.id, second.id))
      owner = await newSession(api, owner)
    }
  })
})

describe('my own account', () => {
  test('is mine to see and to name, whatever my role', async () => {
    const me = await signIn(api, 'member')
    expect((await me.get('/me')).body).toMatchObject({ id: me.id, email: me.email, role: 'member', name: null })
    expect((await me.patch('/me', { name: ' Myself ' })).body['name']).toBe('Myself')
    expect((await me.patch('/me', { name: null })).body['name']).toBeNull()
    for (const field of ['role', 'email', 'disabled', 'personId', 'totp', 'id', 'passwordHash']) {
      expectProblem(await me.patch('/me', { [field]: 'owner' }), 422, field)
    }
  })

  test('gets a new password only with the current one, and ends my other sessions', async () => {
    const me = await signIn(api, 'member')
    const elsewhere = await newSession(api, me)
    expectProblem(await me.patch('/me', { password: NEW_PASSWORD }), 422, 'currentPassword')
    expectProblem(await me.patch('/me', { currentPassword: PASSWORD }), 422, 'currentPassword')
    expectProblem(
      await me.patch('/me', { password: NEW_PASSWORD, currentPassword: NEW_PASSWORD }),
      422,
      'currentPassword',
    )
    expect((await elsewhere.get('/me')).status).toBe(200)

    expect((await me.patch('/me', { password: NEW_PASSWORD, currentPassword: PASSWORD })).status).toBe(200)
    expect((await me.get('/me')).status).toBe(200)
    expectProblem(await elsewhere.get('/me'), 401)
    expectProblem(await api.stranger.post('/login/refresh', { refresh_token: elsewhere.refreshToken }), 401)
    expect(await signsIn(me.email, PASSWORD)).toBe(false)
    expect(await signsIn(me.email, NEW_PASSWORD)).toBe(true)
  })
})
