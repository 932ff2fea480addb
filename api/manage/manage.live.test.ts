import { eq } from 'drizzle-orm'
import { beforeAll, describe, expect, inject, test } from 'vitest'
import { app } from '../app.ts'
import { CALLS } from '../contract/envelope.ts'
import {
  accounts,
  alerts,
  audit,
  commands,
  lockdownReaders,
  lockdowns,
  type ROLES,
  seenReaders,
  sessions,
  webhookDeliveries,
} from '../db/schema.ts'
import { PASSWORD, type Reply, startTestApi, type TestApi } from '../testing/api.ts'
import { type Caller, despiteReset, expectProblem, newSession, send, signIn, walk } from '../testing/caller.ts'
import { codeOf, enrol } from '../testing/factor.ts'
import { registerBridge, scanOf } from '../testing/sealed.ts'

// What every endpoint of the management API owes: it works, it refuses bad input, it refuses the wrong caller.

const NOUNS = [
  'people',
  'cards',
  'groups',
  'schedules',
  'doors',
  'readers',
  'rules',
  'bridges',
  'accounts',
  'api-keys',
  'webhooks',
] as const
type Noun = (typeof NOUNS)[number]
type Fields = Record<string, unknown>
type Operation = {
  responses: Record<string, { content?: Record<string, { schema: { properties?: Fields } }> }>
  requestBody?: object
}

let api: TestApi
let owner: Caller
let spec: { paths: Record<string, Record<string, Operation>> }

/** One of each, for whoever needs one that is there. */
const there: Record<string, string> = {}

let made = 0
const next = () => String(++made).padStart(4, '0')

/** A body that adds one more. */
const fresh: Record<Noun, () => Fields> = {
  people: () => ({ name: `Person ${next()}` }),
  cards: () => ({ personId: there['people'], number: `CA${next()}` }),
  groups: () => ({ name: `Group ${next()}` }),
  schedules: () => ({ name: `Schedule ${next()}`, windows: [{ days: [1], from: '07:00', to: '17:30' }] }),
  doors: () => ({ name: `Door ${next()}`, profile: 'value-relay', settings: { command: `site/${next()}/open` } }),
  readers: () => ({ name: `Reader ${next()}`, topic: `site/${next()}` }),
  rules: () => ({ groupId: there['groups'], readerIds: [there['readers']] }),
  bridges: () => ({ name: `Bridge ${next()}` }),
  accounts: () => ({ email: `somebody-${next()}@example.org`, role: 'member', password: PASSWORD }),
  'api-keys': () => ({ name: `Key ${next()}` }),
  webhooks: () => ({ name: `Webhook ${next()}`, url: 'https://receiver.example.org/' }),
}

/** A body that changes one. */
const changed: Record<Noun, Fields> = {
  people: { name: 'Changed' },
  cards: { label: 'Changed' },
  groups: { name: 'Changed' },
  schedules: { name: 'Changed' },
  doors: { name: 'Changed' },
  readers: { name: 'Changed' },
  rules: { scheduleId: null },
  bridges: { name: 'Changed' },
  accounts: { name: 'Changed' },
  'api-keys': { name: 'Changed' },
  webhooks: { name: 'Changed' },
}

const add = async (noun: Noun, fields: Fields = {}): Promise<string> => {
  const { status, body } = await owner.post(`/${noun}`, { ...fresh[noun](), ...fields })
  expect({ status, body }).toMatchObject({ status: 201 })
  return body.id
}

/** Somebody else, signed in, with a second factor. */
const addEnrolled = async () => {
  const somebody = await signIn(api, 'member')
  await enrol(api, somebody)
  return somebody.id
}

const addSession = async (accountId: string) => {
  await newSession(api, { id: accountId, email: '' })
  const rows = await api.db.select().from(sessions).where(eq(sessions.accountId, accountId)).orderBy(sessions.id)
  return String(rows.at(-1)?.id)
}

/** The owner's second factor is off, or on, with a new secret. */
const withFactor = async (on: boolean) => {
  await api.db.update(accounts).set({ totp: false, totpStep: null }).where(eq(accounts.id, owner.id))
  if (on) await enrol(api, owner)
}

/** The secret that the owner is about to confirm. */
let secret = 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ'
/** An account whose holder has not chosen a password yet. */
const invite = () => add('accounts', { password: undefined })

/** An enrolment that waits, at a reader of its own. */
const addEnrolment = async () =>
  (await owner.post('/enrolments', { readerId: await add('readers'), personId: there['people'] })).body.id

const lockdown = () => ({ kind: 'lockdown', readerIds: [there['readers']], reason: 'A drill' })
const addLockdown = async () => (await owner.post('/lockdowns', lockdown())).body.id

/**
 * `action` is the word for it on the audit log, where it is not told by the noun and the method, and `target` what it was
 * done to, where neither the path nor the answer says so; `file` is a body that is no JSON.
 */
type Line = {
  body?: () => Fields
  path?: () => Promise<string> | string
  action?: string
  target?: () => string | undefined
  file?: { type: string; body: string }
}
const addSeen = async () => {
  const at = new Date()
  const values = { profile: 'plain', topic: `site/seen/${next()}`, firstSeenAt: at, lastSeenAt: at }
  const [row] = await api.db
    .insert(seenReaders)
    .values({ ...values, bridgeId: crypto.randomUUID() })
    .returning()
  return String(row?.id)
}
/** A reader with Lintel's own protocol. */
const addOwn = () => add('readers', { profile: 'lintel', topic: `lintel/reader/${next()}/scan`, cardView: 'hex' })

/** A reader, or a door and its reader, that is locked down: what is told to open is refused at once. */
const addLocked = async (fields: Fields = {}): Promise<string> => {
  const id = await add('readers', fields)
  const at = new Date()
  const values = { kind: 'lockdown', everywhere: false, reason: 'Test', createdAt: at } as const
  const [lockdown] = await api.db.insert(lockdowns).values(values).returning()
  await api.db.insert(lockdownReaders).values({ lockdownId: String(lockdown?.id), readerId: id })
  return id
}
const addLockedDoor = async (): Promise<string> => {
  const id = await add('doors')
  await addLocked({ doorId: id })
  return id
}

const addAlert = async (about: string): Promise<string> => {
  const at = new Date()
  const [row] = await api.db.insert(alerts).values({ at, kind: 'tamper', about, since: at, detail: {} }).returning()
  return String(row?.id)
}

/** Something that was sent to the webhook that is there. */
const addDelivered = async (): Promise<string> => {
  const at = new Date()
  const sent = {
    webhookId: String(there['webhooks']),
    body: '{}',
    state: 'delivered',
    createdAt: at,
    nextAt: at,
  } as const
  const [row] = await api.db.insert(webhookDeliveries).values(sent).returning()
  return String(row?.id)
}

/** Every management endpoint, as OpenAPI spells it. */
const endpoints: Record<string, Line> = {
  ...Object.fromEntries(
    NOUNS.flatMap((noun): [string, Line][] => [
      [`GET /${noun}`, {}],
      [`POST /${noun}`, { body: fresh[noun] }],
      [`GET /${noun}/{id}`, { path: () => `/${noun}/${there[noun]}` }],
      [`PATCH /${noun}/{id}`, { path: () => `/${noun}/${there[noun]}`, body: () => changed[noun] }],
      [`DELETE /${noun}/{id}`, { path: async () => `/${noun}/${await add(noun)}` }],
    ]),
  ),
  'GET /me': {},
  'PATCH /me': { body: () => ({ name: 'Changed' }) },
  'POST /me/proof': { action: 'me.proof', body: () => ({ password: PASSWORD }) },
  'POST /me/totp': {
    action: 'me.totp.create',
    async path() {
      await withFactor(false)
      return '/me/totp'
    },
  },
  'POST /me/totp/confirm': {
    action: 'me.totp.enable',
    async path() {
      await withFactor(false)
      secret = String((await owner.post('/me/totp')).body['secret'])
      return '/me/totp/confirm'
    },
    body: () => ({ code: codeOf(secret) }),
  },
  'DELETE /me/totp': {
    action: 'me.totp.disable',
    async path() {
      await withFactor(true)
      return '/me/totp'
    },
  },
  'POST /me/recovery-codes': {
    action: 'me.recovery-codes.create',
    async path() {
      await withFactor(true)
      return '/me/recovery-codes'
    },
  },
  'GET /me/sessions': {},
  'DELETE /me/sessions': { action: 'me.sessions.delete' },
  'DELETE /me/sessions/{id}': {
    action: 'me.sessions.delete',
    path: async () => `/me/sessions/${await addSession(owner.id)}`,
  },
  'GET /accounts/{id}/sessions': { path: () => `/accounts/${there['accounts']}/sessions` },
  'DELETE /accounts/{id}/sessions': {
    action: 'accounts.sessions.delete',
    path: () => `/accounts/${there['accounts']}/sessions`,
  },
  'DELETE /accounts/{id}/sessions/{sessionId}': {
    action: 'accounts.sessions.delete',
    async path() {
      const { id } = await signIn(api, 'member')
      return `/accounts/${id}/sessions/${await addSession(id)}`
    },
  },
  'DELETE /accounts/{id}/totp': {
    action: 'accounts.totp.delete',
    path: async () => `/accounts/${await addEnrolled()}/totp`,
  },
  'GET /groups/{id}/people': { path: () => `/groups/${there['groups']}/people` },
  'PUT /groups/{id}/people/{personId}': {
    path: () => `/groups/${there['groups']}/people/${there['people']}`,
    action: 'groups.people.add',
  },
  'DELETE /groups/{id}/people/{personId}': {
    action: 'groups.people.remove',
    async path() {
      const path = `/groups/${there['groups']}/people/${await add('people')}`
      await owner.put(path)
      return path
    },
  },
  'PUT /people/{id}/pin': { path: () => `/people/${there['people']}/pin`, action: 'people.pin.set' },
  'DELETE /people/{id}/pin': {
    action: 'people.pin.remove',
    async path() {
      const path = `/people/${await add('people')}/pin`
      await owner.send('PUT', path)
      return path
    },
  },
  'GET /people/{id}/export': { path: () => `/people/${there['people']}/export`, action: 'people.export' },
  'POST /people/{id}/erase': { path: async () => `/people/${await add('people')}/erase`, action: 'people.erase' },
  'GET /unknown-cards': {},
  'GET /enrolments': {},
  'POST /enrolments': {
    async path() {
      there['free'] = await add('readers')
      return '/enrolments'
    },
    body: () => ({ readerId: there['free'], personId: there['people'] }),
  },
  'GET /enrolments/{id}': { path: () => `/enrolments/${there['enrolments']}` },
  'DELETE /enrolments/{id}': { path: async () => `/enrolments/${await addEnrolment()}`, action: 'enrolments.cancel' },
  'POST /imports/people': { action: 'imports.people', file: { type: 'text/csv', body: 'name\nAda' } },
  'POST /bridges/{id}/rotate': { path: () => `/bridges/${there['bridges']}/rotate`, action: 'bridges.rotate' },
  'POST /readers/{id}/key': { path: async () => `/readers/${await addOwn()}/key`, action: 'readers.key' },
  'DELETE /readers/{id}/key': {
    action: 'readers.key.delete',
    async path() {
      const path = `/readers/${await addOwn()}/key`
      await owner.post(path)
      return path
    },
  },
  'POST /readers/{id}/broker-account': {
    path: () => `/readers/${there['readers']}/broker-account`,
    body: () => ({ rotate: true }),
    action: 'readers.broker-account',
  },
  'POST /doors/{id}/broker-account': {
    path: async () => `/doors/${await add('doors')}/broker-account`,
    body: () => ({ rotate: false }),
    action: 'doors.broker-account',
  },
  'POST /bridges/{id}/broker-account': {
    path: () => `/bridges/${there['bridges']}/broker-account`,
    action: 'bridges.broker-account',
  },
  'POST /accounts/{id}/invitation': {
    path: async () => `/accounts/${await invite()}/invitation`,
    action: 'accounts.invite',
  },
  'POST /accounts/{id}/reset': {
    path: async () => `/accounts/${await add('accounts')}/reset`,
    action: 'accounts.reset',
  },
  'GET /lockdowns': {},
  'POST /lockdowns': { body: lockdown },
  'GET /lockdowns/{id}': { path: () => `/lockdowns/${there['lockdowns']}` },
  'DELETE /lockdowns/{id}': { path: async () => `/lockdowns/${await addLockdown()}`, action: 'lockdowns.end' },
  'GET /profiles': {},
  'GET /door-profiles': {},
  'GET /unknown-readers': {},
  'DELETE /unknown-readers/{id}': {
    action: 'unknown-readers.dismiss',
    path: async () => `/unknown-readers/${await addSeen()}`,
  },
  'GET /commands': {},
  'GET /commands/{id}': { path: () => `/commands/${there['commands']}` },
  'POST /commands': {
    async path() {
      there['lockedDoor'] = await addLockedDoor()
      return '/commands'
    },
    target: () => there['lockedDoor'],
    body: () => ({ action: 'open', doorIds: [there['lockedDoor']] }),
  },
  'POST /doors/{id}/open': { action: 'commands.create', path: async () => `/doors/${await addLockedDoor()}/open` },
  'POST /readers/{id}/open': { action: 'commands.create', path: async () => `/readers/${await addLocked()}/open` },
  'GET /events': {},
  'GET /events/stream': {},
  'GET /events/export': {},
  'GET /device-events/stream': {},
  'GET /events/{id}': { path: () => `/events/${there['events']}` },
  'GET /device-events': {},
  'GET /device-events/{id}': { path: () => `/device-events/${there['device-events']}` },
  'GET /audit': {},
  'GET /audit/checkpoint': {},
  'GET /audit/{number}': { path: () => '/audit/1' },
  'GET /alerts': {},
  'GET /alerts/{id}': { path: () => `/alerts/${there['alerts']}` },
  'POST /webhooks/{id}/rotate': { path: () => `/webhooks/${there['webhooks']}/rotate`, action: 'webhooks.rotate' },
  'POST /webhooks/{id}/test': { path: () => `/webhooks/${there['webhooks']}/test`, action: 'webhooks.test' },
  'GET /webhooks/{id}/deliveries': { path: () => `/webhooks/${there['webhooks']}/deliveries` },
  'POST /webhooks/{id}/deliveries/{deliveryId}/replay': {
    action: 'webhooks.replay',
    path: async () => `/webhooks/${there['webhooks']}/deliveries/${await addDelivered()}/replay`,
  },
  'GET /explain': { path: () => `/explain?readerId=${there['readers']}&card=1` },
}
const ROUTES = Object.keys(endpoints)
/** What an account may do about itself, whatever its role. */
const MINE = ROUTES.filter((route) => /^(?!GET )\S+ \/me\b/.test(route))
const CHANGES = ROUTES.filter((route) => !route.startsWith('GET') && !MINE.includes(route))
/** What operators change. */
const BY_OPERATORS = CHANGES.filter((route) => / \/(enrolments|lockdowns)\b/.test(route))
/** What is read and on record all the same. */
const ON_RECORD = ['GET /people/{id}/export']
const READS = [...ROUTES.filter((route) => route.startsWith('GET') && !ON_RECORD.includes(route)), 'PATCH /me']
const WITH_BODY = ROUTES.filter((route) => endpoints[route]?.body)
const WITH_ID = ROUTES.filter((route) => route.includes('{id}'))

const split = (route: string): [method: string, path: string] => {
  const [method = '', path = ''] = route.split(' ')
  return [method, path]
}

const call = async (route: string, sent: Parameters<Caller['send']>[2] = {}, at?: string): Promise<Reply> => {
  const [method, path] = split(route)
  const { path: pathOf, body, file } = endpoints[route] ?? {}
  const to = at ?? (await pathOf?.()) ?? path
  return owner.send(method, to, { ...file, ...(body && { body: JSON.stringify(body()) }), ...sent })
}

/** The same request at a path without anything behind it: refused before anybody looks. */
const callNowhere = (route: string, sent: Parameters<Caller['send']>[2] = {}, id: string = crypto.randomUUID()) => {
  const [method, path] = split(route)
  const body = endpoints[route]?.body
  return owner.send(method, path.replaceAll(/\{\w+\}/g, id), { ...(body && { body: JSON.stringify(body()) }), ...sent })
}

const each = async (routes: string[], ask: (route: string) => Promise<Reply>) =>
  Promise.all(routes.map(async (route) => ({ route, reply: await ask(route) })))

/** All of the routes refuse in the same way. */
const expectProblems = async (routes: string[], ask: (route: string) => Promise<Reply>, status: number) => {
  const answers = await each(routes, ask)
  expect(Object.fromEntries(answers.map(({ route, reply }) => [route, reply.status]))).toEqual(
    Object.fromEntries(routes.map((route) => [route, status])),
  )
  for (const { reply } of answers) expectProblem(reply, status)
  return answers
}

beforeAll(async () => {
  api = await startTestApi()
  owner = await signIn(api, 'owner')
  spec = await (await api.fetch('/openapi.json')).json()
  for (const noun of NOUNS) there[noun] = await add(noun)
  there['enrolments'] = await addEnrolment()
  there['lockdowns'] = await addLockdown()
  const bridge = await registerBridge(api, owner)
  const told = { action: 'open', actorKind: 'system', createdAt: new Date(), expiresAt: new Date() } as const
  const [command] = await api.db
    .insert(commands)
    .values({ ...told, readerId: String(there['readers']) })
    .returning()
  there['commands'] = String(command?.id)
  there['events'] = (await bridge.check(scanOf(there['readers'] ?? '', '1'))).scan
  there['alerts'] = await addAlert('x')
  const at = new Date().toISOString()
  there['device-events'] = crypto.randomUUID()
  const opened = { id: there['device-events'], at, kind: 'door_opened', readerId: there['readers'] }
  await bridge.ask(CALLS.deviceEvents, { events: [opened], seen: [] })
})

describe('the table', () => {
  const routesOfApp = app.routes
    .filter(({ method, path }) => method !== 'ALL' && path.startsWith('/api/v1/'))
    .map(({ method, path }) => `${method} ${path.slice('/api/v1'.length).replaceAll(/:(\w+)/g, '{$1}')}`)
  const forAnybody = [
    'POST /login',
    'POST /login/refresh',
    'POST /login/reset',
    'POST /login/reset/confirm',
    'POST /logout',
  ]

  test('has a line for every management endpoint that is documented', () => {
    const documented = Object.entries(spec.paths)
      .filter(([path]) => path.startsWith('/api/v1/'))
      .flatMap(([path, operations]) =>
        Object.keys(operations).map((method) => `${method.toUpperCase()} ${path.slice('/api/v1'.length)}`),
      )
    expect(documented.sort()).toEqual([...ROUTES, ...forAnybody].sort())
  })

  test('has a line for every management endpoint that there is', () => {
    expect([...new Set(routesOfApp)].sort()).toEqual([...ROUTES, ...forAnybody].sort())
  })
})

describe('it works', () => {
  test.each(ROUTES)('%s answers as it is documented', async (route) => {
    const [method, path] = split(route)
    const { responses } = spec.paths[`/api/v1${path}`]?.[method.toLowerCase()] ?? { responses: {} }
    const [[status, documented] = []] = Object.entries(responses).filter(([code]) => code.startsWith('2'))
    const reply = await call(route)
    expect({ status: reply.status, body: reply.body }).toMatchObject({ status: Number(status) })
    const schema = documented?.content?.['application/json']?.schema
    expect(Object.keys(reply.body).sort()).toEqual(Object.keys(schema?.properties ?? {}).sort())
  })

  test.each(NOUNS)('one of the %s that was added is listed, read, changed, deleted and then gone', async (noun) => {
    const { body: added } = await owner.post(`/${noun}`, fresh[noun]())
    const { key: _key, secret: _secret, ...shown } = added
    const path = `/${noun}/${added.id}`
    // How it is right now is only in what is read.
    const read = async (at: string) => {
      const { state: _state, online: _online, ...rest } = (await owner.get(at)).body
      return rest
    }
    expect(await read(path)).toEqual(shown)
    expect((await owner.get(`/${noun}?limit=500`)).body.items).toContainEqual(expect.objectContaining(shown))
    const after = { ...shown, ...changed[noun] }
    expect((await owner.patch(path, changed[noun])).body).toEqual(after)
    expect(await read(`/${noun}/${added.id.toUpperCase()}`)).toEqual(after)
    expect((await owner.delete(path)).status).toBe(204)
    expectProblem(await owner.get(path), 404)
  })

  test('an answer may not be kept by a cache', async () => {
    expect((await owner.get('/people')).headers.get('cache-control')).toBe('no-store')
  })
})

describe('it refuses the wrong caller', () => {
  test.each([
    ['without a token', undefined],
    ['with a token that nobody signed', 'eyJhbGciOiJIUzI1NiIsInR5cCI6ImF0K2p3dCJ9.e30.c2lnbmF0dXJl'],
  ])('every endpoint answers 401 %s', async (_, token) => {
    const asStranger = (route: string) => {
      const [method, path] = split(route)
      return send(api, method, path.replaceAll(/\{\w+\}/g, crypto.randomUUID()), token === undefined ? {} : { token })
    }
    await expectProblems(ROUTES, asStranger, 401)
  })

  const inRole = async (role: (typeof ROLES)[number], work: () => Promise<unknown>) => {
    await api.db.update(accounts).set({ role }).where(eq(accounts.id, owner.id))
    await work().finally(() => api.db.update(accounts).set({ role: 'owner' }).where(eq(accounts.id, owner.id)))
  }

  // Which role gets in where is matrix.live.test.ts.
  test('operators enrol cards, and lock down', async () => {
    const paths = await Promise.all(BY_OPERATORS.map(async (route) => endpoints[route]?.path?.()))
    await inRole('operator', async () => {
      const answers = await each(BY_OPERATORS, (route) => call(route, {}, paths[BY_OPERATORS.indexOf(route)]))
      expect(answers.map(({ reply }) => reply.status).sort()).toEqual([201, 201, 204, 204])
    })
  })

  test('an administrator may change everything', () =>
    inRole('admin', async () => {
      const answers = await each(CHANGES, (route) => call(route))
      expect(answers.filter(({ reply }) => reply.status >= 300)).toEqual([])
    }))
})

describe('it is on record', () => {
  const VERBS: Record<string, string> = { POST: 'create', PATCH: 'update', DELETE: 'delete' }
  const rows = () => api.db.select().from(audit).orderBy(audit.number)
  const rowsSince = async (work: () => Promise<unknown>) => {
    const before = (await rows()).length
    await work()
    return (await rows()).slice(before)
  }

  test.each(ROUTES.filter((route) => !route.startsWith('GET') || ON_RECORD.includes(route)))(
    '%s is one row, of who did what',
    async (route) => {
      const [method, path] = split(route)
      const { path: pathOf, action = `${path.split('/')[1]}.${VERBS[method]}`, target } = endpoints[route] ?? {}
      const at = (await pathOf?.()) ?? path
      let reply: Reply | undefined
      const found = await rowsSince(async () => {
        reply = await call(route, {}, at)
      })
      const [id = target?.() ?? reply?.body.id ?? owner.id] = at.match(/[0-9a-f-]{36}/) ?? []
      expect(found).toMatchObject([{ action, actorKind: 'account', actorId: owner.id, targetId: id }])
    },
  )

  test('what changes nothing because it is refused leaves no row', async () => {
    const refused = [
      () =>
        each(
          CHANGES.filter((route) => WITH_ID.includes(route)),
          (route) => callNowhere(route),
        ),
      () => each(WITH_BODY, (route) => callNowhere(route, { body: '{}' })),
      () => owner.post('/accounts', { email: owner.email, role: 'member', password: PASSWORD }),
      () => owner.post('/cards', { personId: crypto.randomUUID(), number: 'DE0BA996' }),
      () => owner.delete(`/accounts/${owner.id}`),
      () => owner.delete(`/groups/${there['groups']}`),
      () => each(ROUTES, (route) => send(api, ...split(route))),
    ]
    for (const ask of refused) expect(await rowsSince(ask)).toEqual([])
  })

  test('no row has a field that is a secret by its name', async () => {
    const shown = JSON.stringify((await rows()).map(({ before, after }) => ({ before, after })))
    expect(shown).toMatch(/"generation":/)
    expect(shown).not.toMatch(/"(\w*password|\w*hash|\w*token|\w*key|\w*code|\w*secret|totp\w+)":/i)
  })

  test('what is only read leaves no row', async () => {
    expect(
      await rowsSince(() =>
        each(
          // Of so much at once it is on record: events-export.live.test.ts.
          READS.filter((route) => route.startsWith('GET') && !route.endsWith('/export')),
          (route) => call(route),
        ),
      ),
    ).toEqual([])
  })
})

describe('it refuses bad input', () => {
  test('what is not there is a 404, wherever an id may stand', async () => {
    await expectProblems(WITH_ID, (route) => callNowhere(route), 404)
  })

  test('what is not an id is a 422 that names it, wherever an id may stand', async () => {
    const answers = await expectProblems(WITH_ID, (route) => callNowhere(route, {}, 'nobody'), 422)
    for (const { reply } of answers) expect(reply.body.errors.map(({ path }) => path)).toContain('id')
  })

  test.each([
    '1',
    '0198c1a2-0000-7000-8000-000000000000x',
    '0198c1a2000070008000000000000000',
    '%00',
    '%',
    "'%20or%20true--",
  ])('an id is not %s', async (id) => {
    expectProblem(await owner.get(`/people/${id}`), 422, 'id')
  })

  test.each([
    ['a list', '[]', 422],
    ['an object without fields', '{}', 422],
    ['half an object', '{"name":', 400],
  ])('%s for a body is refused everywhere', async (_, body, status) => {
    await expectProblems(WITH_BODY, (route) => call(route, { body }), status)
  })

  test.each([
    ['a list of fields', '[{"name":"x"}]', 422],
    ['null', 'null', 422],
    ['a text', '"name"', 422],
    ['a number', '1', 422],
    ['spaces', '  ', 400],
    ['a byte order mark and rubbish', '\ufeff{', 400],
  ])('a body is not %s', async (_, body, status) => {
    for (const route of ['POST /people', 'PATCH /people/{id}']) expectProblem(await call(route, { body }), status)
  })

  test('a field that is unknown is refused and named', async () => {
    const withSurplus = (route: string) =>
      call(route, { body: JSON.stringify({ ...endpoints[route]?.body?.(), surplus: 1 }) })
    const answers = await expectProblems(WITH_BODY, withSurplus, 422)
    for (const { reply } of answers) expect(reply.body.errors.map(({ path }) => path)).toEqual(['surplus'])
  })

  test.each(['id', '__proto__', 'constructor'])('the field %s is as unknown as any other', async (name) => {
    const body = `{"name":"x","${name}":"0198c1a2-0000-7000-8000-000000000000"}`
    for (const route of ['POST /people', 'PATCH /people/{id}']) expectProblem(await call(route, { body }), 422, name)
  })

  test('a body that is not called JSON is a 415 everywhere', async () => {
    await expectProblems(WITH_BODY, (route) => call(route, { type: 'text/plain' }), 415)
  })

  test.each(['application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'application/jsonp', ''])(
    'the type %j is not JSON',
    async (type) => {
      expectProblem(await call('PATCH /people/{id}', { type }), 415)
    },
  )

  test('JSON may say that it is UTF-8', async () => {
    expect((await call('PATCH /people/{id}', { type: 'Application/JSON; charset=utf-8' })).status).toBe(200)
  })

  test('a body of more than 256 KiB is a 413, one of less is read', async () => {
    const body = (size: number) => JSON.stringify({ name: 'x'.repeat(size * 1024) })
    for (const route of ['POST /people', 'PATCH /me']) {
      expectProblem(await despiteReset(() => call(route, { body: body(256) })), 413)
      expectProblem(await call(route, { body: body(255) }), 422, 'name')
    }
  })

  const TEXTS: [Noun, string][] = [
    ['people', 'name'],
    ['people', 'employeeNumber'],
    ['people', 'email'],
    ['cards', 'number'],
    ['cards', 'label'],
    ['groups', 'name'],
    ['schedules', 'name'],
    ['doors', 'name'],
    ['doors', 'profile'],
    ['doors', 'timezone'],
    ['readers', 'name'],
    ['readers', 'topic'],
    ['readers', 'replyTopic'],
    ['readers', 'timezone'],
    ['bridges', 'name'],
    ['accounts', 'name'],
    ['api-keys', 'name'],
    ['accounts', 'email'],
    ['webhooks', 'name'],
  ]
  test.each([
    ['a NUL', 'A\0B'],
    ['a control character', 'A\u0007B'],
    ['half a surrogate pair', 'A\ud800B'],
    ['a text that is too long', 'A'.repeat(501)],
    ['an empty text', ''],
    ['a number', 5],
  ])('%s is refused in every text, when adding and when changing', async (_, text) => {
    await Promise.all(
      TEXTS.map(async ([noun, field]) => {
        expectProblem(await owner.post(`/${noun}`, { ...fresh[noun](), [field]: text }), 422, field)
        expectProblem(await owner.patch(`/${noun}/${there[noun]}`, { [field]: text }), 422, field)
      }),
    )
  })

  const ABSENT = '0198c1a2-0000-7000-8000-000000000000'
  const BAD: [Noun, string, unknown, string?][] = [
    ['people', 'name', null],
    ['people', 'name', '   '],
    ['people', 'name', 'A'.repeat(201)],
    ['people', 'email', 'not an address'],
    ['people', 'active', 'yes'],
    ['people', 'active', null],
    ['people', 'validFrom', 'tomorrow'],
    ['people', 'validFrom', '2026-01-31'],
    ['people', 'validFrom', '2026-01-31T08:00:00'],
    ['people', 'validFrom', '2026-13-01T00:00:00Z'],
    ['people', 'validFrom', '2026-02-31T00:00:00Z'],
    ['people', 'validFrom', '0000-01-01T00:00:00Z'],
    ['people', 'validUntil', '9999-12-31T23:59:59-23:59'],
    ['people', 'validUntil', 1_767_225_600_000],
    ['cards', 'personId', ABSENT],
    ['cards', 'personId', null],
    ['cards', 'personId', 'Ada'],
    ['cards', 'form', 'octal'],
    ['cards', 'status', 'eaten'],
    ['cards', 'validUntil', '0000-01-01T00:00:00Z'],
    ['cards', 'label', 'A'.repeat(201)],
    ['schedules', 'windows', null],
    ['schedules', 'windows', {}],
    ['people', 'exemptFromLockdown', 'yes'],
    ['doors', 'openMs', 600_001],
    ['doors', 'heldOpenMs', 86_400_001],
    ['doors', 'preAlarmMs', -1],
    ['doors', 'holdScheduleId', ABSENT],
    ['doors', 'homeAssistant', 'yes'],
    ['readers', 'profile', 'baroque'],
    ['readers', 'doorId', ABSENT],
    ['readers', 'cardView', 'octal'],
    ['readers', 'direction', 'up'],
    ['readers', 'enabled', 1],
    ['readers', 'openMs', -1],
    ['readers', 'openMs', 600_001],
    ['readers', 'openMs', 1.5],
    ['readers', 'openMs', '3000'],
    ['rules', 'groupId', ABSENT],
    ['rules', 'groupId', null],
    ['rules', 'scheduleId', ABSENT],
    ['rules', 'readerIds', [ABSENT]],
    ['rules', 'readerIds', []],
    ['rules', 'readerIds', null],
    ['rules', 'readerIds', ['front door'], 'readerIds.0'],
    ['accounts', 'role', 'king'],
    ['accounts', 'role', null],
    ['accounts', 'personId', ABSENT],
    ['accounts', 'disabled', 'no'],
    ['webhooks', 'url', null],
    ['webhooks', 'url', 'receiver.example.org'],
    ['webhooks', 'url', 'http://receiver.example.org/'],
    ['webhooks', 'url', 'https://169.254.169.254/latest'],
    ['webhooks', 'kinds', []],
    ['webhooks', 'kinds', ['fire'], 'kinds.0'],
    ['webhooks', 'kinds', ['tamper', 'tamper']],
    ['webhooks', 'enabled', 'yes'],
  ]
  test.each(BAD)('%s refuses as %s: %j', async (noun, field, value, path = field) => {
    expectProblem(await owner.post(`/${noun}`, { ...fresh[noun](), [field]: value }), 422, path)
    expectProblem(await owner.patch(`/${noun}/${there[noun]}`, { [field]: value }), 422, path)
  })

  test('every field that is wrong is named', async () => {
    const { body } = await owner.post('/people', { email: 'x', active: 1 })
    expect(body.errors.map(({ path }) => path).sort()).toEqual(['active', 'email', 'name'])
  })
})

describe('a list', () => {
  const SAME = 'Same name'
  const NAMED: Noun[] = ['people', 'groups', 'schedules', 'doors', 'readers', 'bridges', 'api-keys', 'webhooks']
  const LISTS = [...NOUNS.map((noun) => `/${noun}`), '/events', '/members', '/lockdowns', '/alerts']

  /** The people of a group are a list as well. */
  const pathOf = (list: string) => (list === '/members' ? `/groups/${there['groups']}/people` : list)

  beforeAll(async () => {
    const five = [1, 2, 3, 4, 5]
    const person = { personId: await add('people') }
    await Promise.all(
      five.flatMap((i) => [
        ...NAMED.map((noun) => add(noun, { name: SAME })),
        add('cards', { ...person, number: `0${i}` }),
        add('rules'),
        addLockdown(),
        addAlert(String(i)),
        api.db.insert(accounts).values({ email: `${i}@example.org`, role: 'member', passwordHash: 'x' }),
      ]),
    )
    const { body } = await owner.get(`/people?q=${encodeURIComponent(SAME)}`)
    await Promise.all(body.items.map(({ id }) => owner.put(`/groups/${there['groups']}/people/${id}`)))
    const bridge = await registerBridge(api, owner)
    const at = new Date(Date.now() - 60_000).toISOString()
    await Promise.all(five.map(() => bridge.check(scanOf(there['readers'] ?? '', '1', { at }))))
  })

  test.each(LISTS)('%s gives every row once and in the same order, whatever the size of the page', async (list) => {
    const path = pathOf(list)
    const { body } = await owner.get(`${path}${path.includes('?') ? '&' : '?'}limit=500`)
    const whole = body.items.map(({ id }) => id)
    expect(whole.length).toBeGreaterThanOrEqual(5)
    expect(new Set(whole).size).toBe(whole.length)
    expect(body.nextCursor).toBeNull()
    expect(await walk(owner, path, 2)).toEqual(whole)
    expect(await walk(owner, path, whole.length)).toEqual(whole)
    if (list !== '/events') expect(await walk(owner, path, whole.length - 1)).toEqual(whole)
  })

  test.each(NAMED)('%s is by name, and by id where names are equal', async (noun) => {
    const { items } = (await owner.get(`/${noun}?limit=500`)).body
    const same = items.filter(({ name }) => name === SAME).map(({ id }) => id)
    expect(same).toHaveLength(5)
    expect(same).toEqual([...same].sort())
  })

  test('shows 50 rows when no limit is given', async () => {
    await Promise.all(Array.from({ length: 51 }, () => add('groups')))
    const { items, nextCursor } = (await owner.get('/groups')).body
    expect(items).toHaveLength(50)
    expect(nextCursor).not.toBeNull()
  })

  const cursor = (...values: unknown[]) => Buffer.from(JSON.stringify(values)).toString('base64url')
  const SOME_ID = '0198c1a2-0000-7000-8000-000000000000'

  test.each([
    ['limit=0', 'limit'],
    ['limit=501', 'limit'],
    ['limit=abc', 'limit'],
    ['cursor=rubbish', 'cursor'],
    ['surplus=1', 'surplus'],
  ])('refuses ?%s, whichever it is', async (query, path) => {
    await Promise.all(LISTS.map(async (list) => expectProblem(await owner.get(`${pathOf(list)}?${query}`), 422, path)))
  })

  test.each([
    ['limit=-1', 'limit'],
    ['limit=1.5', 'limit'],
    ['limit=', 'limit'],
    ['limit=1&limit=2', 'limit'],
    ['cursor=', 'cursor'],
    [`cursor=${cursor()}`, 'cursor'],
    [`cursor=${cursor({})}`, 'cursor'],
    [`cursor=${cursor('a', 'b', 'c')}`, 'cursor'],
    [`cursor=${cursor('Ada', 'not an id')}`, 'cursor'],
    [`cursor=${cursor('A\0', SOME_ID)}`, 'cursor'],
    [`cursor=${cursor(1, SOME_ID)}`, 'cursor'],
  ])('refuses ?%s', async (query, path) => {
    expectProblem(await owner.get(`/people?${query}`), 422, path)
  })

  test('refuses a cursor of more than 2048 letters', async () => {
    expectProblem(await owner.get(`/people?cursor=${'A'.repeat(2049)}`), 422, 'cursor')
  })

  test('of events refuses a cursor whose time no calendar has', async () => {
    expectProblem(await owner.get(`/events?cursor=${cursor('0000-01-01T00:00:00Z', SOME_ID)}`), 422, 'cursor')
  })

  const SEARCHED: [Noun, string][] = [
    ...NAMED.map((noun): [Noun, string] => [noun, 'name']),
    ['readers', 'topic'],
    ['cards', 'label'],
    ['people', 'employeeNumber'],
  ]
  // On workerd one of them: what finds is the database, and each takes some twenty requests.
  const searched = inject('runtime') === 'node' ? SEARCHED : SEARCHED.slice(0, 1)
  test.each(searched)('of %s is searched by %s: any part of it, in any case, to the letter', async (noun, field) => {
    const texts = ['x100%x', 'x100 x', 'xaäb_cx', 'xaäbdcx', 'xback\\slashx', 'xbackslashx']
    const ids = await Promise.all(texts.map((text) => add(noun, { [field]: text })))
    const find = async (q: string) =>
      (await owner.get(`/${noun}?q=${encodeURIComponent(q)}`)).body.items.map(({ id }) => texts[ids.indexOf(id)])
    expect(await find('100%')).toEqual(['x100%x'])
    expect(await find('AÄB_C')).toEqual(['xaäb_cx'])
    expect(await find('back\\s')).toEqual(['xback\\slashx'])
    expect(await find(' xaäb ')).toHaveLength(2)
    expect(await find("' or true--")).toEqual([])
    await Promise.all(ids.map((id) => owner.delete(`/${noun}/${id}`)))
  })

  test('of accounts is searched by e-mail and name', async () => {
    const [found] = (await owner.get('/accounts?q=3@EXAMPLE')).body.items
    expect(found).toMatchObject({ email: '3@example.org' })
    await owner.patch(`/accounts/${found?.id}`, { name: 'The 100% Third' })
    expect((await owner.get('/accounts?q=100%25%20third')).body.items.map(({ id }) => id)).toEqual([found?.id])
    expect((await owner.get('/accounts?q=100_')).body.items).toEqual([])
  })

  test('refuses to search for nothing', async () => {
    const searchable = NOUNS.filter((noun) => noun !== 'rules')
    await Promise.all(searchable.map(async (noun) => expectProblem(await owner.get(`/${noun}?q=`), 422, 'q')))
  })

  test.each(['%20', '%00', 'A'.repeat(101), 'a&q=b'])('refuses to search for %s', async (q) => {
    expectProblem(await owner.get(`/people?q=${q}`), 422, 'q')
  })
})
