import * as v from 'valibot'
import { CardText, Instant, isPlainText, Reason, Uuid } from './scan.ts'

/** Most events of one hand-over. */
export const MOST_HANDED_OVER = 100

/**
 * An event that a bridge kept because the API could not be asked, or was not worth asking (a scan that had waited).
 * `snapshot` is the version of the facts it was decided by, if by any. `answered`: this is what the door got, so it
 * stands even where the API had come to a decision that reached nobody. Without it nobody knows what the door got (the
 * bridge ended in between), and what is on record already stands.
 */
export const HandedOver = v.strictObject({
  id: Uuid,
  readerId: Uuid,
  card: CardText,
  at: Instant,
  reason: Reason,
  cardId: v.optional(Uuid),
  personId: v.optional(Uuid),
  openMs: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(600_000)),
  snapshot: v.optional(v.pipe(v.string(), v.minLength(1), v.maxLength(64), v.check(isPlainText, 'not text'))),
  answered: v.boolean(),
})
export type HandedOver = v.InferOutput<typeof HandedOver>

/** Oldest first. Handing over twice changes nothing: each event is known by its id. */
export const HandOver = v.strictObject({
  events: v.pipe(v.array(HandedOver), v.minLength(1), v.maxLength(MOST_HANDED_OVER)),
})

/** How many of them are on record now: all, or the whole hand-over was refused. */
export const HandOverAnswer = v.object({ recorded: v.pipe(v.number(), v.integer()) })
