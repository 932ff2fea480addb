import { Secret, TOTP } from 'otpauth'

// Codes of an authenticator app: RFC 6238 with what every app can do, SHA-1, six digits, steps of thirty seconds.

const ISSUER = 'Lintel'
const PERIOD_S = 30

/** One step before and after the present one: for clocks that differ and for people who type slowly (section 5.2). */
const WINDOW = 1

const totp = (secret: string, label?: string) =>
  new TOTP({
    issuer: ISSUER,
    ...(label !== undefined && { label }),
    algorithm: 'SHA1',
    digits: 6,
    period: PERIOD_S,
    secret: Secret.fromBase32(secret),
  })

/** 160 random bits (RFC 4226, section 4, R6), in base 32 as apps take them. */
export const newTotpSecret = (): string =>
  new Secret({ buffer: crypto.getRandomValues(new Uint8Array(20)).buffer }).base32

/** What an app reads from a QR code. */
export const uriOf = (secret: string, email: string): string => totp(secret, email).toString()

/** Six digits with or without spaces are a code of an app, and nothing else is. */
export const digitsOf = (code: string): string | undefined => /^\d{6}$/.exec(code.replaceAll(/\s/g, ''))?.[0]

/** The time step that this is the code of, among those that are good at that instant; undefined when of none. */
export const stepOf = (secret: string, code: string, at: Date): number | undefined => {
  const timestamp = at.getTime()
  const token = digitsOf(code)
  if (token === undefined) return undefined
  const delta = totp(secret).validate({ token, timestamp, window: WINDOW })
  return delta === null ? undefined : Math.floor(timestamp / 1000 / PERIOD_S) + delta
}
