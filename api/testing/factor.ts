import { eq } from 'drizzle-orm'
import { Secret, TOTP } from 'otpauth'
import { accounts } from '../db/schema.ts'
import type { TestApi } from './api.ts'
import type { Caller } from './caller.ts'

const STEP_MS = 30_000

/** What an authenticator with this secret shows, so many steps of thirty seconds from now. */
export const codeOf = (secret: string, steps = 0): string =>
  new TOTP({ secret: Secret.fromBase32(secret) }).generate({ timestamp: Date.now() + steps * STEP_MS })

/** Waits out the last seconds of a step, so that the next few requests fall into one. */
export const steady = async (): Promise<void> => {
  const left = STEP_MS - (Date.now() % STEP_MS)
  if (left < 4_000) await new Promise((resolve) => setTimeout(resolve, left + 50))
}

/** As if no code had been given yet: each is good once, and no test waits for the next. */
export const forgetCodes = (api: TestApi, id: string) =>
  api.db.update(accounts).set({ totpStep: null }).where(eq(accounts.id, id))

/** Turns the second factor of an account without one on, as its owner would. */
export const enrol = async (api: TestApi, caller: Caller): Promise<{ secret: string; recoveryCodes: string[] }> => {
  const { body } = await caller.post('/me/totp')
  const secret = String(body['secret'])
  const confirmed = await caller.post('/me/totp/confirm', { code: codeOf(secret) })
  if (confirmed.status !== 200) throw new Error(`the factor was not confirmed: ${JSON.stringify(confirmed.body)}`)
  await forgetCodes(api, caller.id)
  return { secret, recoveryCodes: confirmed.body['recoveryCodes'] as string[] }
}
