import type { Context } from 'hono'
import { createMiddleware } from 'hono/factory'
import { networkOf } from './address.ts'
import type { Config } from './config.ts'
import { refuse } from './errors.ts'
import type { AppEnv } from './platform.ts'

/*
 * How many requests each caller may make in a minute. Counted by each process (or isolate) for itself: it is there so that
 * one program gone wild leaves room for the others, and costs nothing. What keeps guesses few is in login/limits.ts.
 */

const MINUTE_MS = 60_000

/** Addresses beyond so many in one minute share a count, so that they cannot fill the memory. */
const MOST_ADDRESSES = 10_000

type Minute = { endsAt: number; counts: Map<string, number> }
const minutes = new WeakMap<Config, Minute>()

const minuteOf = (config: Config, at: number): Minute => {
  const known = minutes.get(config)
  if (known && at < known.endsAt && at >= known.endsAt - MINUTE_MS) return known
  const minute = { endsAt: at + MINUTE_MS, counts: new Map() }
  minutes.set(config, minute)
  return minute
}

/**
 * Counts a request of this caller, or of the address while nobody is signed in, and says in RateLimit headers
 * (draft-ietf-httpapi-ratelimit-headers-11) how many are left; 429 when none is.
 */
export const spend = (c: Context<AppEnv>): void => {
  const { config, now, address } = c.env
  const most = config.RATE_LIMIT_PER_MINUTE
  if (most === 0) return
  const at = now().getTime()
  const { endsAt, counts } = minuteOf(config, at)
  const { caller } = c.var
  const who = caller ? `${caller.kind} ${caller.id}` : `address ${networkOf(address)}`
  const counted = caller || counts.has(who) || counts.size < MOST_ADDRESSES ? who : 'others'
  const count = (counts.get(counted) ?? 0) + 1
  counts.set(counted, count)

  const seconds = Math.ceil((endsAt - at) / 1000)
  c.header('ratelimit-policy', `"default";q=${most};w=60`)
  c.header('ratelimit', `"default";r=${Math.max(most - count, 0)};t=${seconds}`)
  if (count <= most) return
  c.header('retry-after', String(seconds))
  refuse(429, `More than ${most} requests in a minute. Try again in ${seconds} s.`)
}

/** For the routes that anybody may ask. */
export const spendOfAddress = createMiddleware<AppEnv>(async (c, next) => {
  spend(c)
  await next()
})
