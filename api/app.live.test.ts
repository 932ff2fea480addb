import { beforeAll, describe, expect, test } from 'vitest'
import { CALLS } from './contract/envelope.ts'
import { startTestApi, type TestApi } from './testing/api.ts'
import { type Caller, expectProblem, replyOf, signIn } from './testing/caller.ts'

type Content = { content?: Record<string, { schema: { properties?: object } }> }
type Operation = { summary?: string; tags?: string[]; security?: unknown[]; responses: Record<string, Content> }

let api: TestApi
let admin: Caller
let spec: {
  openapi: string
  info: { title: string; version: string }
  paths: Record<string, Record<string, Operation>>
}
let operations: { name: string; operation: Operation }[]

beforeAll(async () => {
  api = await startTestApi()
  admin = await signIn(api, 'admin')
  spec = await (await api.fetch('/openapi.json')).json()
  operations = Object.entries(spec.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ name: `${method.toUpperCase()} ${path}`, operation })),
  )
})

describe('the paths for machines', () => {
  test.each(['/health', '/ready'])('%s says that all is well', async (path) => {
    const response = await api.fetch(path)
    expect({ status: response.status, body: await response.json() }).toEqual({ status: 200, body: { ok: true } })
  })

  test.each([
    ['GET', '/'],
    ['GET', '/nothing'],
    ['GET', '/api'],
    ['GET', '/internal/access-check'],
    ['POST', '/internal/nothing'],
    ['POST', '/health'],
    ['DELETE', '/openapi.json'],
    ['GET', '/%00'],
    ['GET', '/api/v1/login'],
  ])('%s %s is a problem that says where to look', async (method, path) => {
    const reply = await replyOf(await api.fetch(path, { method, headers: { authorization: `Bearer ${admin.token}` } }))
    expectProblem(reply, 404)
    expect(reply.body['detail']).toMatch(/\/docs/)
  })

  test('metrics are nobody’s where there is no token for them, and the answer says so', async () => {
    const reply = await replyOf(await api.fetch('/metrics', { headers: { authorization: 'Bearer undefined' } }))
    expectProblem(reply, 404)
    expect(reply.body['detail']).toMatch(/METRICS_TOKEN/)
  })

  test('what is not there is a 404 under /api/v1, for those who are signed in', async () => {
    for (const path of ['/nothing', '/people/', '/People', '/people/0198c1a2-0000-7000-8000-000000000000/cards']) {
      expectProblem(await admin.get(path), 404)
      expectProblem(await api.stranger.get(path), 401)
    }
    expectProblem(await admin.put('/people/0198c1a2-0000-7000-8000-000000000000'), 404)
  })
})

/** What is answered as something else than JSON. */
const TYPES = [
  [/\/internal\//, 'application/jose'],
  [/\/stream$/, 'text/event-stream'],
  [/\/events\/export$/, 'text/csv'],
  [/^GET \/metrics$/, 'text/plain'],
] as const

describe('/openapi.json', () => {
  test('is OpenAPI 3.1 with a title and a version', () => {
    expect(spec.openapi).toMatch(/^3\.1\.\d+$/)
    expect(spec.info).toMatchObject({ title: 'Lintel', version: expect.stringMatching(/^\d+\.\d+\.\d+/) })
  })

  test('describes every operation: what it does, where it belongs, and what it answers', () => {
    expect(operations.length).toBeGreaterThan(50)
    for (const { name, operation } of operations) {
      expect({ name, operation }).toMatchObject({
        operation: { summary: expect.any(String), tags: [expect.any(String)] },
      })
      const [[status, answer] = []] = Object.entries(operation.responses).filter(([code]) => code.startsWith('2'))
      expect({ name, status }).toEqual({ name, status: expect.stringMatching(/^20[0124]$/) })
      const type = TYPES.find(([of]) => of.test(name))?.[1] ?? 'application/json'
      if (status !== '204') expect({ name, types: Object.keys(answer?.content ?? {}) }).toEqual({ name, types: [type] })
    }
  })

  test('asks for an access token everywhere but where one is got', () => {
    const open = operations.filter(({ operation }) => !operation.security?.length).map(({ name }) => name)
    const forAnybody = open.filter((name) => name.includes('/api/'))
    expect(forAnybody.sort()).toEqual([
      'POST /api/v1/login',
      'POST /api/v1/login/refresh',
      'POST /api/v1/login/reset',
      'POST /api/v1/login/reset/confirm',
    ])
  })

  test('says of every refusal that it is a problem', () => {
    const others = operations.flatMap(({ name, operation }) =>
      Object.entries(operation.responses)
        .filter(([code, { content }]) => /^[45]/.test(code) && !content?.['application/problem+json'])
        .map(([code]) => `${name}: ${code}`),
    )
    expect(others).toEqual([])
  })

  test('tells of the paths for machines too', () => {
    const calls = Object.values(CALLS).map(({ path }) => path)
    expect(Object.keys(spec.paths)).toEqual(expect.arrayContaining(['/health', '/ready', ...calls]))
    for (const call of calls) expect(Object.keys(spec.paths[call] ?? {})).toEqual(['post'])
  })
})

describe('/docs', () => {
  test('is a page that gets all it needs from here', async () => {
    const response = await api.fetch('/docs')
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toMatch(/^text\/html/)
    const page = await response.text()
    const links = [...page.matchAll(/(?:src|href)="([^"]*)"/g)].map(([, link = '']) => link)
    expect(links.length).toBeGreaterThanOrEqual(3)
    expect(page).not.toMatch(/<script(?![^>]*\ssrc=)|\son\w+=|https?:/)
    for (const link of links) {
      expect(link).toMatch(/^\/docs\//)
      const file = await api.fetch(link)
      expect({ link, status: file.status }).toEqual({ link, status: 200 })
      expect(file.headers.get('content-type')).toMatch(
        link.endsWith('.css') ? /^text\/css/ : /^(text|application)\/javascript/,
      )
      expect(file.headers.get('x-content-type-options')).toBe('nosniff')
      expect((await file.text()).length).toBeGreaterThan(50)
    }
  })

  test('lets scripts come from nowhere else', async () => {
    const policy = (await api.fetch('/docs')).headers.get('content-security-policy') ?? ''
    const directives = Object.fromEntries(policy.split(';').map((part) => part.trim().split(/\s+(.*)/)))
    expect(directives['default-src']).toBe("'self'")
    expect(directives['script-src'] ?? "'self'").toBe("'self'")
    expect(directives['frame-ancestors']).toBe("'none'")
    expect(directives['object-src']).toBe("'none'")
    expect(directives['base-uri']).toBe("'none'")
  })

  test.each([
    '/docs/package.json',
    '/docs/..%2fpackage.json',
    '/docs/index.html',
    '/docs/swagger-ui.css.map',
    '/docs/',
  ])('%s is not one of its files', async (path) => {
    expectProblem(await replyOf(await api.fetch(path)), 404)
  })
})

describe('headers', () => {
  test.each(['/health', '/docs', '/openapi.json', '/nothing', '/api/v1/people', '/api/v1/login'])(
    'that keep a browser careful are on %s, whatever it answers',
    async (path) => {
      const { headers } = await api.fetch(path)
      expect(Object.fromEntries(headers)).toMatchObject({
        'content-security-policy': expect.stringContaining("default-src 'self'"),
        'x-content-type-options': 'nosniff',
        'x-frame-options': 'DENY',
        'referrer-policy': 'no-referrer',
      })
      expect(headers.get('x-powered-by')).toBeNull()
      if (path.startsWith('/api/')) expect(headers.get('cache-control')).toBe('no-store')
    },
  )
})

describe('another origin', () => {
  const FRIEND = 'https://doors.example.org'
  const STRANGERS = [
    'https://evil.example.org',
    'http://doors.example.org',
    'https://doors.example.org.evil.org',
    'null',
  ]
  const from = (origin: string, path: string, init: RequestInit = {}) =>
    api.fetch(path, { ...init, headers: { origin, ...init.headers } })
  const allowed = ({ headers }: Response) => headers.get('access-control-allow-origin')
  const preflight = {
    method: 'OPTIONS',
    headers: {
      'access-control-request-method': 'PATCH',
      'access-control-request-headers': 'authorization,content-type',
    },
  }

  test('that is configured may ask and read, also what is refused', async () => {
    for (const path of ['/api/v1/people', '/api/v1/login']) {
      const asked = await from(FRIEND, path, preflight)
      expect(asked.status).toBe(204)
      expect(allowed(asked)).toBe(FRIEND)
      expect(asked.headers.get('access-control-allow-methods')).toMatch(/PATCH/)
      expect(asked.headers.get('access-control-allow-headers')?.toLowerCase()).toMatch(/authorization.*content-type/)
      expect(asked.headers.get('access-control-allow-credentials')).toBeNull()
    }
    const headers = { authorization: `Bearer ${admin.token}` }
    const answered = await from(FRIEND, '/api/v1/people', { headers })
    expect([answered.status, allowed(answered)]).toEqual([200, FRIEND])
    expect(answered.headers.get('vary')?.toLowerCase()).toContain('origin')
    const refused = await from(FRIEND, '/api/v1/people')
    expect([refused.status, allowed(refused)]).toEqual([401, FRIEND])
  })

  test.each(STRANGERS)('such as %s may not', async (origin) => {
    expect(allowed(await from(origin, '/api/v1/people', preflight))).toBeNull()
    expect(allowed(await from(origin, '/api/v1/people'))).toBeNull()
  })

  test('has nothing to do with what bridges ask', async () => {
    expect(allowed(await from(FRIEND, '/internal/config', { method: 'POST', body: '' }))).toBeNull()
    expect(allowed(await from(FRIEND, '/internal/config', preflight))).toBeNull()
  })
})

describe('requests that come at once', () => {
  test('each get an answer of their own', async () => {
    const names = Array.from({ length: 40 }, (_, i) => `Number ${i}`)
    const nounOf = (i: number) => (i % 2 === 0 ? 'people' : 'groups')
    const added = await Promise.all(names.map((name, i) => admin.post(`/${nounOf(i)}`, { name })))
    expect(added.map(({ status, body }) => [status, body['name']])).toEqual(names.map((name) => [201, name]))
    const read = await Promise.all(added.map(({ body }, i) => admin.get(`/${nounOf(i)}/${body.id}`)))
    expect(read.map(({ status, body }) => ({ status, body }))).toEqual(added.map(({ body }) => ({ status: 200, body })))
  })
})
