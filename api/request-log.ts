import type { Context } from 'hono'
import { createMiddleware } from 'hono/factory'
import { matchedRoutes } from 'hono/route'
import { TRACEPARENT, traceOf } from './contract/trace.ts'
import type { AppEnv } from './platform.ts'

/**
 * The route as it is written in the floor plan, never the path with what somebody put there. What is for many paths may stand
 * there after it.
 */
export const routeOf = (c: Context): string =>
  matchedRoutes(c).findLast(({ path }) => !path.endsWith('*'))?.path ?? '/*'

/** One line per request. */
export const oneLine = createMiddleware<AppEnv>(async (c, next) => {
  const started = performance.now()
  c.set('asked', c.env.now())
  const trace = traceOf(c.req.header(TRACEPARENT))
  c.set('trace', trace)
  await next()
  const ms = performance.now() - started
  const route = routeOf(c)
  c.env.metrics.request(c.req.method, route, c.res.status, ms)
  const quiet =
    c.req.path === '/health' ||
    c.req.path === '/ready' ||
    c.req.path === '/metrics' ||
    c.req.path.startsWith('/internal/')
  c.env.log(quiet ? 'debug' : 'info', 'request', {
    method: c.req.method,
    route,
    status: c.res.status,
    ms: Math.round(ms),
    ...(trace !== undefined && { trace }),
    ...(c.var.caller && { [c.var.caller.kind]: c.var.caller.id }),
  })
})
