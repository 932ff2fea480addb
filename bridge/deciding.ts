import type { HandedOver } from '../api/contract/hand-over.ts'
import { ANSWER_LIFE_MS, type Answer, answerOf, decisionOf, readersReason, type Scan } from '../api/contract/scan.ts'
import type { SiteReader } from '../api/contract/site.ts'
import { type Api, askAboutScan } from './ask.ts'
import type { Keep } from './keep.ts'
import type { Link } from './link.ts'
import { type Log, nameOf } from './log.ts'
import type { Metrics } from './metrics.ts'
import type { Offline, Verdict } from './offline.ts'
import type { Known } from './profiles/hear.ts'
import type { Queue } from './queue.ts'
import { newTrace } from './trace.ts'
import { wantsName } from './uses.ts'

/** How long the API may take before a bridge that can decide by itself does so. Milliseconds. */
const ASK_MS = 1_000

/** What the door gets; `safe` resolves when it is on record, or kept to be recorded. */
export type Outcome = Pick<Answer, 'decision' | 'reason' | 'openMs' | 'expiresAt' | 'name'> & { safe: Promise<void> }

export type Deciding = {
  /** By the API; by the snapshot, or a refusal, where it cannot say in time. `by` is on this process's clock. */
  decide(at: Known, scan: Scan, by: number): Promise<Outcome>
  /** For what is not worth asking. Of a reader that decides by itself what it did counts, and not the verdict's reason. */
  decideHere(reader: SiteReader, scan: Scan, verdict: Verdict): Promise<Outcome>
}

type Parts = { api: Api; link: Link; offline: Offline; keep: Keep; queue: Queue; metrics: Metrics; log: Log }

export const decidingBy = ({ api, link, offline, keep, queue, metrics, log }: Parts): Deciding => {
  const decide: Deciding['decide'] = async (at, scan, by) => {
    const started = performance.now()
    if (!(await queue.enter(at.reader.id))) return decideHere(at.reader, scan, { reason: 'superseded', openMs: 0 })
    const trace = newTrace()
    const outcome = await ask(at, scan, by, trace).finally(() => queue.leave())
    const ms = Math.round(performance.now() - started)
    const { decision, reason } = outcome
    log('info', 'scan', { scan: scan.id, reader: scan.readerId, decision, reason, ms, trace })
    return outcome
  }

  /** Whatever goes wrong on the way to the API is decided here, and only here: by the snapshot, or a refusal. */
  const ask = async ({ reader, profile }: Known, scan: Scan, by: number, trace: string): Promise<Outcome> => {
    let unreachable = link.state() === 'down'
    if (link.state() === 'up') {
      const left = by - performance.now()
      // Nobody waits for what has been decided, and the API knows better whose card it is.
      const patience = !scan.decided && offline.ready(reader) ? Math.min(ASK_MS, left) : left
      const began = performance.now()
      try {
        const answered = await askAboutScan(api, scan, patience, wantsName(profile) ? ['name'] : undefined, trace)
        link.up()
        metrics.scan(decisionOf(answered.reason), answered.reason, scan.decided ? 'reader' : 'online')
        return { ...answered, safe: Promise.resolve() }
      } catch (error) {
        unreachable = link.failed(error)
        log('warn', 'unanswered_scan', { scan: scan.id, reader: scan.readerId, error: nameOf(error), trace })
      } finally {
        metrics.asked(performance.now() - began)
      }
    }
    if (performance.now() >= by || !unreachable) return decideHere(reader, scan, { reason: 'unavailable', openMs: 0 })
    return decideHere(reader, scan, offline.decide(reader, scan))
  }

  /** What does not open is made safe meanwhile. What opens is on this disk first, or it does not open. */
  const decideHere: Deciding['decideHere'] = async (reader, scan, said) => {
    const verdict = scan.decided ? decidedBy(scan.decided, offline.decide(reader, scan)) : said
    const expiresAt = new Date(Date.parse(scan.at) + ANSWER_LIFE_MS).toISOString()
    const { reason, openMs } = verdict
    const outcome = { decision: answerOf(reason), reason, openMs, expiresAt }
    const source = scan.decided ? 'reader' : 'offline'
    if (reason !== 'granted') {
      metrics.scan(decisionOf(reason), reason, source)
      return { ...outcome, safe: keep.atLast(eventOf(scan, verdict)) }
    }
    try {
      await keep.now(eventOf(scan, verdict))
      metrics.scan('granted', reason, source)
      return { ...outcome, safe: Promise.resolve() }
    } catch (error) {
      log('error', 'not_kept', { scan: scan.id, error: nameOf(error) })
      return decideHere(reader, scan, { reason: 'unavailable', openMs: 0 })
    }
  }

  return { decide, decideHere }
}

/** The snapshot only says whose card it is. */
const decidedBy = (decided: NonNullable<Scan['decided']>, known: Verdict): Verdict => ({
  ...known,
  reason: readersReason(decided),
  openMs: 0,
})

/** The scan as it goes into the record. A pin is never written. */
export const eventOf = ({ id, readerId, card, at }: Scan, verdict: Verdict): HandedOver => ({
  id,
  readerId,
  card,
  at,
  ...verdict,
  answered: true,
})
