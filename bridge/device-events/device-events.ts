import { join } from 'node:path'
import { v7 } from 'uuid'
import { type DeviceEvent, type DeviceEventKind, MOST_DEVICE_EVENTS } from '../../api/contract/device-events.ts'
import { isOpenMode } from '../../api/contract/door-mode.ts'
import { type Api, reportDevices } from '../ask.ts'
import type { State } from '../bridge.ts'
import type { Config } from '../config.ts'
import { handingOver } from '../handing-over.ts'
import type { Link } from '../link.ts'
import { counterOf, type Log } from '../log.ts'
import { type By, type DoorRef, doorOf, keyOf, type News, type NewsBoard } from '../news.ts'
import { rateOf } from '../rate.ts'
import { openSpool } from '../spool.ts'
import { type DeviceKind, kindsOf } from './devices.ts'
import { type Input, kept, step, type Times, USUAL, unwatched, type Watched } from './door-watch.ts'
import { keptStates } from './kept-states.ts'
import { type Change, onlineWatch } from './online.ts'
import { type Device, reportingSeen } from './seen.ts'

type Parts = {
  config: Pick<Config, 'BRIDGE_GROUP'>
  api: Api
  folder: string
  news: NewsBoard
  link: Link
  log: Log
}

export type DeviceEvents = {
  /** Home Assistant is about to open a door: resolves when that is safe on this disk, and rejects when it is not. */
  openedByHomeAssistant(door: DoorRef): Promise<void>
  close(): Promise<void>
}

/** So much may wait on disk while the API is away: some 400,000 events. What comes then is lost, and the log counts it. Bytes. */
const MOST_BYTES = 64 << 20
const TICK_MS = 500
/** So many events of a kind at once for each device, and one more with every second: more is a contact that chatters, or somebody who plays. */
const [BURST, EVERY_MS] = [60, 1_000]
const MOST_DATES = 1_000
/** Where nobody says that tampering is over, it is another one after so long without a word. Milliseconds. */
const TAMPER_AGAIN_MS = 10 * 60_000

const WORDS = {
  done: 'device_events_handed_over',
  notDone: 'device_events_not_handed_over',
  refused: 'device_event_refused',
}

/** What a broker may have kept: said just after we came to listen, it tells nothing of when its device was there. */
const KEPT: readonly State['is'][] = ['presence', 'contact', 'tamper', 'relay', 'lock']

/**
 * Makes of what doors and readers say the events that are on record, and hands them over: through a spool of their own, so
 * that none is lost while the API is away. In a group of bridges each hears a part of what a device says, so there nothing is
 * concluded from it: no contact, no alarm, and nobody is away; what a single message says by itself is told all the same.
 */
export const openDeviceEvents = async ({ config, api, folder, news, link, log }: Parts): Promise<DeviceEvents> => {
  const alone = config.BRIDGE_GROUP === undefined
  const spool = await openSpool<DeviceEvent>(join(folder, 'device-events'), { mostBytes: MOST_BYTES })
  const states = await keptStates(folder, api.key, log)
  const seen = reportingSeen({ report: (devices) => reportDevices(api, { events: [], seen: devices }), link, log })
  const handover = handingOver({
    spool,
    send: (events, trace) => reportDevices(api, { events: [...events], seen: [] }, trace),
    most: MOST_DEVICE_EVENTS,
    link,
    failed: link.failedAside,
    log,
    words: WORDS,
  })
  const lost = counterOf<DeviceEventKind>(log, 'device_events_lost')
  const tooMany = counterOf<DeviceEventKind>(log, 'device_events_too_many')
  const mayRecord = rateOf(BURST, EVERY_MS, () => performance.now())
  const online = onlineWatch(states.online)
  const tamperedAt = new Map<string, number>()
  let kinds = new Map<string, DeviceKind>()
  let doors = new Map<string, { ref: DoorRef; times: Times; watched: Watched }>()
  let devices = new Map<string, Device>()
  /** When the connection to the broker ended, if it is not there. */
  let brokerLostAt: number | undefined
  let listeningSince = Number.POSITIVE_INFINITY
  let closed = false
  /** The API's clock is set again and again: what is told later of an instant gets the date that it had at first. */
  const dates = new Map<number, Date>()

  /** An instant of this process's clock, on the API's. */
  const dated = (at: number): Date => {
    const known = dates.get(at)
    if (known) return known
    const date = new Date(api.clock.now().getTime() - (performance.now() - at))
    dates.set(at, date)
    const [oldest] = dates.keys()
    if (dates.size > MOST_DATES && oldest !== undefined) dates.delete(oldest)
    return date
  }

  const put = (
    kind: DeviceEventKind,
    at: number,
    about: Omit<DeviceEvent, 'id' | 'at' | 'kind'> = {},
  ): Promise<void> => {
    log('debug', 'device_event', { kind, ...about })
    return spool.put({ id: v7(), at: dated(at).toISOString(), kind, ...about })
  }
  const record = (...event: Parameters<typeof put>): void => {
    const [kind, , about = {}] = event
    if (mayRecord(`${kind} ${about.doorId ?? about.readerId ?? ''}`)) put(...event).catch(() => lost.count(kind))
    else tooMany.count(kind)
  }

  const doorAt = (ref: DoorRef) => {
    const key = keyOf(ref)
    const door = doors.get(key) ?? { ref, times: USUAL, watched: unwatched(states.doors.get(key)) }
    doors.set(key, door)
    return door
  }

  const watch = (ref: DoorRef, input: Input, at: number): void => {
    if (!alone) return
    const door = doorAt(ref)
    const { state, told } = step(door.watched, input, at, door.times)
    door.watched = state
    for (const { kind, at } of told) record(kind, at, ref)
    if (told.length > 0 || input.is === 'mode') states.note('doors', keyOf(ref), kept(state))
  }

  const changed = (changes: Change[]): void => {
    for (const { key, online, at } of changes) {
      const device = devices.get(key)
      if (!device) continue
      const [there, away] = 'doorId' in device ? DOOR : READER
      record(online ? there : away, at, device)
      states.note('online', key, online)
    }
  }

  /** A device said that it was tampered with, or that this is over. Only a change is told. */
  const tamper = (device: Device, on: boolean, at: number): void => {
    const key = keyOf(device)
    const was = states.tampered.get(key) ?? false
    const last = tamperedAt.get(key)
    tamperedAt.set(key, at)
    const again = on && !kinds.get(key)?.tamperEnds && last !== undefined && at - last > TAMPER_AGAIN_MS
    if (was === on && !again) return
    record(on ? 'tampered' : 'tamper_ended', at, device)
    states.note('tampered', key, on)
  }

  const said = (device: Device, door: DoorRef, state: State, at: number): void => {
    const key = keyOf(device)
    const perhapsOld = KEPT.includes(state.is) && at - listeningSince < SETTLING_MS
    if (!perhapsOld && !(state.is === 'presence' && !state.on)) seen.heard(device, dated(at))
    if (state.is === 'rex') record('exit_requested', at, { ...door, ...device })
    if (!alone) return
    switch (state.is) {
      case 'presence': {
        const was = online.online(key)
        changed(online.presence(key, state.on, at))
        if (state.on && was !== true) watch(door, { is: 'back' }, at)
        return
      }
      case 'contact':
        watch(door, { is: 'contact', open: state.on }, at)
        return
      case 'tamper':
        tamper(device, state.on, at)
        return
      case 'rex':
        changed(online.heard(key, at))
        watch(door, { is: 'rex' }, at)
        return
      case 'heartbeat':
      case 'note':
        changed(online.heard(key, at))
        return
      case 'relay':
      case 'lock':
    }
  }

  const mode = (ref: DoorRef, mode: Extract<News, { is: 'mode' }>['mode'], at: number): void => {
    watch(ref, { is: 'mode', open: isOpenMode(mode) }, at)
    const was = states.modes.get(keyOf(ref)) ?? 'normal'
    if (mode === was) return
    record('door_mode', at, { ...ref, note: mode })
    states.note('modes', keyOf(ref), mode)
  }

  const broker = (connected: boolean, at: number): void => {
    online.broker(connected, at)
    if (connected) {
      listeningSince = at
      if (brokerLostAt !== undefined) {
        record('broker_back', at, { note: `after ${Math.round((at - brokerLostAt) / 1000)} s` })
        for (const { ref } of doors.values()) watch(ref, { is: 'back' }, at)
      }
      brokerLostAt = undefined
    } else if (listeningSince !== Number.POSITIVE_INFINITY && brokerLostAt === undefined) {
      record('broker_lost', at)
      brokerLostAt = at
    }
  }

  const site = ({ readers, doors: siteDoors }: Extract<News, { is: 'site' }>, at: number): void => {
    kinds = kindsOf(readers, siteDoors)
    online.use(kinds, at)
    devices = new Map<string, Device>([
      ...readers.map(({ id }) => [id, { readerId: id }] as const),
      ...siteDoors.map(({ id }) => [id, { doorId: id }] as const),
    ])
    const there: [DoorRef, Times][] = [
      ...readers.flatMap((reader): [DoorRef, Times][] => (reader.doorId === null ? [[doorOf(reader), USUAL]] : [])),
      ...siteDoors.map((door): [DoorRef, Times] => [{ doorId: door.id }, door]),
    ]
    doors = new Map(there.map(([ref, times]) => [keyOf(ref), { ...doorAt(ref), times }]))
    states.keepOnly(devices)
  }

  news.listen((told) => {
    if (closed) return
    const at = performance.now()
    switch (told.is) {
      case 'said': {
        const device = 'reader' in told ? { readerId: told.reader.id } : { doorId: told.siteDoor.id }
        said(device, 'reader' in told ? doorOf(told.reader) : { doorId: told.siteDoor.id }, told.state, at)
        return
      }
      case 'scanned':
        seen.heard({ readerId: told.reader.id }, dated(at))
        if (alone) changed(online.heard(told.reader.id, at))
        if (told.letIn) watch(doorOf(told.reader), { is: 'opening', forMs: told.reader.openMs }, at)
        return
      case 'opening': {
        watch(told.door, { is: 'opening', forMs: told.forMs }, at)
        const kind = OPENED_BY[told.by.by]
        if (kind) record(kind, at, { ...told.door, ...causeOf(told.by) })
        return
      }
      case 'opened':
      case 'refused':
      case 'no_answer':
        record(CAME_OF[told.is], at, { ...told.door, ...causeOf(told.by) })
        return
      case 'mode':
        mode(told.door, told.mode, at)
        return
      case 'broker':
        broker(told.connected, at)
        return
      case 'site':
        site(told, at)
        return
      case 'decided':
    }
  })

  const ticking = setInterval(() => {
    const at = performance.now()
    for (const { ref, watched } of doors.values()) {
      if (watched.openSince !== undefined || watched.unexplained !== undefined) watch(ref, { is: 'tick' }, at)
    }
    if (alone) changed(online.tick(at))
  }, TICK_MS)

  return {
    openedByHomeAssistant: (door) => put('opened_by_home_assistant', performance.now(), door),
    async close() {
      closed = true
      clearInterval(ticking)
      handover.stop()
      seen.stop()
      lost.stop()
      tooMany.stop()
      await states.close()
      await spool.close()
    },
  }
}

/** After we began to listen the broker gives what it kept. Milliseconds. */
const SETTLING_MS = 5_000

const READER = ['reader_online', 'reader_offline'] as const
const DOOR = ['door_online', 'door_offline'] as const

/** Of a scan there is an event already, and of an order of Home Assistant's since before it went out. */
const OPENED_BY = {
  scan: undefined,
  command: 'opened_by_command',
  home_assistant: undefined,
} as const satisfies Record<By['by'], DeviceEventKind | undefined>

const CAME_OF = { opened: 'door_unlocked', refused: 'door_refused', no_answer: 'door_no_answer' } as const

const causeOf = (by: By): Pick<DeviceEvent, 'commandId' | 'note'> => {
  if (by.by === 'command') return { commandId: by.commandId }
  return by.by === 'scan' ? { note: `scan ${by.scanId}` } : {}
}
