import { cors } from 'hono/cors'
import { createMiddleware } from 'hono/factory'
import { secureHeaders } from 'hono/secure-headers'
import type { AppEnv } from './platform.ts'

// What browsers are told to be careful about. Bridges are none, so /internal does without.

export const careful = secureHeaders({
  contentSecurityPolicy: {
    defaultSrc: ["'self'"],
    styleSrc: ["'self'", "'unsafe-inline'"],
    imgSrc: ["'self'", 'data:'],
    objectSrc: ["'none'"],
    baseUri: ["'none'"],
    frameAncestors: ["'none'"],
    formAction: ["'self'"],
  },
  xFrameOptions: 'DENY',
  // Only where it is true: below.
  strictTransportSecurity: false,
})

/** Whoever came by HTTPS is to come that way for a year (RFC 6797, which forbids to say so over HTTP). */
export const stayOnHttps = createMiddleware<AppEnv>(async (c, next) => {
  await next()
  if (c.env.https || c.req.url.startsWith('https:')) c.header('strict-transport-security', 'max-age=31536000')
})

/** Pages of the listed origins may call the API, with a token that they hold: there are no cookies. Nothing is kept. */
export const otherOrigins = createMiddleware<AppEnv>(async (c, next) => {
  c.header('cache-control', 'no-store')
  return cors({
    origin: c.env.config.CORS_ORIGINS,
    allowMethods: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'],
    allowHeaders: ['authorization', 'content-type', 'last-event-id'],
    exposeHeaders: ['retry-after', 'ratelimit', 'ratelimit-policy'],
    maxAge: 600,
  })(c, next)
})
