import { isInForce } from '../api/contract/door-mode.ts'
import { decisionOf, type Reason, type Scan } from '../api/contract/scan.ts'
import type { SiteReader } from '../api/contract/site.ts'
import type { Api } from './ask.ts'
import { eventOf, type Outcome } from './deciding.ts'
import type { Doors } from './doors/doors.ts'
import { isLate } from './echo.ts'
import type { Keep } from './keep.ts'
import { type Log, nameOf } from './log.ts'
import type { Metrics } from './metrics.ts'
import { doorOf, type NewsBoard } from './news.ts'
import { isOnRecordSince, type OwnProtocol } from './own-protocol/own-protocol.ts'
import type { Known } from './profiles/hear.ts'
import type { Dropped, Message, Vars } from './profiles/profile.ts'
import { messagesOf, openingVars } from './profiles/tell.ts'
import { Unacknowledged } from './publish.ts'
import type { ReaderStates } from './reader-state.ts'
import { needsAddress, wantsName } from './uses.ts'

export type Taken = { scan: Scan; outcome: Promise<Outcome> }

/** One message that wants an answer: since when, until when, and whether it is the scan's first. `found` is what a template may take of it, `unit` the device. */
export type Asked = { at: number; by: number; first: boolean; found: Vars; unit: string }

type Parts = {
  api: Pick<Api, 'clock'>
  age(): number
  publish(message: Message, lifeMs?: number): Promise<void>
  states: ReaderStates
  keep: Keep
  own: OwnProtocol
  doors: Pick<Doors, 'tell'>
  news: NewsBoard
  metrics: Metrics
  drop(why: Dropped): undefined
  log: Log
}

/**
 * A reader with a door opens that door, another one by its own answer. What opens goes out now or never: not after its time,
 * not into a queue, not to be kept by the broker.
 */
export const answeringBy = ({ api, age, publish, states, keep, own, doors, news, metrics, drop, log }: Parts) => {
  const answer = async (
    { reader, profile, vars }: Known,
    { scan, outcome }: Taken,
    { at, by, first, found, unit }: Asked,
  ): Promise<void> => {
    const { decision, reason: why, openMs, expiresAt, name = '' } = await outcome
    if (first) news.tell({ is: 'decided', reader, decision: decisionOf(why), reason: why })
    // What a reader did itself is not for us to open once more, nor to refuse.
    if (scan.decided) {
      if (first && why === 'reader_granted') opening(reader, scan, reader.openMs)
      return
    }
    if (profile.verify && isOnRecordSince(scan.at, expiresAt)) return drop('replayed')
    const until = Math.min(by, performance.now() + Date.parse(expiresAt) - api.clock.now().getTime())
    const expired = until <= performance.now()
    // Nor into a broker that has gone quiet, which might pass it on when it wakes.
    const inTime = why === 'granted' && !expired && !isLate(age())
    const elsewhere = reader.doorId !== null
    const door = inTime && elsewhere ? await tellDoor(reader, scan, until) : undefined
    const opens = elsewhere ? door?.state === 'delivered' : inTime
    const late: Reason = expired ? 'late' : 'unavailable'
    const said = why === 'granted' && !opens ? late : why
    const told = openingVars(openMs, api.clock.now(), new Date(expiresAt))
    const all = { ...vars, ...told, card: scan.card, id: scan.id, reason: said, ...(wantsName(profile) && { name }) }
    const ip = needsAddress(profile) ? states.address(reader.id, unit) : undefined
    // Where something else opens, a relay that the reader has is left alone.
    const granting = elsewhere && !profile.answers ? [] : profile.grant
    // Where everybody has to get out, a no would shut what is kept open.
    const denying = !elsewhere && isInForce(reader.evacuation, api.clock.now()) ? [] : profile.deny
    const messages = messagesOf(opens ? granting : denying, all, {
      ...(ip !== undefined && { ip }),
      ...found,
    })
    const dressed = profile.verify ? messages.map((message) => own.sign(reader, message)) : messages
    const sent = await send(reader, dressed, opens ? until : undefined)
    if (sent && (messages.length > 0 || opens)) metrics.answered(performance.now() - at)
    // Only the address can be missing, which the device has not said for a while.
    const lost = !elsewhere && opens && messages.length === 0 && needsAddress(profile) && ip === undefined
    if (lost || door?.detail === 'no_address') log('warn', 'no_address', { reader: reader.id, say: SAY_ADDRESS })
    if (!elsewhere && opens && sent && messages.length > 0) opening(reader, scan, openMs)
    const failed = elsewhere ? !opens : lost || (messages.length > 0 && !(opens && sent))
    // On record it would be an opening that never was.
    if (first && decision === 'granted' && failed) await keep.atLast(eventOf(scan, { reason: late, openMs: 0 }))
  }

  const tellDoor = (reader: SiteReader, { id, card }: Scan, until: number) =>
    doors.tell(
      doorOf(reader),
      until,
      { by: 'scan', scanId: id },
      {
        card,
        cardView: reader.cardView,
        lockdown: reader.lockdown,
      },
    )

  const opening = (reader: SiteReader, { id }: Scan, forMs: number) =>
    news.tell({ is: 'opening', door: doorOf(reader), forMs, by: { by: 'scan', scanId: id } })

  /** In their order, and none after one that failed, nor after their time. True when all went out. */
  const send = async (reader: SiteReader, messages: readonly Message[], until?: number): Promise<boolean> => {
    for (const [n, message] of messages.entries()) {
      const left = until === undefined ? undefined : until - performance.now()
      if (left !== undefined && left <= 0) return false
      try {
        await publish(message, left)
      } catch (error) {
        log('warn', 'unanswered', { reader: reader.id, error: nameOf(error) })
        // The last one perhaps arrived: a door that opened without a record would be the greater lie.
        return error instanceof Unacknowledged && n === messages.length - 1
      }
    }
    return true
  }

  return { answer, send }
}

const SAY_ADDRESS =
  'What it opens is opened by an IP address that it has not said for 15 minutes: set it (settings.ip), or see why it is silent.'
