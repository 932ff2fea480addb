import type { Decision, Reason } from '../api/contract/scan.ts'
import type { Dropped } from './profiles/profile.ts'

/** What a bridge counts and times, for whoever watches it. Words and numbers only: no id is a label. */
export type Metrics = {
  /** A scan got its decision: the API's, or one made here. */
  scan(decision: Decision, reason: Reason, source: 'online' | 'offline' | 'reader'): void
  /** A scan's answer is published, so many milliseconds after the scan arrived. */
  answered(ms: number): void
  /** The API answered about a scan, or did not, after so many milliseconds. */
  asked(ms: number): void
  dropped(reason: Dropped): void
}

/** Where nobody asks for them. */
export const noMetrics: Metrics = {
  scan: () => {},
  answered: () => {},
  asked: () => {},
  dropped: () => {},
}

/** How things are, read when somebody asks. */
export type Gauges = {
  brokerConnected(): boolean
  apiUp(): boolean
  /** Scans not yet handed over. */
  spool(): { events: number; bytes: number }
  /** Since when the snapshot is not known to be in force any more, in milliseconds; Infinity where there is none. */
  snapshotAgeMs(): number
  /** By how much this machine's clock is behind the API's, in milliseconds. */
  clockOffsetMs(): number
  /** Scans that wait for their turn to be asked about. */
  queue(): number
}
