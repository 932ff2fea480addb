/** What comes of the work, or `late` where that takes longer. The work goes on; what it rejects with is its caller's to hear. */
export const inTime = <T>(work: Promise<T>, ms: number, late: T): Promise<T> => {
  let timer: NodeJS.Timeout | undefined
  const patience = new Promise<T>((resolve) => {
    timer = setTimeout(() => resolve(late), ms)
  })
  return Promise.race([work, patience]).finally(() => clearTimeout(timer))
}

/** However many ask about the same at once, and however long it takes: one piece of work is under way, and is everybody's. */
export const shared = <T>() => {
  const underWay = new WeakMap<object, Promise<T>>()
  return (about: object, work: () => Promise<T>): Promise<T> => {
    const one = underWay.get(about) ?? work().finally(() => underWay.delete(about))
    underWay.set(about, one)
    return one
  }
}
