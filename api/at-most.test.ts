import { Hono } from 'hono'
import { expect, test } from 'vitest'
import { atMost } from './at-most.ts'
import { onError } from './errors.ts'
import { noMetrics } from './metrics.ts'
import type { AppEnv, Platform } from './platform.ts'

const platform = { log: () => {}, metrics: noMetrics } as unknown as Platform

/** An app that answers when it is told to. */
const slowApp = (most: number) => {
  const go: (() => void)[] = []
  const app = new Hono<AppEnv>()
    .use(atMost(most))
    .get('/wait', async (c) => {
      await new Promise<void>((resolve) => go.push(resolve))
      return c.text('done')
    })
    .get('/fail', () => {
      throw new Error('a bug')
    })
    .onError(onError)
  return { ask: async (path: string) => app.request(path, {}, platform), go }
}

test('one request more than may wait is refused at once with 503, and is let in when another has its answer', async () => {
  const { ask, go } = slowApp(2)
  const waiting = [ask('/wait'), ask('/wait')]
  const refused = await ask('/wait')
  expect({ status: refused.status, after: refused.headers.get('retry-after') }).toEqual({ status: 503, after: '1' })
  expect(await refused.json()).toMatchObject({ type: 'urn:lintel:problem:unavailable' })

  go.shift()?.()
  expect((await waiting[0])?.status).toBe(200)
  const next = ask('/wait')
  await new Promise(setImmediate)
  for (const answer of go) answer()
  expect([(await next).status, (await waiting[1])?.status]).toEqual([200, 200])
})

test('a request that fails gives its place back', async () => {
  const { ask } = slowApp(1)
  expect([(await ask('/fail')).status, (await ask('/fail')).status, (await ask('/fail')).status]).toEqual([
    500, 500, 500,
  ])
})
