import { beforeAll, describe, expect, inject, test } from 'vitest'
import { startTestApi, type TestApi } from './testing/api.ts'
import { type Caller, expectProblem, replyOf, send, signIn } from './testing/caller.ts'

let api: TestApi
let admin: Caller

beforeAll(async () => {
  api = await startTestApi()
  admin = await signIn(api, 'admin')
})

/** One of each kind of answer. */
const ANSWERS: [string, string, RequestInit?][] = [
  ['that all is well', '/health'],
  ['a page', '/docs'],
  ['a script', '/docs/start.js'],
  ['a file', '/docs/swagger-ui.css'],
  ['OpenAPI', '/openapi.json'],
  ['nothing there', '/nothing'],
  ['not signed in', '/api/v1/people'],
  [
    'another origin’s question',
    '/api/v1/people',
    { method: 'OPTIONS', headers: { origin: 'https://evil.example.org' } },
  ],
  [
    'not JSON',
    '/api/v1/login',
    { method: 'POST', body: 'x', headers: { 'content-type': 'text/plain', 'content-length': '1' } },
  ],
  ['half of a body', '/api/v1/login', { method: 'POST', body: '{', headers: { 'content-type': 'application/json' } }],
  ['wrong fields', '/api/v1/login', { method: 'POST', body: '{}', headers: { 'content-type': 'application/json' } }],
]

describe('every answer', () => {
  test.each(ANSWERS)(
    'says what keeps a browser careful, and nothing of what answers: %s',
    async (_, path, init = {}) => {
      const { headers } = await api.fetch(path, init)
      const said = Object.fromEntries(headers)
      expect(said).toMatchObject({
        'content-security-policy': expect.stringContaining("default-src 'self'"),
        'x-content-type-options': 'nosniff',
        'x-frame-options': 'DENY',
        'referrer-policy': 'no-referrer',
        'cross-origin-resource-policy': 'same-origin',
        'cross-origin-opener-policy': 'same-origin',
        'x-permitted-cross-domain-policies': 'none',
      })
      for (const directive of [
        "object-src 'none'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "form-action 'self'",
      ]) {
        expect(said['content-security-policy']).toContain(directive)
      }
      expect(said['content-security-policy']).not.toMatch(/unsafe-eval|script-src[^;]*unsafe|\*/)
      for (const name of [
        'server',
        'x-powered-by',
        'x-runtime',
        'via',
        'set-cookie',
        'access-control-allow-credentials',
      ]) {
        expect({ name, value: headers.get(name) }).toEqual({ name, value: null })
      }
      if (path.startsWith('/api/')) expect(said['cache-control']).toBe('no-store')
    },
  )

  test('asks to stay on HTTPS only where it came by it', async () => {
    expect((await api.fetch('/health')).headers.get('strict-transport-security')).toBeNull()
    const told = await api.fetch('/health', { headers: { 'x-forwarded-proto': 'https' } })
    expect(told.headers.get('strict-transport-security')).toBeNull()
    if (inject('runtime') !== 'node') return
    for (const path of ['/health', '/docs/swagger-ui.css', '/api/v1/people', '/nothing']) {
      const { headers } = await api.fetch(`https://doors.example.org${path}`)
      expect(headers.get('strict-transport-security')).toBe('max-age=31536000')
    }
  })
})

describe('another origin', () => {
  const ask = (origin: string) =>
    api.fetch('/api/v1/people', {
      method: 'OPTIONS',
      headers: {
        origin,
        'access-control-request-method': 'TRACE',
        'access-control-request-headers': 'authorization,x-anything',
      },
    })

  test('is told only the methods and headers that there are', async () => {
    const { headers } = await ask('https://doors.example.org')
    expect(headers.get('access-control-allow-methods')).toBe('GET,POST,PUT,PATCH,DELETE')
    expect(headers.get('access-control-allow-headers')).toBe('authorization,content-type,last-event-id')
    expect(headers.get('access-control-allow-credentials')).toBeNull()
    expect(headers.get('vary')?.toLowerCase()).toContain('origin')
  })

  test('may read how many requests are left', async () => {
    const reply = await admin.send('GET', '/people', { headers: { origin: 'https://doors.example.org' } })
    expect(reply.headers.get('access-control-expose-headers')).toBe('retry-after,ratelimit,ratelimit-policy')
  })
})

describe('what a request may say', () => {
  const id = '0198c1a2-0000-7000-8000-000000000000'

  test.each<[string, string, string?]>([
    ['GET', '/me?surplus=1'],
    ['GET', `/people/${id}?surplus=1`],
    ['GET', '/people?surplus=1'],
    ['GET', `/groups/${id}/people?surplus=1`],
    ['GET', `/explain?readerId=${id}&card=1&surplus=1`],
    ['POST', '/people?surplus=1', '{"name":"Ada"}'],
    ['PATCH', `/people/${id}?surplus=1`, '{"name":"Ada"}'],
    ['PUT', `/groups/${id}/people/${id}?surplus=1`],
    ['DELETE', `/people/${id}?surplus=1`],
    ['POST', '/login/refresh?surplus=1', '{"refresh_token":"x"}'],
  ])('is nothing that the route does not know: %s %s', async (method, path, body) => {
    expectProblem(await admin.send(method, path, body === undefined ? {} : { body }), 422, 'surplus')
  })

  test('is said once: a parameter that comes twice is refused, whichever route', async () => {
    const paths = [
      'people',
      'cards',
      'groups',
      'schedules',
      'readers',
      'rules',
      'bridges',
      'accounts',
      'api-keys',
      'events',
    ]
    for (const path of paths) expectProblem(await admin.get(`/${path}?limit=1&limit=2`), 422, 'limit')
    expectProblem(await admin.get('/people?q=a&q=a'), 422, 'q')
    expectProblem(await admin.get(`/explain?readerId=${id}&card=1&card=2`), 422, 'card')
    expectProblem(await admin.get('/events?reason=granted&reason=late'), 422, 'reason')
    expectProblem(await admin.get('/people?limit[]=1'), 422, 'limit[]')
  })

  test('is not compressed', async () => {
    const body = JSON.stringify({ name: 'Ada' })
    expectProblem(await admin.send('POST', '/people', { body, headers: { 'content-encoding': 'gzip' } }), 415)
    const reply = await admin.send('POST', '/people', { body, headers: { 'content-encoding': 'identity' } })
    expect(reply.status).toBe(201)
  })

  test('has no other method behind another name', async () => {
    const { body } = await admin.post('/people', { name: 'Ada' })
    const headers = { 'x-http-method-override': 'DELETE', 'x-method-override': 'DELETE' }
    expect((await admin.send('GET', `/people/${body.id}`, { headers })).status).toBe(200)
    expect((await admin.get(`/people/${body.id}`)).status).toBe(200)
  })

  test('never brings out what is inside', async () => {
    const replies = await Promise.all([
      send(api, 'POST', '/login', { body: '{"email":' }),
      send(api, 'GET', '/people', { token: 'a.b.c' }),
      admin.get("/people?cursor=')--"),
      admin.get('/people/%2e%2e%2f'),
      replyOf(await api.fetch('/%c0%af')),
    ])
    for (const reply of replies) {
      expect(reply.status).toBeGreaterThanOrEqual(400)
      expect(reply.status).toBeLessThan(500)
      expect(JSON.stringify(reply.body)).not.toMatch(
        /\bat \S+:\d+|node_modules|\.ts\b|SyntaxError|postgres|drizzle|hono|select /i,
      )
    }
  })
})

describe('every input has its bound', () => {
  type Schema = Record<string, unknown> & {
    type?: string | string[]
    properties?: Record<string, Schema>
    items?: Schema
  }

  /** Where a text or a list may be of any length. */
  const unbounded = (schema: Schema | undefined, path: string): string[] => {
    if (!schema) return []
    const parts = ['anyOf', 'oneOf', 'allOf'].flatMap((word) => (schema[word] ?? []) as Schema[])
    const inner = [
      ...parts.flatMap((part) => unbounded(part, path)),
      ...Object.entries(schema.properties ?? {}).flatMap(([name, part]) => unbounded(part, `${path}.${name}`)),
      ...unbounded(schema.items, `${path}[]`),
    ]
    const text = schema.type === 'string'
    const bound = ['maxLength', 'enum', 'const', 'pattern', 'format'].some((word) => word in schema)
    const others = schema['additionalProperties']
    // Fields by any name: so many of them, with names so long.
    const counted =
      'maxProperties' in schema && 'propertyNames' in schema && 'maxLength' in (schema['propertyNames'] as Schema)
    const open = schema.type === 'object' && others !== false && !counted
    return [
      ...inner,
      ...(counted ? unbounded(others as Schema, `${path}.*`) : []),
      ...(text && !bound ? [path] : []),
      ...(schema.type === 'array' && !('maxItems' in schema) ? [path] : []),
      ...(open ? [`${path} (other fields)`] : []),
    ]
  }

  test('in OpenAPI, so that nobody sends more than can be used', async () => {
    const spec = await (await api.fetch('/openapi.json')).json()
    const routes = Object.entries(spec.paths as Record<string, Record<string, Schema>>)
      .filter(([path]) => path.startsWith('/api/'))
      .flatMap(([path, methods]) =>
        Object.entries(methods).map(([method, route]) => [`${method} ${path}`, route] as const),
      )
    const found = routes.flatMap(([name, route]) => {
      const { requestBody, parameters = [] } = route as {
        requestBody?: { content: Record<string, { schema: Schema }> }
        parameters?: { name: string; schema: Schema }[]
      }
      return [
        ...unbounded(requestBody?.content['application/json']?.schema, name),
        ...parameters.flatMap((one) => unbounded(one.schema, `${name}?${one.name}`)),
      ]
    })
    expect(routes.length).toBeGreaterThan(50)
    expect(found).toEqual([])
  })
})
