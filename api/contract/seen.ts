import * as v from 'valibot'
import { Instant, isPlainText } from './scan.ts'

/** Most devices of one report. */
export const MOST_SEEN = 50

const text = (most: number) =>
  v.pipe(v.string(), v.minLength(1), v.maxLength(most), v.check(isPlainText, 'must not contain control characters'))

/**
 * A device that speaks a known profile and is no reader of this site. All of it but `profile` is what somebody published:
 * `topic` is where its scans would come from, `unit` what it calls itself. Never a card.
 */
export const Seen = v.strictObject({
  profile: text(64),
  topic: v.pipe(
    text(500),
    v.check((topic) => !/[+#]/.test(topic) && !topic.startsWith('$'), 'not a topic that a reader can have'),
  ),
  unit: v.optional(text(128)),
  at: Instant,
  /** Since the report before. */
  messages: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(1_000_000)),
})
export type Seen = v.InferOutput<typeof Seen>

export const SeenReport = v.strictObject({ seen: v.pipe(v.array(Seen), v.minLength(1), v.maxLength(MOST_SEEN)) })

/** How many of them are on the list now: those that are no readers, and whose profile is known there. */
export const SeenAnswer = v.object({ noted: v.pipe(v.number(), v.integer()) })
