/** Says whether something may be done for a key now: so many times at once, and once more with every `everyMs`. */
export const rateOf = (burst: number, everyMs: number, now: () => number) => {
  const rates = new Map<string, { left: number; at: number }>()
  return (key: string): boolean => {
    const at = now()
    const before = rates.get(key) ?? { left: burst, at }
    const left = Math.min(burst, before.left + (at - before.at) / everyMs)
    rates.set(key, { left: left < 1 ? left : left - 1, at })
    return left >= 1
  }
}
