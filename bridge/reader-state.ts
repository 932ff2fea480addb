import { isIP } from 'node:net'

/** After a reader connected anew it may say once more what it had said last. Milliseconds. */
const BACK_MS = 2_000

/** After our own connection ended, perhaps as the broker did, readers are believed to connect anew for so long. Milliseconds. */
const TROUBLE_MS = 60_000

/** An address that was not said again for so long is not known: esp-rfid says it every three minutes. Milliseconds. */
const ADDRESS_MS = 15 * 60_000

/** So many devices' addresses are known at most: what a unit is called is up to whoever may publish there. */
const MOST_ADDRESSES = 10_000

/** What is known of readers from what they say beside their scans, in this memory alone. */
export type ReaderStates = {
  /** It is connected, or not any more. */
  presence(readerId: string, on: boolean): void
  /** It connected just now: a scan may be an old one. */
  isBack(readerId: string): boolean
  /** A heartbeat said where the device is; what is no IP address is nothing. `unit` where several share a reader's topic. */
  beat(readerId: string, unit: string, ip: unknown): void
  address(readerId: string, unit: string): string | undefined
  /** The connection to the broker ended. */
  brokerLost(): void
}

export const readerStates = (now: () => number = () => performance.now()): ReaderStates => {
  const online = new Map<string, boolean>()
  const back = new Map<string, number>()
  const addresses = new Map<string, { ip: string; at: number }>()
  let lost = Number.NEGATIVE_INFINITY
  const device = (readerId: string, unit: string) => `${readerId} ${unit}`

  return {
    presence(readerId, on) {
      const was = online.get(readerId)
      online.set(readerId, on)
      // A broker that was restarted says of nobody that he had been away.
      if (on && (was === false || now() - lost < TROUBLE_MS)) back.set(readerId, now())
    },
    isBack(readerId) {
      const since = back.get(readerId)
      if (since === undefined) return false
      if (now() - since < BACK_MS) return true
      back.delete(readerId)
      return false
    },
    beat(readerId, unit, ip) {
      if (typeof ip !== 'string' || isIP(ip) === 0) return
      addresses.delete(device(readerId, unit))
      addresses.set(device(readerId, unit), { ip, at: now() })
      const [oldest] = addresses.keys()
      if (addresses.size > MOST_ADDRESSES && oldest !== undefined) addresses.delete(oldest)
    },
    address(readerId, unit) {
      const known = addresses.get(device(readerId, unit))
      if (known && now() - known.at < ADDRESS_MS) return known.ip
      addresses.delete(device(readerId, unit))
      return undefined
    },
    brokerLost() {
      lost = now()
    },
  }
}
