import { isDeepStrictEqual } from 'node:util'
import * as v from 'valibot'
import type { SiteDoor, SiteReader } from '../../api/contract/site.ts'
import type { State } from '../bridge.ts'
import type { Config } from '../config.ts'
import type { Doors } from '../doors/doors.ts'
import { type Log, nameOf } from '../log.ts'
import type { NewsBoard } from '../news.ts'
import { rateOf } from '../rate.ts'
import type { SealedFile } from '../sealed-file.ts'
import { announcedDoor, birthTopic, discoveryTopic, doorTopics } from '../topics.ts'
import { deviceOf, type EventType, plain, type Says, saysOf } from './device.ts'
import { type DoorFacts, noFacts, noStates, statesOf } from './door-facts.ts'
import { ordersTo } from './orders.ts'
import { retained } from './retained.ts'
import type { Heard, Wire } from './wire.ts'

/** Home Assistant starts now and then: who says so more often is not believed at once. Milliseconds. */
const AGAIN_MS = 10_000

/** So many events of a door at once, and one more with every so many milliseconds: the record is elsewhere. */
const MOST_EVENTS = 20
const EVENT_MS = 200

/** A timer may be a little early. Milliseconds. */
const SURELY_MS = 20

type Parts = {
  config: Pick<Config, 'BRIDGE_ID' | 'BRIDGE_GROUP' | 'HOME_ASSISTANT'>
  wire: Wire
  /** Where doors are announced: also of use to a later process, which takes back what is not to be there any more. */
  kept: SealedFile
  doors: Pick<Doors, 'open'>
  news: NewsBoard
  log: Log
  now?: () => number
}

const Kept = v.array(v.string())

/** Shows doors to Home Assistant, and opens those that it may open. Without HOME_ASSISTANT, what was shown is taken back. */
export const homeAssistant = (parts: Parts): { stop(): Promise<void> } => {
  const { config, wire, kept, doors, news, log, now = () => performance.now() } = parts
  const { HOME_ASSISTANT: prefix, BRIDGE_ID } = config
  if (prefix !== undefined && config.BRIDGE_GROUP !== undefined) log('warn', 'home_assistant_group', { say: SAY_GROUP })

  /** Of every door, as what is said of one may come before it is shown. */
  const facts = new Map<string, DoorFacts>()
  let known: ReadonlyMap<string, SiteDoor> = new Map()
  let shown: ReadonlyMap<string, { door: SiteDoor; has: Says }> = new Map()
  let listening: ReadonlyMap<string, string> = new Map()
  let announced: Set<string> | undefined
  let begun = false

  const onBroker = retained({
    publish: (topic, payload) => wire.publish({ topic, payload, qos: 1, retain: true }),
    removed(topic) {
      if (announced?.delete(topic)) inTurn(keep)
    },
  })
  const orders = ordersTo({ doors, refused: (doorId, reason) => tell(doorId, 'refused', { reason }), log, now })
  const mayTell = rateOf(MOST_EVENTS, EVENT_MS, now)

  let last: Promise<unknown> = Promise.resolve()
  const inTurn = (step: () => Promise<unknown>) => {
    last = last.then(step).catch((error: unknown) => log('warn', 'home_assistant_failed', { error: nameOf(error) }))
  }
  let keptNow = ''
  const keep = async () => {
    const text = JSON.stringify([...(announced ?? [])])
    if (text === keptNow) return
    await kept
      .write(Buffer.from(text))
      .catch((error: unknown) => log('warn', 'home_assistant_not_kept', { error: nameOf(error) }))
    keptNow = text
  }

  const factsOf = (doorId: string): DoorFacts => {
    const before = facts.get(doorId)
    if (before) return before
    const none = noFacts()
    facts.set(doorId, none)
    return none
  }
  const sayStates = (doorId: string) => {
    const one = shown.get(doorId)
    if (!one) return
    for (const [topic, payload] of statesOf(doorId, one.has, factsOf(doorId), now())) onBroker.want(topic, payload)
  }

  /** Never retained, and nobody's name or card. */
  const tell = (doorId: string, event_type: EventType, more: { reason?: string; reader?: string }) => {
    if (!shown.has(doorId) || !mayTell(doorId)) return
    const payload = JSON.stringify({ event_type, ...more })
    const said = wire.publish({ topic: doorTopics(doorId).event, payload, qos: 0, retain: false })
    said.catch((error: unknown) => log('debug', 'home_assistant_not_told', { door: doorId, error: nameOf(error) }))
  }

  /** What is known of doors that are gone, or are other devices now, is not true any more. */
  const forget = (siteDoors: readonly SiteDoor[]) => {
    const before = known
    known = new Map(siteDoors.map((door) => [door.id, door]))
    for (const [id, { mode }] of facts) {
      const [was, is] = [before.get(id), known.get(id)]
      if (!is) facts.delete(id)
      else if (was && !isSameDevice(was, is)) facts.set(id, noFacts(mode))
    }
  }

  const follow = async (siteDoors: readonly SiteDoor[], readers: readonly SiteReader[]) => {
    announced ??= topicsIn(await kept.read())
    const showing = siteDoors.flatMap((door) =>
      prefix === undefined || door.homeAssistant === 'off'
        ? []
        : { door, topic: discoveryTopic(prefix, door.id), has: saysOf(door, readers) },
    )
    // On disk before it is on the broker.
    for (const { topic } of showing) announced.add(topic)
    await keep()

    shown = new Map(showing.map((one) => [one.door.id, one]))
    const topics = new Set(showing.map(({ topic }) => topic))
    for (const topic of announced) {
      if (topics.has(topic)) continue
      onBroker.want(topic, '')
      const doorId = announcedDoor(topic)
      if (doorId !== undefined && !shown.has(doorId)) for (const one of noStates(doorId)) onBroker.want(one, '')
    }
    for (const { door, topic, has } of showing) {
      onBroker.want(topic, deviceOf(door, has, BRIDGE_ID))
      sayStates(door.id)
    }
    listening = new Map(
      showing.flatMap(({ door: { id, homeAssistant } }) =>
        homeAssistant === 'command' ? [[doorTopics(id).set, id] as const] : [],
      ),
    )
    wire.listen([...(prefix === undefined ? [] : [birthTopic(prefix)]), ...listening.keys()], listening.size > 0)
    // Nothing to do is no connection.
    if (begun || announced.size === 0) return
    begun = true
    wire.begin({ connected: onBroker.connected, heard })
  }

  let toldAgain = Number.NEGATIVE_INFINITY
  let again: NodeJS.Timeout | undefined
  const sayAgain = () => {
    again ??= setTimeout(
      () => {
        again = undefined
        toldAgain = now()
        onBroker.again()
      },
      Math.max(0, toldAgain + AGAIN_MS - now()),
    ).unref()
  }

  const heard = (message: Heard) => {
    const doorId = listening.get(message.topic)
    if (doorId !== undefined) {
      orders
        .take(doorId, message)
        .catch((error: unknown) => log('error', 'home_assistant_order', { door: doorId, error: nameOf(error) }))
      return
    }
    const born = prefix !== undefined && message.topic === birthTopic(prefix) && message.payload.toString() === 'online'
    // One that was kept says when it last started: everything has just been said to it.
    if (born && !message.retained) sayAgain()
  }

  /** Of a reader that opens a door, its own relay and whether it is there say nothing of the door. */
  const takeIn = (doorId: string, state: State, from: 'door' | 'reader') => {
    if (state.is === 'rex') return tell(doorId, 'exit', {})
    const fact = factsOf(doorId)
    if (state.is === 'contact' || state.is === 'tamper') fact[state.is] = state.on
    else if (from === 'door' && state.is === 'relay') fact.relay = state.on
    else if (from === 'door' && state.is === 'lock') fact.lock = state.state
    else if (from === 'door' && state.is === 'presence') fact.online = state.on
    else return
    sayStates(doorId)
  }

  news.listen((one) => {
    if (one.is === 'site') {
      forget(one.doors)
      return inTurn(() => follow(one.doors, one.readers))
    }
    if (one.is === 'said') {
      if ('siteDoor' in one) takeIn(one.siteDoor.id, one.state, 'door')
      else if (one.reader.doorId !== null) takeIn(one.reader.doorId, one.state, 'reader')
      return
    }
    if (one.is === 'decided') {
      const { reader, decision, reason } = one
      if (reader.doorId !== null) tell(reader.doorId, decision, { reason, reader: plain(reader.name) })
      return
    }
    if (one.is === 'broker' || one.is === 'scanned' || !('doorId' in one.door)) return
    const { doorId } = one.door
    const fact = factsOf(doorId)
    if (one.is === 'mode') fact.mode = one.mode
    else if (one.is === 'opening') {
      fact.openUntil = Math.max(fact.openUntil, now() + one.forMs)
      setTimeout(() => sayStates(doorId), one.forMs + SURELY_MS).unref()
    } else if (one.is !== 'opened') fact.openUntil = now()
    sayStates(doorId)
  })

  return {
    async stop() {
      clearTimeout(again)
      orders.stop()
      onBroker.stop()
      await wire.stop()
      await last
    },
  }
}

const isSameDevice = (one: SiteDoor, other: SiteDoor): boolean =>
  one.profile === other.profile && isDeepStrictEqual(one.settings, other.settings)

/** What an earlier process left; what is none of ours is not for us to remove. */
const topicsIn = (file: Buffer | undefined): Set<string> => {
  if (file === undefined) return new Set()
  const topics = v.safeParse(Kept, JSON.parse(file.toString()))
  return new Set(topics.success ? topics.output.filter((topic) => announcedDoor(topic) !== undefined) : [])
}

const SAY_GROUP =
  'Bridges of a group share what is heard, and Home Assistant is told what this one hears: give HOME_ASSISTANT to one of them.'
