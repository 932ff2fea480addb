import type { Reason } from './scan.ts'
import { insideAny, type WallClock, type Window, wallClock } from './window.ts'

/** From `from` inclusive to `until` exclusive; null is open-ended. */
export type Validity = { validFrom: Date | null; validUntil: Date | null }

/** Of a card; only the first opens. */
export const STATUSES = ['active', 'blocked', 'lost', 'returned'] as const

/** `id` is null where no card was shown and a PIN alone said who it is: such a card is as good as its person. */
export type CardFacts = Validity & {
  id: string | null
  status: (typeof STATUSES)[number]
  person: Validity & { id: string; active: boolean; exemptFromLockdown?: boolean }
}

/** A rule of one of the person's groups for this reader; without a schedule (`windows` null) it means always. */
export type RuleFacts = { id: string; groupId: string; scheduleId: string | null; windows: readonly Window[] | null }

/**
 * What became of the PIN that was typed: it is `wrong`, or too many were, so that nobody looks at this one any more. `none`
 * when none was typed, or there was nobody whose it could have been.
 */
export type PinFact = 'none' | 'right' | 'wrong' | 'locked'

/** Of a reader: in force until then, or until somebody ends it; null where there is none. */
export type Lockdown = { until: Date | null } | null

/** Everything the decision may look at. Where the facts come from (Postgres, a snapshot) makes no difference to it. */
export type Facts = {
  /** The scan was older than the deadline when it reached the decision. */
  late: boolean
  /** A PIN is asked for within `pinWindows`; null is never. */
  reader: { enabled: boolean; timezone: string; pinWindows: readonly Window[] | null; lockdown?: Lockdown } | undefined
  /**
   * The cards whose number, in the reader's view, equals the scanned text; or whom a PIN alone stands for. Two are enough to
   * know that it is ambiguous.
   */
  cards: readonly CardFacts[]
  pin: PinFact
  rules: readonly RuleFacts[]
}

/**
 * Why: the reason, and for each rule whether it lets the person pass at that instant; whether a PIN is asked for then, and
 * the lockdown that is in force then, if any.
 */
export type Explanation = {
  reason: Reason
  lockdown: Lockdown
  clock: WallClock | undefined
  rules: (RuleFacts & { open: boolean })[]
  pinAsked: boolean
}

/** May this card open this reader at this instant? Pure: no clock, no database. */
export const decide = (facts: Facts, at: Date): Reason => explain(facts, at).reason

/** The decision with its trace. `decide` is this and nothing else, so an explanation can never differ from a decision. */
export const explain = (facts: Facts, at: Date): Explanation => {
  const clock = facts.reader && wallClock(at, facts.reader.timezone)
  const rules = facts.rules.map((rule) => ({
    ...rule,
    open: clock !== undefined && (rule.windows === null || insideAny(rule.windows, clock)),
  }))
  const windows = facts.reader?.pinWindows ?? []
  const pinAsked = clock !== undefined && insideAny(windows, clock)
  const lockdown = lockdownAt(facts, at)
  return { reason: judge(facts, at, rules, pinAsked), lockdown, clock, rules, pinAsked }
}

/** The order is the contract: the first reason to refuse wins, and only the last line opens. */
const judge = (facts: Facts, at: Date, rules: readonly { open: boolean }[], pinAsked: boolean): Reason => {
  const { late, reader, cards, pin } = facts
  const [card, second] = cards
  if (late) return 'late'
  if (!reader) return 'unknown_reader'
  if (!reader.enabled) return 'reader_disabled'
  if (lockdownAt(facts, at) && !(card && !second && card.person.exemptFromLockdown)) return 'lockdown'
  // A PIN alone has to say who it is: one that is refused stands where an unknown card does.
  if (!card) return refusalOf(pin) ?? 'unknown_card'
  if (second) return 'ambiguous_card'
  if (card.status !== 'active') return `card_${card.status}`
  if (isBefore(card, at)) return 'card_not_yet_valid'
  if (isAfter(card, at)) return 'card_expired'
  if (!card.person.active) return 'person_inactive'
  if (isBefore(card.person, at)) return 'person_not_yet_valid'
  if (isAfter(card.person, at)) return 'person_expired'
  if (rules.length === 0) return 'no_rule'
  if (!rules.some((rule) => rule.open)) return 'outside_schedule'
  if (pinAsked && pin !== 'right') return refusalOf(pin) ?? 'pin_required'
  return 'granted'
}

const refusalOf = (pin: PinFact): Reason | undefined =>
  pin === 'locked' ? 'pin_locked' : pin === 'wrong' ? 'wrong_pin' : undefined

/**
 * The lockdown of a reader, if it is in force at that instant: from `createdAt` on, which nobody asks, as what would be
 * decided at an earlier instant is decided by the lockdown of now.
 */
export const lockdownAt = ({ reader }: Pick<Facts, 'reader'>, at: Date): Lockdown => {
  const lockdown = reader?.lockdown ?? null
  // A date that is none keeps it in force.
  return lockdown !== null && (lockdown.until === null || !(at >= lockdown.until)) ? lockdown : null
}

// Asked this way round, a date that is none (Postgres knows `infinity`) refuses; the other way round it would let pass.
const isBefore = ({ validFrom }: Validity, at: Date) => validFrom !== null && !(at >= validFrom)
const isAfter = ({ validUntil }: Validity, at: Date) => validUntil !== null && !(at < validUntil)
