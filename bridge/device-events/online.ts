/** A device that has said nothing for so many of its periods is away. */
const PERIODS = 2.5

/** How a device can be known to be there, as its profile and its settings have it. */
export type Kind = {
  /** It says that it is there, and its broker says when it is not any more. */
  presence: boolean
  /** It says something at least that often by itself. Milliseconds. */
  beatMs: number | undefined
}

type Device = Kind & {
  /** Undefined: nobody knows. */
  online: boolean | undefined
  /** Its presence was said in this life, and counts from then on. */
  told: boolean
  heardAt: number
}

/** A device that is now what it was not, or what nobody knew. */
export type Change = { key: string; online: boolean; at: number }

/**
 * Who is there. What says its presence is there until it says that it is not: its own word at the end, or its will, which
 * the broker publishes within one and a half of the keep-alives that the device asked for (MQTT 3.1.1, 3.1.2.10); with the
 * usual 15 s that is within 30 s. What only says something from time to time is away after two and a half of these times.
 * What does neither (a reader that only sends scans) is neither there nor away: when it was heard last is all there is. While
 * the broker is away nothing is concluded of anybody, and after that every device has all its time again.
 */
export const onlineWatch = (before: ReadonlyMap<string, boolean> = new Map()) => {
  let devices = new Map<string, Device>()
  let connected = false

  const become = (key: string, device: Device, online: boolean, at: number): Change[] => {
    if (device.online === online) return []
    device.online = online
    return [{ key, online, at }]
  }

  return {
    /** The devices that there are from now on. */
    use(kinds: ReadonlyMap<string, Kind>, at: number) {
      devices = new Map(
        [...kinds].map(([key, kind]) => {
          const known = devices.get(key) ?? { online: before.get(key), told: false, heardAt: at }
          return [key, { ...known, ...kind }]
        }),
      )
    },
    presence(key: string, on: boolean, at: number): Change[] {
      const device = devices.get(key)
      if (!device) return []
      device.told = true
      device.heardAt = at
      return become(key, device, on, at)
    },
    /** It said something that no broker keeps. */
    heard(key: string, at: number): Change[] {
      const device = devices.get(key)
      if (!device) return []
      device.heardAt = at
      return device.presence || device.beatMs !== undefined ? become(key, device, true, at) : []
    },
    broker(there: boolean, at: number) {
      if (there && !connected) for (const device of devices.values()) device.heardAt = at
      connected = there
    },
    tick(at: number): Change[] {
      if (!connected) return []
      return [...devices].flatMap(([key, device]) => {
        const { online, told, beatMs, heardAt } = device
        if (!online || told || beatMs === undefined) return []
        const until = heardAt + PERIODS * beatMs
        return at < until ? [] : become(key, device, false, until)
      })
    },
    online: (key: string) => devices.get(key)?.online,
  }
}
