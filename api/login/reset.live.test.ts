import { eq } from 'drizzle-orm'
import { beforeAll, describe, expect, test } from 'vitest'
import { accounts, attempts, audit, mailTokens, sessions } from '../db/schema.ts'
import { tidy } from '../jobs.ts'
import { PASSWORD, PASSWORD_HASH, type Reply, startTestApi, type TestApi } from '../testing/api.ts'
import { type Caller, expectProblem, newSession, signIn } from '../testing/caller.ts'
import { codeOf, enrol } from '../testing/factor.ts'
import { hashOf, newSecret } from './tokens.ts'

// A forgotten password: who reads the mailbox of an account chooses a new one.

const NEW_PASSWORD = 'a horse of another colour'

let api: TestApi

const ask = (email: string) => api.stranger.post('/login/reset', { email })
const confirm = (body: object) => api.stranger.post('/login/reset/confirm', body)
const answer = ({ status, body }: Reply) => ({ status, body })
const signsIn = async (email: string, password: string) =>
  (await api.stranger.post('/login', { email, password })).status === 200

const tokensOf = (account: { id: string }) =>
  api.db.select().from(mailTokens).where(eq(mailTokens.accountId, account.id))

const auditOf = async (account: { id: string }) =>
  (await api.db.select().from(audit).where(eq(audit.targetId, account.id)).orderBy(audit.number)).map(
    ({ action }) => action,
  )

/** A token as a mail would carry it, so that a test needs no mail. */
const tokenFor = async (account: { id: string }, minutes = 30) => {
  const token = newSecret()
  const expiresAt = new Date(Date.now() + minutes * 60_000)
  await api.db
    .insert(mailTokens)
    .values({ hash: await hashOf(token), accountId: account.id, purpose: 'reset', expiresAt })
  return token
}

beforeAll(async () => {
  api = await startTestApi()
})

describe('a reset', () => {
  test('by mail: the new password signs in, the old one does not, and nobody stays signed in', async () => {
    const me = await signIn(api, 'member')
    const elsewhere = await newSession(api, me)
    expect((await ask(`  ${me.email.toUpperCase()} `)).status).toBe(202)
    const token = await api.mailbox.token(me.email)
    expect(await signsIn(me.email, PASSWORD)).toBe(true)

    expect((await confirm({ token, password: NEW_PASSWORD })).status).toBe(204)
    for (const one of [me, elsewhere]) {
      expectProblem(await one.get('/me'), 401)
      expectProblem(await api.stranger.post('/login/refresh', { refresh_token: one.refreshToken }), 401)
    }
    expect(await signsIn(me.email, PASSWORD)).toBe(false)
    expect(await signsIn(me.email, NEW_PASSWORD)).toBe(true)
    expect(await auditOf(me)).toEqual(expect.arrayContaining(['login.reset', 'login.reset.confirm']))
  })

  test('sends a mail with the token in the fragment of a link to PUBLIC_URL, and only its hash is kept', async () => {
    const me = await signIn(api, 'member')
    await ask(me.email)
    const [mail] = await api.mailbox.of(me.email, 1)
    expect(mail).toMatchObject({ from: 'Lintel <doors@example.org>', to: me.email, subject: expect.any(String) })
    expect(mail?.headers['content-type']).toBe('application/json')
    const token = await api.mailbox.token(me.email)
    expect(mail?.text).toContain(`\nhttps://doors.example.org/#reset=${token}\n`)
    expect(mail?.text).toContain('https://doors.example.org/api/v1/login/reset/confirm')
    expect(mail?.text.split(token)).toHaveLength(2)
    const [kept] = await tokensOf(me)
    expect(kept).toMatchObject({ hash: await hashOf(token), purpose: 'reset' })
    const minutes = ((kept?.expiresAt.getTime() ?? 0) - Date.now()) / 60_000
    expect(minutes).toBeGreaterThan(29)
    expect(minutes).toBeLessThanOrEqual(30)
    expect(JSON.stringify(await api.db.select().from(audit))).not.toContain(token)
  })

  test('answers the same for an unknown, a disabled, an invited and a known address, and again at once', async () => {
    const known = await signIn(api, 'member')
    const disabled = await signIn(api, 'member')
    await api.db.update(accounts).set({ disabled: true }).where(eq(accounts.id, disabled.id))
    const first = await ask(known.email)
    expect(first.status).toBe(202)
    const names = ({ headers }: Reply) => [...headers.keys()].filter((name) => name !== 'date').sort()
    for (const email of ['nobody@example.org', disabled.email, known.email]) {
      const other = await ask(email)
      expect(answer(other)).toEqual(answer(first))
      expect(names(other)).toEqual(names(first))
    }
    expect(await api.mailbox.of(known.email, 1)).toHaveLength(1)
    expect(await tokensOf(disabled)).toEqual([])
    expect(await api.mailbox.of(disabled.email)).toEqual([])
  })

  test('mails once in five minutes, however many ask at once, and older mails stay good', async () => {
    const me = await signIn(api, 'member')
    await Promise.all(Array.from({ length: 5 }, () => ask(me.email)))
    const first = await api.mailbox.token(me.email)
    expect(await tokensOf(me)).toHaveLength(1)
    const move = (minutes: number) =>
      api.db
        .update(mailTokens)
        .set({ expiresAt: new Date(Date.now() + minutes * 60_000) })
        .where(eq(mailTokens.accountId, me.id))
    await api.db.delete(attempts)
    await move(25.5)
    await ask(me.email)
    expect(await tokensOf(me)).toHaveLength(1)
    await move(24.9)
    await ask(me.email)
    const second = await api.mailbox.token(me.email, 2)
    expect(second).not.toBe(first)
    expect(await api.mailbox.of(me.email)).toHaveLength(2)
    expect((await confirm({ token: first, password: NEW_PASSWORD })).status).toBe(204)
    expectProblem(await confirm({ token: second, password: NEW_PASSWORD }), 401)
  })

  test('says nothing of a mail that could not be sent', async () => {
    const me = await signIn(api, 'member')
    api.mailbox.answer(500)
    expect((await ask(me.email)).status).toBe(202)
    api.mailbox.answer(202)
  })

  test.each([
    ['no e-mail', {}, 'email'],
    ['an e-mail that is none', { email: 'ada' }, 'email'],
    ['an e-mail with a second one', { email: 'ada@example.org,eve@example.org' }, 'email'],
    ['an e-mail with a line more', { email: 'ada@example.org\r\nBcc: eve@example.org' }, 'email'],
    ['a field more', { email: 'ada@example.org', name: 'Ada' }, 'name'],
  ])('refuses %s', async (_, body, path) => {
    expectProblem(await api.stranger.post('/login/reset', body), 422, path)
  })
})

describe('a token', () => {
  let me: Caller
  beforeAll(async () => {
    me = await signIn(api, 'operator')
  })

  test('that is unknown, used, expired, cut or for a disabled account is refused in the same words', async () => {
    const unknown = await confirm({ token: newSecret(), password: NEW_PASSWORD })
    expectProblem(unknown, 401)
    const used = await tokenFor(me)
    expect((await confirm({ token: used, password: NEW_PASSWORD })).status).toBe(204)
    const disabled = await signIn(api, 'member')
    await api.db.update(accounts).set({ disabled: true }).where(eq(accounts.id, disabled.id))
    const good = await tokenFor(me)
    const bad = [used, await tokenFor(me, -1), good.slice(1), `${good}=`, await hashOf(good), await tokenFor(disabled)]
    for (const token of bad) {
      expect(answer(await confirm({ token, password: NEW_PASSWORD }))).toEqual(answer(unknown))
    }
  })

  test('is good once, whoever uses it at the same moment', async () => {
    const token = await tokenFor(me)
    const replies = await Promise.all([1, 2, 3].map((n) => confirm({ token, password: `${NEW_PASSWORD} ${n}` })))
    expect(replies.map(({ status }) => status).sort()).toEqual([204, 401, 401])
  })

  test('ends with every other one of the account', async () => {
    const [token, other] = [await tokenFor(me), await tokenFor(me)]
    expect((await confirm({ token, password: NEW_PASSWORD })).status).toBe(204)
    expect(await tokensOf(me)).toEqual([])
    expectProblem(await confirm({ token: other, password: NEW_PASSWORD }), 401)
  })

  test('is not used up by a password that cannot be had', async () => {
    const token = await tokenFor(me)
    const own = me.email.split('@')[0]
    for (const password of ['too short', 'passwordpassword', `${own}${own}`.slice(0, 72), 'lintellintellintel']) {
      expectProblem(await confirm({ token, password }), 422, 'password')
    }
    expect((await confirm({ token, password: NEW_PASSWORD })).status).toBe(204)
  })

  test('that has expired is removed by the daily job, and no other', async () => {
    const other = await signIn(api, 'member')
    await tokenFor(other, -1)
    const good = await tokenFor(other)
    await tidy({ db: api.db, now: () => new Date(), log: () => {} })
    expect((await tokensOf(other)).map(({ hash }) => hash)).toEqual([await hashOf(good)])
  })

  test('of somebody else’s account gives no hint about passwords', async () => {
    expectProblem(await confirm({ token: newSecret(), password: 'passwordpassword' }), 401)
  })

  test('ends when the password is changed in another way', async () => {
    const other = await signIn(api, 'member')
    await tokenFor(other)
    expect((await other.patch('/me', { password: NEW_PASSWORD, currentPassword: PASSWORD })).status).toBe(200)
    expect(await tokensOf(other)).toEqual([])
  })

  test('is no way around the second factor, and without a good code nothing changes', async () => {
    const other = await signIn(api, 'member')
    const { secret } = await enrol(api, other)
    const token = await tokenFor(other)
    for (const code of [undefined, '', '000000', 'abcdef-abcdef-abcdef-abcdef']) {
      expectProblem(await confirm({ token, password: NEW_PASSWORD, code }), 401)
    }
    const [account] = await api.db.select().from(accounts).where(eq(accounts.id, other.id))
    expect(account?.passwordHash).toBe(PASSWORD_HASH)
    expect(await api.db.select().from(sessions).where(eq(sessions.accountId, other.id))).toHaveLength(1)
    expect(await tokensOf(other)).toHaveLength(1)
    expect((await auditOf(other)).slice(-4)).toEqual(Array(4).fill('login.reset.failed'))

    expect((await confirm({ token, password: NEW_PASSWORD, code: codeOf(secret) })).status).toBe(204)
    expect(await api.db.select().from(sessions).where(eq(sessions.accountId, other.id))).toEqual([])
  })

  test.each([
    ['no token', { password: NEW_PASSWORD }, 'token'],
    ['an empty token', { token: '', password: NEW_PASSWORD }, 'token'],
    ['a token that is too long', { token: 'x'.repeat(129), password: NEW_PASSWORD }, 'token'],
    ['no password', { token: 'x' }, 'password'],
    ['a code that is too long', { token: 'x', password: NEW_PASSWORD, code: '1'.repeat(65) }, 'code'],
    ['a field more', { token: 'x', password: NEW_PASSWORD, email: 'ada@example.org' }, 'email'],
  ])('is not asked for with %s', async (_, body, path) => {
    expectProblem(await confirm(body), 422, path)
  })
})

describe('with mail off', () => {
  test('a reset answers as ever, and makes no token', async () => {
    const off = await startTestApi({ MAIL_HOOK_URL: '', NODE_ENV: 'production', REQUIRE_MFA: 'false' })
    const me = await signIn(off, 'member')
    const { status, body } = await off.stranger.post('/login/reset', { email: me.email })
    expect({ status, body }).toEqual(answer(await ask('nobody@example.org')))
    expect(await off.db.select().from(mailTokens).where(eq(mailTokens.accountId, me.id))).toEqual([])
  })
})
