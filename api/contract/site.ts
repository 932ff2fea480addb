import * as v from 'valibot'
import { CARD_VIEWS } from './card-views.ts'

/** What a profile wants to know of a reader besides its topic: entities, outputs, times. By the names the profile gives them. */
export const Settings = v.record(v.string(), v.union([v.string(), v.number(), v.boolean()]))
export type Settings = v.InferOutput<typeof Settings>

/** What a reader's door does while the API cannot be asked: stay shut, or go by the bridge's snapshot. */
export const OFFLINE = ['deny', 'snapshot'] as const

/**
 * A reader as a bridge needs to know it. Topics are literal; times are milliseconds, but `offlineHours`. `unit` is what
 * its messages call it where several devices share a topic. A bridge leaves alone a reader whose profile it does not know.
 */
export const SiteReader = v.object({
  id: v.pipe(v.string(), v.uuid()),
  name: v.string(),
  profile: v.string(),
  topic: v.string(),
  replyTopic: v.nullable(v.string()),
  unit: v.optional(v.nullable(v.string()), null),
  settings: v.optional(Settings, {}),
  cardView: v.picklist(CARD_VIEWS),
  /** How long a door stays open that this reader opens. */
  openMs: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0)), 3_000),
  /** A PIN alone may open, without a card. */
  pinAlone: v.optional(v.boolean(), false),
  holdMs: v.pipe(v.number(), v.integer(), v.minValue(0)),
  offline: v.picklist(OFFLINE),
  /** How old a snapshot may be to decide by. */
  offlineHours: v.pipe(v.number(), v.integer(), v.minValue(1)),
  /** What it signs with, locked for this bridge (reader-keys.ts), the one in force first. None: it does not sign. */
  keys: v.optional(v.pipe(v.array(v.string()), v.minLength(1))),
})
export type SiteReader = v.InferOutput<typeof SiteReader>

/** A bridge asks with the version it has, if any. */
export const SiteAsk = v.strictObject({ version: v.optional(v.pipe(v.string(), v.maxLength(64))) })

/**
 * The answer: the version in force and, unless the bridge has it already, every reader. `now` is the API's clock, on
 * which a bridge dates its scans: so a bridge whose own clock is wrong neither opens late nor refuses everything.
 * `snapshot` is the version of the facts: when it changes, the bridge's snapshot is out of date.
 */
export const SiteAnswer = v.object({
  version: v.string(),
  now: v.pipe(v.string(), v.isoTimestamp()),
  snapshot: v.string(),
  readers: v.optional(v.array(SiteReader)),
})
export type SiteAnswer = v.InferOutput<typeof SiteAnswer>
