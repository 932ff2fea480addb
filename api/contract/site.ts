import * as v from 'valibot'
import { CARD_VIEWS } from './card-views.ts'
import { MODES } from './door-mode.ts'
import { Instant } from './scan.ts'
import { Window } from './window.ts'

/** What a profile wants to know of a reader besides its topic: entities, outputs, times. By the names the profile gives them. */
export const Settings = v.record(v.string(), v.union([v.string(), v.number(), v.boolean()]))
export type Settings = v.InferOutput<typeof Settings>

/** What a reader's door does while the API cannot be asked: stay shut, or go by the bridge's snapshot. */
export const OFFLINE = ['deny', 'snapshot'] as const

/** Whether Home Assistant is told of a door, and whether it may open it. */
export const HOME_ASSISTANT = ['off', 'show', 'command'] as const

/** In force until then; null is until somebody ends it. */
export const InForce = v.object({ until: v.nullable(Instant) })
export type InForce = v.InferOutput<typeof InForce>

const inForce = v.optional(v.nullable(InForce), null)

/**
 * A door as a bridge needs to know it: a relay or lock of its own, which readers name by `doorId`. Times are milliseconds.
 * `hold` are the windows during which it is held open, in its time zone; null is never.
 */
export const SiteDoor = v.object({
  id: v.pipe(v.string(), v.uuid()),
  name: v.string(),
  profile: v.string(),
  settings: v.optional(Settings, {}),
  timezone: v.string(),
  openMs: v.pipe(v.number(), v.integer(), v.minValue(0)),
  heldOpenMs: v.pipe(v.number(), v.integer(), v.minValue(0)),
  preAlarmMs: v.pipe(v.number(), v.integer(), v.minValue(0)),
  hold: v.nullable(v.array(Window)),
  mode: v.picklist(MODES),
  modeUntil: v.nullable(Instant),
  lockdown: inForce,
  evacuation: inForce,
  homeAssistant: v.optional(v.picklist(HOME_ASSISTANT), 'off'),
})
export type SiteDoor = v.InferOutput<typeof SiteDoor>

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
  /** What it opens; null: what its own profile answers opens. */
  doorId: v.optional(v.nullable(v.pipe(v.string(), v.uuid())), null),
  lockdown: inForce,
  evacuation: inForce,
})
export type SiteReader = v.InferOutput<typeof SiteReader>

/** A bridge asks with the version it has, if any. */
export const SiteAsk = v.strictObject({ version: v.optional(v.pipe(v.string(), v.maxLength(64))) })

/**
 * The answer: the version in force and, unless the bridge has it already, every reader and every door. `now` is the API's clock, on
 * which a bridge dates its scans: so a bridge whose own clock is wrong neither opens late nor refuses everything.
 * `snapshot` is the version of the facts: when it changes, the bridge's snapshot is out of date.
 */
export const SiteAnswer = v.object({
  version: v.string(),
  now: v.pipe(v.string(), v.isoTimestamp()),
  snapshot: v.string(),
  readers: v.optional(v.array(SiteReader)),
  /** With the readers, always both. */
  doors: v.optional(v.array(SiteDoor)),
})
export type SiteAnswer = v.InferOutput<typeof SiteAnswer>
