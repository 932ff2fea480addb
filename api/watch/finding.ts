import type { AlertKind } from '../contract/alerts.ts'

/** Something that somebody should look at. `since` is when it began; `detail` has ids and counts, and never a card's number. */
export type Finding = { kind: AlertKind; about: string; since: Date; detail: Record<string, unknown> }

const MINUTE = 60_000

/**
 * For so long the same of the same is not told again: a burst is one alert, and so is a contact that flaps. Something that
 * goes on is told again after that. Milliseconds.
 */
export const QUIET_MS: Record<AlertKind, number> = {
  failed_sign_ins: 60 * MINUTE,
  unknown_cards: 10 * MINUTE,
  far_readers: 10 * MINUTE,
  door_forced: MINUTE,
  door_held_open: 10 * MINUTE,
  tamper: MINUTE,
  reader_offline: 10 * MINUTE,
  bridge_offline: 10 * MINUTE,
  upkeep_failed: 20 * 60 * MINUTE,
}
