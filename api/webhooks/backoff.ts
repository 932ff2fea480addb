const S = 1_000
const MINUTE = 60 * S
const HOUR = 60 * MINUTE

/** How long to wait after each try in vain. Milliseconds. */
const WAITS = [5 * S, 30 * S, 2 * MINUTE, 10 * MINUTE, HOUR, 6 * HOUR, 24 * HOUR]

/** Until the next try, after so many in vain; undefined when that was the last: eight within 31 hours. */
export const waitAfter = (attempts: number): number | undefined => WAITS[Math.max(attempts, 1) - 1]
