import type { SiteDoor, SiteReader } from '../api/contract/site.ts'
import type { Arrivals } from './arrivals.ts'
import type { Api } from './ask.ts'
import type { Message as Came } from './broker.ts'
import type { Doors } from './doors/doors.ts'
import { isLate } from './echo.ts'
import type { Keep } from './keep.ts'
import type { Link } from './link.ts'
import { counterOf, dropCounter, type Log, nameOf } from './log.ts'
import type { Metrics } from './metrics.ts'
import type { NewsBoard } from './news.ts'
import type { Offline } from './offline.ts'
import type { OwnProtocol } from './own-protocol/own-protocol.ts'
import type { Known } from './profiles/hear.ts'
import type { Dropped, Heard, Message } from './profiles/profile.ts'
import type { Queue } from './queue.ts'
import { readerStates } from './reader-state.ts'
import { type Routes, routesTo } from './routes.ts'
import { type Arrived, scansThrough } from './scans.ts'

/** What a reader says beside its scans. */
export type State = Exclude<Heard, { is: 'scan' | 'pin' | 'record' | 'ignore' }>

export type Parts = {
  api: Api
  /** How old a message may be that arrives now, in milliseconds. */
  age(): number
  /** Resolves when it is on its way, now; rejects when it cannot be. `lifeMs`: it opens, for so long. */
  publish(message: Message, lifeMs?: number): Promise<void>
  link: Link
  offline: Offline
  keep: Keep
  arrivals: Arrivals
  queue: Queue
  own: OwnProtocol
  doors: Doors
  news: NewsBoard
  metrics: Metrics
  log: Log
}

export type Bridge = {
  /** Every message of the broker's goes through here. */
  receive(message: Came): void
  /** The readers and doors in force from now on; gives every topic on which one of them is heard. */
  use(readers: readonly SiteReader[], doors: readonly SiteDoor[]): string[]
  /** The connection to the broker ended. */
  brokerLost(): void
  /** Takes no more messages, and resolves when every scan that arrived has been answered and is safe. */
  settle(): Promise<void>
}

/** One scan, one way: topic → decode → ask, or decide here → make safe → publish → acknowledge. */
export const bridgeOn = (parts: Parts): Bridge => {
  const { api, age, doors, log, news, metrics } = parts
  const drops = dropCounter(log)
  const heardOf = counterOf<State['is']>(log, 'heard')
  const states = readerStates()
  const underWay = new Set<Promise<unknown>>()
  let routes: Routes | undefined
  let stopped = false

  const drop = (why: Dropped): undefined => {
    metrics.dropped(why)
    drops.drop(why)
  }

  const follow = (work: Promise<unknown>): void => {
    const followed = work
      .catch((error: unknown) => log('error', 'unrecorded', { error: nameOf(error) }))
      .finally(() => underWay.delete(followed))
    underWay.add(followed)
  }

  const scans = scansThrough(parts, { states, drop, follow })

  const receive: Bridge['receive'] = (message) => {
    // What is not acknowledged comes again, to whoever listens next.
    if (stopped) return
    const came = { message, at: performance.now(), waited: age() }
    const said = routes?.hear(message, api.clock.now()) ?? { dropped: 'foreign_topic' }
    const fromDoor = doors.hear(message)
    if ('dropped' in said) {
      if (!fromDoor || said.dropped !== 'foreign_topic') drop(said.dropped)
      return message.acknowledge()
    }
    const safe = said.flatMap(({ by, heard, unit }) => heard.flatMap((one) => take(by, one, { ...came, unit }) ?? []))
    const reply = () => said.flatMap(({ by: { reader }, heard: [one] }) => follow(scans.send(reader, one?.reply ?? [])))
    if (safe.length === 0) {
      reply()
      return message.acknowledge()
    }
    // Told that it arrived, and acknowledged, when it is safe and not before: until then others have it too.
    follow(
      Promise.all(safe).then(() => {
        reply()
        message.acknowledge()
      }),
    )
  }

  /** Gives when what was said is safe; nothing where there is nothing to make safe. */
  const take = (by: Known, said: Heard, arrived: Arrived): Promise<unknown> | undefined => {
    if (said.is === 'scan' || said.is === 'pin' || said.is === 'record') {
      if (!isLate(arrived.waited))
        news.tell({ is: 'scanned', reader: by.reader, letIn: said.is === 'scan' && said.decided === 'granted' })
      return scans.take(by, said, arrived)
    }
    if (said.is === 'ignore') return drop('ignored')
    return takeState(by.reader, said, arrived.unit)
  }

  const takeState = (reader: SiteReader, state: State, unit: string): undefined => {
    if (state.is === 'presence') states.presence(reader.id, state.on)
    if (state.is === 'heartbeat') states.beat(reader.id, unit, state.vars['ip'])
    log('debug', 'heard', { reader: reader.id, is: state.is })
    heardOf.count(state.is)
    news.tell({ is: 'said', reader, state })
  }

  return {
    receive,
    use(readers, siteDoors) {
      parts.own.use(readers)
      routes = routesTo(readers, log)
      return [...new Set([...routes.topics, ...doors.use(siteDoors, readers)])]
    },
    brokerLost: states.brokerLost,
    async settle() {
      stopped = true
      while (underWay.size > 0) await Promise.allSettled(underWay)
      drops.stop()
      heardOf.stop()
    },
  }
}
