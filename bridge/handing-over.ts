import { type HandedOver, MOST_HANDED_OVER } from '../api/contract/hand-over.ts'
import { type Api, handOver, Refused } from './ask.ts'
import type { Link } from './link.ts'
import { type Log, nameOf } from './log.ts'
import type { Spool } from './spool.ts'

/** How often to look whether something waits. Milliseconds. */
const EVERY_MS = 1_000

/** Hands over what waits in the spool, oldest first, whenever the API can be reached. Twice is harmless. */
export const handingOver = (api: Api, spool: Spool, link: Link, log: Log) => {
  let timer: NodeJS.Timeout | undefined
  let stopped = false

  /** A batch that the API has something against is tried one by one: one bad event must not hold up the rest. */
  const deliver = async (events: readonly HandedOver[]): Promise<void> => {
    try {
      await handOver(api, events)
      link.up()
    } catch (error) {
      const status = error instanceof Refused ? error.status : 0
      if (status !== 400 && status !== 413 && status !== 422) throw error
      const [only, ...more] = events
      if (only && more.length === 0)
        return log('error', 'event_refused', { event: only.id, reader: only.readerId, error: nameOf(error) })
      for (const event of events) await deliver([event])
    }
  }

  const deliverAll = async (): Promise<void> => {
    while (!stopped && link.state() === 'up') {
      const batch = await spool.oldest(MOST_HANDED_OVER)
      if (!batch) return
      await deliver(batch.events)
      await batch.done()
      log('info', 'handed_over', { events: batch.events.length, waiting: spool.waiting() })
    }
  }

  const look = async (): Promise<void> => {
    await deliverAll().catch((error: unknown) => {
      link.failed(error)
      log('warn', 'not_handed_over', { error: nameOf(error), waiting: spool.waiting() })
    })
    if (!stopped) timer = setTimeout(() => void look(), EVERY_MS * (0.8 + Math.random() * 0.4))
  }
  void look()

  return {
    stop() {
      stopped = true
      clearTimeout(timer)
    },
  }
}
