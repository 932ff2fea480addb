import * as v from 'valibot'
import { Instant, Uuid } from './scan.ts'

/**
 * What a door can be told: to open once, for as long as it opens; to be held open, or locked, until a time or until it is
 * released; to be released, so that its schedule counts again. A reader without a door can only be told to open.
 */
export const ACTIONS = ['open', 'hold', 'lock', 'release'] as const
export type Action = (typeof ACTIONS)[number]

/**
 * `waiting` for a bridge to take it, `taken`, and then one of the three that it stays; but of a command that was taken,
 * `timed_out` only says that nobody knew in time, and what its bridge says afterwards stands instead.
 */
export const COMMAND_STATES = ['waiting', 'taken', 'delivered', 'refused', 'timed_out'] as const

/** How long a bridge may wait for a command to come before it asks again. Milliseconds. */
export const MOST_WAIT_MS = 20_000

/** Within this time a command is carried out or never. Milliseconds. */
export const COMMAND_LIFE_MS = 3_000

/** Most commands of one answer, and most outcomes of one report. */
export const MOST_COMMANDS = 500

/** Why a command ended as it did. Public words: add, never rename. */
export const DETAILS = [
  // Delivered. The device says that it did it; or it went out to a device that never says.
  'opened',
  'sent',
  // Delivered, and the device, which should have said so within a second, did not.
  'no_answer',
  // Refused: by the device; because of a lockdown; too late; the broker is away; there is no such door here; its profile
  // cannot do it; its address is not known; it is offline.
  'device_refused',
  'locked_down',
  'expired',
  'broker_away',
  'unknown_door',
  'not_possible',
  'no_address',
  'device_offline',
] as const
export type Detail = (typeof DETAILS)[number]

/** One command for a bridge: of a door, or of a reader that opens by its own answer. Never twice, and never after `expiresAt`. */
export const Command = v.object({
  id: Uuid,
  action: v.picklist(ACTIONS),
  doorId: v.nullable(Uuid),
  readerId: v.nullable(Uuid),
  expiresAt: Instant,
})
export type Command = v.InferOutput<typeof Command>

/** Answered at once when the site is of another version than `version` or there are commands, else after `waitMs`. */
export const CommandsAsk = v.strictObject({
  version: v.optional(v.pipe(v.string(), v.maxLength(64))),
  waitMs: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(MOST_WAIT_MS)),
})

/** The commands are this bridge's now: nobody else gets them. */
export const CommandsAnswer = v.object({ version: v.string(), commands: v.array(Command) })
export type CommandsAnswer = v.InferOutput<typeof CommandsAnswer>

/** What became of a command. */
export const Outcome = v.strictObject({
  id: Uuid,
  state: v.picklist(['delivered', 'refused']),
  detail: v.picklist(DETAILS),
})
export type Outcome = v.InferOutput<typeof Outcome>

export const OutcomesAsk = v.strictObject({
  outcomes: v.pipe(v.array(Outcome), v.minLength(1), v.maxLength(MOST_COMMANDS)),
})

/** How many of them were commands that this bridge had taken and had not said anything of yet. */
export const OutcomesAnswer = v.object({ noted: v.pipe(v.number(), v.integer()) })
