/** So many at once and so many a second at most: announcing hundreds of doors must not hold up a broker that doors wait for. */
const AT_ONCE = 50
const EVERY_MS = 200

type Parts = {
  /** Resolves when the broker has it; rejects when it went nowhere, and then it is said with everything else, after the next connect. */
  publish(topic: string, payload: string): Promise<void>
  /** What was to be removed is removed. */
  removed(topic: string): void
}

/** Keeps what the broker retains as it is wanted: says what differs, and everything again when it may be gone. */
export const retained = ({ publish, removed }: Parts) => {
  const wanted = new Map<string, string>()
  const said = new Map<string, string>()
  const due = new Set<string>()
  let connected = false
  let timer: NodeJS.Timeout | undefined

  const say = (topic: string, payload: string) => {
    said.set(topic, payload)
    publish(topic, payload).then(
      () => {
        if (payload === '' && wanted.get(topic) === '') removed(topic)
      },
      () => said.delete(topic),
    )
  }

  const run = () => {
    timer = undefined
    if (!connected) return
    let left = AT_ONCE
    for (const topic of due) {
      if (left === 0) break
      due.delete(topic)
      const payload = wanted.get(topic)
      if (payload === undefined || said.get(topic) === payload) continue
      say(topic, payload)
      left -= 1
    }
    // Also after the last of them, so that what comes now waits its turn.
    if (left < AT_ONCE) timer = setTimeout(run, EVERY_MS)
  }
  const begin = () => {
    if (timer === undefined) run()
  }
  const again = () => {
    for (const [topic, payload] of wanted) {
      // What is not there any more cannot be lost.
      if (payload === '' && said.get(topic) === '') continue
      said.delete(topic)
      due.add(topic)
    }
    begin()
  }

  return {
    /** Empty is nothing: what is retained there is removed. */
    want(topic: string, payload: string) {
      if (wanted.get(topic) === payload) return
      wanted.set(topic, payload)
      due.add(topic)
      begin()
    },
    /** Says everything again. */
    again,
    connected(is: boolean) {
      connected = is
      if (is) again()
    },
    stop: () => clearTimeout(timer),
  }
}
