import * as v from 'valibot'

/** A scan older than this when it reaches the decision is `late`; a bridge waits no longer for an answer. Milliseconds. */
export const DEADLINE_MS = 2_000

/** The same card again at the same reader within this time is the same scan. Milliseconds. */
export const HOLD_MS = 3_000

/**
 * How long an answer may open the door after the API received the scan. As long as the hold time, so that a reader
 * which repeats a held card is still answered, and no longer. Milliseconds.
 */
export const ANSWER_LIFE_MS = HOLD_MS

/** Every way a scan can end, in the order in which `decide` asks. Public words: add, never rename. */
export const REASONS = [
  'late',
  'unknown_reader',
  'reader_disabled',
  'lockdown',
  'unknown_card',
  'ambiguous_card',
  'card_blocked',
  'card_lost',
  'card_returned',
  'card_not_yet_valid',
  'card_expired',
  'person_inactive',
  'person_not_yet_valid',
  'person_expired',
  'no_rule',
  'outside_schedule',
  // A PIN is asked for at this time: none was typed; too many wrong ones were; this one is wrong.
  'pin_required',
  'pin_locked',
  'wrong_pin',
  'granted',
  // Said by a bridge, not by `decide`: it could neither ask nor decide; a newer scan of the same reader took its place.
  'unavailable',
  'superseded',
  // Not decided: the card was given to somebody by an enrolment that waited for it; opens nothing.
  'enrolled',
  // The reader decides by itself, and this is what it did.
  'reader_granted',
  'reader_denied',
] as const
export const Reason = v.picklist(REASONS)
export type Reason = v.InferOutput<typeof Reason>

export const DECISIONS = ['granted', 'denied'] as const
export const Decision = v.picklist(DECISIONS)
export type Decision = v.InferOutput<typeof Decision>

/** What a reader did that decides by itself, as a reason. */
export const readersReason = (decided: Decision) => `reader_${decided}` as const

/** Only `granted` makes Lintel open a door; `reader_granted` says that a reader opened one by itself. */
export const GRANTING: readonly Reason[] = ['granted', 'reader_granted']
export const decisionOf = (reason: Reason): Decision => (GRANTING.includes(reason) ? 'granted' : 'denied')

/** What a bridge is told to do. What a reader did by itself is on record as it was, and is nobody's to open by. */
export const answerOf = (reason: Reason): Decision => (reason === 'granted' ? 'granted' : 'denied')

/** Text that Postgres can store and a log can show: no control characters, no lone surrogates. */
export const isPlainText = (text: string): boolean => !/\p{Cc}|\p{Cs}/u.test(text)

/** What a reader published as a card: short, printable, not empty. Whether it is a card is the reader's view to say. */
export const CardText = v.pipe(v.string(), v.trim(), v.minLength(1), v.maxLength(128), v.check(isPlainText, 'not text'))

/**
 * RFC 3339, of a day that the calendar has and a year from 1 to 9999: what Postgres can keep and a clock can show. A time
 * that parses to NaN would be later than nothing, and so never late.
 */
export const isInstant = (text: string): boolean => {
  const at = new Date(text)
  const year = at.getUTCFullYear()
  const [date = ''] = text.split('T')
  const day = new Date(`${date}T00:00:00Z`)
  return year >= 1 && year <= 9999 && !Number.isNaN(day.getTime()) && day.toISOString().startsWith(date)
}

export const Instant = v.pipe(v.string(), v.isoTimestamp(), v.check(isInstant, 'not a time'))

export const Uuid = v.pipe(v.string(), v.uuid(), v.toLowerCase())

/** What stands for the card where a PIN was typed and no card shown: no number of any card reads so. The PIN itself is never written. */
export const PIN_ALONE = 'PIN'

/**
 * What a bridge asks. `id` is minted once per scan, so asking twice is harmless; `at` is when the scan arrived, on the
 * API's clock (RFC 3339). `pin` is what was typed, if anything; it is never recorded. `decided` is what a reader that
 * decides by itself has done already: that is recorded as it is, and nothing opens.
 */
export const Scan = v.strictObject({
  id: Uuid,
  readerId: Uuid,
  card: CardText,
  at: Instant,
  pin: v.optional(v.pipe(v.string(), v.regex(/^\d{1,16}$/, 'not a PIN'))),
  decided: v.optional(Decision),
})
export type Scan = v.InferOutput<typeof Scan>

/** `want` asks for what only some readers have use for: the person's name, for a display. */
export const Ask = v.strictObject({
  scan: Scan,
  want: v.optional(v.pipe(v.array(v.picklist(['name'])), v.maxLength(4))),
})

/**
 * What the API answers; `decision` is `answerOf` the reason, so it is granted only where a door is to be opened. Nothing
 * that opens may be published after `expiresAt`; `openMs` is the pulse in milliseconds.
 * `name` is whose card it is, only where it opens and was asked for.
 */
export const Answer = v.strictObject({
  name: v.optional(v.pipe(v.string(), v.maxLength(200))),
  scan: v.pipe(v.string(), v.uuid()),
  decision: Decision,
  reason: Reason,
  openMs: v.pipe(v.number(), v.integer(), v.minValue(0)),
  expiresAt: Instant,
})
export type Answer = v.InferOutput<typeof Answer>
