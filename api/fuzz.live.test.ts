import { getTableName, is } from 'drizzle-orm'
import { PgTable } from 'drizzle-orm/pg-core'
import fc from 'fast-check'
import { beforeAll, describe, expect, inject, test } from 'vitest'
import { CALLS, SEALED, seal } from './contract/envelope.ts'
import { sentences } from './db/constraints.ts'
import * as schema from './db/schema.ts'
import { type Reply, startTestApi, type TestApi } from './testing/api.ts'
import { broken, ODD, valid } from './testing/arbitrary.ts'
import { type Caller, lengthOf, replyOf } from './testing/caller.ts'
import { type Route, routesOf } from './testing/document.ts'
import { type Bridge, keyOf, registerBridge } from './testing/sealed.ts'
import { accountOf, fill, makeThings } from './testing/things.ts'

/*
 * Every input of every route, made from what OpenAPI says of it: as it should be, and broken in one place. Whatever comes,
 * the answer is what was asked for or a problem that says what is wrong, and tells nothing of what is behind it.
 */

/** Requests at a time, and how often: workerd opens a connection to the database for each. */
const AT_ONCE = 4
const TIMES = inject('runtime') === 'node' ? 9 : 2
/** A password costs a quarter of a second of one core, and more on workerd. */
const TIMES_WITH_PASSWORD = inject('runtime') === 'node' ? 3 : 1

type Request = { path: string; body?: string; type?: string }

let api: TestApi
let owner: Caller
let bridge: Bridge
let ids: string[]
const fresh = new Map<string, Route>()

const TEXTS = ODD.filter((odd) => typeof odd === 'string')
const encoded = (text: string) => encodeURIComponent(text.toWellFormed().slice(0, 2_000))

const pathOf = (route: Route): fc.Arbitrary<string> => {
  const names = [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name)
  const odd = fc.constantFrom(...TEXTS.map(encoded), '%', '%E0%A4%A', '%00', '%2e%2e', '[object Object]', '1;DROP', '*')
  const id = fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...ids) }, fc.uuid(), odd)
  return fc.tuple(...names.map(() => id)).map((found) => fill(route, (name) => found[names.indexOf(name)] ?? ''))
}

/** The query as it should be, or with something odd, surplus, twice, as a list or without a value. */
const queryOf = ({ query, required }: Route): fc.Arbitrary<string> => {
  const good = fc.record(Object.fromEntries(Object.entries(query).map(([name, one]) => [name, valid(one, ids)])), {
    requiredKeys: required,
  })
  const names = [...Object.keys(query), 'surplus', '__proto__', 'constructor']
  const odd = fc.constantFrom(...TEXTS.map(encoded), '%', '%ff', '%00', '')
  const more = fc.tuple(fc.constantFrom(...names), fc.constantFrom('', '[]', '[a]', '%00'), odd)
  const pairs = (values: object) =>
    Object.entries(values).map(([name, value]) => `${encodeURIComponent(name)}=${encoded(String(value))}`)
  return fc
    .tuple(good, fc.array(more, { maxLength: 2 }))
    .map(([values, others]) =>
      [...pairs(values), ...others.map(([name, suffix, value]) => `${name}${suffix}=${value}`)].join('&'),
    )
}

/** Bodies that no schema speaks of: what is not JSON, and JSON that only a parser can have trouble with. */
const RAW = [
  '',
  ' ',
  '{',
  '{"name":',
  'NaN',
  '\ufeff{}',
  '{"name":"A","name":"B"}',
  '{"__proto__":{"name":"A"}}',
  '{"name":"\\u0000"}',
  '{"name":"\\ud800"}',
  '{"name":1e999999}',
  `{"name":${'9'.repeat(5_000)}}`,
  '['.repeat(100_000),
  `${'['.repeat(50_000)}${']'.repeat(50_000)}`,
  `${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}`,
  `{${Array.from({ length: 20_000 }, (_, i) => `"f${i}":1`).join(',')}}`,
]

const bodyOf = ({ body }: Route): fc.Arbitrary<Omit<Request, 'path'>> => {
  if (!body) return fc.constant({})
  const text = (value: fc.Arbitrary<unknown>) => value.map((made) => ({ body: JSON.stringify(made) ?? '' }))
  return fc.oneof(
    { weight: 3, arbitrary: text(valid(body, ids)) },
    { weight: 5, arbitrary: text(broken(body, ids)) },
    { weight: 1, arbitrary: fc.constantFrom(...RAW).map((raw) => ({ body: raw })) },
    {
      weight: 1,
      arbitrary: fc
        .constantFrom('text/plain', '', 'application/json; charset=utf-16')
        .map((type) => ({ body: '{}', type })),
    },
  )
}

const requestTo = (route: Route): fc.Arbitrary<Request> =>
  fc
    .tuple(pathOf(route), queryOf(route), bodyOf(route))
    .map(([path, query, body]) => ({ path: query === '' ? path : `${path}?${query}`, ...body }))

/** Sealed well by a bridge that is known, so that what is inside is read: something odd, or the right thing around it. */
const sealedRequest = (call: (typeof CALLS)[keyof typeof CALLS]): fc.Arbitrary<() => Promise<Request>> => {
  const odd = fc.constantFrom(...ODD)
  const at = new Date().toISOString()
  const scan = { id: ids[0], readerId: ids[0], card: '1', at }
  const event = { ...scan, reason: 'unavailable', openMs: 0, answered: true }
  const spoilt = (whole: object) =>
    fc
      .tuple(fc.constantFrom(...Object.keys(whole), 'surplus'), odd)
      .map(([name, value]) => ({ ...whole, [name]: value }))
  const message = fc.oneof(
    spoilt({ scan }),
    spoilt({ events: [event] }),
    spoilt({ version: 'x', after: ids[0] }),
    spoilt(scan).map((one) => ({ scan: one })),
    spoilt(event).map((one) => ({ events: [event, one] })),
    odd.map((after) => ({ after })),
    odd.map((version) => ({ version })),
  )
  const { path } = call
  const sealed = message.map((one) => async () => {
    const body = await seal(one, call.ask, bridge.id, await keyOf(bridge.key), new Date())
    return { path, body, type: SEALED }
  })
  const text = fc.constantFrom(...TEXTS, ...RAW, 'a.b.c', '..', `${'A'.repeat(9_000)}.A.A`, 'e30.e30.e30')
  return fc.oneof(
    { weight: 3, arbitrary: sealed },
    text.map((body) => async () => ({ path, body, type: SEALED })),
  )
}

/** Names that only the database has, unless a word of the API happens to be the same. */
const INSIDE = [
  ...Object.keys(sentences),
  ...Object.values(schema).flatMap((table) => (is(table, PgTable) ? [getTableName(table)] : [])),
].filter((name) => name.includes('_'))

const LEAK = new RegExp(
  [
    'node_modules|\\bat [\\w.<>]+ \\(|\\.(ts|js|mjs):\\d+|"stack"',
    'Postgres|drizzle|Failed query|violates|relation "|syntax error|invalid input syntax|invalid byte|out of range for',
    'insert into|\\bselect\\b.*\\bfrom\\b|\\bupdate\\b.*\\bset\\b|postgres(ql)?:/',
    '(Type|Range|Syntax|Reference|URI|Vali)Error|Cannot read prop|is not a function|is not iterable|Maximum call stack',
    'password_?hash"?:|\\$2[aby]\\$|totp_?secret"?:',
    `\\b(${INSIDE.join('|')})\\b`,
  ].join('|'),
  'i',
)

const expectFine = (route: Route, { path, body }: Request, { status, headers, ...reply }: Reply) => {
  const text = JSON.stringify(reply.body)
  const told = JSON.stringify({
    route: route.name,
    path,
    body: body?.slice(0, 500),
    status,
    answer: text.slice(0, 500),
  })
  expect(status >= 200 && status < 500 && !(status >= 300 && status < 400), told).toBe(true)
  if (status >= 400) {
    expect(headers.get('content-type'), told).toBe('application/problem+json')
    expect(reply.body, told).toMatchObject({ status, type: expect.stringMatching(/^urn:lintel:problem:[a-z-]+$/) })
    // An answer to nonsense is a few sentences, not the nonsense.
    expect(text.length, told).toBeLessThan(100_000)
  }
  expect(LEAK.exec(text)?.[0], told).toBeUndefined()
}

/** What ends sessions, or changes the account itself, is asked by an account of its own. */
const isOwn = ({ method, name }: Route) => method !== 'GET' && /\/(me|logout)\b/.test(name)
const hasPassword = ({ body }: Route) => Object.keys(body?.properties ?? {}).some((name) => /password/i.test(name))

const ask = async (route: Route, { path, body, type = 'application/json' }: Request): Promise<Reply> => {
  const { token } = isOwn(route) ? await accountOf(api, 'owner') : owner
  const sent = body === undefined ? {} : { 'content-type': type, ...lengthOf(body) }
  const headers = { authorization: `Bearer ${token}`, ...sent }
  return replyOf(await api.fetch(path, { method: route.method, headers, ...(body !== undefined && { body }) }))
}

api = await startTestApi()
const described = await routesOf(api)
for (const route of described) fresh.set(route.name, route)

beforeAll(async () => {
  owner = await accountOf(api, 'owner')
  const { things } = await makeThings(api, owner)
  bridge = await registerBridge(api, owner)
  ids = Object.values(things)
})

describe('whatever is sent to', () => {
  // What takes things away comes last, so that the others find them.
  const names = [...fresh.keys()].sort((a, b) => Number(a.startsWith('DELETE')) - Number(b.startsWith('DELETE')))
  test.each(names)('%s is answered, or refused with a reason', async (name) => {
    const route = fresh.get(name)
    if (!route) throw new Error(`OpenAPI has no ${name}`)
    const call = Object.values(CALLS).find(({ path }) => path === route.path)
    const one: fc.Arbitrary<() => Promise<Request>> = call
      ? sealedRequest(call)
      : requestTo(route).map((request) => async () => request)
    const statuses: number[] = []
    const property = fc.asyncProperty(fc.array(one, { minLength: AT_ONCE, maxLength: AT_ONCE }), async (requests) => {
      const answer = async (request: Request) => ({ request, reply: await ask(route, request) })
      for (const { request, reply } of await Promise.all(requests.map(async (make) => answer(await make())))) {
        statuses.push(reply.status)
        expectFine(route, request, reply)
      }
    })
    await fc.assert(property, { numRuns: hasPassword(route) ? TIMES_WITH_PASSWORD : TIMES, endOnFailure: true })
    // The requests were not merely turned away at the door.
    if (!call && !route.name.startsWith('POST /login'))
      expect(statuses.some((status) => ![401, 403, 429].includes(status))).toBe(true)
  })
})
