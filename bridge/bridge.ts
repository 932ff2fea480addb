import { v7 } from 'uuid'
import { keyOfScan } from '../api/contract/card-views.ts'
import { ANSWER_LIFE_MS, type Answer, DEADLINE_MS, decisionOf, type Reason, type Scan } from '../api/contract/scan.ts'
import type { SiteReader } from '../api/contract/site.ts'
import type { Arrivals } from './arrivals.ts'
import { type Api, askAboutScan } from './ask.ts'
import type { Message as Heard } from './broker.ts'
import { isLate } from './echo.ts'
import { hold } from './hold.ts'
import type { Keep } from './keep.ts'
import type { Link } from './link.ts'
import { dropCounter, type Log, nameOf } from './log.ts'
import type { Offline, Verdict } from './offline.ts'
import { hear, type Known, topicsOf } from './profiles/hear.ts'
import type { Message, Vars } from './profiles/profile.ts'
import { known } from './profiles/profiles.ts'
import { messagesOf, openingVars } from './profiles/tell.ts'
import type { Queue } from './queue.ts'

/** How long the API may take before a bridge that can decide by itself does so. Milliseconds. */
const ASK_MS = 1_000

export type Parts = {
  api: Api
  /** How old a message may be that arrives now, in milliseconds. */
  age(): number
  /** Resolves when it is on its way, now; rejects when it cannot be. */
  publish(message: Message): Promise<void>
  link: Link
  offline: Offline
  keep: Keep
  arrivals: Arrivals
  queue: Queue
  log: Log
}

export type Bridge = {
  /** Every message of the broker's goes through here. */
  receive(message: Heard): void
  /** The readers in force from now on; gives every topic on which one of them is heard. */
  use(readers: readonly SiteReader[]): string[]
  /** Takes no more messages, and resolves when every scan that arrived has been answered and is safe. */
  settle(): Promise<void>
}

/** What the door gets; `safe` resolves when it is on record, or kept to be recorded. */
type Outcome = Pick<Answer, 'decision' | 'reason' | 'openMs' | 'expiresAt'> & { safe: Promise<void> }
type Taken = { scan: Scan; outcome: Promise<Outcome> }

/** One scan, one way: topic → decode → ask, or decide here → make safe → publish → acknowledge. */
export const bridgeOn = ({ api, age, publish, link, offline, keep, arrivals, queue, log }: Parts): Bridge => {
  const byTopic = new Map<string, Known[]>()
  const drops = dropCounter(log)
  const once = hold<Taken>()
  const underWay = new Set<Promise<unknown>>()
  let stopped = false

  const receive: Bridge['receive'] = (message) => {
    // What is not acknowledged comes again, to whoever listens next.
    if (stopped) return
    const arrived = performance.now()
    const waited = age()
    const [at] = byTopic.get(message.topic) ?? []
    const heard = at ? hear(at, message, api.clock.now()) : ({ dropped: 'foreign_topic' } as const)
    if ('dropped' in heard || !at) {
      drops.drop('dropped' in heard ? heard.dropped : 'foreign_topic')
      return message.acknowledge()
    }
    const [read] = heard
    if (read?.is !== 'scan') return message.acknowledge()
    const { reader } = at
    const { card, vars: found } = read
    const what = whatOf(reader.id, card)
    const again = message.known(what)
    if (again) return follow(again.then(message.acknowledge))

    const arrive = (): Scan => {
      const scan = { id: v7(), readerId: reader.id, card, at: api.clock.now().toISOString() }
      arrivals.note({ ...scan, ...(message.id !== undefined && { messageId: message.id }) })
      return scan
    }
    const by = arrived + DEADLINE_MS - waited
    if (isLate(waited)) {
      const scan = arrive()
      const outcome = decideHere(scan, { reason: 'late', openMs: 0 })
      // What was queued while nobody was here is not answered: whoever waited for it is gone.
      if (Number.isFinite(waited)) follow(answer(at, { scan, outcome }, by, true, found))
      return finish(message, what, { scan, outcome })
    }
    let first = false
    const taken = once(`${reader.id} ${keyOfScan(reader.cardView, card)}`, reader.holdMs, () => {
      first = true
      const scan = arrive()
      return { scan, outcome: decide(reader, scan, by) }
    })
    follow(answer(at, taken, by, first, found))
    finish(message, what, taken)
  }

  /** Acknowledged when it is safe, and not before: until then the broker has it too. */
  const finish = (message: Heard, what: string, { scan, outcome }: Taken): void => {
    const safe = outcome.then((known) => known.safe).then(() => arrivals.settled(scan.id))
    message.hold(what, safe)
    follow(safe.then(message.acknowledge))
  }

  const follow = (work: Promise<unknown>): void => {
    const followed = work
      .catch((error: unknown) => log('error', 'unrecorded', { error: nameOf(error) }))
      .finally(() => underWay.delete(followed))
    underWay.add(followed)
  }

  const decide = async (reader: SiteReader, scan: Scan, by: number): Promise<Outcome> => {
    const started = performance.now()
    if (!(await queue.enter(reader.id))) return decideHere(scan, { reason: 'superseded', openMs: 0 })
    const outcome = await ask(reader, scan, by).finally(() => queue.leave())
    const ms = Math.round(performance.now() - started)
    const { decision, reason } = outcome
    log('info', 'scan', { scan: scan.id, reader: scan.readerId, decision, reason, ms })
    return outcome
  }

  /** Whatever goes wrong on the way to the API is decided here, and only here: by the snapshot, or a refusal. */
  const ask = async (reader: SiteReader, scan: Scan, by: number): Promise<Outcome> => {
    let unreachable = link.state() === 'down'
    if (link.state() === 'up') {
      const left = by - performance.now()
      try {
        const answered = await askAboutScan(api, scan, offline.ready(reader) ? Math.min(ASK_MS, left) : left)
        link.up()
        return { ...answered, safe: Promise.resolve() }
      } catch (error) {
        unreachable = link.failed(error)
        log('warn', 'unanswered_scan', { scan: scan.id, reader: scan.readerId, error: nameOf(error) })
      }
    }
    if (performance.now() >= by) return decideHere(scan, { reason: 'unavailable', openMs: 0 })
    return decideHere(scan, unreachable ? offline.decide(reader, scan) : { reason: 'unavailable', openMs: 0 })
  }

  /** A refusal is answered at once and made safe meanwhile. What opens is on this disk first, or it does not open. */
  const decideHere = async (scan: Scan, verdict: Verdict): Promise<Outcome> => {
    const expiresAt = new Date(Date.parse(scan.at) + ANSWER_LIFE_MS).toISOString()
    const decision = decisionOf(verdict.reason)
    if (decision === 'denied') {
      return {
        decision,
        reason: verdict.reason,
        openMs: verdict.openMs,
        expiresAt,
        safe: keep.atLast(eventOf(scan, verdict)),
      }
    }
    try {
      await keep.now(eventOf(scan, verdict))
      return { decision, reason: verdict.reason, openMs: verdict.openMs, expiresAt, safe: Promise.resolve() }
    } catch (error) {
      log('error', 'not_kept', { scan: scan.id, error: nameOf(error) })
      return decideHere(scan, { reason: 'unavailable', openMs: 0 })
    }
  }

  /** What opens goes out now or never: not after its time, not into a queue, not to be kept by the broker. */
  const answer = async (
    { reader, profile, vars }: Known,
    { scan, outcome }: Taken,
    by: number,
    first: boolean,
    found: Vars,
  ): Promise<void> => {
    const { decision, reason: why, openMs, expiresAt } = await outcome
    const expired = performance.now() > by || api.clock.now().getTime() >= Date.parse(expiresAt)
    // Nor into a broker that has gone quiet, which might pass it on when it wakes.
    const opens = decision === 'granted' && !expired && !isLate(age())
    const told = openingVars(openMs, api.clock.now(), new Date(expiresAt))
    const all = { ...vars, ...told, card: scan.card, id: scan.id, reason: why }
    const messages = messagesOf(opens ? profile.grant : profile.deny, all, found)
    const sent = await Promise.all(messages.map(publish)).then(() => true, unsent(reader))
    // On record it would be an opening that never was.
    if (first && decision === 'granted' && messages.length > 0 && !(opens && sent)) {
      const reason: Reason = expired ? 'late' : 'unavailable'
      await keep.atLast(eventOf(scan, { reason, openMs: 0 }))
    }
  }

  const unsent = (reader: SiteReader) => (error: unknown) => {
    log('warn', 'unanswered', { reader: reader.id, error: nameOf(error) })
    return false
  }

  return {
    receive,
    use(readers) {
      byTopic.clear()
      for (const reader of readers) {
        const at = known(reader)
        if (!at)
          log('warn', 'unknown_profile', { reader: reader.id, say: 'This bridge is older than the API: update it.' })
        else for (const topic of topicsOf(at)) byTopic.set(topic, [...(byTopic.get(topic) ?? []), at])
      }
      return [...byTopic.keys()]
    },
    async settle() {
      stopped = true
      await Promise.allSettled(underWay)
      drops.stop()
    },
  }
}

/** By this a message that comes again is known to be the same. */
export const whatOf = (readerId: string, card: string): string => `${readerId} ${card}`

/** The scan as it goes into the record. A pin is never written. */
const eventOf = ({ id, readerId, card, at }: Scan, verdict: Verdict) => ({
  id,
  readerId,
  card,
  at,
  ...verdict,
  answered: true,
})
