import { expect, test } from 'vitest'
import { app, management } from './app.ts'
import { guards } from './login/guard.ts'

/** What anybody may ask under /api/v1, to get in; `/logout` asks for an access token itself. */
const FOR_ANYBODY = /^\/api\/v1\/(login|logout)(\/|$)/

const routes = (of: typeof app, prefix = '') =>
  Map.groupBy(
    of.routes.filter(({ method }) => method !== 'ALL'),
    ({ method, path }) => `${method} ${prefix}${path.replace(/\/$/, '')}`,
  )

test('every route of management says who may enter, or is about whoever asks', () => {
  const open = [...routes(management)]
    .filter(([name]) => !/^[A-Z]+ \/me(\/|$)/.test(name))
    .filter(([, handlers]) => !handlers.some(({ handler }) => guards.has(handler)))
    .map(([name]) => name)
  expect(open).toEqual([])
})

test('nothing under /api/v1 is outside of management but what is for getting in and out', () => {
  const managed = routes(management, '/api/v1')
  const others = [...routes(app).keys()].filter((name) => name.includes(' /api/v1') && !managed.has(name))
  expect(managed.size).toBeGreaterThan(40)
  expect(others.filter((name) => !FOR_ANYBODY.test(name.split(' ')[1] ?? ''))).toEqual([])
})
