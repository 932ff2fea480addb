import { DEADLINE_MS } from '../api/contract/scan.ts'

/** How often something is sent through the broker and back. Milliseconds. */
const EVERY_MS = 500

/** After a way that took longer than this, what waited beside the echo may still come for a while. Milliseconds. */
const SLOW_MS = 1_000
const SETTLE_MS = 1_000

/**
 * How old may a message be that arrives now? MQTT tells nobody when a message was published, but it keeps its order on a
 * connection: what comes after our own echo was not there before we sent it. So the time since the last echo that came
 * back was sent is the most that a message can have waited: in the broker's queue while we were away, in a connection
 * that hung, in this process while it was stopped. Nothing is new before the first echo of a connection.
 */
export type Echo = {
  /** The connection is there and subscribed; resolves when the first echo is back. */
  open(): Promise<void>
  /** True when it is the echo that was waited for. */
  heard(payload: string): boolean
  /** The connection ended: what comes on the next one may be of any age. */
  reset(): void
  /** The most that a message arriving now can have waited, in milliseconds. */
  age(): number
  stop(): void
}

type Now = { monotonic: number; wall: number }
const nowOf = (): Now => ({ monotonic: performance.now(), wall: Date.now() })

/** A machine that slept has a monotonic clock that slept too: then the wall clock knows better. Set back, it knows less. */
const between = (from: Now, to: Now): number => Math.max(to.monotonic - from.monotonic, to.wall - from.wall)

/**
 * `lost` is called when an echo does not come back in time: then what was last sent, an answer perhaps, may be under way
 * still, and must not arrive.
 */
export const echoThrough = (send: (payload: string) => void, lost: () => void, now: () => Now = nowOf): Echo => {
  let isOpen = false
  let underWay: { payload: string; sent: Now } | undefined
  let back: Now | undefined
  let troubled: Now | undefined
  let ticked = now()
  let count = 0
  let first = () => {}

  const tick = () => {
    const at = now()
    // Where this process itself stood still, the echo may be here already and only not yet be read.
    const awake = at.monotonic - ticked.monotonic < 2 * EVERY_MS
    ticked = at
    if (!isOpen) return
    // One at a time: a second one sent into a broker that stands still would come back young beside scans that are old.
    if (underWay) {
      if (back && awake && at.monotonic - underWay.sent.monotonic > DEADLINE_MS) lost()
      return
    }
    count += 1
    underWay = { payload: `${Math.random().toString(36).slice(2)}.${count}`, sent: at }
    send(underWay.payload)
  }
  const timer = setInterval(tick, EVERY_MS)

  return {
    open() {
      isOpen = true
      if (back) return Promise.resolve()
      const echoed = new Promise<void>((resolve) => {
        first = resolve
      })
      tick()
      return echoed
    },
    heard(payload) {
      if (payload !== underWay?.payload) return false
      const at = now()
      if (between(underWay.sent, at) > SLOW_MS) troubled = at
      back = underWay.sent
      underWay = undefined
      first()
      return true
    },
    reset() {
      isOpen = false
      underWay = undefined
      back = undefined
      troubled = undefined
    },
    age() {
      const at = now()
      if (!back || (troubled && between(troubled, at) < SETTLE_MS)) return Number.POSITIVE_INFINITY
      return between(back, at)
    },
    stop: () => clearInterval(timer),
  }
}

/** A scan that may have waited this long has waited too long. */
export const isLate = (age: number): boolean => age >= DEADLINE_MS
