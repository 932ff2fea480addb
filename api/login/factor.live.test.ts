import { and, eq, or } from 'drizzle-orm'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { accounts, attempts, audit, recoveryCodes as codes } from '../db/schema.ts'
import { PASSWORD, type Reply, startTestApi, type TestApi } from '../testing/api.ts'
import { type Caller, expectProblem, newSession, signIn } from '../testing/caller.ts'
import { codeOf, enrol, forgetCodes, steady } from '../testing/factor.ts'

// The second factor: an authenticator's codes, recovery codes, and what signing in asks for when it is on.

let api: TestApi

const login = (email: string, code?: string, password = PASSWORD) =>
  api.stranger.post('/login', { email, password, ...(code !== undefined && { code }) })
const answer = ({ status, body }: Reply) => ({ status, body })
const row = async (id: string) => (await api.db.select().from(accounts).where(eq(accounts.id, id)))[0]
const onRecord = async (id: string) => {
  const signedIn = and(eq(audit.actorId, id), eq(audit.action, 'login'))
  const rows = await api.db
    .select()
    .from(audit)
    .where(or(eq(audit.targetId, id), signedIn))
    .orderBy(audit.number)
  return rows.map(({ action }) => action)
}

/** A refusal with a word of its own. */
const expectWord = ({ status, body, headers }: Reply, expected: number, word: string) => {
  expect({ status, type: body['type'] }).toEqual({ status: expected, type: `urn:lintel:problem:${word}` })
  expect(body['detail']).toMatch(/\w/)
  expect(headers.get('content-type')).toBe('application/problem+json')
}

/** What is wrong too often has to wait (limits.live.test.ts): here each test begins anew. */
beforeEach(async () => {
  await api.db.delete(attempts)
})

beforeAll(async () => {
  api = await startTestApi()
})

describe('turning it on', () => {
  test('takes a secret, and a code of it; then there are ten recovery codes, and the other sessions have ended', async () => {
    const me = await signIn(api, 'operator')
    const elsewhere = await newSession(api, me)
    const { status, body } = await me.post('/me/totp')
    expect({ status, body }).toEqual({
      status: 200,
      body: {
        secret: expect.stringMatching(/^[A-Z2-7]{32}$/),
        uri: expect.stringMatching(/^otpauth:\/\/totp\/Lintel:/),
      },
    })
    expect(body['uri']).toContain(encodeURIComponent(me.email))
    expect((await me.get('/me')).body['totp']).toBe(false)
    expect((await login(me.email)).status).toBe(200)
    expect((await elsewhere.get('/me')).status).toBe(200)

    const confirmed = await me.post('/me/totp/confirm', { code: codeOf(String(body['secret'])) })
    expect(confirmed).toMatchObject({ status: 200, body: { recoveryCodes: expect.any(Array) } })
    const recoveryCodes = confirmed.body['recoveryCodes'] as string[]
    expect(new Set(recoveryCodes).size).toBe(10)
    for (const code of recoveryCodes) expect(code).toMatch(/^[0-9a-hjkmnp-tv-z]{6}(-[0-9a-hjkmnp-tv-z]{6}){3}$/)
    expect((await me.get('/me')).body['totp']).toBe(true)
    expectProblem(await elsewhere.get('/me'), 401)
    expectWord(await login(me.email), 401, 'code-required')
    expect(await onRecord(me.id)).toEqual(['me.totp.create', 'login', 'me.totp.enable', 'login.code-required'])
  })

  test('with a new secret takes a code of the newest only', async () => {
    const me = await signIn(api, 'operator')
    const [first, second] = [(await me.post('/me/totp')).body['secret'], (await me.post('/me/totp')).body['secret']]
    expect(second).not.toBe(first)
    expectProblem(await me.post('/me/totp/confirm', { code: codeOf(String(first)) }), 422, 'code')
    expect((await me.post('/me/totp/confirm', { code: codeOf(String(second)) })).status).toBe(200)
    expectProblem(await me.post('/me/totp/confirm', { code: codeOf(String(second), 1) }), 409)
  })

  test('needs a secret first, and an account', async () => {
    const me = await signIn(api, 'operator')
    expectProblem(await me.post('/me/totp/confirm', { code: '123456' }), 409)
    expectProblem(await me.post('/me/recovery-codes'), 409)
    expectProblem(await me.delete('/me/totp'), 404)
    expectProblem(await api.stranger.post('/me/totp'), 401)
    expectProblem(await api.stranger.post('/me/totp/confirm', { code: '123456' }), 401)
    expectProblem(await api.stranger.delete('/me/totp'), 401)
    expectProblem(await api.stranger.post('/me/recovery-codes'), 401)
  })

  test.each([
    ['no code', {}, 'code'],
    ['an empty code', { code: '' }, 'code'],
    ['a number', { code: 123456 }, 'code'],
    ['a long code', { code: '1'.repeat(65) }, 'code'],
    ['digits of another script', { code: '１２３４５６' }, 'code'],
    ['a field more', { code: '123456', secret: 'x' }, 'secret'],
    ['the code of a moment long ago', { code: codeOf('GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ') }, 'code'],
  ])('does not take %s', async (_, body, path) => {
    const me = await signIn(api, 'operator')
    await me.post('/me/totp')
    expectProblem(await me.post('/me/totp/confirm', body), 422, path)
    expect((await me.get('/me')).body['totp']).toBe(false)
  })

  test('keeps nothing that could be read from the database', async () => {
    const me = await signIn(api, 'operator')
    const { secret, recoveryCodes } = await enrol(api, me)
    const { body } = await me.post('/me/totp', { code: codeOf(secret) })
    const kept = JSON.stringify([
      await api.db.select().from(accounts),
      await api.db.select().from(codes),
      await api.db.select().from(audit),
    ])
    for (const text of [secret, String(body['secret']), ...recoveryCodes]) {
      expect(kept).not.toContain(text)
      expect(kept).not.toContain(text.replaceAll('-', ''))
    }
    expect((await row(me.id))?.totpSecret).toMatch(/^v1\./)
    expect((await row(me.id))?.totpNext).toMatch(/^v1\./)
  })
})

describe('signing in with a second factor', () => {
  let me: Caller
  let secret: string
  let recoveryCodes: string[]

  beforeAll(async () => {
    me = await signIn(api, 'operator')
    ;({ secret, recoveryCodes } = await enrol(api, me))
  })
  beforeEach(async () => {
    await steady()
    await forgetCodes(api, me.id)
  })

  test('asks for the code only once the password was right', async () => {
    const wrong = await login(me.email, undefined, `${PASSWORD}.`)
    expectProblem(wrong, 401)
    expect(answer(await login('nobody@example.org'))).toEqual(answer(wrong))
    expect(answer(await login(me.email, codeOf(secret), `${PASSWORD}.`))).toEqual(answer(wrong))
    expect(answer(await login(me.email, '000000'))).toEqual(answer(wrong))
    expectWord(await login(me.email), 401, 'code-required')
    expect((await login(me.email, codeOf(secret))).status).toBe(200)
  })

  test.each([-1, 0, 1])('takes the code of step %i', async (steps) => {
    expect((await login(me.email, codeOf(secret, steps))).status).toBe(200)
  })

  test.each([-2, 2])('does not take the code of step %i', async (steps) => {
    expectProblem(await login(me.email, codeOf(secret, steps)), 401)
  })

  test('takes a code as apps show it, in two halves', async () => {
    const code = codeOf(secret)
    expect((await login(me.email, ` ${code.slice(0, 3)} ${code.slice(3)} `)).status).toBe(200)
  })

  test('takes a code once, and none before one that was taken', async () => {
    expect((await login(me.email, codeOf(secret))).status).toBe(200)
    expectProblem(await login(me.email, codeOf(secret)), 401)
    expectProblem(await login(me.email, codeOf(secret, -1)), 401)
    expect((await login(me.email, codeOf(secret, 1))).status).toBe(200)
    expectProblem(await login(me.email, codeOf(secret)), 401)
  })

  test('takes a code once, whoever asks at the same moment', async () => {
    const replies = await Promise.all([1, 2, 3].map(() => login(me.email, codeOf(secret))))
    expect(replies.map(({ status }) => status).sort()).toEqual([200, 401, 401])
  })

  test('does not use up a code when the password was wrong', async () => {
    expectProblem(await login(me.email, codeOf(secret), `${PASSWORD}.`), 401)
    expect((await login(me.email, codeOf(secret))).status).toBe(200)
  })

  test('takes no code of somebody else', async () => {
    const other = await signIn(api, 'operator')
    const theirs = await enrol(api, other)
    expectProblem(await login(me.email, codeOf(theirs.secret)), 401)
    expectProblem(await login(me.email, theirs.recoveryCodes[0]), 401)
    expect((await login(other.email, theirs.recoveryCodes[0])).status).toBe(200)
  })

  test('takes no secret that was moved from another account', async () => {
    const other = await signIn(api, 'operator')
    await enrol(api, other)
    const stolen = { totp: true, totpSecret: (await row(me.id))?.totpSecret ?? null }
    await api.db.update(accounts).set(stolen).where(eq(accounts.id, other.id))
    expect((await login(other.email, codeOf(secret))).status).toBe(500)
  })

  test('takes a recovery code instead, once, in any case and without its dashes', async () => {
    const [one = '', two = '', three = ''] = recoveryCodes
    expect((await login(me.email, one)).status).toBe(200)
    expectProblem(await login(me.email, one), 401)
    expect((await login(me.email, ` ${two.toUpperCase().replaceAll('-', '')}`)).status).toBe(200)
    expectProblem(await login(me.email, two), 401)
    expect((await login(me.email, three.replaceAll('0', 'O').replaceAll('1', 'l'))).status).toBe(200)
    expectProblem(await login(me.email, recoveryCodes[3]?.slice(0, -1)), 401)
    const left = await api.db.select().from(codes).where(eq(codes.accountId, me.id))
    expect(left.filter(({ usedAt }) => usedAt === null)).toHaveLength(7)
  })

  test('takes a recovery code once, whoever asks at the same moment', async () => {
    const replies = await Promise.all([1, 2, 3].map(() => login(me.email, recoveryCodes[4])))
    expect(replies.map(({ status }) => status).sort()).toEqual([200, 401, 401])
  })

  test('is on record, whatever came of it', async () => {
    const before = (await onRecord(me.id)).length
    await login(me.email, codeOf(secret))
    await login(me.email, codeOf(secret))
    await login(me.email)
    await login(me.email, codeOf(secret, 1), `${PASSWORD}.`)
    expect((await onRecord(me.id)).slice(before)).toEqual([
      'login',
      'login.failed',
      'login.code-required',
      'login.failed',
    ])
  })
})

test('a code that nobody asked for does not keep anybody out', async () => {
  const me = await signIn(api, 'operator')
  expect((await login(me.email, '123456')).status).toBe(200)
})

describe('changing it', () => {
  let me: Caller
  let secret: string
  let recoveryCodes: string[]

  beforeEach(async () => {
    await steady()
    me = await signIn(api, 'operator')
    ;({ secret, recoveryCodes } = await enrol(api, me))
  })

  test('to another device takes a code of the present one, which counts until the new one has shown a code', async () => {
    expectProblem(await me.post('/me/totp'), 422, 'code')
    expectProblem(await me.post('/me/totp', { code: '000000' }), 422, 'code')
    const { status, body } = await me.post('/me/totp', { code: codeOf(secret) })
    expect(status).toBe(200)
    const next = String(body['secret'])
    expectProblem(await login(me.email, codeOf(next)), 401)
    expect((await login(me.email, codeOf(secret, 1))).status).toBe(200)

    const confirmed = await me.post('/me/totp/confirm', { code: codeOf(next) })
    expect(confirmed.status).toBe(200)
    expectProblem(await login(me.email, codeOf(secret, 1)), 401)
    expectProblem(await login(me.email, codeOf(next)), 401)
    expect((await login(me.email, codeOf(next, 1))).status).toBe(200)
    await api.db.delete(attempts)
    expectProblem(await login(me.email, recoveryCodes[0]), 401)
    expect((await login(me.email, (confirmed.body['recoveryCodes'] as string[])[0])).status).toBe(200)
    const record = await onRecord(me.id)
    expect(record.slice(0, 4)).toEqual(['me.totp.create', 'me.totp.enable', 'me.totp.failed', 'me.totp.create'])
  })

  test('to another device takes a recovery code too', async () => {
    expect((await me.post('/me/totp', { code: recoveryCodes[0] })).status).toBe(200)
    expectProblem(await me.post('/me/totp', { code: recoveryCodes[0] }), 422, 'code')
  })

  test('to ten new recovery codes ends the old ones', async () => {
    const { status, body } = await me.post('/me/recovery-codes')
    expect(status).toBe(200)
    const fresh = body['recoveryCodes'] as string[]
    expect(new Set([...fresh, ...recoveryCodes]).size).toBe(20)
    expectProblem(await login(me.email, recoveryCodes[0]), 401)
    expect((await login(me.email, fresh[0])).status).toBe(200)
    expect(await onRecord(me.id)).toContain('me.recovery-codes.create')
  })

  test('to none ends the other sessions, and the password is enough again', async () => {
    const elsewhere = await newSession(api, me)
    expect((await me.delete('/me/totp')).status).toBe(204)
    expect((await me.get('/me')).body['totp']).toBe(false)
    expectProblem(await elsewhere.get('/me'), 401)
    expect((await login(me.email)).status).toBe(200)
    expect(await row(me.id)).toMatchObject({ totp: false, totpSecret: null, totpNext: null, totpStep: null })
    expect(await api.db.select().from(codes).where(eq(codes.accountId, me.id))).toEqual([])
    expect(await onRecord(me.id)).toContain('me.totp.disable')
  })
})

describe('somebody who lost it', () => {
  test('is helped by whoever may grant their role, signed out everywhere, and signs in with the password', async () => {
    const [owner, admin, other] = [
      await signIn(api, 'owner'),
      await signIn(api, 'admin'),
      await signIn(api, 'operator'),
    ]
    await enrol(api, other)
    expect((await admin.delete(`/accounts/${other.id}/totp`)).status).toBe(204)
    expectProblem(await other.get('/me'), 401)
    expect((await login(other.email)).status).toBe(200)
    expectProblem(await admin.delete(`/accounts/${other.id}/totp`), 404)
    expect(await onRecord(other.id)).toContain('accounts.totp.delete')

    await enrol(api, admin)
    const colleague = await signIn(api, 'admin')
    expectProblem(await colleague.delete(`/accounts/${admin.id}/totp`), 403)
    expect((await owner.delete(`/accounts/${admin.id}/totp`)).status).toBe(204)
  })

  test('is not oneself: one’s own takes a code or a proof', async () => {
    const owner = await signIn(api, 'owner')
    await enrol(api, owner)
    expectProblem(await owner.delete(`/accounts/${owner.id}/totp`), 409)
    expect((await owner.get('/me')).body['totp']).toBe(true)
  })
})
