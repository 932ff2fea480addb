/**
 * The same card again at the same reader within the hold time is the same scan: whoever comes again within that time
 * gets what the first one got (or is still waiting for).
 */
export type Hold<T> = (key: string, ms: number, first: () => T) => T

export const hold = <T>(now: () => number = () => performance.now()): Hold<T> => {
  // Insertion order is nearly the order in which they end, so what has ended is at the front.
  const held = new Map<string, { until: number; value: T }>()
  return (key, ms, first) => {
    const at = now()
    for (const [old, { until }] of held) {
      if (until > at) break
      held.delete(old)
    }
    const known = held.get(key)
    if (known && known.until > at) return known.value
    const value = first()
    held.delete(key)
    held.set(key, { until: at + ms, value })
    return value
  }
}
