import { Refused } from './ask.ts'
import { nameOf } from './log.ts'

export type LinkState = 'up' | 'down' | 'refused'

/**
 * Whether the API can be asked. `down`: it could not just now, so scans are decided here and no door waits for it, until
 * it answers again. `refused`: it answers, but does not know this bridge, which then has no business opening doors.
 */
export type Link = {
  state(): LinkState
  /** The API answered one of our questions. */
  up(): void
  /** It did not; true when it could not be reached at all, so that the bridge may decide itself. */
  failed(error: unknown): boolean
  /**
   * It did not answer what no door waits for. That may have reasons of its own, a proxy without patience or a database that
   * others keep busy, so that nothing follows for scans; but a bridge that is not known is not known for them either.
   */
  failedAside(error: unknown): void
}

/** `changed` is called after every change. */
export const linkToApi = (changed: (state: LinkState, error?: string) => void): Link => {
  let state: LinkState = 'up'
  const become = (next: LinkState, error?: string) => {
    if (next === state) return
    state = next
    changed(next, error)
  }
  return {
    state: () => state,
    up: () => become('up'),
    failedAside(error) {
      const status = error instanceof Refused ? error.status : 0
      if (status === 401 || status === 403) become('refused', nameOf(error))
    },
    failed(error) {
      const status = error instanceof Refused ? error.status : 0
      if (status === 401 || status === 403) become('refused', nameOf(error))
      // The API is there, and has something against this one message.
      if (status >= 400 && status < 500 && status !== 408 && status !== 429) return false
      become('down', nameOf(error))
      return true
    },
  }
}
