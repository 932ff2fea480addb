import * as v from 'valibot'
import { isTimezone } from '../contract/window.ts'

// Fields that readers and doors have alike.

const MOST_SETTINGS = 30

/** By the names that the profile gives them. What of them is good for what, the profile says (contract/profiles.ts). */
export const settings = v.pipe(
  v.record(
    v.pipe(v.string(), v.maxLength(64)),
    v.union(
      [
        v.pipe(v.string(), v.maxLength(500)),
        v.pipe(v.number(), v.minValue(Number.MIN_SAFE_INTEGER), v.maxValue(Number.MAX_SAFE_INTEGER)),
        v.boolean(),
      ],
      'must be a text of at most 500 letters, a number, or true or false',
    ),
  ),
  v.maxEntries(MOST_SETTINGS, `must not be more than ${MOST_SETTINGS}`),
)

export const timezone = v.pipe(
  v.string(),
  v.maxLength(64),
  v.check(isTimezone, 'not an IANA time zone such as Europe/Prague'),
)

/** Where bridges speak: among themselves, and with Home Assistant of doors. No reader and no door has anything there. */
export const isReserved = (topic: string): boolean => /^lintel\/(bridge|door)\//.test(topic)
export const RESERVED = 'must not be below lintel/bridge or lintel/door: there the bridges speak'
