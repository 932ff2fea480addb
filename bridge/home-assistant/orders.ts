import { DEADLINE_MS } from '../../api/contract/scan.ts'
import type { Doors } from '../doors/doors.ts'
import { isLate } from '../echo.ts'
import { counterOf, type Log } from '../log.ts'
import { rateOf } from '../rate.ts'
import type { Heard } from './wire.ts'

/** So many orders at once for each door, and one more with every second. */
const BURST = 3
const EVERY_MS = 1_000

/** Longer than any order. Bytes. */
const MOST_BYTES = 16

/** Why an order came to nothing before its door was asked. */
type Ignored = 'retained' | 'unknown_order' | 'late' | 'too_many'

type Parts = {
  doors: Pick<Doors, 'open'>
  /** An order was one, and came to nothing. */
  refused(doorId: string, why: string): void
  log: Log
  now: () => number
}

/**
 * What Home Assistant may do: UNLOCK opens a door once, for as long as it opens, by the same hands as every other opening, so that a
 * lockdown refuses it and it is on record as Home Assistant's. LOCK is nothing, as the door locks by itself. Held open is a
 * door by an order that the API keeps, so that is nothing to be had here.
 */
export const ordersTo = ({ doors, refused, log, now }: Parts) => {
  const ignored = counterOf<Ignored>(log, 'home_assistant_ignored')
  const mayOrder = rateOf(BURST, EVERY_MS, now)

  const refuse = (doorId: string, why: Ignored) => {
    ignored.count(why)
    refused(doorId, why)
  }

  return {
    async take(doorId: string, { payload, retained, age }: Pick<Heard, 'payload' | 'retained' | 'age'>): Promise<void> {
      // It was an order once, and may be from any time.
      if (retained) return ignored.count('retained')
      const order = payload.length > MOST_BYTES ? '' : payload.toString('latin1')
      if (order === 'LOCK') return
      if (order !== 'UNLOCK') return ignored.count('unknown_order')
      if (isLate(age)) return refuse(doorId, 'late')
      if (!mayOrder(doorId)) return refuse(doorId, 'too_many')
      const { state, detail } = await doors.open({ doorId }, now() + DEADLINE_MS - age, { by: 'home_assistant' })
      log('info', 'home_assistant_order', { door: doorId, state, detail })
      if (state === 'refused') refused(doorId, detail)
    },
    stop: () => ignored.stop(),
  }
}
