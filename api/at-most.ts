import { createMiddleware } from 'hono/factory'
import { refuse } from './errors.ts'
import type { AppEnv } from './platform.ts'

/**
 * Lets at most so many requests through at once, of all that this process has, and answers one more with 503 at once: what
 * waits for a slow database must not pile up in memory, and whoever asked has better things to do than to wait.
 */
export const atMost = (most: number) => {
  let underWay = 0
  return createMiddleware<AppEnv>(async (c, next) => {
    if (underWay >= most) {
      c.header('retry-after', '1')
      refuse(503, 'Too many requests are waiting here already. Try again in a moment.')
    }
    underWay += 1
    c.env.metrics.underWay(1)
    try {
      await next()
    } finally {
      underWay -= 1
      c.env.metrics.underWay(-1)
    }
  })
}
