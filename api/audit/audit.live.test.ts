import { desc, gt, sql } from 'drizzle-orm'
import { beforeAll, describe, expect, test } from 'vitest'
import { apiKeys, audit, refreshTokens, sessions } from '../db/schema.ts'
import { hashOf, KEY_PREFIX, newSecret } from '../login/tokens.ts'
import { PASSWORD, PASSWORD_HASH, startTestApi, type TestApi } from '../testing/api.ts'
import { type Caller, expectProblem, newSession, signIn, withToken } from '../testing/caller.ts'
import { registerBridge } from '../testing/sealed.ts'

// Who signed in, who was refused, and what an auditor can read of it.

let api: TestApi
let owner: Caller
let auditor: Caller

const end = async () => (await api.db.select().from(audit).orderBy(desc(audit.number)).limit(1))[0]?.number ?? 0

/** The rows that this brings about. */
const rowsOf = async (work: () => Promise<unknown>) => {
  const before = await end()
  await work()
  return api.db.select().from(audit).where(gt(audit.number, before)).orderBy(audit.number)
}

beforeAll(async () => {
  api = await startTestApi()
  owner = await signIn(api, 'owner')
  auditor = await signIn(api, 'auditor')
})

describe('on the audit log is', () => {
  test('who signed in, and the session that began', async () => {
    const found = await rowsOf(() => api.stranger.post('/login', { email: auditor.email, password: PASSWORD }))
    const [session] = await api.db.select().from(sessions).orderBy(desc(sessions.createdAt)).limit(1)
    const actor = { actorKind: 'account', actorId: auditor.id }
    expect(found).toMatchObject([{ action: 'login', ...actor, targetKind: 'session', targetId: session?.id }])
  })

  test('an exchange of tokens, and the session that goes on', async () => {
    const { id, refreshToken } = await newSession(api, auditor)
    const found = await rowsOf(() => api.stranger.post('/login/refresh', { refresh_token: refreshToken }))
    expect(found).toMatchObject([{ action: 'login.refresh', actorKind: 'account', actorId: id, targetKind: 'session' }])
  })

  test('an old token that was used again, by nobody knows whom, and the session that it ended', async () => {
    const { refreshToken } = await newSession(api, auditor)
    const [token] = await api.db
      .select()
      .from(refreshTokens)
      .where(sql`hash = ${await hashOf(refreshToken)}`)
    await api.stranger.post('/login/refresh', { refresh_token: refreshToken })
    const found = await rowsOf(() => api.stranger.post('/login/refresh', { refresh_token: refreshToken }))
    expect(found).toMatchObject([
      {
        action: 'login.refresh.reused',
        actorKind: 'stranger',
        actorId: null,
        targetKind: 'account',
        targetId: auditor.id,
        before: { sessionId: token?.sessionId },
      },
    ])
  })

  test('who signed out, and the session that is over', async () => {
    const caller = await newSession(api, auditor)
    const found = await rowsOf(() => caller.post('/logout'))
    expect(found).toMatchObject([{ action: 'logout', actorId: auditor.id, targetKind: 'session' }])
    expect(await rowsOf(() => caller.post('/logout'))).toEqual([])
  })

  test('whose account somebody tried in vain to enter, and nothing of what was typed', async () => {
    const wrong = `${PASSWORD}!`
    const found = await rowsOf(() => api.stranger.post('/login', { email: auditor.email, password: wrong }))
    expect(found).toMatchObject([
      { action: 'login.failed', actorKind: 'stranger', actorId: null, targetKind: 'account', targetId: auditor.id },
    ])
    expect(JSON.stringify(found)).not.toMatch(/@|battery/)
  })

  test('that somebody tried an address without an account, and not which: it may be a password', async () => {
    const email = 'hunter2.hunter2@example.org'
    const found = await rowsOf(() => api.stranger.post('/login', { email, password: PASSWORD }))
    expect(found).toMatchObject([{ action: 'login.failed', actorKind: 'stranger', targetKind: null, targetId: null }])
    expect(JSON.stringify(found)).not.toMatch(/hunter2/)
  })

  test('who was refused what: the method, the route and its ids', async () => {
    const id = crypto.randomUUID()
    const found = await rowsOf(() => auditor.patch(`/people/${id}`, { name: 'x' }))
    const after = { method: 'PATCH', route: '/api/v1/people/:id', id }
    expect(found).toMatchObject([{ action: 'refused', actorKind: 'account', actorId: auditor.id, after }])
  })

  test('nothing of a path that is not an id', async () => {
    const found = await rowsOf(() => auditor.delete('/people/my%20own%20words'))
    expect(found.map(({ after }) => after)).toEqual([{ method: 'DELETE', route: '/api/v1/people/:id' }])
  })

  test('an API key that was refused, as a key', async () => {
    const key = `${KEY_PREFIX}${newSecret()}`
    const values = { name: 'Reports', role: 'operator', prefix: 'x', createdAt: new Date() } as const
    const [row] = await api.db
      .insert(apiKeys)
      .values({ ...values, hash: await hashOf(key) })
      .returning()
    const client = withToken(api, key)
    for (const ask of [
      () => client.post('/people', { name: 'x' }),
      () => client.get('/me'),
      () => client.post('/logout'),
    ]) {
      expect(await rowsOf(ask)).toMatchObject([{ action: 'refused', actorKind: 'key', actorId: row?.id }])
    }
  })

  test('nothing that a stranger can repeat without end: a 401 is not', async () => {
    const found = await rowsOf(async () => {
      expectProblem(await api.stranger.get('/people'), 401)
      expectProblem(await api.stranger.post('/people', { name: 'x' }), 401)
      expectProblem(await api.stranger.post('/login/refresh', { refresh_token: newSecret() }), 401)
      expectProblem(await withToken(api, `${KEY_PREFIX}${newSecret()}`).get('/people'), 401)
    })
    expect(found).toEqual([])
  })

  test('what was there before and what is there after', async () => {
    const person = (await owner.post('/people', { name: 'Ada' })).body
    const [updated] = await rowsOf(() => owner.patch(`/people/${person.id}`, { name: 'Ada L.' }))
    expect(updated).toMatchObject({ before: person, after: { ...person, name: 'Ada L.' } })
    const [deleted] = await rowsOf(() => owner.delete(`/people/${person.id}`))
    expect(deleted).toMatchObject({ before: { ...person, name: 'Ada L.' }, after: null })
  })

  test('that a person was put into a group, also when they were there already', async () => {
    const personId = (await owner.post('/people', { name: 'Ada' })).body.id
    const groupId = (await owner.post('/groups', { name: 'Pilots' })).body.id
    const put = () => rowsOf(() => owner.put(`/groups/${groupId}/people/${personId}`))
    const action = 'groups.people.add'
    expect(await put()).toMatchObject([
      { action, before: { personId, member: false }, after: { personId, member: true } },
    ])
    expect(await put()).toMatchObject([
      { action, before: { personId, member: true }, after: { personId, member: true } },
    ])
  })

  test('that a password is new, but not which', async () => {
    const change = { password: 'a new one of mine!', currentPassword: PASSWORD }
    const me = await signIn(api, 'member')
    const found = await rowsOf(async () => {
      expect((await me.patch('/me', change)).status).toBe(200)
      await owner.patch(`/accounts/${me.id}`, { password: 'another one of his' })
    })
    expect(found).toMatchObject([
      { action: 'me.update', before: { email: me.email }, after: { email: me.email, newPassword: true } },
      { action: 'accounts.update', after: { email: me.email, newPassword: true } },
    ])
  })

  test('which generation the key of a bridge is of, and never the key', async () => {
    const bridge = await registerBridge(api, owner)
    const { body } = await owner.post(`/bridges/${bridge.id}/rotate`)
    const rows = await api.db.select().from(audit).where(sql`target_id = ${bridge.id}::uuid`)
    expect(rows.map(({ after }) => after)).toMatchObject([{ generation: 1 }, { generation: 2 }])
    for (const key of [bridge.key, String(body['key'])]) expect(JSON.stringify(rows)).not.toContain(key)
  })

  test('no secret, in any row', async () => {
    const caller = await newSession(api, owner)
    const rows = JSON.stringify(await api.db.select().from(audit))
    const secrets = [PASSWORD, PASSWORD_HASH, '$2b$', 'a new one of mine!', 'another one of his', KEY_PREFIX, 'eyJ']
    for (const secret of [...secrets, caller.token, caller.refreshToken, await hashOf(caller.refreshToken)]) {
      expect(rows).not.toContain(secret)
    }
  })
})

describe('an auditor', () => {
  const NUMBERS = /^\d+$/
  const numbers = (body: { items: Record<string, unknown>[] }) => body.items.map(({ number }) => Number(number))

  test('reads the log, newest first', async () => {
    await owner.post('/groups', { name: 'Newest' })
    const { status, body } = await auditor.get('/audit?limit=5')
    expect({ status, keys: Object.keys(body.items[0] ?? {}) }).toEqual({
      status: 200,
      keys: ['number', 'at', 'actor', 'address', 'action', 'target', 'before', 'after', 'hash'],
    })
    expect(body.items[0]).toMatchObject({
      number: await end(),
      actor: { kind: 'account', id: owner.id },
      action: 'groups.create',
      target: { kind: 'group', id: expect.any(String) },
      before: null,
      after: { name: 'Newest' },
      hash: expect.stringMatching(/^[0-9a-f]{64}$/),
    })
    expect(numbers(body)).toEqual([...numbers(body)].sort((a, b) => b - a))
  })

  test('reads it page by page, each row once, also while rows are added', async () => {
    const last = await end()
    const seen: number[] = []
    let cursor = ''
    do {
      const { body } = await auditor.get(`/audit?limit=7${cursor}`)
      seen.push(...numbers(body))
      cursor = body.nextCursor === null ? '' : `&cursor=${body.nextCursor}`
      await owner.post('/groups', { name: 'Meanwhile' })
    } while (cursor !== '')
    expect(seen).toEqual(Array.from({ length: last }, (_, i) => last - i))
  })

  test('reads a span of time page by page, each row once, in the order of time', async () => {
    const [first, last] = await Promise.all([auditor.get('/audit/2'), auditor.get('/audit/9')])
    const span = `from=${first.body['at']}&to=${last.body['at']}`
    const seen: number[] = []
    let cursor = ''
    do {
      const { body } = await auditor.get(`/audit?limit=3&${span}${cursor}`)
      seen.push(...numbers(body))
      cursor = body.nextCursor === null ? '' : `&cursor=${body.nextCursor}`
    } while (cursor !== '')
    expect(seen).toEqual(numbers((await auditor.get(`/audit?limit=500&${span}`)).body))
    expect(seen).toContain(2)
  })

  test('reads one row by its number', async () => {
    const { items } = (await auditor.get('/audit?limit=1')).body
    expect((await auditor.get(`/audit/${items[0]?.['number']}`)).body).toEqual(items[0])
  })

  type Entry = { actor: { id: string }; target: { kind: string } | null; action: string }
  const entries = async (query: string) =>
    (await auditor.get(`/audit?limit=500${query}`)).body.items as unknown as Entry[]

  const FILTERS: [string, (row: Entry) => string | undefined, () => string][] = [
    ['action', (row) => row.action, () => 'login.failed'],
    ['action', (row) => row.action, () => 'refused'],
    ['targetKind', (row) => row.target?.kind, () => 'group'],
    ['actorId', (row) => row.actor.id, () => owner.id],
  ]
  test.each(FILTERS)('finds what has this %s', async (filter, read, value) => {
    const all = await entries('')
    const found = await entries(`&${filter}=${value()}`)
    expect(found.length).toBeGreaterThan(0)
    expect(found).toEqual(all.filter((row) => read(row) === value()))
  })

  test('finds what was done to something, and when', async () => {
    const { id } = (await owner.post('/people', { name: 'Grace' })).body
    await owner.patch(`/people/${id}`, { name: 'Grace H.' })
    const found = (await auditor.get(`/audit?targetId=${id}`)).body.items
    expect(found.map(({ action }) => action)).toEqual(['people.update', 'people.create'])
    const at = found[0]?.['at']
    const until = (await auditor.get(`/audit?targetId=${id}&to=${at}`)).body.items
    const since = (await auditor.get(`/audit?targetId=${id}&from=${at}`)).body.items
    expect(since).toContainEqual(found[0])
    expect(until).not.toContainEqual(found[0])
    expect([...since, ...until]).toHaveLength(2)
  })

  const cursor = (...values: unknown[]) => Buffer.from(JSON.stringify(values)).toString('base64url')
  test.each([
    ['limit=0', 'limit'],
    ['limit=501', 'limit'],
    ['from=yesterday', 'from'],
    ['to=1', 'to'],
    ['actorId=me', 'actorId'],
    ['targetId=1', 'targetId'],
    ['targetKind=%00', 'targetKind'],
    ["action='%20or%20true--", 'action'],
    ['surplus=1', 'surplus'],
    ['cursor=rubbish', 'cursor'],
    [`cursor=${cursor('x')}`, 'cursor'],
    [`cursor=${cursor('-1')}`, 'cursor'],
    [`cursor=${cursor(1)}`, 'cursor'],
    [`cursor=${cursor('1', '1')}`, 'cursor'],
    [`from=2020-01-01T00:00:00Z&cursor=${cursor('1')}`, 'cursor'],
  ])('is told what is wrong with ?%s', async (query, path) => {
    expectProblem(await auditor.get(`/audit?${query}`), 422, path)
  })

  test.each(['0', '-1', '1.5', 'x', '%00', '9'.repeat(16), crypto.randomUUID()])(
    'is told that %s is no number',
    async (number) => {
      expectProblem(await auditor.get(`/audit/${number}`), 422, 'number')
    },
  )

  test('is told that a row is not there', async () => {
    expectProblem(await auditor.get(`/audit/${'9'.repeat(15)}`), 404)
  })

  test('gets the end of the chain, sealed', async () => {
    const { body } = await auditor.get('/audit/checkpoint')
    const [last] = (await auditor.get('/audit?limit=1')).body.items
    expect(body).toEqual({
      number: last?.['number'],
      hash: last?.['hash'],
      at: expect.stringMatching(/^\d{4}-.*Z$/),
      seal: expect.stringMatching(/^[\w-]{43}$/),
    })
    expect(String(body['number'])).toMatch(NUMBERS)
  })

  test('is the only one who reads it, with owners and admins', async () => {
    const paths = ['/audit', '/audit/1', '/audit/checkpoint']
    for (const role of ['operator', 'member'] as const) {
      const caller = await signIn(api, role)
      for (const path of paths) expectProblem(await caller.get(path), 403)
    }
    for (const role of ['owner', 'admin'] as const) {
      const caller = await signIn(api, role)
      for (const path of paths) expect((await caller.get(path)).status).toBe(200)
    }
    for (const path of paths) expectProblem(await api.stranger.get(path), 401)
  })
})

describe('many at once', () => {
  test('twenty changes are twenty rows without a gap', async () => {
    const found = await rowsOf(async () => {
      const answers = await Promise.all(
        Array.from({ length: 20 }, (_, i) => owner.post('/groups', { name: `At once ${i}` })),
      )
      expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 201))
    })
    const [first] = found
    expect(found.map(({ number }) => number)).toEqual(found.map((_, i) => (first?.number ?? 0) + i))
    expect(found).toHaveLength(20)
    expect(found.every(({ previous }, i) => i === 0 || previous === found[i - 1]?.hash)).toBe(true)
  })
})
