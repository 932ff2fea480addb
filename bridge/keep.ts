import type { HandedOver } from '../api/contract/hand-over.ts'
import { type Api, handOver } from './ask.ts'
import type { Link } from './link.ts'
import { type Log, nameOf } from './log.ts'
import type { Spool } from './spool.ts'

/** So many events may wait in memory while they can neither be written here nor handed over. */
const MOST = 1_000
const AGAIN_MS = 1_000

export type Keep = {
  /** Resolves when the event is on this disk; rejects when it cannot be. */
  now(event: HandedOver): Promise<void>
  /** Resolves when the event is safe, here or at the API, however long that takes. Rejects when there are too many. */
  atLast(event: HandedOver): Promise<void>
}

/** Makes events safe: in the spool, and where the disk refuses them at the API, as soon as one of the two takes them. */
export const keepIn = (spool: Spool<HandedOver>, api: Api, link: Link, log: Log): Keep => {
  let waiting = 0

  const tryBoth = async (event: HandedOver): Promise<void> => {
    if (link.state() !== 'up') return spool.put(event)
    return handOver(api, [event]).catch(() => spool.put(event))
  }

  // A loop, and no function that calls itself: those that wait for each other would stay in memory, try by try.
  const again = async (event: HandedOver): Promise<void> => {
    for (;;) {
      await new Promise((done) => setTimeout(done, AGAIN_MS * (0.8 + Math.random() * 0.4)).unref())
      try {
        return await tryBoth(event)
      } catch (error) {
        log('debug', 'still_not_kept', { event: event.id, error: nameOf(error) })
      }
    }
  }

  return {
    now: (event) => spool.put(event),
    async atLast(event) {
      try {
        return await spool.put(event)
      } catch (error) {
        const say = 'What this bridge decides cannot be written to DATA_DIR: doors stay shut while the API is away.'
        log('error', 'not_kept', { event: event.id, error: nameOf(error), say })
        if (waiting >= MOST) throw error
      }
      waiting += 1
      await again(event).finally(() => {
        waiting -= 1
      })
    },
  }
}
