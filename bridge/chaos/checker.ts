import type { Reason } from '../../api/contract/scan.ts'
import type { Recorded, Revocation, Scan } from './ledger.ts'

/** What must never happen. */
export const OFFENCES = ['lost', 'doubled', 'unrecorded', 'late', 'wrong', 'contradicted'] as const
export type OffenceKind = (typeof OFFENCES)[number]
export type Offence = { kind: OffenceKind; why: string; fault: string; scan?: Scan; events: Recorded[] }

export type Judged = { scan: Scan; events: Recorded[] }
export type Judgement = {
  judged: Judged[]
  offences: Offence[]
  /**
   * Openings that a message delivered again explains; refusals that may have been meant for an earlier scan; and openings
   * that a broker passed on when it woke, which had stopped within a moment of being given them. These are late, and no
   * program before the broker can prevent them.
   */
  excused: { echoes: number; unclear: number; woken: number }
  /** Events whose time on record is minutes from when the API received them. */
  misdated: number
}

/** An opening this long after its scan is one too late. Milliseconds. */
const OPEN_MS = 3_000
/** What reached the bridge this long after it was published had waited, whatever clocks and slow links may do. */
const WAITED_MS = 5_000
/** How far the record's time of a scan may lie before its publishing: a replayed answer can set the bridge's clock back. */
const SKEW_MS = 40_000
/** No fault lasts so long: an event that is this far from when the API received it is dated by a wrong clock. */
const MISDATED_MS = 600_000
/** A broker that stops within this time of a scan may hold its answer already; one that takes so long had stopped. */
const MOMENT_MS = 100
const STOPPED_MS = 2_000
/** Scans older than this are not what an answer is about. */
const MEMORY_MS = 120_000

/** Said of any scan by a bridge that cannot do better; they open nothing. */
const NO_DECISION: readonly Reason[] = ['late', 'unavailable', 'superseded']

/** The ledger against the record. Pure. Scans are in the order in which they were published, events in any. */
export const check = (
  scans: readonly Scan[],
  recorded: readonly Recorded[],
  revocations: readonly Revocation[] = [],
): Judgement => {
  const { eventsOf, strays, misdated } = assign(scans, recorded)
  const judged = scans.map((scan) => ({ scan, events: eventsOf.get(scan) ?? [] }))
  const offences: Offence[] = strays.map((event) => ({
    kind: 'doubled',
    why: 'an event of a scan that never was',
    fault: lastBefore(scans, event.receivedAt)?.fault ?? 'start',
    events: [event],
  }))
  const excused = { echoes: 0, unclear: 0, woken: 0 }
  const stopped = scans.filter((scan) => ackedAfter(scan) > STOPPED_MS)
  const revoked = new Map(revocations.map((revocation) => [revocation.card, revocation]))

  for (const [, before] of byReader(judged)) {
    for (const [place, { scan, events }] of before.entries()) {
      const blame = (kind: OffenceKind, why: string) => offences.push({ kind, why, fault: scan.fault, scan, events })
      const earlier = before.slice(Math.max(0, place - 50), place).reverse()
      judgeRecord({ scan, events }, revoked.get(scan.card), blame)
      const openings = judgeOpenings({ scan, events }, earlier, revoked.get(scan.card), stopped, blame)
      excused.echoes += openings.echoes
      excused.woken += openings.woken
      excused.unclear += judgeRefusals({ scan, events }, earlier, blame)
    }
  }
  return { judged, offences, excused, misdated }
}

type Blame = (kind: OffenceKind, why: string) => void

const isGranted = ({ reason }: Recorded) => reason === 'granted'
const lastPublished = ({ published }: Scan, at: number) =>
  published.findLast((time) => time <= at) ?? Number(published[0])

const judgeRecord = ({ scan, events }: Judged, revocation: Revocation | undefined, blame: Blame): void => {
  if (events.length === 0 && scan.acked !== undefined) blame('lost', 'acknowledged by the broker, and not on record')
  if (events.length > 1 + scan.resent) blame('doubled', `${events.length} events of one scan`)
  for (const event of events) {
    if (!accepts(scan, event, revocation)) blame('wrong', `recorded as ${event.reason}, should be ${scan.expected}`)
    const waited = event.at - lastPublished(scan, event.at)
    if (isGranted(event) && waited > WAITED_MS) blame('late', `recorded as granted after ${Math.round(waited)} ms`)
  }
}

/** May this be on record of this scan? */
const accepts = (scan: Scan, { reason, source }: Recorded, revocation: Revocation | undefined): boolean => {
  if (NO_DECISION.includes(reason)) return true
  if (source === 'offline' && scan.denies) return false
  const published = Number(scan.published.at(-1))
  if (!revocation || published < revocation.at - OPEN_MS) return reason === scan.expected
  const stillOpen = published < revocation.at || (source === 'offline' && published < revocation.offlineAt)
  return reason === 'card_blocked' || (stillOpen && reason === scan.expected)
}

/** How long after its publishing the broker had a scan. Milliseconds. */
const ackedAfter = ({ acked, published }: Scan): number => (acked ?? Number.NaN) - Number(published[0])

/** Was the broker about to stop when it had this scan, and awake again when the door heard? */
const wokeWith = (scan: Scan, at: number, stopped: readonly Scan[]): boolean =>
  ackedAfter(scan) < MOMENT_MS &&
  stopped.some(({ published, acked }) => {
    const after = Number(published[0]) - Number(scan.published[0])
    return after >= 0 && after < MOMENT_MS && Math.abs(at - Number(acked)) < STOPPED_MS
  })

/** Each opening must be this scan's own, in time, and on record as granted. Returns how many had another reason. */
const judgeOpenings = (
  { scan, events }: Judged,
  earlier: Judged[],
  revocation: Revocation | undefined,
  stopped: readonly Scan[],
  blame: Blame,
): { echoes: number; woken: number } => {
  const reasons = { echoes: 0, woken: 0 }
  let left = scan.published.length
  for (const { at } of scan.answers.filter(({ opened }) => opened)) {
    const granted = events.some(isGranted)
    const age = at - lastPublished(scan, at)
    if (granted && left > 0) {
      left -= 1
      if (age > OPEN_MS) blame('late', `opened ${Math.round(age)} ms after it was published`)
      continue
    }
    const older = earlier.filter((one) => at - lastPublished(one.scan, at) < MEMORY_MS && one.events.some(isGranted))
    const isEcho = older.some(
      (one) => (scan.redelivers || one.scan.resent > 0) && at - lastPublished(one.scan, at) <= OPEN_MS,
    )
    const unheard = older.find((one) => !one.scan.answers.some(({ opened }) => opened))
    if (isEcho) reasons.echoes += 1
    else if (unheard && wokeWith(unheard.scan, at, stopped)) reasons.woken += 1
    else if (unheard) blame('late', `opened for scan ${unheard.scan.n}, or for nothing`)
    else if (granted) blame('late', 'opened more often than it was published')
    else if (events.length === 0) blame('unrecorded', 'opened, and there is no event')
    else if (scan.expected !== 'granted' || revocation) blame('wrong', `opened, should be ${scan.expected}`)
    else blame('contradicted', `opened, recorded as ${events[0]?.reason}`)
  }
  return reasons
}

/** What a door was refused may not be on record as granted. Returns 1 when nobody can tell whose the refusal was. */
const judgeRefusals = ({ scan, events }: Judged, earlier: Judged[], blame: Blame): 0 | 1 => {
  const refusals = scan.answers.filter(({ opened }) => !opened).length
  const isOpened = scan.answers.length > refusals
  if (isOpened || refusals === 0 || events.length === 0 || !events.every(isGranted)) return 0
  const firstAnswered = earlier.findIndex((one) => one.scan.answers.length > 0)
  const unanswered = firstAnswered === -1 ? earlier.length : firstAnswered
  const mayBeAnothers = refusals <= unanswered + (scan.redelivers ? 1 : 0)
  if (!mayBeAnothers) blame('contradicted', 'refused, recorded as granted')
  return mayBeAnothers ? 1 : 0
}

/**
 * Which event belongs to which scan: the same card comes again at the same reader only after minutes, so an event is of
 * the last scan that was published before it. A bridge that had no clock dates its events as it can: what is left over
 * is then of the last scan without an event that was published before the API received it.
 */
const assign = (scans: readonly Scan[], recorded: readonly Recorded[]) => {
  const byPair = Map.groupBy(scans, ({ reader, card }) => `${reader} ${card}`)
  const eventsOf = new Map<Scan, Recorded[]>()
  const give = (event: Recorded, before: number, mayTake: (scan: Scan) => boolean): boolean => {
    const ofPair = byPair.get(`${event.reader} ${event.card}`)
    const scan = ofPair?.findLast((one) => Number(one.published[0]) <= before && mayTake(one))
    if (scan) eventsOf.set(scan, [...(eventsOf.get(scan) ?? []), event])
    return scan !== undefined
  }
  const isFar = ({ at, receivedAt }: Recorded) => Math.abs(receivedAt - at) > MISDATED_MS
  const [misdated, dated] = [recorded.filter(isFar), recorded.filter((event) => !isFar(event))]
  const strays = dated.filter((event) => !give(event, event.at + SKEW_MS, () => true))
  strays.push(...misdated.filter((event) => !give(event, event.receivedAt, (scan) => !eventsOf.has(scan))))
  return { eventsOf, strays, misdated: misdated.length }
}

const byReader = (judged: Judged[]): Map<string, Judged[]> => Map.groupBy(judged, ({ scan }) => scan.reader)

const lastBefore = (scans: readonly Scan[], at: number) => scans.findLast(({ published }) => Number(published[0]) <= at)
