import { createMiddleware } from 'hono/factory'
import { refuseAs } from '../errors.ts'
import type { AppEnv } from '../platform.ts'
import { mustEnrol } from './enrolment.ts'
import { accountOf } from './guard.ts'

/** For how long a password or a code that was given counts as given just now. */
const RECENT_MS = 10 * 60_000

/**
 * For what a stolen session must not do alone: it asks that whoever is signed in has given the password or a code in the
 * last ten minutes (at sign-in, or to POST /me/proof). Put it after `may(…)`. An API key cannot prove anything, so it is
 * always refused. The enrolment of a first sign-in asks for no more than that sign-in.
 */
export const recentProof = createMiddleware<AppEnv>(async (c, next) => {
  const account = accountOf(c)
  const age = c.env.now().getTime() - account.provenAt.getTime()
  if (age > RECENT_MS && !mustEnrol(c.env, account)) {
    refuseAs('proof-required', 'Show again who you are: send your password, or a code, to POST /api/v1/me/proof.')
  }
  await next()
})
