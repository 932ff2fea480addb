import type { Reason } from '../../api/contract/scan.ts'

// What the harness knows by itself. All times are milliseconds since 1970 by the harness's monotonic clock, so that they
// compare with the times on record.

export const now = (): number => performance.timeOrigin + performance.now()

/** Something breaks, then recovers for a few seconds, and after that nothing is wrong. */
export type Phase = 'broken' | 'recovering' | 'healthy'

/** One card at one reader, once. */
export type Scan = {
  n: number
  reader: string
  card: string
  /** The fault in whose time it falls, and in which part of that. */
  fault: string
  phase: Phase
  /** The broker may deliver it to the bridge again, so that it is answered again. */
  redelivers: boolean
  /** What the naive oracle says of it. */
  expected: Reason
  /** The reader's door stays shut while the API is away. */
  denies: boolean
  /** When it was published: more than once when duplicates are the fault, or when no PUBACK had come before a reconnect. */
  published: number[]
  /** How many of those were sent because no PUBACK had come: each may become an event of its own. */
  resent: number
  /** When the broker's PUBACK came. */
  acked: number | undefined
  /** What the reader heard until it scanned again. A plain answer does not say what it answers. */
  answers: Heard[]
}
export type Heard = { at: number; opened: boolean }

/** A card that was blocked during the run: refused from `at` on, and by a bridge on its own from `offlineAt` on. */
export type Revocation = { card: string; at: number; offlineAt: number }

export type Recorded = {
  id: string
  reader: string
  card: string
  at: number
  receivedAt: number
  reason: Reason
  source: 'online' | 'offline'
}
