import { MOST_SEEN_DEVICES, type SeenDevice } from '../../api/contract/device-events.ts'
import type { Link } from '../link.ts'
import { type Log, nameOf } from '../log.ts'
import { type DoorRef, keyOf } from '../news.ts'

/** A reader, or a door of its own. */
export type Device = DoorRef

/** How often the API is told which devices were heard. Milliseconds. */
const EVERY_MS = 10_000

type Parts = { report(devices: SeenDevice[]): Promise<void>; link: Link; log: Log; everyMs?: number }

/** Says of each device when it was heard last: of all that were since it was said before, and of no other. */
export const reportingSeen = ({ report, link, log, everyMs = EVERY_MS }: Parts) => {
  const heard = new Map<string, SeenDevice>()
  let stopped = false
  let timer: NodeJS.Timeout | undefined

  const tell = async () => {
    while (!stopped && heard.size > 0 && link.state() === 'up') {
      const batch = [...heard].slice(0, MOST_SEEN_DEVICES)
      await report(batch.map(([, device]) => device))
      // Who was heard meanwhile is told of again.
      for (const [key, device] of batch) if (heard.get(key) === device) heard.delete(key)
    }
  }
  const look = async () => {
    await tell().catch((error: unknown) => log('debug', 'not_reported', { error: nameOf(error), devices: heard.size }))
    if (!stopped) timer = setTimeout(() => void look(), everyMs * (0.9 + Math.random() * 0.2))
  }
  void look()

  return {
    heard(device: Device, at: Date) {
      heard.set(keyOf(device), { ...device, at: at.toISOString() })
    },
    stop() {
      stopped = true
      clearTimeout(timer)
    },
  }
}
