import { and, eq, inArray } from 'drizzle-orm'
import { base64url } from 'jose'
import type { Config } from '../config.ts'
import { pins } from '../db/schema.ts'
import { deriveMacKey, rootKeys } from '../keys.ts'
import type { Db } from '../platform.ts'

type Keys = Pick<Config, 'APP_KEY' | 'APP_KEY_PREVIOUS'>

/**
 * A PIN as the table may keep it: HMAC-SHA-256 under a key from APP_KEY, without which a stolen table tells nothing, not even
 * by trying them all. The first is how it is kept from now on, a second how it was under APP_KEY_PREVIOUS. Without a salt, as
 * a PIN alone has to find its person.
 */
export const hashesOfPin = async (config: Keys, pin: string): Promise<[string, ...string[]]> => {
  const hashUnder = async (root: Uint8Array) => {
    const key = await deriveMacKey(root, 'lintel pins')
    return base64url.encode(new Uint8Array(await crypto.subtle.sign('HMAC', key, new TextEncoder().encode(pin))))
  }
  const [current, ...before] = rootKeys(config)
  return [await hashUnder(current), ...(await Promise.all(before.map(hashUnder)))]
}

/** The person whose PIN this is, if it is anybody's; of `personId`, if it is asked for. One of an old key is kept under the new. */
export const ownerOfPin = async (
  db: Pick<Db, 'select' | 'update'>,
  config: Keys,
  pin: string,
  personId?: string,
): Promise<string | undefined> => {
  const hashes = await hashesOfPin(config, pin)
  const isTheirs = personId === undefined ? undefined : eq(pins.personId, personId)
  const [row] = await db
    .select()
    .from(pins)
    .where(and(inArray(pins.hash, hashes), isTheirs))
  const [hash] = hashes
  if (row && row.hash !== hash) await db.update(pins).set({ hash }).where(eq(pins.personId, row.personId))
  return row?.personId
}

/** What whoever finds a card tries first: one digit over and over, or digits in a row, up or down, past 9 or 0 too. */
export const isObvious = (pin: string): boolean => {
  const steps = new Set([...pin].slice(1).map((digit, n) => (Number(digit) - Number(pin[n]) + 10) % 10))
  const [step = 0] = steps
  return steps.size <= 1 && [0, 1, 9].includes(step)
}

/** 100000 to 999999: there are readers that lose a zero in front. */
const [LEAST, HOW_MANY] = [100_000, 900_000]
const FAIR = Math.floor(2 ** 32 / HOW_MANY) * HOW_MANY

/** Six digits by chance, each PIN as likely as any other. */
export const randomPin = (): string => {
  for (;;) {
    const [number = 0] = crypto.getRandomValues(new Uint32Array(1))
    const pin = String(LEAST + (number % HOW_MANY))
    if (number < FAIR && !isObvious(pin)) return pin
  }
}
