import { eq } from 'drizzle-orm'
import { base64url } from 'jose'
import { beforeAll, describe, expect, inject, test } from 'vitest'
import { app } from './app.ts'
import { accounts, events } from './db/schema.ts'
import { type Reply, startTestApi, type TestApi } from './testing/api.ts'
import { type Caller, expectProblem, replyOf, withToken } from './testing/caller.ts'
import { nameOf, type Route, routesOf } from './testing/document.ts'
import { accountOf, fill, type Holder, keyOf, makeThings, nounOf, type Things } from './testing/things.ts'

/*
 * Who gets in where, said a second time and by hand: permissions.ts is not asked. `O` is an owner, `A` an admin, `P` an
 * operator, `U` an auditor, `M` a member. After them stands the scope with which an API key gets in; without one no key does,
 * whatever its role. `anybody` needs no sign-in; `bridge` is for messages with a bridge's seal, and for nobody else;
 * `broker` for whoever has the broker's token, `collector` for whoever has the one for metrics.
 */
const noun = (name: string, readers: string, changers: string, byKey = true): Record<string, string> => {
  const reads = `${readers} ${name}:read`
  const changes = byKey ? `${changers} ${name}:write` : changers
  return {
    [`GET /${name}`]: reads,
    [`POST /${name}`]: changes,
    [`GET /${name}/{id}`]: reads,
    [`PATCH /${name}/{id}`]: changes,
    [`DELETE /${name}/{id}`]: changes,
  }
}

const LINES: Record<string, string> = {
  'GET /health': 'anybody',
  'GET /ready': 'anybody',
  'GET /metrics': 'collector',
  'POST /internal/access-check': 'bridge',
  'POST /internal/config': 'bridge',
  'POST /internal/snapshot': 'bridge',
  'POST /internal/events': 'bridge',
  'POST /internal/seen': 'bridge',
  'POST /internal/access-list': 'bridge',
  'POST /internal/device-events': 'bridge',
  'POST /broker/authentication': 'broker',
  'POST /broker/authorization': 'broker',
  'POST /internal/commands': 'bridge',
  'POST /internal/outcomes': 'bridge',
  'POST /login': 'anybody',
  'POST /login/refresh': 'anybody',
  'POST /logout': 'OAPUM',
  'GET /me': 'OAPUM',
  'PATCH /me': 'OAPUM',
  ...noun('people', 'OAPUM', 'OA'),
  'PUT /people/{id}/pin': 'OA people:write',
  'DELETE /people/{id}/pin': 'OA people:write',
  'GET /people/{id}/export': 'OA',
  'POST /people/{id}/erase': 'OA',
  ...noun('cards', 'OAPUM', 'OA'),
  'GET /unknown-cards': 'OAPU cards:read',
  'GET /enrolments': 'OAPU enrolments:read',
  'GET /enrolments/{id}': 'OAPU enrolments:read',
  'POST /enrolments': 'OAP enrolments:write',
  'DELETE /enrolments/{id}': 'OAP enrolments:write',
  'POST /imports/people': 'OA imports:write',
  ...noun('groups', 'OAPU', 'OA'),
  'GET /groups/{id}/people': 'OAPU groups:read',
  'PUT /groups/{id}/people/{personId}': 'OA groups:write',
  'DELETE /groups/{id}/people/{personId}': 'OA groups:write',
  ...noun('schedules', 'OAPU', 'OA'),
  ...noun('doors', 'OAPU', 'OA'),
  'GET /door-profiles': 'OAPU doors:read',
  'GET /lockdowns': 'OAPU lockdowns:read',
  'GET /lockdowns/{id}': 'OAPU lockdowns:read',
  'POST /lockdowns': 'OAP lockdowns:write',
  'DELETE /lockdowns/{id}': 'OAP lockdowns:write',
  ...noun('readers', 'OAPU', 'OA'),
  'GET /profiles': 'OAPU readers:read',
  'GET /unknown-readers': 'OAPU readers:read',
  'DELETE /unknown-readers/{id}': 'OA readers:write',
  'POST /readers/{id}/key': 'OA',
  'DELETE /readers/{id}/key': 'OA',
  'POST /readers/{id}/broker-account': 'OA readers:write',
  'POST /doors/{id}/broker-account': 'OA doors:write',
  'POST /bridges/{id}/broker-account': 'OA',
  'GET /commands': 'OAPU commands:read',
  'GET /commands/{id}': 'OAPU commands:read',
  'POST /commands': 'OAP commands:write',
  'POST /doors/{id}/open': 'OAP commands:write',
  'POST /readers/{id}/open': 'OAP commands:write',
  ...noun('rules', 'OAPU', 'OA'),
  ...noun('bridges', 'OAPU', 'OA', false),
  'POST /bridges/{id}/rotate': 'OA',
  ...noun('accounts', 'OAU', 'OA', false),
  'GET /me/sessions': 'OAPUM',
  'DELETE /me/sessions': 'OAPUM',
  'DELETE /me/sessions/{id}': 'OAPUM',
  'POST /me/totp': 'OAPUM',
  'POST /me/totp/confirm': 'OAPUM',
  'DELETE /me/totp': 'OAPUM',
  'POST /me/recovery-codes': 'OAPUM',
  'POST /me/proof': 'OAPUM',
  'GET /accounts/{id}/sessions': 'OAU accounts:read',
  'DELETE /accounts/{id}/sessions': 'OA',
  'DELETE /accounts/{id}/sessions/{sessionId}': 'OA',
  'DELETE /accounts/{id}/totp': 'OA',
  'POST /login/reset': 'anybody',
  'POST /login/reset/confirm': 'anybody',
  'POST /accounts/{id}/invitation': 'OA',
  'POST /accounts/{id}/reset': 'OA',
  'GET /audit': 'OAU audit:read',
  'GET /audit/{number}': 'OAU audit:read',
  'GET /audit/checkpoint': 'OAU audit:read',
  ...noun('api-keys', 'OAU', 'OA', false),
  'GET /events': 'OAPUM events:read',
  'GET /events/stream': 'OAPUM events:read',
  'GET /events/export': 'OAPUM events:read',
  'GET /device-events/stream': 'OAPU device-events:read',
  'GET /events/{id}': 'OAPUM events:read',
  'GET /explain': 'OAPU explain:read',
  'GET /device-events': 'OAPU device-events:read',
  'GET /device-events/{id}': 'OAPU device-events:read',
  'GET /alerts': 'OAPU alerts:read',
  'GET /alerts/{id}': 'OAPU alerts:read',
  ...noun('webhooks', 'OAU', 'OA', false),
  'POST /webhooks/{id}/rotate': 'OA',
  'POST /webhooks/{id}/test': 'OA',
  'GET /webhooks/{id}/deliveries': 'OAU webhooks:read',
  'POST /webhooks/{id}/deliveries/{deliveryId}/replay': 'OA',
}

/** Pages and files for a browser, and the document itself: the only routes that it does not describe. */
const NOT_DESCRIBED = ['GET /openapi.json', 'GET /docs', 'GET /docs/start.js', 'GET /docs/{file}']

/** What a read needs in its query to answer 200. */
const QUERIES: Record<string, () => string> = {
  'GET /explain': () => `?readerId=${things['readers']}&card=CA`,
}

/** What a member may read, by route: the noun, and what of the other member's might be searched for. */
const OWN: Record<string, { noun: 'people' | 'cards' | 'events'; q: (of: Holder) => string[] }> = {
  'GET /people': { noun: 'people', q: ({ name, number }) => [name, number, `N${number}`, `${number}@example.org`] },
  'GET /people/{id}': { noun: 'people', q: () => [] },
  'GET /cards': { noun: 'cards', q: ({ name, number }) => [name, number, `Card of ${name}`] },
  'GET /cards/{id}': { noun: 'cards', q: () => [] },
  'GET /events': { noun: 'events', q: () => [] },
  'GET /events/{id}': { noun: 'events', q: () => [] },
}

const ROLES = { O: 'owner', A: 'admin', P: 'operator', U: 'auditor', M: 'member' } as const
type Letter = keyof typeof ROLES
const LETTERS = Object.keys(ROLES) as Letter[]

let api: TestApi
let owner: Caller
let things: Things
let mine: Holder
let theirs: Holder
let routes: Route[]
const callers = new Map<string, Caller>()
const keys = new Map<string, string>()

const line = (name: string) => {
  const [roles = '', scope] = (LINES[name] ?? '').split(' ')
  return { roles, scope, open: ['anybody', 'bridge', 'broker', 'collector'].includes(roles) }
}

/** One request as simple as it can be: to what is there, or to an id that nobody has, with an empty body if it reads one. */
const ask = async (route: Route, token: string | undefined, ids: 'there' | 'nowhere'): Promise<Reply> => {
  const path = fill(route, (parameter) => {
    const of = nounOf(route.path, parameter, things)
    return ids === 'there' && of !== undefined ? (things[of] ?? '') : crypto.randomUUID()
  })
  const headers = { ...(token !== undefined && { authorization: `Bearer ${token}` }) }
  const body = route.body && { body: '{}', headers: { ...headers, 'content-type': 'application/json' } }
  const query = QUERIES[route.name]?.() ?? ''
  return replyOf(await api.fetch(`${path}${query}`, { method: route.method, headers, ...body }))
}

/** What somebody gets who may come in: all that is read is there, and what would change something is stopped later. */
const expectIn = (route: Route, who: string, { status, body }: Reply) => {
  const told = { route: route.name, who, status, detail: body['detail'] }
  if (route.method === 'GET') expect(told).toMatchObject({ status: 200 })
  else expect([401, 403], JSON.stringify(told)).not.toContain(status)
  expect(status, JSON.stringify(told)).toBeLessThan(500)
}

const expectOut = (route: Route, who: string, reply: Reply, status: 401 | 403) => {
  expect({ route: route.name, who, status: reply.status }).toEqual({ route: route.name, who, status })
  expectProblem(reply, status)
}

/** What ends sessions, or changes the account itself, is asked by an account of its own. */
const isOwn = ({ method, name }: Route) => method !== 'GET' && /\/(me|logout)\b/.test(name)

const newCaller = (letter: Letter) => accountOf(api, ROLES[letter], letter === 'M' ? mine.people : null)

const tokenOf = async (letter: Letter, route: Route): Promise<string> => {
  if (isOwn(route)) return (await newCaller(letter)).token
  const known = callers.get(letter) ?? (await newCaller(letter))
  callers.set(letter, known)
  return known.token
}

const keyWith = async (role: (typeof ROLES)[Letter], scopes: string[] | null): Promise<string> => {
  const name = `${role} ${scopes}`
  const key = keys.get(name) ?? (await keyOf(api, role, scopes))
  keys.set(name, key)
  return key
}

const SCOPES = [...new Set(Object.values(LINES).flatMap((text) => text.split(' ').slice(1)))]
const described = Object.keys(LINES)

beforeAll(async () => {
  api = await startTestApi({ BROKER_TOKEN: 'b'.repeat(32), METRICS_TOKEN: 'm'.repeat(32) })
  owner = await accountOf(api, 'owner')
  const made = await makeThings(api, owner)
  const [one, other] = made.holders
  if (!one || !other) throw new Error('two members are needed')
  ;({ things } = made)
  ;[mine, theirs] = [one, other]
  routes = await routesOf(api)
})

describe('the table', () => {
  test('has a line for every route that OpenAPI describes, and no other', () => {
    expect([...described].sort()).toEqual(routes.map(({ name }) => name).sort())
  })

  test('knows every route that there is: none is left out of OpenAPI', () => {
    const there = app.routes
      .filter(({ method }) => method !== 'ALL')
      .map(({ method, path }) => nameOf(method, path.replaceAll(/:(\w+)(\{[^}]*\})?/g, '{$1}')))
    expect([...new Set(there)].sort()).toEqual([...described, ...NOT_DESCRIBED].sort())
  })

  test('says of everything that a member may read what is theirs', () => {
    const reads = described.filter((name) => name.startsWith('GET') && line(name).roles.includes('M'))
    // What a stream tells them is in manage/stream.live.test.ts, what a file does in manage/events-export.live.test.ts.
    const others = reads.filter((name) => !name.startsWith('GET /me') && !/\/(stream|export)$/.test(name))
    expect(others.sort()).toEqual(Object.keys(OWN).sort())
  })

  test('is read from rows that say who, and nothing else', () => {
    for (const name of described)
      expect(LINES[name]).toMatch(/^(anybody|bridge|broker|collector|O?A?P?U?M?( [a-z-]+:(read|write))?)$/)
  })
})

/**
 * Who of all comes to a route. The table is the same code on workerd, where a request costs several times as much: there the
 * last who gets in and the first who does not.
 */
const visitors = <T>(all: T[], enters: (one: T) => boolean): T[] =>
  inject('runtime') === 'node'
    ? all
    : [...all.filter(enters).slice(-1), ...all.filter((one) => !enters(one)).slice(0, 1)]

const routeOf = (name: string): Route => {
  const route = routes.find((one) => one.name === name)
  if (!route) throw new Error(`OpenAPI has no ${name}`)
  return route
}

describe('whoever comes to', () => {
  test.each(described)('%s gets in only as the table says', async (name) => {
    const route = routeOf(name)
    const { roles, open } = line(name)
    if (roles === 'anybody') return expectIn(route, 'nobody', await ask(route, undefined, 'there'))
    expectOut(route, 'nobody', await ask(route, undefined, 'there'), 401)

    const getsIn = (letter: Letter) => roles.includes(letter) && !open
    const visit = async (letter: Letter) => {
      const token = await tokenOf(letter, route)
      const enters = getsIn(letter)
      // Whoever may change things must not: so they ask for what is not there, and everybody else for what is.
      const reply = await ask(route, token, enters && route.method !== 'GET' ? 'nowhere' : 'there')
      if (enters) expectIn(route, ROLES[letter], reply)
      else expectOut(route, ROLES[letter], reply, open ? 401 : 403)
    }
    await Promise.all(visitors(LETTERS, getsIn).map(visit))
  })

  test.each(described.filter((name) => !line(name).open))(
    '%s with an API key gets in only as the table says',
    async (name) => {
      const route = routeOf(name)
      const { roles, scope } = line(name)
      const others = SCOPES.filter((other) => other !== scope)
      const rows: [string, string, boolean][] = [
        ['a key of an admin', await keyWith('admin', null), scope !== undefined],
        ['a key of an owner', await keyWith('owner', null), scope !== undefined],
        ['a key with every other scope', await keyWith('admin', others), false],
        ['a key without any', await keyWith('admin', []), false],
        ['a key of an operator', await keyWith('operator', null), scope !== undefined && roles.includes('P')],
        ['a key of a member', await keyWith('member', null), scope !== undefined && roles.includes('M')],
        ['a key of a member with the scope', await keyWith('member', [scope ?? 'people:read']), false],
        ...(scope === undefined
          ? []
          : ([['a key with this scope alone', await keyWith('admin', [scope]), true]] as [string, string, boolean][])),
      ]
      const visit = async ([who, key, enters]: (typeof rows)[number]) => {
        // A key belongs to no person: as a member's it finds nothing, which a list shows as an empty one.
        const owns = who === 'a key of a member'
        const reply = await ask(route, key, enters && route.method !== 'GET' ? 'nowhere' : 'there')
        if (!enters) expectOut(route, who, reply, 403)
        else if (owns && name.endsWith('}')) expectProblem(reply, 404)
        else expectIn(route, who, reply)
        if (owns && enters && !/(\}|\/stream|\/export)$/.test(name)) expect(reply.body.items).toEqual([])
      }
      await Promise.all(visitors(rows, ([, , enters]) => enters).map(visit))
    },
  )
})

describe('a member', () => {
  const member = () => accountOf(api, 'member', mine.people)
  const OWN_LISTS = Object.keys(OWN).filter((name) => !name.endsWith('}'))
  const OWN_READS = Object.keys(OWN).filter((name) => name.endsWith('}'))

  test.each(OWN_READS)('%s: reads what is theirs; of others’ it is as if it were not there', async (name) => {
    const { noun } = OWN[name] ?? { noun: 'people' }
    const me = await member()
    expect((await me.get(`/${noun}/${mine[noun]}`)).body).toMatchObject({ id: mine[noun] })
    const foreign = await me.get(`/${noun}/${theirs[noun]}`)
    expectProblem(foreign, 404)
    expect(foreign.body).toEqual((await me.get(`/${noun}/${crypto.randomUUID()}`)).body)
    expect((await owner.get(`/${noun}/${theirs[noun]}`)).status).toBe(200)
  })

  test.each(OWN_LISTS)(
    '%s: is shown what is theirs, whatever they filter by, search for or page from',
    async (name) => {
      const { noun, q } = OWN[name] ?? { noun: 'people', q: () => [] }
      const { query } = routeOf(name)
      const me = await member()
      expect((await me.get(`/${noun}`)).body).toMatchObject({ items: [{ id: mine[noun] }], nextCursor: null })

      const row = (await owner.get(`/${noun}/${theirs[noun]}`)).body
      const seen = (await owner.get(`/${noun}?limit=500`)).body.items
      expect(seen.map(({ id }) => id)).toEqual(expect.arrayContaining([mine[noun], theirs[noun]]))

      // A cursor before everything, one on each row that is not theirs, and what each filter finds of the other's.
      const cursors = (await Promise.all([1, 2, 3, 4].map((limit) => owner.get(`/${noun}?limit=${limit}`)))).flatMap(
        ({ body }) => (body.nextCursor === null ? [] : [body.nextCursor]),
      )
      const position = noun === 'events' ? ['9999-12-31T00:00:00.000Z'] : [' ']
      cursors.push(base64url.encode(JSON.stringify([...position, '00000000-0000-0000-0000-000000000000'])))
      const filters: Record<string, string[]> = {
        limit: ['500'],
        cursor: cursors,
        q: q(theirs),
        from: ['2000-01-01T00:00:00Z'],
        to: ['2100-01-01T00:00:00Z'],
      }
      for (const filter of Object.keys(query)) {
        const values = filters[filter] ?? [String(row[filter])]
        expect({ filter, found: values.length > 0 && values.every((value) => value !== 'undefined') }).toEqual({
          filter,
          found: true,
        })
        for (const value of values) {
          const search = `/${noun}?${filter}=${encodeURIComponent(value)}`
          const ids = (reply: Reply) => reply.body.items.map(({ id }) => id)
          const [own, all] = [await me.get(search), await owner.get(search)]
          expect({ search, status: own.status, all: all.status }).toEqual({ search, status: 200, all: 200 })
          if (filter !== 'cursor')
            expect({ search, finds: ids(all) }).toMatchObject({ finds: expect.arrayContaining([theirs[noun]]) })
          expect({ search, leaks: ids(own).filter((id) => id !== mine[noun]), next: own.body.nextCursor }).toEqual({
            search,
            leaks: [],
            next: null,
          })
        }
      }
      expect(
        (
          await me.get(
            `/${noun}?${new URLSearchParams(noun === 'people' ? { q: theirs.name } : { personId: theirs.people })}`,
          )
        ).body.items,
      ).toEqual([])
    },
  )

  test('who is linked to nobody is shown nothing, not even what belongs to nobody', async () => {
    const me = await accountOf(api, 'member')
    const unknown = await api.db.select().from(events)
    expect(unknown.some(({ personId }) => personId === null)).toBe(true)
    for (const name of OWN_LISTS) expect((await me.get(name.slice('GET '.length))).body.items).toEqual([])
    for (const { noun } of OWN_READS.map((name) => OWN[name] ?? { noun: 'people' as const })) {
      expectProblem(await me.get(`/${noun}/${mine[noun]}`), 404)
    }
  })

  test('who is linked to somebody else from now on is shown that person’s things, at once', async () => {
    const me = await member()
    expect((await me.get('/cards')).body.items).toMatchObject([{ id: mine.cards }])
    await api.db.update(accounts).set({ personId: theirs.people }).where(eq(accounts.id, me.id))
    expect((await me.get('/cards')).body.items).toMatchObject([{ id: theirs.cards }])
    expectProblem(await me.get(`/cards/${mine.cards}`), 404)
  })

  test('does not get at others by what a query may hold twice, or by another spelling of an id', async () => {
    const me = await member()
    expectProblem(await me.get(`/cards?personId=${mine.people}&personId=${theirs.people}`), 422)
    expectProblem(await me.get(`/people/${theirs.people.toUpperCase()}`), 404)
    expectProblem(await withToken(api, me.token).get(`/people/${mine.people}%2f..%2f${theirs.people}`), 422)
  })
})
