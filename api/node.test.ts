import { once } from 'node:events'
import { get } from 'node:http'
import postgres from 'postgres'
import * as v from 'valibot'
import { afterEach, expect, test } from 'vitest'
import { Proxies } from './client-address.ts'
import { readConfig } from './config.ts'
import { bcrypt } from './login/bcrypt.ts'
import { noMetrics } from './metrics.ts'
import { asset, listen } from './node.ts'
import { database } from './platform.ts'
import { byFetch } from './webhooks/fetch.ts'

const closing: (() => Promise<unknown>)[] = []

afterEach(async () => {
  await Promise.all(closing.splice(0).map((close) => close()))
})

/** Served as in production, but for a database: who is not signed in is refused without one. */
const served = async (trusted: string) => {
  const db = database(postgres('postgres://nobody@127.0.0.1:1/nothing'))
  const config = readConfig(
    { APP_KEY: btoa('0123456789abcdefghijklmnopqrstuv'), RATE_LIMIT_PER_MINUTE: '3' },
    { production: false },
  )
  const TRUSTED_PROXIES = v.parse(Proxies, trusted)
  const platform = {
    config,
    db,
    doorDb: db,
    password: bcrypt,
    asset,
    now: () => new Date(),
    log: () => {},
    metrics: noMetrics,
    draining: new AbortController().signal,
    closing: new AbortController().signal,
    address: null,
    mail: undefined,
    send: byFetch,
    later: () => {},
  }
  const { server, url } = await listen({ ...platform, https: false }, { PORT: 0, HOST: '127.0.0.1', TRUSTED_PROXIES })
  closing.push(() => {
    server.close()
    return once(server, 'close')
  })
  const ask = async (path: string, headers: Record<string, string>) => {
    const response = await fetch(url + path, { headers: { ...headers, connection: 'close' } })
    await response.arrayBuffer()
    return response
  }
  // fetch would tidy the path up.
  const askAsItIs = async (path: string) => {
    const [answer] = await once(get(url, { path, agent: false }), 'response')
    answer.resume()
    await once(answer, 'close')
    return Number(answer.statusCode)
  }
  return Object.assign(ask, { asItIs: askAsItIs })
}

/** Five requests, each of which says that it comes from somewhere else. */
const five = async (ask: Awaited<ReturnType<typeof served>>, name: string) => {
  const statuses: number[] = []
  for (const i of [1, 2, 3, 4, 5]) {
    statuses.push((await ask('/api/v1/people', { [name]: `203.0.113.${i}` })).status)
  }
  return statuses
}

test.each(['x-forwarded-for', 'forwarded', 'x-real-ip', 'true-client-ip', 'cf-connecting-ip', 'x-client-ip'])(
  '%s of a stranger does nothing: a client stays who it is',
  async (name) => {
    expect(await five(await served(''), name)).toEqual([401, 401, 401, 429, 429])
  },
)

test('X-Forwarded-For of a trusted proxy tells its clients apart, and no other header does', async () => {
  expect(await five(await served('127.0.0.0/8'), 'x-forwarded-for')).toEqual([401, 401, 401, 401, 401])
  expect(await five(await served('127.0.0.0/8'), 'cf-connecting-ip')).toEqual([401, 401, 401, 429, 429])
})

test('a client cannot put an address in front of what the proxy adds', async () => {
  const ask = await served('127.0.0.1')
  const statuses: number[] = []
  for (const i of [1, 2, 3, 4]) {
    statuses.push((await ask('/api/v1/people', { 'x-forwarded-for': `203.0.113.${i}, 198.51.100.7` })).status)
  }
  expect(statuses).toEqual([401, 401, 401, 429])
})

test('a path that only looks like a bridge’s hides nobody', async () => {
  const ask = await served('')
  const paths = [
    '/internal/../api/v1/people',
    '/internal/%2e%2e/api/v1/people',
    '/internal/access-check/../../api/v1/people',
  ]
  const statuses: number[] = []
  for (const path of paths) statuses.push(await ask.asItIs(path))
  expect(statuses).toEqual([401, 401, 401])
  expect((await ask('/api/v1/people', {})).status).toBe(429)
})

test('HTTPS is what a trusted proxy says it is, and nobody else', async () => {
  const hsts = async (trusted: string, proto: string) =>
    (await (await served(trusted))('/health', { 'x-forwarded-proto': proto })).headers.get('strict-transport-security')
  expect(await hsts('127.0.0.1', 'https')).toBe('max-age=31536000')
  expect(await hsts('127.0.0.1', 'http')).toBeNull()
  expect(await hsts('', 'https')).toBeNull()
})
