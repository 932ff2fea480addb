import type { SiteDoor } from './site.ts'
import { insideAny, wallClock } from './window.ts'

/** What somebody ordered of a door: `scheduled` is nothing, so that its schedule says when it is held open. */
export const MODES = ['scheduled', 'held', 'locked'] as const

/**
 * How a door is, or ought to be: `normal` opens for whom it is to; `held` is held open; `locked` keeps its schedule from
 * holding it open, and cards open it as ever. In `lockdown` and `evacuation` nothing else counts.
 */
export const DOOR_MODES = ['normal', 'held', 'locked', 'lockdown', 'evacuation'] as const
export type DoorMode = (typeof DOOR_MODES)[number]

type Ordered = Pick<SiteDoor, 'timezone' | 'hold' | 'mode' | 'modeUntil' | 'lockdown' | 'evacuation'>

/**
 * The mode of a door at an instant. Who has to get out comes before who is to be kept out, and both before what anybody
 * ordered of this one door. Pure, like the decision.
 */
export const doorMode = (door: Ordered, at: Date): DoorMode => {
  if (isInForce(door.evacuation, at)) return 'evacuation'
  if (isInForce(door.lockdown, at)) return 'lockdown'
  const ordered = door.mode !== 'scheduled' && isInForce({ until: door.modeUntil }, at)
  if (ordered) return door.mode === 'held' ? 'held' : 'locked'
  return door.hold !== null && insideAny(door.hold, wallClock(at, door.timezone)) ? 'held' : 'normal'
}

/** Is it held open? */
export const isOpenMode = (mode: DoorMode): boolean => mode === 'held' || mode === 'evacuation'

/** Is it, at that instant? */
export const isInForce = (order: { until: string | null } | null, at: Date): boolean =>
  order !== null && (order.until === null || at.getTime() < Date.parse(order.until))
