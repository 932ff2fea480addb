import { Refused } from './ask.ts'
import type { Link } from './link.ts'
import { type Log, nameOf } from './log.ts'
import type { Spool } from './spool.ts'
import { newTrace } from './trace.ts'

/** How often to look whether something waits. Milliseconds. */
const EVERY_MS = 1_000

type Parts<E> = {
  spool: Spool<E>
  /** Resolves when all of the events are on record; `most` at once. Twice is harmless. */
  send(events: readonly E[], trace: string): Promise<void>
  most: number
  link: Link
  /** What follows from it when the API does not take them. */
  failed(error: unknown): void
  log: Log
  /** What the log calls them. */
  words: { done: string; notDone: string; refused: string }
}

export const SCANS = { done: 'handed_over', notDone: 'not_handed_over', refused: 'event_refused' }

/** Hands over what waits in the spool, oldest first, whenever the API can be reached. */
export const handingOver = <E extends { id: string; readerId?: string | undefined }>(parts: Parts<E>) => {
  const { spool, send, most, link, failed, log, words } = parts
  let timer: NodeJS.Timeout | undefined
  let stopped = false
  /** Of the batch that was sent last. */
  let trace: string | undefined

  /** A batch that the API has something against is tried one by one: one bad event must not hold up the rest. */
  const deliver = async (events: readonly E[], trace: string): Promise<void> => {
    try {
      await send(events, trace)
      link.up()
    } catch (error) {
      const status = error instanceof Refused ? error.status : 0
      if (status !== 400 && status !== 413 && status !== 422) throw error
      const [only, ...more] = events
      if (only && more.length === 0)
        return log('error', words.refused, { event: only.id, reader: only.readerId, error: nameOf(error), trace })
      for (const event of events) await deliver([event], trace)
    }
  }

  const deliverAll = async (): Promise<void> => {
    while (!stopped && link.state() === 'up') {
      const batch = await spool.oldest(most)
      if (!batch) return
      trace = newTrace()
      await deliver(batch.events, trace)
      await batch.done()
      log('info', words.done, { events: batch.events.length, waiting: spool.waiting(), trace })
    }
  }

  const look = async (): Promise<void> => {
    await deliverAll().catch((error: unknown) => {
      failed(error)
      log('warn', words.notDone, { error: nameOf(error), waiting: spool.waiting(), trace })
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
