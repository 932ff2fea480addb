import type { DeviceEventKind } from '../../api/contract/device-events.ts'
import type { SiteDoor } from '../../api/contract/site.ts'

/** The relay's own time, somebody's hand at the door and a slow message are let pass after what opened it. Milliseconds. */
export const OPENING_GRACE_MS = 2_000
/** From a request to exit until the door is open. Milliseconds. */
export const EXIT_GRACE_MS = 5_000
/** What says why it is open may come a little after the contact, from another device. Milliseconds. */
export const JUDGE_MS = 1_000
/** After a device or the broker came back: what is said then may be about what nobody here heard. Milliseconds. */
export const QUIET_MS = 15_000

/** When it is open for too long, and how much before that is warned of; 0 is never. Milliseconds. */
export type Times = Pick<SiteDoor, 'heldOpenMs' | 'preAlarmMs'>

/** Of a reader that has no door of its own, as a new door has them. */
export const USUAL: Times = { heldOpenMs: 30_000, preAlarmMs: 10_000 }

/** All instants are of one clock that never goes back. Milliseconds. */
export type Watched = {
  /** Undefined: nobody ever said. `sure`: it was said in this life; else it is what an earlier process left. */
  open: boolean | undefined
  sure: boolean
  /** It is in a mode in which it is meant to be open. */
  meant: boolean
  /** Until then somebody may open it. */
  letUntil: number
  quietUntil: number
  /** It opened then, and nobody has said why yet. */
  unexplained: number | undefined
  /** From then on it counts as open. */
  openSince: number | undefined
  warned: boolean
  /** The alarms that are on. */
  forced: boolean
  held: boolean
}

export type Input =
  | { is: 'contact'; open: boolean }
  | { is: 'rex' }
  | { is: 'opening'; forMs: number }
  | { is: 'mode'; open: boolean }
  /** Its device, or the broker, was away. */
  | { is: 'back' }
  | { is: 'tick' }

/** What happened to the door, and when. */
export type Told = { kind: DeviceEventKind; at: number }
type Stepped = { state: Watched; told: Told[] }

const NEVER = Number.NEGATIVE_INFINITY

export const unwatched = (before: Partial<Pick<Watched, 'open' | 'meant' | 'forced' | 'held'>> = {}): Watched => ({
  open: undefined,
  sure: false,
  meant: false,
  letUntil: NEVER,
  quietUntil: NEVER,
  unexplained: undefined,
  openSince: undefined,
  warned: false,
  forced: false,
  held: false,
  ...before,
})

/**
 * One door, one step further: what time alone has brought until `at`, and then what happened at `at`. Pure. Instants must not
 * go back from one step to the next.
 *
 * A door is forced when it opens and nobody let anybody in, asked to get out, or wanted it open. It is held open when it
 * stays open for too long, whoever opened it, but for the time in which it is meant to be open: after that the counting starts
 * anew. What is said again is nothing. The first that is said in this process's life raises no alarm, and neither does an
 * opening just after its device or the broker came back: why it opened may have been said while nobody listened. It counts
 * as open from then on, so nothing that stays open goes unnoticed.
 */
export const step = (was: Watched, input: Input, at: number, times: Times): Stepped => {
  const due = elapsed(was, at, times)
  const next = happened(due.state, input, at)
  return { state: next.state, told: [...due.told, ...next.told] }
}

/** Which contact it stands at, which mode it is in and which alarms are on: what another process can go on from. */
export const kept = ({ open, meant, forced, held }: Watched) => ({ open, meant, forced, held })

const elapsed = (was: Watched, at: number, { heldOpenMs, preAlarmMs }: Times): Stepped => {
  const state = { ...was }
  const told: Told[] = []
  if (state.unexplained !== undefined && at >= state.unexplained + JUDGE_MS) {
    told.push({ kind: 'door_forced', at: state.unexplained })
    state.forced = true
    state.unexplained = undefined
  }
  if (state.openSince === undefined || heldOpenMs === 0) return { state, told }
  const heldAt = state.openSince + heldOpenMs
  const soonAt = heldAt - preAlarmMs
  if (!state.warned && !state.held && preAlarmMs > 0 && preAlarmMs < heldOpenMs && at >= soonAt) {
    told.push({ kind: 'door_held_open_soon', at: soonAt })
    state.warned = true
  }
  if (!state.held && at >= heldAt) {
    told.push({ kind: 'door_held_open', at: heldAt })
    state.held = true
  }
  return { state, told }
}

const happened = (was: Watched, input: Input, at: number): Stepped => {
  switch (input.is) {
    case 'contact':
      return input.open ? opened(was, at) : closed(was, at)
    case 'rex':
      return { state: allowed(was, at + EXIT_GRACE_MS), told: [] }
    case 'opening':
      return { state: allowed(was, at + input.forMs + OPENING_GRACE_MS), told: [] }
    case 'mode':
      return meant(was, input.open, at)
    case 'back':
      return { state: { ...was, quietUntil: at + QUIET_MS }, told: [] }
    case 'tick':
      return { state: was, told: [] }
  }
}

const allowed = (was: Watched, until: number): Watched => ({
  ...was,
  letUntil: Math.max(was.letUntil, until),
  unexplained: undefined,
})

const opened = (was: Watched, at: number): Stepped => {
  const openSince = was.meant ? undefined : at
  if (was.open && was.sure) return { state: was, told: [] }
  // As an earlier process left it: it counts from now, since nobody knows whether it was closed meanwhile.
  if (was.open) return { state: { ...was, sure: true, openSince: was.held ? undefined : openSince }, told: [] }
  const explained = !was.sure || was.meant || at < was.letUntil || at < was.quietUntil
  const state = { ...was, open: true, sure: true, openSince, warned: false, unexplained: explained ? undefined : at }
  return { state, told: [{ kind: 'door_opened', at }] }
}

const closed = (was: Watched, at: number): Stepped => {
  if (was.open === false) return { state: { ...was, sure: true }, told: [] }
  const told: Told[] = []
  if (was.unexplained !== undefined) told.push({ kind: 'door_forced', at: was.unexplained })
  told.push({ kind: 'door_closed', at })
  if (was.forced || was.unexplained !== undefined) told.push({ kind: 'door_forced_ended', at })
  if (was.held) told.push({ kind: 'door_held_open_ended', at })
  const nothing = { unexplained: undefined, openSince: undefined, warned: false, forced: false, held: false }
  return { state: { ...was, ...nothing, open: false, sure: true }, told }
}

const meant = (was: Watched, open: boolean, at: number): Stepped => {
  if (open === was.meant) return { state: was, told: [] }
  if (!open) {
    // Its relay may let go a moment later.
    const state = allowed({ ...was, meant: false }, at + OPENING_GRACE_MS)
    return { state: { ...state, openSince: was.open ? at : undefined }, told: [] }
  }
  const state = { ...was, meant: true, unexplained: undefined, openSince: undefined, warned: false, held: false }
  return { state, told: was.held ? [{ kind: 'door_held_open_ended', at }] : [] }
}
