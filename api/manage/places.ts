import type { Context } from 'hono'
import type { Config } from '../config.ts'
import { refuse } from '../errors.ts'
import type { AppEnv } from '../platform.ts'

/** Nobody has read for so long: whoever asked is gone, and the runtime did not say so. Workers sometimes do not. */
export const GONE_MS = 60_000

/** One answer that goes on for a while, and when somebody last read from it. */
type Place = { readAt: number }

/**
 * Places for answers that go on for longer than a moment, so many for each caller; one more is refused with 429. Counted by
 * each process, and not where nobody reads any more. `what` names them in the refusal.
 */
export const placesFor = (what: string, most: number) => {
  const all = new WeakMap<Config, Map<string, Set<Place>>>()
  return (c: Context<AppEnv>): { place: Place; leave(): void } => {
    const ofAll = all.get(c.env.config) ?? new Map<string, Set<Place>>()
    all.set(c.env.config, ofAll)
    const who = `${c.var.caller.kind} ${c.var.caller.id}`
    const mine = ofAll.get(who) ?? new Set()
    for (const one of mine) if (performance.now() - one.readAt > GONE_MS) mine.delete(one)
    if (mine.size >= most) {
      c.header('retry-after', '10')
      refuse(429, `You have ${most} ${what} open already: end one first.`)
    }
    const place = { readAt: performance.now() }
    ofAll.set(who, mine.add(place))
    const leave = () => {
      mine.delete(place)
      if (mine.size === 0 && ofAll.get(who) === mine) ofAll.delete(who)
    }
    return { place, leave }
  }
}
