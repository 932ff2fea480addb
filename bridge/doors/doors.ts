import { randomInt } from 'node:crypto'
import type { Action, Detail } from '../../api/contract/commands.ts'
import { type DoorMode, isOpenMode } from '../../api/contract/door-mode.ts'
import type { SiteDoor, SiteReader } from '../../api/contract/site.ts'
import type { Api } from '../ask.ts'
import { isLate } from '../echo.ts'
import { type Log, nameOf } from '../log.ts'
import { type By, type DoorRef, keyOf, type NewsBoard } from '../news.ts'
import { type Came, hear, saysWhatItDid } from '../profiles/hear.ts'
import type { Effects, Heard, Message, Vars } from '../profiles/profile.ts'
import { messagesOf, openingVars } from '../profiles/tell.ts'
import { Unacknowledged } from '../publish.ts'
import type { SealedFile } from '../sealed-file.ts'
import { needsAddress } from '../uses.ts'
import { type Addresses, addressesOf } from './addresses.ts'
import { type Answer, feedbackTo } from './feedback.ts'
import { listenersOf } from './listeners.ts'
import { openOwed } from './owed.ts'
import { modeOf, type Place, placeOfDoor, placeOfReader } from './places.ts'

/** What came of an order to a door. */
export type Done = { state: 'delivered' | 'refused'; detail: Detail }

/** The reader at which a card was shown, as it was then, and the card as it says it: some devices are opened for somebody. */
export type Shown = Pick<SiteReader, 'cardView' | 'lockdown'> & { card: string }

export type Doors = {
  /** The doors and readers in force from now on; gives every topic on which a door is heard. */
  use(doors: readonly SiteDoor[], readers: readonly SiteReader[]): string[]
  /** A message of the broker's that may be from a door; true when it was one's. */
  hear(came: Came): boolean
  /** Opens a door once. Nothing is published after `until` (on this process's clock); it resolves when it is known what came of it. */
  open(door: DoorRef, until: number, by: By): Promise<Done>
  /** The same, which resolves as soon as it went out or did not: what the device says of it is told as news. */
  tell(door: DoorRef, until: number, by: By, shown?: Shown): Promise<Done>
  /** Resolves when a door is as it was ordered to be, which the site says already. */
  settle(door: DoorRef, action: Exclude<Action, 'open'>): Promise<Done>
  /** Opens and holds nothing any more; resolves when every door that was to shut again was told so. */
  stop(): Promise<void>
}

type Parts = {
  api: Pick<Api, 'clock'>
  publish(message: Message, lifeMs?: number): Promise<void>
  /** How old a message may be that arrives now, in milliseconds. */
  age(): number
  /** Where it keeps what doors are still owed. */
  file: SealedFile
  /** Resolves when an opening that is on record nowhere else is safe on this disk: before that it does not go out. */
  record(door: DoorRef, by: 'home_assistant'): Promise<void>
  news: NewsBoard
  log: Log
}

/** How often it is looked whether a door's mode is another one. Milliseconds. */
const LOOK_MS = 1_000

/** What keeps a door open is of no use later, and neither is what opens it. Milliseconds. */
const LIFE_MS = 3_000

const LEAST_PULSE_MS = 1_000
const AGAIN_MS = 1_000

/** A door that is held open is told so again by a tap, not more often than this. Milliseconds. */
const REOPEN_MS = 5_000

/** `open` and `shut` are what it was told last, unless it is left to itself. */
type Standing = 'open' | 'shut' | 'free'

/** What is known of a place beside the site, for as long as it is one. */
type State = {
  mode?: DoorMode
  look: number
  standing: Standing
  print: string
  /** It was opened by a message that does not end by itself: whenever it comes back it is told to shut. */
  stays: boolean
  /** It could not be told, and that is in the log. */
  trouble: boolean
  work: Promise<void>
  /** When it was last told that it is held open. */
  reopened: number
  again?: NodeJS.Timeout | undefined
  /** By topics: some devices are there only when another one is there too. */
  online: Map<string, boolean>
  addresses: Addresses
  last?: { scanId: string; until: number }
}

/** Nothing that this door is told keeps it open, or its address is not known yet. */
class CannotHold extends Error {
  override name = 'not_possible'
}

type Sent = { done: Done; answer?: Promise<Answer> }

const refused = (detail: Detail): Sent => ({ done: { state: 'refused', detail } })
const SENT: Done = { state: 'delivered', detail: 'sent' }

const standingIn = (mode: DoorMode): Standing =>
  isOpenMode(mode) ? 'open' : mode === 'lockdown' || mode === 'locked' ? 'shut' : 'free'

/** Everything that opens a door, or keeps it open or shut: for scans, for commands, and by the site. */
export const doorsOn = async ({ api, publish, age, file, record, news, log }: Parts): Promise<Doors> => {
  let places = new Map<string, Place>()
  let listeners = listenersOf<{ door: SiteDoor; place: Place }>([])
  const states = new Map<string, State>()
  const feedback = feedbackTo(news)
  const owed = await openOwed({ file, publish, log })
  const unreadable = new Set<string>()
  let looked = Number.NEGATIVE_INFINITY
  let stopped = false
  let number = randomInt(2 ** 31)

  const stateOf = (key: string): State => {
    const state = states.get(key) ?? {
      look: Number.NEGATIVE_INFINITY,
      standing: owed.has(key) ? 'open' : 'free',
      print: '',
      stays: false,
      trouble: false,
      work: Promise.resolve(),
      reopened: Number.NEGATIVE_INFINITY,
      online: new Map(),
      addresses: addressesOf(),
    }
    states.set(key, state)
    return state
  }

  const isAway = ({ online }: State) => [...online.values()].includes(false)

  /** What a place is told, in one way or another; none where something it needs is missing. */
  const messagesFor = (place: Place, effects: Effects = [], leftMs = LIFE_MS, more: Vars = {}): Message[] => {
    const now = api.clock.now()
    number = (number + 1) % 2 ** 31
    const told = openingVars(place.openMs, now, new Date(now.getTime() + leftMs))
    const ip = stateOf(keyOf(place.ref)).addresses.only()
    const vars = { ...(ip !== undefined && { ip }), ...place.listened.vars, ...told, id: number, ...more }
    return messagesOf(effects, vars)
  }

  /** Publishes what opens, and then, surely, what ends it. */
  const pulse = async (place: Place, messages: readonly Message[], until: number): Promise<void> => {
    const key = keyOf(place.ref)
    const later = messages.filter(({ afterMs }) => afterMs !== undefined)
    const now = messages.filter(({ afterMs }) => afterMs === undefined)
    const before = owed.has(key)
    const noted = later.length > 0 ? await owed.note(key, place.print, later) : undefined
    let went = 0
    try {
      // Meanwhile it was told to shut, for a lockdown perhaps: that is the later word.
      if (stopped || (noted && (!owed.has(key) || owed.isDue(key)))) throw new Error('told to shut')
      for (const message of now) {
        const left = until - performance.now()
        if (left <= 0) throw new Error('its time is over')
        await publish(message, left)
        went += 1
        if (noted) stateOf(key).stays = true
      }
    } catch (error) {
      // The last one perhaps arrived, and whatever was on before is to go off.
      const perhaps = error instanceof Unacknowledged && went === now.length - 1
      if (perhaps || went > 0 || before) owed.payLater(key, perhaps ? (later[0]?.afterMs ?? 0) : 0)
      else if (noted) owed.forget(key, noted)
      if (!perhaps) throw error
      if (noted) stateOf(key).stays = true
      return
    }
    if (later.length > 0) owed.payLater(key, later[0]?.afterMs ?? 0)
  }

  const tell = async (ref: DoorRef, until: number, by: By, shown?: Shown): Promise<Sent> => {
    const key = keyOf(ref)
    const place = places.get(key)
    if (!place) return refused('unknown_door')
    const left = until - performance.now()
    if (left <= 0) return refused('expired')
    if (stopped) return refused('broker_away')
    const state = stateOf(key)
    const { mode } = modeNow(place)
    // A card that is granted in a lockdown is of somebody who is exempt: if it was asked about before, nobody knows that.
    if (mode === 'lockdown' && !(by.by === 'scan' && shown?.lockdown)) return refused('locked_down')
    // An opening would end by itself, and what keeps it open with it.
    if (isOpenMode(mode)) {
      if (by.by === 'scan' && place.profile.hold) openAfterAll(key)
      return by.by === 'scan' || isAsWanted(state, place, 'open') ? { done: SENT } : refused('broker_away')
    }
    if (isAway(state)) return refused('device_offline')
    if (isLate(age())) return refused('broker_away')
    const scanId = by.by === 'scan' ? by.scanId : undefined
    // A card that is held to a reader comes again and again.
    if (scanId !== undefined && state.last?.scanId === scanId && performance.now() < state.last.until) {
      return { done: SENT }
    }
    const card = shown && place.profile.views.includes(shown.cardView) ? { card: shown.card } : {}
    const messages = messagesFor(place, place.grant, left, card)
    if (messages.length === 0) {
      const lost = needsAddress(place.profile) && state.addresses.only() === undefined
      return refused(lost ? 'no_address' : 'not_possible')
    }
    if (by.by === 'home_assistant') {
      try {
        await record(ref, by.by)
      } catch (error) {
        log('error', 'not_kept', { door: key, error: nameOf(error) })
        return refused('not_possible')
      }
      // The site may have become another one meanwhile.
      if (modeNow(places.get(key) ?? place).mode === 'lockdown') {
        news.tell({ is: 'refused', door: ref, by })
        return refused('locked_down')
      }
    }
    if (scanId !== undefined) state.last = { scanId, until: performance.now() + place.openMs }
    const expected = saysWhatItDid(place.listened) ? feedback.expect(ref, number, by) : undefined
    try {
      await pulse(place, messages, until)
    } catch (error) {
      expected?.leave()
      delete state.last
      log('warn', 'door_not_told', { door: key, error: nameOf(error) })
      if (by.by === 'home_assistant') news.tell({ is: 'refused', door: ref, by })
      return refused(until <= performance.now() ? 'expired' : 'broker_away')
    }
    news.tell({ is: 'opening', door: ref, forMs: place.openMs, by })
    return { done: SENT, ...(expected && { answer: expected.went() }) }
  }

  /** What cannot be read, of a time zone that this runtime does not know, is as if nothing had been ordered. */
  const modeNow = (place: Place): ReturnType<typeof modeOf> => {
    const key = keyOf(place.ref)
    try {
      return modeOf(place, api.clock.now())
    } catch (error) {
      if (!unreadable.has(key)) log('error', 'no_mode', { door: key, error: nameOf(error) })
      unreadable.add(key)
      return { mode: 'normal', until: Number.POSITIVE_INFINITY }
    }
  }

  const look = (key: string, place: Place): void => {
    const state = stateOf(key)
    const { mode, until } = modeNow(place)
    state.look = until
    if (mode !== state.mode) {
      state.mode = mode
      news.tell({ is: 'mode', door: place.ref, mode })
    }
    bring(key)
  }

  /** One thing after another at each door. */
  const bring = (key: string): void => {
    const state = stateOf(key)
    const place = places.get(key)
    if (!place || state.mode === undefined || isAsWanted(state, place, standingIn(state.mode))) return
    state.work = state.work
      .then(() => stand(key))
      .then(() => {
        state.trouble = false
      })
      .catch((error: unknown) => {
        if (!state.trouble) log('warn', 'door_not_told', { door: key, error: nameOf(error) })
        state.trouble = true
        later(key, AGAIN_MS)
      })
  }

  const later = (key: string, ms: number): void => {
    const state = stateOf(key)
    clearTimeout(state.again)
    if (stopped) return
    state.again = setTimeout(() => {
      state.print = ''
      bring(key)
    }, ms).unref()
  }

  const isAsWanted = (state: State, place: Place, wanted: Standing): boolean =>
    state.standing === wanted && (wanted !== 'open' || state.print === place.print)

  const stand = async (key: string): Promise<void> => {
    const place = places.get(key)
    const state = stateOf(key)
    if (!place || state.mode === undefined || stopped) return
    const wanted = standingIn(state.mode)
    if (isAsWanted(state, place, wanted)) return
    clearTimeout(state.again)
    if (wanted === 'open') return holdOpen(place, state)
    if (wanted === 'shut' || state.standing === 'open') await shut(place)
    state.standing = wanted
  }

  const holdOpen = async (place: Place, state: State): Promise<void> => {
    const key = keyOf(place.ref)
    const messages = messagesFor(place, place.profile.hold)
    if (messages.length === 0) return openAgain(place, state)
    const release = messagesFor(place, place.profile.release)
    // Who has to get out does not wait for a disk: then only this process knows that it has to be let go.
    if (release.length > 0) {
      state.stays = true
      const noted = owed.note(key, place.print, release, 'held')
      await noted.catch((error: unknown) => log('error', 'hold_not_kept', { door: key, error: nameOf(error) }))
    }
    state.standing = 'open'
    state.print = place.print
    state.reopened = performance.now()
    for (const message of messages) {
      await publish(message, LIFE_MS).catch((error: unknown) => {
        // To be shut it may have to be told all the same.
        state.print = ''
        throw error
      })
    }
  }

  /** Before it has shut again, and so on: one opening after another, each of which ends by itself. */
  const openAgain = async (place: Place, state: State): Promise<void> => {
    const key = keyOf(place.ref)
    const every = Math.max(LEAST_PULSE_MS, 0.8 * place.openMs)
    const messages = place.profile.once ? [] : messagesFor(place, place.grant)
    if (messages.length === 0) throw new CannotHold()
    if (isLate(age())) throw new Error('the broker is away')
    await pulse(place, messages, performance.now() + LIFE_MS)
    state.standing = 'open'
    state.print = place.print
    later(key, every)
  }

  const shut = async (place: Place): Promise<void> => {
    const key = keyOf(place.ref)
    if (!owed.has(key)) {
      const messages = messagesFor(place, place.profile.release)
      if (messages.length === 0) return
      await owed.note(key, place.print, messages)
    }
    await owed.pay(key)
  }

  /** It may not be as it was told to be: it was away, or we were. */
  const tellAgain = (key: string): void => {
    const state = stateOf(key)
    if (state.mode === undefined) return
    const wanted = standingIn(state.mode)
    if (wanted === 'open') state.print = ''
    if (wanted === 'shut') state.standing = 'free'
    if (wanted === 'free' && state.stays && !owed.has(key)) state.standing = 'open'
    bring(key)
  }

  /** Somebody stands before a door that is held open: perhaps it fell shut, as the device lost its power. */
  const openAfterAll = (key: string): void => {
    const state = stateOf(key)
    if (performance.now() - state.reopened < REOPEN_MS) return
    state.print = ''
    bring(key)
  }

  const heardOnline = (key: string, topic: string, on: boolean): void => {
    const state = stateOf(key)
    state.online.set(topic, on)
    if (on && !isAway(state)) tellAgain(key)
  }

  const heardFrom = (place: Place, topic: string, said: Heard): void => {
    const key = keyOf(place.ref)
    if (said.is === 'presence') heardOnline(key, topic, said.on)
    if (said.is === 'heartbeat') stateOf(key).addresses.said(said.vars['device'], said.vars['ip'])
    feedback.heard(place.ref, said)
  }

  news.listen((one) => {
    if (one.is === 'said' && 'reader' in one) {
      const place = places.get(one.reader.id)
      if (place) heardFrom(place, '', one.state)
    }
    if (one.is !== 'broker' || !one.connected || stopped) return
    owed.retry()
    for (const key of places.keys()) tellAgain(key)
  })

  const ticking = setInterval(() => {
    const now = api.clock.now().getTime()
    const setBack = now < looked
    looked = now
    for (const [key, place] of places) if (setBack || stateOf(key).look <= now) look(key, place)
  }, LOOK_MS).unref()

  return {
    use(doors, readers) {
      const all: Place[] = []
      const listening: { door: SiteDoor; place: Place }[] = []
      for (const door of doors) {
        const place = placeOfDoor(door)
        if (!place) {
          log('warn', 'unknown_profile', { door: door.id, say: 'This bridge is older than the API: update it.' })
          continue
        }
        all.push(place)
        listening.push({ door, place })
      }
      for (const reader of readers) {
        const place = placeOfReader(reader)
        if (place) all.push(place)
      }
      listeners = listenersOf(listening)
      places = new Map(all.map((place) => [keyOf(place.ref), place]))
      for (const [key, { again }] of states) {
        if (places.has(key)) continue
        clearTimeout(again)
        states.delete(key)
      }
      // What is not a door any more is left shut.
      for (const key of owed.keys()) if (!places.has(key)) void owed.pay(key)
      for (const [key, place] of places) look(key, place)
      return listeners.topics
    },
    hear(came) {
      for (const { door, place } of listeners.for(came)) {
        const heard = hear(place.listened, came, api.clock.now())
        if ('dropped' in heard) continue
        for (const state of heard) {
          if (state.is === 'scan' || state.is === 'pin' || state.is === 'record' || state.is === 'ignore') continue
          heardFrom(place, came.topic, state)
          news.tell({ is: 'said', siteDoor: door, state })
        }
      }
      return listeners.has(came.topic)
    },
    async open(ref, until, by) {
      const { done, answer } = await tell(ref, until, by)
      const said = await answer
      if (said === 'refused') return { state: 'refused', detail: 'device_refused' }
      return said === undefined ? done : { state: 'delivered', detail: said }
    },
    async tell(ref, until, by, shown) {
      const { done } = await tell(ref, until, by, shown)
      return done
    },
    async settle(ref, action) {
      const key = keyOf(ref)
      const place = places.get(key)
      if (!place) return { state: 'refused', detail: 'unknown_door' }
      if ('readerId' in ref) return { state: 'refused', detail: 'not_possible' }
      look(key, place)
      const state = stateOf(key)
      const { mode = 'normal' } = state
      if (action === 'hold' && mode === 'lockdown') return { state: 'refused', detail: 'locked_down' }
      if (action === 'hold' && !isOpenMode(mode)) return { state: 'refused', detail: 'expired' }
      await state.work
      if (isAsWanted(state, place, standingIn(mode)) && (isOpenMode(mode) || !owed.has(key))) {
        return isAway(state) ? { state: 'refused', detail: 'device_offline' } : SENT
      }
      const can = [place.profile.hold ?? [], place.grant].some((effects) => messagesFor(place, effects).length > 0)
      return { state: 'refused', detail: can ? 'broker_away' : 'not_possible' }
    },
    async stop() {
      stopped = true
      clearInterval(ticking)
      for (const { again } of states.values()) clearTimeout(again)
      feedback.stop()
      await Promise.all([...states.values()].map(({ work }) => work))
      await owed.stop()
    },
  }
}
