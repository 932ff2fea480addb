import { v7 } from 'uuid'
import { keyOfScan } from '../api/contract/card-views.ts'
import { DEADLINE_MS, type Decision, PIN_ALONE, type Scan } from '../api/contract/scan.ts'
import { type Asked, answeringBy, type Taken } from './answering.ts'
import type { Parts } from './bridge.ts'
import type { Message as Came } from './broker.ts'
import { decidingBy } from './deciding.ts'
import { isLate } from './echo.ts'
import { hold } from './hold.ts'
import { pinsOf } from './pins.ts'
import type { Known } from './profiles/hear.ts'
import type { Dropped, Heard, Vars } from './profiles/profile.ts'
import type { ReaderStates } from './reader-state.ts'
import { type Recorded, scanOfRecord } from './records.ts'

/** A message as it came, when that was, how long it may have waited, and which of several devices sent it. */
export type Arrived = { message: Came; at: number; waited: number; unit: string }

/** What is a scan, or becomes one. */
export type Scanned = Extract<Heard, { is: 'scan' | 'pin' | 'record' }>
type Shown = { card: string; pin?: string; decided?: Decision }

type Around = {
  states: ReaderStates
  drop(why: Dropped): undefined
  /** Work that nobody waits for here. */
  follow(work: Promise<unknown>): void
}

/** Gives when a scan is safe; nothing where there was none. Whatever else is owed to it is followed. */
export const scansThrough = (parts: Parts, { states, drop, follow }: Around) => {
  const { api, arrivals, own } = parts
  const once = hold<Taken>()
  const pins = pinsOf()
  const { decide, decideHere } = decidingBy(parts)
  const { answer, send } = answeringBy({ ...parts, states, drop })

  const take = (by: Known, said: Scanned, arrived: Arrived): Promise<unknown> | undefined => {
    if (said.is === 'record') return takeRecord(by, said, arrived)
    // A reader that came back may say once more what it had said last. What is late opens nothing anyway.
    if (states.isBack(by.reader.id) && !isLate(arrived.waited)) return drop('came_back')
    if (said.is === 'pin') return takePin(by, said.pin, said.vars, arrived)
    if (said.card === PIN_ALONE) return drop('not_a_card')
    return takeScan(by, said, said.vars, arrived)
  }

  const takeScan = (by: Known, shown: Shown, found: Vars, { message, at, waited, unit }: Arrived) => {
    const { reader, profile } = by
    const { card, pin, decided } = shown
    const what = whatOf(reader.id, card)
    const again = message.known(what)
    if (again !== undefined) return again
    const believed = profile.verify ? own.believe(reader, message, api.clock.now(), waited) : { id: v7() }
    if ('refused' in believed) return drop(believed.refused)

    const arrive = (): Scan => {
      const noted = {
        id: believed.id,
        readerId: reader.id,
        card,
        at: api.clock.now().toISOString(),
        ...(decided && { decided }),
      }
      arrivals.note({ ...noted, ...(message.id !== undefined && { messageId: message.id }) })
      return { ...noted, ...(pin !== undefined && { pin }) }
    }
    const asked: Asked = { at, by: at + DEADLINE_MS - waited, first: true, found, unit }
    if (isLate(waited)) {
      const scan = arrive()
      const taken = { scan, outcome: decideHere(reader, scan, { reason: 'late', openMs: 0 }) }
      // What was queued while nobody was here is not answered: whoever waited for it is gone.
      if (Number.isFinite(waited)) follow(answer(by, taken, asked))
      return finish(message, what, taken)
    }
    const holdMs = profile.holdMs ?? reader.holdMs
    let first = false
    // The same card with another PIN is another scan; so it is when a lockdown began, in which nobody gets what they got before.
    const { lockdown } = reader
    const key = [reader.id, keyOfScan(reader.cardView, card) ?? card, pin, decided, JSON.stringify(lockdown)].join(' ')
    const taken = once(key, holdMs, () => {
      first = true
      const scan = arrive()
      return { scan, outcome: decide(by, scan, asked.by) }
    })
    if (profile.keypad && pin === undefined) pins.shown(reader.id, card)
    if (first && pin !== undefined) follow(afterOpening(taken, () => pins.used(reader.id, card, at + holdMs)))
    follow(answer(by, taken, { ...asked, first }))
    return finish(message, what, taken)
  }

  const takePin = (by: Known, pin: string, found: Vars, arrived: Arrived) => {
    const { id, pinAlone } = by.reader
    const card = pins.cardFor(id) ?? (pinAlone ? PIN_ALONE : undefined)
    return card === undefined ? drop('pin_without_card') : takeScan(by, { card, pin }, found, arrived)
  }

  /** What is on record of earlier opens nothing, and is neither late nor held: its id tells it from another one. */
  const takeRecord = (by: Known, said: Recorded, { message, at }: Arrived) => {
    const scan = scanOfRecord(by.reader.id, said, api.clock.now())
    arrivals.note(scan)
    return finish(message, undefined, { scan, outcome: decide(by, scan, at + DEADLINE_MS) })
  }

  const finish = (message: Came, what: string | undefined, { scan, outcome }: Taken): Promise<void> => {
    const safe = outcome.then((known) => known.safe).then(() => arrivals.settled(scan.id))
    if (what !== undefined) message.hold(what, safe)
    return safe
  }

  return { take, send }
}

/** By this a message that comes again is known to be the same. Nothing of a PIN is in it. */
export const whatOf = (readerId: string, card: string): string => `${readerId} ${card}`

const afterOpening = async ({ outcome }: Taken, then: () => void): Promise<void> => {
  if ((await outcome).reason === 'granted') then()
}
