import { eq } from 'drizzle-orm'
import { beforeAll, describe, expect, test } from 'vitest'
import { accounts, audit, mailTokens } from '../db/schema.ts'
import { PASSWORD, startTestApi, type TestApi } from '../testing/api.ts'
import { type Caller, expectProblem, newSession, signIn } from '../testing/caller.ts'

// Accounts without a password: whoever they are for is invited to choose one, and nobody else ever knows it.

const NEW_PASSWORD = 'a horse of another colour'

let api: TestApi
let owner: Caller
let admin: Caller

const signsIn = async (email: string, password: string) =>
  (await api.stranger.post('/login', { email, password })).status === 200
const confirm = (token: string, password = NEW_PASSWORD) =>
  api.stranger.post('/login/reset/confirm', { token, password })

let added = 0
const invite = async (fields: object = {}) => {
  const email = `invited-${++added}@example.org`
  const { status, body } = await owner.post('/accounts', { email, role: 'member', ...fields })
  expect({ status, body }).toMatchObject({ status: 201 })
  return { id: body.id, email }
}
const tokensOf = ({ id }: { id: string }) => api.db.select().from(mailTokens).where(eq(mailTokens.accountId, id))
const auditOf = async ({ id }: { id: string }) =>
  (await api.db.select().from(audit).where(eq(audit.targetId, id)).orderBy(audit.number)).map(({ action }) => action)

beforeAll(async () => {
  api = await startTestApi()
  owner = await signIn(api, 'owner')
  admin = await signIn(api, 'admin')
})

describe('an invitation', () => {
  test('is mailed for an account without a password, which then chooses its own, once', async () => {
    const ada = await invite({ name: 'Ada' })
    expect(await signsIn(ada.email, NEW_PASSWORD)).toBe(false)
    const [mail] = await api.mailbox.of(ada.email, 1)
    const token = await api.mailbox.token(ada.email)
    expect(mail?.text).toContain(`\nhttps://doors.example.org/#invitation=${token}\n`)
    const [kept] = await tokensOf(ada)
    expect(((kept?.expiresAt.getTime() ?? 0) - Date.now()) / 3_600_000).toBeCloseTo(72, 1)

    expect((await confirm(token)).status).toBe(204)
    expect(await signsIn(ada.email, NEW_PASSWORD)).toBe(true)
    expectProblem(await confirm(token, `${NEW_PASSWORD} 2`), 401)
  })

  test('can be sent again, which ends the one before, until there is a password', async () => {
    const ada = await invite()
    const first = await api.mailbox.token(ada.email)
    expect((await admin.post(`/accounts/${ada.id}/invitation`)).status).toBe(204)
    const second = await api.mailbox.token(ada.email, 2)
    expectProblem(await confirm(first), 401)
    expect((await confirm(second)).status).toBe(204)
    expectProblem(await admin.post(`/accounts/${ada.id}/invitation`), 409)
    expect((await auditOf(ada)).filter((action) => action === 'accounts.invite')).toHaveLength(1)
  })

  test('ends when the address changes, the account is disabled, or gets a password in another way', async () => {
    for (const change of [{ email: `moved-${++added}@example.org` }, { disabled: true }, { password: PASSWORD }]) {
      const ada = await invite()
      const token = await api.mailbox.token(ada.email)
      expect((await owner.patch(`/accounts/${ada.id}`, change)).status).toBe(200)
      expect((await owner.patch(`/accounts/${ada.id}`, { disabled: false })).status).toBe(200)
      expectProblem(await confirm(token), 401)
    }
  })

  test('is not sent to a disabled account', async () => {
    const ada = await invite()
    await owner.patch(`/accounts/${ada.id}`, { disabled: true })
    expectProblem(await owner.post(`/accounts/${ada.id}/invitation`), 409)
    expectProblem(await owner.post(`/accounts/${ada.id}/reset`), 409)
    expect(await tokensOf(ada)).toEqual([])
  })

  test('that could not be mailed is said to be so, and can be sent again', async () => {
    const email = `unlucky-${++added}@example.org`
    api.mailbox.answer(500)
    const refused = await owner.post('/accounts', { email, role: 'member' })
    api.mailbox.answer(202)
    expectProblem(refused, 503)
    const [account] = await api.db.select().from(accounts).where(eq(accounts.email, email))
    expect(refused.body['detail']).toContain(`/accounts/${account?.id}/invitation`)
    expect((await owner.post(`/accounts/${account?.id}/invitation`)).status).toBe(204)
    expect((await confirm(await api.mailbox.token(email))).status).toBe(204)
  })

  test('follows no redirect of the mail hook', async () => {
    const ada = await invite()
    api.mailbox.answer(307, { location: '/elsewhere' })
    const refused = await owner.post(`/accounts/${ada.id}/invitation`)
    api.mailbox.answer(202)
    expectProblem(refused, 503)
    expect(await api.mailbox.of(ada.email)).toHaveLength(1)
  })
})

describe('a reset that an administrator starts', () => {
  test('is mailed, and leaves the old password good until a new one is chosen', async () => {
    const other = await signIn(api, 'operator')
    const { status, body } = await admin.post(`/accounts/${other.id}/reset`)
    expect({ status, body }).toEqual({ status: 204, body: {} })
    const token = await api.mailbox.token(other.email)
    expect((await other.get('/me')).status).toBe(200)
    expect((await confirm(token)).status).toBe(204)
    expectProblem(await other.get('/me'), 401)
    expect(await signsIn(other.email, NEW_PASSWORD)).toBe(true)
    expect(await auditOf(other)).toEqual(expect.arrayContaining(['accounts.reset', 'login.reset.confirm']))
  })

  test.each(['reset', 'invitation'])(
    'or an invitation is not for accounts of a role that one may not give (%s)',
    async (what) => {
      for (const role of ['owner', 'admin'] as const) {
        const above = await signIn(api, role)
        await api.db.update(accounts).set({ passwordHash: null }).where(eq(accounts.id, above.id))
        expectProblem(await admin.post(`/accounts/${above.id}/${what}`), 403)
        expect(await tokensOf(above)).toEqual([])
        expect((await owner.post(`/accounts/${above.id}/${what}`)).status).toBe(204)
        await owner.delete(`/accounts/${above.id}`)
      }
    },
  )
})

describe('an administrator', () => {
  test('changes no password of their own without the current one', async () => {
    for (const me of [owner, admin]) {
      const refused = await me.patch(`/accounts/${me.id}`, { password: NEW_PASSWORD })
      expectProblem(refused, 422, 'password')
      expect(JSON.stringify(refused.body.errors)).toContain('/me')
    }
    expect(await signsIn(owner.email, PASSWORD)).toBe(true)
  })

  test('sets no password of an account of a role that they may not give', async () => {
    const other = await signIn(api, 'admin')
    expectProblem(await admin.patch(`/accounts/${other.id}`, { password: NEW_PASSWORD }), 403)
    expect(await signsIn(other.email, PASSWORD)).toBe(true)
  })
})

describe('a common password, or one that tells whose it is, is refused', () => {
  test.each([
    ['common', 'passwordpassword'],
    ['the product', 'Lintel lintel LINTEL'],
    ['the e-mail', 'grace.hopper@navy.example.org'],
    ['the name', 'Commodore Hopper 1'],
  ])('wherever it is chosen: %s', async (_, password) => {
    const grace = { email: 'grace.hopper@navy.example.org', name: 'Commodore Hopper' }
    const refused = await owner.post('/accounts', { ...grace, role: 'member', password })
    expectProblem(refused, 422, 'password')
    expect(JSON.stringify(refused.body)).not.toContain(password)

    const other = await signIn(api, 'member')
    await api.db.update(accounts).set(grace).where(eq(accounts.id, other.id))
    expectProblem(await owner.patch(`/accounts/${other.id}`, { password }), 422, 'password')
    expectProblem(await other.patch('/me', { password, currentPassword: PASSWORD }), 422, 'password')
    expect((await owner.delete(`/accounts/${other.id}`)).status).toBe(204)
  })

  test('for the name and the address that it is to have from now on', async () => {
    const me = await signIn(api, 'member')
    const both = { name: 'Commodore Hopper', password: 'Commodore Hopper 1' }
    expectProblem(await me.patch('/me', { ...both, currentPassword: PASSWORD }), 422, 'password')
    expectProblem(await owner.patch(`/accounts/${me.id}`, both), 422, 'password')
    const email = 'grace.hopper@navy.example.org'
    expectProblem(await owner.patch(`/accounts/${me.id}`, { email, password: email }), 422, 'password')
  })
})

test('with mail off an account needs a password, and says so', async () => {
  const off = await startTestApi({ MAIL_HOOK_URL: '', NODE_ENV: 'production', REQUIRE_MFA: 'false' })
  const boss = await signIn(off, 'owner')
  const refused = await boss.post('/accounts', { email: 'ada@example.org', role: 'member' })
  expectProblem(refused, 503)
  expect(refused.body['detail']).toBe('Mail is off: set SMTP_URL or MAIL_HOOK_URL, or give the account a password.')
  expect((await off.db.select().from(accounts)).map(({ email }) => email)).toEqual([boss.email])
  const other = await newSession(off, await signIn(off, 'member'))
  expectProblem(await boss.post(`/accounts/${other.id}/reset`), 503)
  const { status } = await boss.post('/accounts', { email: 'ada@example.org', role: 'member', password: PASSWORD })
  expect(status).toBe(201)
})
