import * as v from 'valibot'
import { readEnvironment } from './contract/environment.ts'

/** 32 bytes or more in base64 (or base64url), the root of every other key. */
const appKey = v.pipe(
  v.string(),
  v.regex(/^[A-Za-z0-9+/_-]+={0,2}$/, 'not base64'),
  v.transform((text) => Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0))),
  v.check((bytes) => bytes.length >= 32, 'shorter than 32 bytes'),
  v.check((bytes) => new Set(bytes).size >= 8, 'not random'),
)

const whole = (least: number, most: number) =>
  v.pipe(v.string(), v.regex(/^\d+$/), v.transform(Number), v.minValue(least), v.maxValue(most))

const origins = v.pipe(
  v.string(),
  v.transform((list) =>
    list
      .split(',')
      .map((origin) => origin.trim())
      .filter((origin) => origin !== ''),
  ),
  v.array(
    v.pipe(
      v.string(),
      v.url(),
      v.check(
        (origin) => URL.canParse(origin) && new URL(origin).origin === origin,
        'an origin such as https://doors.example.org',
      ),
    ),
  ),
)

const Config = v.object({
  APP_KEY: appKey,
  APP_KEY_PREVIOUS: v.optional(appKey),
  ACCESS_TOKEN_MINUTES: v.optional(whole(1, 24 * 60), '30'),
  SESSION_HOURS: v.optional(whole(1, 24 * 90), '24'),
  SESSION_IDLE_MINUTES: v.optional(whole(1, 7 * 24 * 60), '60'),
  CORS_ORIGINS: v.optional(origins, ''),
  REQUIRE_MFA: v.optional(
    v.pipe(
      v.picklist(['true', 'false']),
      v.transform((word) => word === 'true'),
    ),
  ),
})
export type Config = v.InferOutput<typeof Config> & {
  /** May an account of the role owner or admin do nothing before it has a second factor? */
  REQUIRE_MFA: boolean
}

const HINTS: Record<keyof v.InferOutput<typeof Config>, string> = {
  APP_KEY: '32 random bytes in base64; make one with: openssl rand -base64 32',
  APP_KEY_PREVIOUS: 'the APP_KEY of before, in base64, while it is being replaced',
  ACCESS_TOKEN_MINUTES: 'whole minutes from 1 to 1440',
  SESSION_HOURS: 'whole hours from 1 to 2160',
  SESSION_IDLE_MINUTES: 'whole minutes from 1 to 10080',
  CORS_ORIGINS: 'origins separated by commas, such as https://doors.example.org',
  REQUIRE_MFA: 'true or false',
}

/**
 * Read once, at the door. Names what is wrong and never what was there: a ValiError would carry the values. In production
 * what protects is on unless somebody turns it off.
 */
export const readConfig = (env: Record<string, unknown>, { production }: { production: boolean }): Config => {
  const config = readEnvironment(Config, HINTS, env)
  return { ...config, REQUIRE_MFA: config.REQUIRE_MFA ?? production }
}
