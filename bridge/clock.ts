/**
 * The API's clock, as far as a bridge can know it. Scans are dated on it, so that what is late is not a matter of whose
 * clock is wrong; and it goes on by the monotonic clock, so that setting the machine's time makes no old scan young. Before
 * the API has said anything it is the machine's own, as it is set at that moment: it may yet be set right.
 */
export type Clock = {
  now(): Date
  /** The API said `its` while the question was under way from `asked` to `answered` (both `performance.now()`). */
  set(its: Date, asked: number, answered: number): void
}

export const apiClock = (): Clock => {
  let offset: number | undefined
  return {
    now: () => new Date(offset === undefined ? Date.now() : offset + performance.now()),
    set: (its, asked, answered) => {
      offset = its.getTime() - (asked + answered) / 2
    },
  }
}
