import * as v from 'valibot'
import { readEnvironment, SetupError } from './contract/environment.ts'
import { isLocal } from './db/is-local.ts'

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

/** `https://…` without a path at its end; in the clear only to this machine. */
const webAddress = v.pipe(
  v.string(),
  v.url(),
  v.maxLength(500),
  v.check((url) => URL.canParse(url) && /^https?:$/.test(new URL(url).protocol), 'not a web address'),
  v.check((url) => !url.startsWith('http:') || isLocal(url), 'not https'),
)

/** What a program says who it is by: 32 printable letters or more. */
const token = v.pipe(v.string(), v.minLength(32), v.maxLength(4_000), v.regex(/^[\x21-\x7e]+$/))

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
  PUBLIC_URL: v.optional(
    v.pipe(
      webAddress,
      v.check((url) => !/[?#]/.test(url), 'only an address'),
      v.transform((url) => url.replace(/\/+$/, '')),
    ),
  ),
  MAIL_FROM: v.optional(
    v.pipe(v.string(), v.maxLength(320), v.regex(/^([^\p{C}<>"]*<[^\s<>@,]+@[^\s<>@,]+>|[^\s<>@,]+@[^\s<>@,]+)$/u)),
  ),
  MAIL_HOOK_URL: v.optional(webAddress),
  MAIL_HOOK_TOKEN: v.optional(v.pipe(v.string(), v.maxLength(4_000), v.regex(/^[\x21-\x7e]+$/))),
  RATE_LIMIT_PER_MINUTE: v.optional(whole(0, 1_000_000), '6000'),
  METRICS_TOKEN: v.optional(token),
  KEEP_EVENTS_DAYS: v.optional(whole(7, 36_500), '90'),
  KEEP_DEVICE_EVENTS_DAYS: v.optional(whole(7, 36_500), '90'),
  KEEP_AUDIT_DAYS: v.optional(whole(31, 36_500), '365'),
  BROKER_TOKEN: v.optional(token),
})
type Settings = v.InferOutput<typeof Config>

export type Config = Omit<Settings, 'PUBLIC_URL' | 'REQUIRE_MFA'> & {
  /** Where real people are let in: nothing is made up there, and nothing printed that is for one reader. */
  production: boolean
  PUBLIC_URL: string
  /** May an account of the role owner or admin do nothing before it has a second factor? */
  REQUIRE_MFA: boolean
}

const HINTS: Record<keyof Settings, string> = {
  APP_KEY: '32 random bytes in base64; make one with: openssl rand -base64 32',
  APP_KEY_PREVIOUS: 'the APP_KEY of before, in base64, while it is being replaced',
  ACCESS_TOKEN_MINUTES: 'whole minutes from 1 to 1440',
  SESSION_HOURS: 'whole hours from 1 to 2160',
  SESSION_IDLE_MINUTES: 'whole minutes from 1 to 10080',
  RATE_LIMIT_PER_MINUTE: 'a whole number from 0 (no limit) to 1000000',
  CORS_ORIGINS: 'origins separated by commas, such as https://doors.example.org',
  REQUIRE_MFA: 'true or false',
  PUBLIC_URL: 'where people reach this API, such as https://doors.example.org',
  MAIL_FROM: 'the sender of mail, such as Lintel <doors@example.org>',
  MAIL_HOOK_URL: 'an https address that takes mail as JSON',
  MAIL_HOOK_TOKEN: 'printable ASCII without spaces',
  METRICS_TOKEN: '32 letters or more without spaces; make one with: openssl rand -base64 32',
  KEEP_EVENTS_DAYS: 'whole days from 7 to 36500',
  KEEP_DEVICE_EVENTS_DAYS: 'whole days from 7 to 36500',
  KEEP_AUDIT_DAYS: 'whole days from 31 to 36500',
  BROKER_TOKEN: '32 letters or more without spaces; make one with: openssl rand -base64 32',
}

/** Where nobody said where people reach the API, and only its developer does. */
const PUBLIC_URL = 'http://127.0.0.1:8080'

/** Mail needs a sender, and in production an address for its links: never the one a request came to, which anybody can forge. */
const requireMailSettings = ({ MAIL_FROM, PUBLIC_URL }: Settings, production: boolean): void => {
  if (MAIL_FROM === undefined) throw new SetupError(`MAIL_FROM is not set: ${HINTS.MAIL_FROM}.`)
  if (production && PUBLIC_URL === undefined) throw new SetupError(`PUBLIC_URL is not set: ${HINTS.PUBLIC_URL}.`)
}

/**
 * Read once, at the door. Names what is wrong and never what was there: a ValiError would carry the values. In production
 * what protects is on unless somebody turns it off.
 */
export const readConfig = (env: Record<string, unknown>, { production }: { production: boolean }): Config => {
  const settings = readEnvironment(Config, HINTS, env)
  if (env['SMTP_URL'] || settings.MAIL_HOOK_URL !== undefined) requireMailSettings(settings, production)
  return {
    ...settings,
    PUBLIC_URL: settings.PUBLIC_URL ?? PUBLIC_URL,
    REQUIRE_MFA: settings.REQUIRE_MFA ?? production,
    production,
  }
}
