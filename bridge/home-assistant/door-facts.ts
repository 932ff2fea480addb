import { type DoorMode, isOpenMode } from '../../api/contract/door-mode.ts'
import type { LockState } from '../profiles/profile.ts'
import { doorTopics } from '../topics.ts'
import type { Says } from './device.ts'

/** What is known of a door, from what its devices said and what was done with it. */
export type DoorFacts = {
  mode: DoorMode
  /** Monotonic milliseconds: it was opened until then. */
  openUntil: number
  lock?: LockState
  relay?: boolean
  contact?: boolean
  tamper?: boolean
  online?: boolean
}

export const noFacts = (mode: DoorMode = 'normal'): DoorFacts => ({ mode, openUntil: Number.NEGATIVE_INFINITY })

/**
 * Home Assistant's words for a lock. What a lock says of itself counts; of a bare relay it is known at most whether it is on,
 * and else only what was sent.
 */
const lockWord = ({ mode, openUntil, lock = 'unknown', relay }: DoorFacts, now: number): string => {
  if (lock !== 'unknown') return lock.toUpperCase()
  return relay || now < openUntil || isOpenMode(mode) ? 'UNLOCKED' : 'LOCKED'
}

/** `None` is unknown: a contact that has said nothing yet is not one that is shut. */
const onOff = (on: boolean | undefined): string => {
  if (on === undefined) return 'None'
  return on ? 'ON' : 'OFF'
}

/** What is retained of a door, by topic; empty where there is nothing to say. A device is there until it says that it is not. */
export const statesOf = (doorId: string, has: Says, facts: DoorFacts, now: number): Map<string, string> => {
  const { state, contact, tamper, online } = doorTopics(doorId)
  return new Map([
    [state, lockWord(facts, now)],
    [contact, has.contact ? onOff(facts.contact) : ''],
    [tamper, has.tamper ? onOff(facts.tamper) : ''],
    [online, has.presence ? (facts.online === false ? 'offline' : 'online') : ''],
  ])
}

/** The same topics of a door that is not shown any more. */
export const noStates = (doorId: string): string[] => {
  const { state, contact, tamper, online } = doorTopics(doorId)
  return [state, contact, tamper, online]
}
