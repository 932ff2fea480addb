import { MOST_SEEN, type Seen } from '../api/contract/seen.ts'
import type { SiteReader } from '../api/contract/site.ts'
import type { Clock } from './clock.ts'
import type { Link } from './link.ts'
import { type Log, nameOf } from './log.ts'
import { type Device, noticer } from './notice.ts'
import { topicsOf } from './profiles/hear.ts'
import type { Profile } from './profiles/profile.ts'
import { known } from './profiles/profiles.ts'

/** Devices that are remembered at once. When there are so many others wait until one was not heard for a while. */
const MOST_DEVICES = 200
/** A device is reported at most so often, and forgotten when it was not heard for so long. Milliseconds. */
const REPORT_MS = 10 * 60_000
/** How often to look whether there is something to report. Milliseconds. */
const EVERY_MS = 5_000
/** Messages that are looked at within a second; more, and nobody is watched for a while: doors come first. */
const MOST_PER_SECOND = 200
const REST_MS = 60_000

export type Watched = { topic: string; payload: Buffer; retained: boolean }

type Options = {
  clock: Clock
  link: Link
  log: Log
  profiles: readonly Profile[]
  /** Say it to the API; gives how many are on the list there. */
  report(seen: readonly Seen[]): Promise<number>
  /** Subscribe to these and nothing else. */
  subscribe(filters: readonly string[]): void
  /** `performance.now()`, unless a test says otherwise. */
  monotonic?: () => number
  everyMs?: number
}

export type Watch = {
  use(readers: readonly SiteReader[]): void
  look(message: Watched): void
  stop(): void
}

/**
 * Notices devices that nobody has set up, and reports them for somebody to look at. Nothing opens by it, and the card in a
 * message is not kept: only where it came from.
 */
export const watch = (options: Options): Watch => {
  const { clock, link, log, profiles, subscribe, monotonic = () => performance.now(), everyMs = EVERY_MS } = options
  const { notice, filters } = noticer(profiles)
  const devices = new Map<string, Device & { heardAt: number; at: Date; messages: number; reportedAt: number }>()
  let units = new Map<string, (string | null)[]>()
  let second = { from: Number.NEGATIVE_INFINITY, looked: 0 }
  let resting: NodeJS.Timeout | undefined
  let full = false
  let busy = false

  const isReader = ({ topic, unit }: Pick<Device, 'topic' | 'unit'>) =>
    (units.get(topic) ?? []).some((one) => one === null || one === unit)

  const rest = () => {
    if (resting) return
    log('warn', 'watch_busy', {
      say: 'Too much is published where unknown readers are looked for: no look for a minute.',
    })
    subscribe([])
    resting = setTimeout(() => {
      resting = undefined
      subscribe(filters)
    }, REST_MS).unref()
  }

  const forgetOld = () => {
    for (const [key, { heardAt }] of devices) if (monotonic() - heardAt > REPORT_MS) devices.delete(key)
    full = devices.size >= MOST_DEVICES
  }

  const remember = (device: Device) => {
    const key = JSON.stringify([device.profile, device.topic, device.unit])
    const before = devices.get(key)
    const heard = { heardAt: monotonic(), at: clock.now() }
    if (before) {
      Object.assign(before, heard, { messages: before.messages + 1 })
    } else if (devices.size >= MOST_DEVICES) {
      if (!full) log('warn', 'watch_full', { devices: devices.size })
      full = true
    } else {
      devices.set(key, { ...device, ...heard, messages: 1, reportedAt: Number.NEGATIVE_INFINITY })
    }
  }

  const report = async () => {
    forgetOld()
    const due = [...devices.values()].filter(
      (device) => device.messages > 0 && monotonic() - device.reportedAt >= REPORT_MS && !isReader(device),
    )
    if (due.length === 0 || link.state() !== 'up') return
    const batch = due.slice(0, MOST_SEEN)
    const seen = batch.map(({ profile, topic, unit, at, messages }): Seen => {
      const count = Math.min(messages, 1_000_000)
      return { profile, topic, ...(unit !== undefined && { unit }), at: at.toISOString(), messages: count }
    })
    // Before the answer: what cannot be said is not said again at once, whatever is wrong with it.
    for (const device of batch) Object.assign(device, { reportedAt: monotonic(), messages: 0 })
    log('info', 'noticed', { devices: batch.length, noted: await options.report(seen) })
  }

  const timer = setInterval(() => {
    if (busy) return
    busy = true
    report()
      .catch((error: unknown) => log('warn', 'not_reported', { error: nameOf(error) }))
      .finally(() => {
        busy = false
      })
  }, everyMs).unref()

  let begun = false
  return {
    use(readers) {
      units = new Map()
      for (const reader of readers) {
        const it = known(reader)
        for (const topic of it ? topicsOf(it) : [reader.topic]) {
          units.set(topic, [...(units.get(topic) ?? []), reader.unit])
        }
      }
      // Not before it is known who is a reader.
      if (!begun) subscribe(filters)
      begun = true
    },
    look({ topic, payload, retained }) {
      if (resting || retained) return
      if (monotonic() - second.from >= 1_000) second = { from: monotonic(), looked: 0 }
      second.looked += 1
      if (second.looked > MOST_PER_SECOND) return rest()
      // What is heard as one reader's, whoever else is there, needs no second look.
      if ((units.get(topic) ?? []).includes(null)) return
      for (const device of notice(topic, payload, clock.now())) {
        if (!isReader(device) && !isReader({ topic, ...(device.unit !== undefined && { unit: device.unit }) }))
          remember(device)
      }
    },
    stop() {
      clearInterval(timer)
      clearTimeout(resting)
    },
  }
}
