import type { Platform } from './platform.ts'

type Patience = {
  /** Between two looks, and in all. Milliseconds. */
  everyMs: number
  forMs: number
  /** Whoever asked is gone. */
  gone?: AbortSignal
}

/**
 * Looks again and again until there is something to tell, and undefined when it took too long, whoever asked is gone or this
 * process ends. The same on Node and on Workers, and no connection is held meanwhile. Not by LISTEN and NOTIFY: every commit
 * of a notifying transaction waits in one queue for all others, and the transaction that would notify is a scan's.
 */
export const pollUntil = async <T>(
  { closing }: Pick<Platform, 'closing'>,
  { everyMs, forMs, gone }: Patience,
  look: () => Promise<T | undefined>,
): Promise<T | undefined> => {
  const until = performance.now() + forMs
  for (;;) {
    const found = await look()
    if (found !== undefined) return found
    const left = until - performance.now()
    if (left <= 0 || closing.aborted || gone?.aborted) return undefined
    await pause(Math.min(everyMs, left), [closing, ...(gone ? [gone] : [])])
  }
}

const pause = (ms: number, signals: readonly AbortSignal[]): Promise<void> =>
  new Promise((resolve) => {
    const go = () => {
      clearTimeout(timer)
      for (const signal of signals) signal.removeEventListener('abort', go)
      resolve()
    }
    const timer = setTimeout(go, ms)
    for (const signal of signals) signal.addEventListener('abort', go)
  })
