import { isIP } from 'node:net'

/** An address that was not said again for so long is not known: esp-rfid says it every three minutes. Milliseconds. */
const FRESH_MS = 15 * 60_000

/** So many devices on one topic at most: what a device is called is up to whoever may publish there. */
const MOST_DEVICES = 100

/** Where a door's device is, by what it says of itself. */
export type Addresses = {
  /** `device` said its address; what is no IP address is nothing. */
  said(device: unknown, ip: unknown): void
  /** None where several devices say one: nobody knows then which of them the door is. */
  only(): string | undefined
}

export const addressesOf = (now: () => number = () => performance.now()): Addresses => {
  const known = new Map<string, { ip: string; at: number }>()
  return {
    said(device, ip) {
      if (typeof ip !== 'string' || isIP(ip) === 0) return
      const name = String(device ?? '')
      known.delete(name)
      known.set(name, { ip, at: now() })
      const [oldest] = known.keys()
      if (known.size > MOST_DEVICES && oldest !== undefined) known.delete(oldest)
    },
    only() {
      for (const [name, { at }] of known) if (now() - at >= FRESH_MS) known.delete(name)
      const [first, second] = known.values()
      return second === undefined ? first?.ip : undefined
    },
  }
}
