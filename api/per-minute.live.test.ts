import { beforeAll, describe, expect, test } from 'vitest'
import { CALLS } from './contract/envelope.ts'
import { type Reply, startTestApi, type TestApi } from './testing/api.ts'
import { type Caller, expectProblem, send, signIn } from './testing/caller.ts'
import { bridgeWith, scanOf } from './testing/sealed.ts'

const MOST = 20
let api: TestApi
let caller: Caller

beforeAll(async () => {
  api = await startTestApi({ RATE_LIMIT_PER_MINUTE: String(MOST) })
  caller = await signIn(api, 'auditor')
})

const limits = ({ headers }: Reply) => [headers.get('ratelimit-policy'), headers.get('ratelimit')]
const statuses = (replies: Reply[]) => {
  const counts: Record<number, number> = {}
  for (const { status } of replies) counts[status] = (counts[status] ?? 0) + 1
  return counts
}
const times = (ask: () => Promise<Reply>) => Promise.all(Array.from({ length: MOST + 5 }, ask))
const from = (address: string, path = '/people') => send(api, 'GET', path, { headers: { 'cf-connecting-ip': address } })

describe('how many requests are left in this minute', () => {
  test('is said in each answer', async () => {
    const me = await signIn(api, 'auditor')
    for (const left of [19, 18]) {
      const [policy, limit] = limits(await me.get('/people'))
      expect(policy).toBe('"default";q=20;w=60')
      expect(limit).toMatch(new RegExp(`^"default";r=${left};t=[1-6]?\\d$`))
    }
  })

  test('is counted for each account by itself, and whoever has none left is told when to come again', async () => {
    const replies = await times(() => caller.get('/people'))
    expect(statuses(replies)).toEqual({ 200: MOST, 429: 5 })
    const refused = await caller.get('/people')
    expectProblem(refused, 429)
    expect(limits(refused)[1]).toMatch(/^"default";r=0;t=\d+$/)
    expect(refused.headers.get('retry-after')).toMatch(/^[1-6]?\d$/)
    expect((await (await signIn(api, 'auditor')).get('/people')).status).toBe(200)
  })

  test('is counted for each address while nobody is signed in, with a bad token or none', async () => {
    expect(statuses(await times(() => from('192.0.2.1')))).toEqual({ 401: MOST, 429: 5 })
    const headers = { 'cf-connecting-ip': '192.0.2.1', authorization: 'Bearer nonsense' }
    expectProblem(await send(api, 'GET', '/people', { headers }), 429)
    expectProblem(await from('192.0.2.2'), 401)
    expect((await (await signIn(api, 'auditor')).get('/people')).status).toBe(200)
  })

  test('is counted of sign-ins too, also of those that cannot be read', async () => {
    const headers = { 'cf-connecting-ip': '192.0.2.3' }
    const replies = await times(() => send(api, 'POST', '/login/refresh', { body: '{}', headers }))
    expect(statuses(replies)).toEqual({ 422: MOST, 429: 5 })
  })

  test('does not depend on a header that anybody may write', async () => {
    const spoofed = (i: number) =>
      send(api, 'GET', '/people', {
        headers: {
          'cf-connecting-ip': '192.0.2.4',
          'x-forwarded-for': `203.0.113.${i}`,
          'x-real-ip': `203.0.113.${i}`,
        },
      })
    const replies = await Promise.all(Array.from({ length: MOST + 5 }, (_, i) => spoofed(i)))
    expect(statuses(replies)).toEqual({ 401: MOST, 429: 5 })
  })

  test('is no matter of bridges', async () => {
    const bridge = bridgeWith(api, crypto.randomUUID(), Buffer.alloc(32).toString('base64url'))
    const replies = await Promise.all(
      Array.from({ length: MOST + 5 }, () => bridge.ask(CALLS.check, { scan: scanOf(crypto.randomUUID(), '1') })),
    )
    expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([401]))
    expect(replies[0]?.headers.get('ratelimit')).toBeNull()
  })
})
