import { createMiddleware } from 'hono/factory'
import { routePath } from 'hono/route'
import type { AppEnv } from './platform.ts'

/** One line per request: the route as it is written in the floor plan, never the path with what somebody put there. */
export const oneLine = createMiddleware<AppEnv>(async (c, next) => {
  const started = performance.now()
  c.set('asked', c.env.now())
  await next()
  const quiet = c.req.path === '/health' || c.req.path === '/ready' || c.req.path.startsWith('/internal/')
  c.env.log(quiet ? 'debug' : 'info', 'request', {
    method: c.req.method,
    route: routePath(c, -1),
    status: c.res.status,
    ms: Math.round(performance.now() - started),
    ...(c.var.caller && { [c.var.caller.kind]: c.var.caller.id }),
  })
})
