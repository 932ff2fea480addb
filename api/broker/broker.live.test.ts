import { eq } from 'drizzle-orm'
import { beforeAll, describe, expect, inject, test, vi } from 'vitest'
import { audit } from '../db/schema.ts'
import { type Reply, startTestApi, type TestApi } from '../testing/api.ts'
import { type Caller, expectProblem, replyOf, signIn, withToken } from '../testing/caller.ts'
import { registerBridge } from '../testing/sealed.ts'
import { keyOf } from '../testing/things.ts'

const TOKEN = 'b9Yk2v'.repeat(6)
const BEFORE = Buffer.from(Array.from({ length: 32 }, (_, i) => (i * 91 + 5) % 256)).toString('base64')

let api: TestApi
let admin: Caller
let readerId: string
let bridgeId: string

type Account = { username: string; password: string; publish: string[]; subscribe: string[] }

const accountOf = async (path: string, rotate = false): Promise<Account> => {
  const { status, body } = await admin.post(
    `/${path}/broker-account`,
    path.startsWith('bridges') ? undefined : { rotate },
  )
  expect({ status, body }).toMatchObject({ status: 200 })
  return body as unknown as Account
}

const ask = async (
  path: 'authentication' | 'authorization',
  body: unknown,
  headers: Record<string, string> = { authorization: `Bearer ${TOKEN}` },
  at = api,
): Promise<Reply> =>
  replyOf(
    await at.fetch(`/broker/${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    }),
  )

type Who = { clientid?: string; username: string; password: string }
const comes = async ({ clientid = 'x', username, password }: Who) =>
  (await ask('authentication', { clientid, username, password })).body['result']
const does = async (what: Record<string, unknown>) => (await ask('authorization', what)).body['result']

/** What was changed counts a second later. */
const soon = <T>(check: () => Promise<T>) => vi.waitFor(check, { timeout: 15_000, interval: 200 })

beforeAll(async () => {
  api = await startTestApi({ BROKER_TOKEN: TOKEN, APP_KEY_PREVIOUS: BEFORE })
  admin = await signIn(api, 'admin')
  const reader = { name: 'Front', topic: '/dilny/rfid/Tag', replyTopic: '/dilny/open' }
  readerId = (await admin.post('/readers', reader)).body.id
  bridgeId = (await registerBridge(api, admin)).id
})

describe('an account at the broker', () => {
  test('is shown to whoever may change its reader, the same each time, with what it may do', async () => {
    const first = await accountOf(`readers/${readerId}`)
    expect(first).toMatchObject({
      username: `reader-${readerId.slice(-12)}`,
      password: expect.stringMatching(/^[\w-]{24}$/),
      publish: ['/dilny/rfid/Tag'],
      subscribe: ['/dilny/open'],
      refused: [],
    })
    expect(await accountOf(`readers/${readerId}`)).toEqual(first)
  })

  test('gets another password when it is rotated, and then only that one lets its device in', async () => {
    const { id } = (await admin.post('/readers', { name: 'Side', topic: 'side/scan' })).body
    const before = await accountOf(`readers/${id}`)
    await soon(async () => expect(await comes(before)).toBe('allow'))
    const after = await accountOf(`readers/${id}`, true)
    expect(after.username).toBe(before.username)
    expect(after.password).not.toBe(before.password)
    await soon(async () => expect([await comes(before), await comes(after)]).toEqual(['deny', 'allow']))
  })

  test('is of doors and bridges too; a bridge’s goes with its key, and the one before is good for as long as that', async () => {
    const settings = { command: 'gate/open', state: 'gate/state' }
    const door = await admin.post('/doors', { name: 'Gate', profile: 'value-relay', settings })
    expect(await accountOf(`doors/${door.body.id}`)).toMatchObject({
      publish: ['gate/state'],
      subscribe: ['gate/open'],
    })

    const { id } = await registerBridge(api, admin)
    const before = await accountOf(`bridges/${id}`)
    expect(before).toMatchObject({
      subscribe: ['#'],
      publish: expect.arrayContaining([`lintel/bridge/${id}/#`, 'gate/open']),
    })
    await admin.post(`/bridges/${id}/rotate`, {})
    const after = await accountOf(`bridges/${id}`)
    await soon(async () => expect([await comes(before), await comes(after)]).toEqual(['allow', 'allow']))
    await admin.post(`/bridges/${id}/rotate`, { keepMinutes: 0 })
    await soon(async () => expect([await comes(before), await comes(after)]).toEqual(['deny', 'deny']))
  })

  test('is on the audit log whenever somebody sees it, and its password never', async () => {
    const { password } = await accountOf(`readers/${readerId}`)
    const rows = await api.db.select().from(audit).where(eq(audit.action, 'readers.broker-account'))
    expect(rows.at(-1)).toMatchObject({ after: { username: expect.stringMatching(/^reader-/) } })
    expect(JSON.stringify(await api.db.select().from(audit))).not.toContain(password)
  })

  test('is not for bad input, for who may only read, and of a bridge for no program', async () => {
    const path = `/readers/${readerId}/broker-account`
    expectProblem(await admin.post(path, { rotate: 'yes' }), 422, 'rotate')
    expectProblem(await admin.post(path, { rotate: false, password: 'mine' }), 422, 'password')
    expectProblem(await admin.post(`/readers/${crypto.randomUUID()}/broker-account`, { rotate: false }), 404)
    for (const role of ['operator', 'auditor', 'member'] as const) {
      expectProblem(await (await signIn(api, role)).post(path, { rotate: false }), 403)
    }
    const program = withToken(api, await keyOf(api, 'admin', ['readers:write']))
    expect((await program.post(path, { rotate: false })).status).toBe(200)
    expectProblem(await program.post(`/bridges/${bridgeId}/broker-account`), 403)
    expectProblem(await withToken(api, await keyOf(api, 'admin', ['readers:read'])).post(path, { rotate: false }), 403)
  })
})

describe('a broker that asks by HTTP', () => {
  test('is told who may come in, with what they may do', async () => {
    const { username, password } = await accountOf(`readers/${readerId}`)
    const { status, body, headers } = await ask('authentication', { clientid: 'ESP_1', username, password })
    expect({ status, body }).toEqual({
      status: 200,
      body: {
        result: 'allow',
        is_superuser: false,
        acl: [
          { permission: 'allow', action: 'publish', topic: '/dilny/rfid/Tag' },
          { permission: 'allow', action: 'subscribe', topic: '/dilny/open' },
          { permission: 'deny', action: 'all', topic: '#' },
          { permission: 'deny', action: 'all', topic: '$SYS/#' },
        ],
      },
    })
    expect(headers.get('content-type')).toMatch(/^application\/json/)
  })

  test('is told no, in the same words, of a wrong password, an unknown name and nobody', async () => {
    const { username, password } = await accountOf(`readers/${readerId}`)
    const no = { status: 200, body: { result: 'deny', is_superuser: false } }
    for (const who of [
      { clientid: 'x', username, password: 'A'.repeat(24) },
      { clientid: 'x', username: 'reader-000000000000', password },
      { clientid: 'x', username: `${username}\u0000`, password },
      { clientid: 'x', username: '', password: '' },
      { clientid: null, username: null, password: null },
      {},
      { clientid: `lintel-${bridgeId}`, username, password },
    ]) {
      const { status, body } = await ask('authentication', who)
      expect({ status, body }).toEqual(no)
    }
  })

  test('is told that a bridge’s client id is for that bridge', async () => {
    const { username, password } = await accountOf(`bridges/${bridgeId}`)
    await soon(async () => expect(await comes({ clientid: `lintel-${bridgeId}`, username, password })).toBe('allow'))
    expect(await comes({ clientid: `lintel-${crypto.randomUUID()}`, username, password })).toBe('deny')
    const device = await accountOf(`readers/${readerId}`)
    const asBridge = { clientid: `lintel-${bridgeId}`, username: device.username }
    expect(await does({ ...asBridge, action: 'publish', topic: '/dilny/rfid/Tag' })).toBe('deny')
  })

  test('is told what each may do, whatever a device makes up', async () => {
    const { username } = await accountOf(`readers/${readerId}`)
    const may = (action: string, topic: unknown) =>
      does({ clientid: 'x', username, action, topic, qos: 0, retain: 'false' })
    expect(await may('publish', '/dilny/rfid/Tag')).toBe('allow')
    expect(await may('subscribe', '/dilny/open')).toBe('allow')
    for (const topic of [
      '/dilny/open',
      'x',
      '',
      null,
      '#',
      '$SYS/x',
      'a\u0000',
      '/dilny/rfid/+',
      '\ud800',
      'x'.repeat(70_000),
    ]) {
      expect({ topic, result: await may('publish', topic) }).toEqual({ topic, result: 'deny' })
    }
    for (const topic of ['#', '+/#', '/dilny/#', '/dilny/+', '/dilny/rfid/Tag', '$share/x/#', '$SYS/#', null]) {
      expect({ topic, result: await may('subscribe', topic) }).toEqual({ topic, result: 'deny' })
    }
    expect(await does({ username: 'nobody', action: 'publish', topic: '/dilny/rfid/Tag' })).toBe('deny')
  })

  test('is told that nothing is to be kept where a door is told to open', async () => {
    const { username } = await accountOf(`bridges/${bridgeId}`)
    const open = { username, action: 'publish', topic: '/dilny/open' }
    expect(await does(open)).toBe('allow')
    for (const retain of [true, 'true']) expect(await does({ ...open, retain })).toBe('deny')
  })

  test('is refused when it asks something else, and hears so as a problem', async () => {
    expectProblem(await ask('authorization', { username: 'x', action: 'all', topic: 'x' }), 422, 'action')
    expectProblem(await ask('authorization', { username: 'x', topic: 'x' }), 422, 'action')
    expectProblem(await ask('authentication', { username: 'x', is_superuser: true }), 422, 'is_superuser')
    expectProblem(await ask('authentication', { username: 5 }), 422, 'username')
    expectProblem(await ask('authentication', '{'), 400)
    const form = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/x-www-form-urlencoded' }
    expectProblem(await ask('authentication', 'username=x', { ...form, 'content-length': '10' }), 415)
  })

  test('is refused without its token, and with anything that is not quite it, also somebody who is signed in', async () => {
    const tokens = [
      '',
      `Bearer ${TOKEN}x`,
      `Bearer ${TOKEN.slice(1)}`,
      `Basic ${TOKEN}`,
      TOKEN,
      `Bearer ${admin.token}`,
    ]
    for (const path of ['authentication', 'authorization'] as const) {
      for (const authorization of tokens) expectProblem(await ask(path, { username: 'x' }, { authorization }), 401)
      expectProblem(await ask(path, { username: 'x' }, {}), 401)
    }
  })

  test('may ask for hundreds of devices at once', async () => {
    // A Worker opens a connection for each, which Hyperdrive pools: here nothing does.
    const devices = inject('runtime') === 'workerd' ? 100 : 500
    const { username, password } = await accountOf(`readers/${readerId}`)
    const all = await Promise.all(
      Array.from({ length: devices }, (_, i) => ask('authentication', { clientid: `c${i}`, username, password })),
    )
    expect(all.filter(({ status, body }) => status !== 200 || body['result'] !== 'allow')).toEqual([])
  }, 60_000)
})

test('without a token there is nothing at these addresses', async () => {
  const other = await startTestApi()
  for (const path of ['authentication', 'authorization'] as const) {
    expectProblem(await ask(path, { username: 'x' }, { authorization: `Bearer ${TOKEN}` }, other), 404)
  }
}, 60_000)
