import { setImmediate } from 'node:timers/promises'

/** Work of one stretch, about, before whatever else waits gets its turn. Milliseconds. */
const STRETCH_MS = 5

/**
 * For long work on the one thread that also decides scans: awaited between its steps, it lets everything that waits go
 * first when the work has gone on for longer than a scan should wait.
 */
export const breath = (): (() => Promise<void>) => {
  let since = performance.now()
  return async () => {
    if (performance.now() - since < STRETCH_MS) return
    await setImmediate()
    since = performance.now()
  }
}
