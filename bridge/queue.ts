/** So many questions are with the API at once; the rest wait here. */
const AT_ONCE = 64
/** So many may wait. */
const MOST_WAITING = 1_000

/**
 * A bounded queue before the API. `enter` resolves with true when it is the caller's turn (and then `leave` is owed), or
 * with false when a newer scan took its place: when the queue is full the newest scan of each reader stays, since the
 * person who stands at the door now is the one who waits for it.
 */
export type Queue = { enter(readerId: string): Promise<boolean>; leave(): void; waiting(): number }

type Waiting = { readerId: string; go(turn: boolean): void }

export const queueOf = (atOnce = AT_ONCE, mostWaiting = MOST_WAITING): Queue => {
  const waiting = new Set<Waiting>()
  let underWay = 0

  /** The oldest of the same reader; else the oldest of one that has more than one; else the oldest. */
  const oneTooMany = (readerId: string): Waiting | undefined => {
    const counts = new Map<string, number>()
    for (const { readerId } of waiting) counts.set(readerId, (counts.get(readerId) ?? 0) + 1)
    const all = [...waiting]
    const crowded = (other: Waiting) => (counts.get(other.readerId) ?? 0) > 1
    return all.find((other) => other.readerId === readerId) ?? all.find(crowded) ?? all[0]
  }

  return {
    async enter(readerId) {
      if (underWay < atOnce) {
        underWay += 1
        return true
      }
      if (waiting.size >= mostWaiting) {
        const out = oneTooMany(readerId)
        if (out) {
          waiting.delete(out)
          out.go(false)
        }
      }
      return new Promise((go) => waiting.add({ readerId, go }))
    },
    leave() {
      const [next] = waiting
      if (!next) {
        underWay -= 1
        return
      }
      waiting.delete(next)
      next.go(true)
    },
    waiting: () => waiting.size,
  }
}
