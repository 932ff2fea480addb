import * as v from 'valibot'
import { Instant, isPlainText, Uuid } from './scan.ts'

/** What doors, readers and bridges do that is no scan. Public words: add, never rename. */
export const DEVICE_EVENTS = [
  'door_opened',
  'door_closed',
  // Open without anybody having been let through; closed again after that.
  'door_forced',
  'door_forced_ended',
  // About to be open for too long; open for too long; closed again after that.
  'door_held_open_soon',
  'door_held_open',
  'door_held_open_ended',
  'exit_requested',
  'tampered',
  'tamper_ended',
  // Its mode (contract/door-mode.ts) is another one now; `note` says which.
  'door_mode',
  // It was told to open and said that it did; said that it did not; said nothing, though it always says.
  'door_unlocked',
  'door_refused',
  'door_no_answer',
  // Opened by a command of the API's, which `commandId` names; by Home Assistant.
  'opened_by_command',
  'opened_by_home_assistant',
  'reader_online',
  'reader_offline',
  'door_online',
  'door_offline',
  'bridge_online',
  'bridge_offline',
  // A bridge lost its broker, or has it again.
  'broker_lost',
  'broker_back',
] as const
export type DeviceEventKind = (typeof DEVICE_EVENTS)[number]

export const CONTACTS = ['open', 'closed'] as const
export const ALARMS = ['forced', 'held_open'] as const

/** Most of one report. */
export const MOST_DEVICE_EVENTS = 100
export const MOST_SEEN_DEVICES = 500

/**
 * One of them, for the record. `id` is minted by the bridge, so that reporting twice is harmless; `at` is on the API's clock.
 * `doorId` is missing where the door is a reader's own.
 */
export const DeviceEvent = v.strictObject({
  id: Uuid,
  at: Instant,
  kind: v.picklist(DEVICE_EVENTS),
  doorId: v.optional(Uuid),
  readerId: v.optional(Uuid),
  commandId: v.optional(Uuid),
  note: v.optional(v.pipe(v.string(), v.minLength(1), v.maxLength(200), v.check(isPlainText, 'not text'))),
})
export type DeviceEvent = v.InferOutput<typeof DeviceEvent>

/** A device that said something, whatever it was; when it last did. */
export const SeenDevice = v.strictObject({ doorId: v.optional(Uuid), readerId: v.optional(Uuid), at: Instant })
export type SeenDevice = v.InferOutput<typeof SeenDevice>

export const DeviceReport = v.strictObject({
  events: v.pipe(v.array(DeviceEvent), v.maxLength(MOST_DEVICE_EVENTS)),
  seen: v.pipe(v.array(SeenDevice), v.maxLength(MOST_SEEN_DEVICES)),
})
export type DeviceReport = v.InferOutput<typeof DeviceReport>

/** How many of the events are on record now: all, or the whole report was refused. */
export const DeviceReportAnswer = v.object({ recorded: v.pipe(v.number(), v.integer()) })
