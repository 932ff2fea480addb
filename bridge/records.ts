import { v5, v7 } from 'uuid'
import type { Scan } from '../api/contract/scan.ts'
import type { Heard } from './profiles/profile.ts'

export type Recorded = Extract<Heard, { is: 'record' }>

/** Of every id that is made here. */
const NAMESPACE = '6f1d3c1e-7b0a-4f0e-9a53-2a1c6d1f5e44'

/** What a device says of a time longer ago than this it says by a clock that is wrong. Milliseconds. */
const OLDEST_MS = 30 * 24 * 3600 * 1000

/**
 * What a reader decided some time ago, as a scan. The same record has the same id whenever it comes, so it is on record
 * once; the card and the time are in it too, as devices count from 1 again when they are reset. Dated by the device where
 * that can be true, else now.
 */
export const scanOfRecord = (
  readerId: string,
  { card, decided, key, time }: Recorded,
  now: Date,
): Omit<Scan, 'pin'> => {
  const told = time === undefined ? Number.NaN : time * 1000
  const isTrue = told <= now.getTime() && told >= now.getTime() - OLDEST_MS
  const isKnownAgain = key !== undefined || time !== undefined
  const id = isKnownAgain ? v5(JSON.stringify([readerId, key ?? null, card, time ?? null]), NAMESPACE) : v7()
  return { id, readerId, card, at: (isTrue ? new Date(told) : now).toISOString(), decided }
}
