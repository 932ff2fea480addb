/**
 * The windows of so many milliseconds in which so many different ones came: the first that is full, then the first after it,
 * and so on. Each with what was in it, in the order of time.
 */
export const bursts = <T extends { at: Date }>(
  all: readonly T[],
  { within, least, tell }: { within: number; least: number; tell: (one: T) => string },
): T[][] => {
  const inOrder = all.toSorted((a, b) => a.at.getTime() - b.at.getTime())
  const found: T[][] = []
  let window: T[] = []
  for (const one of inOrder) {
    window = [...window.filter(({ at }) => one.at.getTime() - at.getTime() <= within), one]
    if (new Set(window.map(tell)).size < least) continue
    found.push(window)
    window = []
  }
  return found
}
