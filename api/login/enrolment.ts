import { createMiddleware } from 'hono/factory'
import { refuseAs } from '../errors.ts'
import type { AppEnv, Caller, Platform } from '../platform.ts'
import { needsFactor } from './permissions.ts'

/** Has this account signed in with a password alone where its role needs more (REQUIRE_MFA)? */
export const mustEnrol = ({ config }: Platform, caller: Caller): boolean =>
  caller.kind === 'account' && config.REQUIRE_MFA && needsFactor(caller.role) && !caller.totp

/** All that such an account can do; what is not here is closed, whatever may be added elsewhere. */
const OPEN: readonly string[] = ['GET /api/v1/me', 'POST /api/v1/me/totp', 'POST /api/v1/me/totp/confirm']

/** The enrolment of the first sign-in, which cannot be skipped: whoever still has to set up a factor gets no further. */
export const requireFactor = createMiddleware<AppEnv>(async (c, next) => {
  if (mustEnrol(c.env, c.var.caller) && !OPEN.includes(`${c.req.method} ${c.req.path}`)) {
    refuseAs(
      'factor-required',
      'Your role needs a second factor here. Make a secret with POST /api/v1/me/totp, put it into an authenticator app, and send the app’s code to POST /api/v1/me/totp/confirm.',
    )
  }
  await next()
})
