import { isIP } from 'node:net'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import type { AccessListPage } from '../api/contract/access-list.ts'
import type { SealingKey } from '../api/contract/envelope.ts'
import type { SiteReader } from '../api/contract/site.ts'
import { type DeviceList, fromBytes, hashOf, said, sayAll, toBytes, unsaid, type Wanted, want } from './device-list.ts'
import type { Link } from './link.ts'
import { type Log, nameOf } from './log.ts'
import { hear, type Known, topicsOf } from './profiles/hear.ts'
import type { Effect, Message, Vars } from './profiles/profile.ts'
import { messageOf } from './profiles/tell.ts'
import { sealedFile } from './sealed-file.ts'

/** How often each list is asked for, besides soon after the facts changed. Milliseconds. */
const EVERY_MS = 60_000
/** Between two messages to one device: esp-rfid has little room for what waits. Milliseconds. */
const PACE_MS = 100
/** Who was not heard for so long is not there. Milliseconds. */
const THERE_MS = 5 * 60_000
/** For how long the answer to a question about a device's own list is believed. Milliseconds. */
const HASH_MS = 10 * 60_000
/** "Has no end", for firmwares that would take 0 for long ago; as late as 32 bits with a sign go. Unix seconds. */
const NO_END = 2_147_483_647
/** Longer lists than this are not sent: no such device has room for them. */
const MOST_CARDS = 20_000

type Options = {
  key: SealingKey
  link: Link
  log: Log
  folder: string
  /** One page of a reader's list, as the API has it now: the first, or the one after a card. */
  ask(readerId: string, after?: string): Promise<AccessListPage>
  /** The reader with its profile; undefined when that is not known here. */
  known(reader: SiteReader): Known | undefined
  publish(message: Message): Promise<void>
  /** Listen to these topics and no others. */
  subscribe(topics: readonly string[]): void
  everyMs?: number
  paceMs?: number
}

type Device = {
  it: Known
  /** Undefined until it was read. */
  list: DeviceList | undefined
  /** It is not on the disk as it is here. */
  unkept: boolean
  heardAt: number
  away: boolean
  ip: string | undefined
  hash: { is: string; at: number } | undefined
  resentAt: number
  working: boolean
  again: boolean
}

export type AccessLists = {
  use(readers: readonly SiteReader[]): void
  /** The version of the facts: another one, and lists may have changed. */
  facts(version: string): void
  came(message: { topic: string; payload: Buffer; retained: boolean }): void
  stop(): void
}

/**
 * Tells readers that decide by themselves whom to let in, where they are set to be told (`accessList`). What a device has
 * is known from what it was told, kept in DATA_DIR, sealed: whom to forget comes first, is said thrice, and is never
 * forgotten here before it was said. Only while the device is known to be there. No card is ever logged.
 */
export const accessLists = (options: Options): AccessLists => {
  const { key, link, log, folder, known, ask, publish, subscribe, everyMs = EVERY_MS, paceMs = PACE_MS } = options
  const devices = new Map<string, Device>()
  let version: string | undefined
  let stopped = false

  const fileOf = (id: string) => sealedFile(join(folder, 'access-lists', id), key, `access-list ${id}`)

  const beats = ({ profile }: Known) => profile.hears.some(({ is }) => is === 'heartbeat' || is === 'presence')
  const isThere = (device: Device) =>
    !device.away && (!beats(device.it) || performance.now() - device.heardAt < THERE_MS)

  const wanted = async ({ reader }: Known): Promise<Wanted> => {
    const cards = new Map<string, { user: string; until: number }>()
    // No longer to be told: whatever it was told is taken back.
    if (reader.settings['accessList'] !== true) return cards
    let after: string | undefined
    do {
      const page = await ask(reader.id, after)
      for (const { card, user, until } of page.cards) cards.set(card, { user, until })
      after = page.next
      if (cards.size > MOST_CARDS) throw new Error('too long a list')
    } while (after !== undefined)
    return cards
  }

  const messages = ({ it, ip }: Device, effects: readonly Effect[] = [], about: Vars = {}): Message[] | undefined => {
    const vars = { ...(ip !== undefined && { ip }), ...it.vars, ...about }
    const all = effects.map((effect) => messageOf(effect, vars))
    return all.every((one) => one !== undefined) ? all : undefined
  }

  const say = async (all: readonly Message[]) => {
    for (const message of all) {
      await publish(message)
      await wait(paceMs)
    }
  }

  /** A device that says what it has, and has something else, is told everything once more. */
  const compare = async (device: Device, list: DeviceList) => {
    const { query } = device.it.profile.accessList ?? {}
    const { hash } = device
    const now = performance.now()
    if (hash && now - hash.at < HASH_MS && hash.is !== hashOf(list) && now - device.resentAt > HASH_MS) {
      log('info', 'access_list_differs', { reader: device.it.reader.id })
      device.resentAt = now
      sayAll(list)
    }
    device.hash = undefined
    if (query) await say(messages(device, query) ?? [])
  }

  const round = async (device: Device): Promise<void> => {
    const { reader, profile } = device.it
    const { add = [], remove = [] } = profile.accessList ?? {}
    const file = fileOf(reader.id)
    if (!device.list) {
      const bytes = await file.read()
      device.list = (bytes && fromBytes(bytes)) ?? new Map()
    }
    const { list } = device
    if (reader.settings['accessList'] !== true && list.size === 0) return
    // Before anything is said: what may be on the device has to be known here, come what may.
    if (want(list, await wanted(device.it))) device.unkept = true
    if (device.unkept) await file.write(toBytes(list))
    device.unkept = false
    if (!isThere(device)) return
    if (unsaid(list).length === 0) await compare(device, list)

    const counts = { added: 0, removed: 0 }
    for (const [card, { gone, user, until }] of unsaid(list)) {
      if (stopped || device.again || !isThere(device)) break
      const about = { card, user, since: 0, until: until === 0 ? NO_END : until }
      const all = messages(device, gone ? remove : add, about)
      if (!all) {
        log('warn', 'access_list_waits', { reader: reader.id, say: 'The address of the device is not known yet.' })
        break
      }
      await say(all)
      said(list, card)
      device.unkept = true
      device.hash = undefined
      counts[gone ? 'removed' : 'added'] += 1
    }
    if (counts.added + counts.removed === 0) return
    log('info', 'access_list', { reader: reader.id, cards: list.size, ...counts })
    await file.write(toBytes(list))
    device.unkept = false
  }

  const work = async (device: Device): Promise<void> => {
    device.again = true
    if (device.working || stopped || link.state() !== 'up') return
    device.working = true
    do {
      device.again = false
      await round(device).catch((error: unknown) =>
        log('warn', 'access_list_not_told', { reader: device.it.reader.id, error: nameOf(error) }),
      )
    } while (device.again && !stopped && link.state() === 'up')
    device.working = false
  }
  const workOnAll = () => {
    for (const device of devices.values()) void work(device)
  }
  const timer = setInterval(workOnAll, everyMs).unref()

  const isFresh = () => ({
    list: undefined,
    unkept: false,
    heardAt: Number.NEGATIVE_INFINITY,
    away: false,
    ip: undefined,
    hash: undefined,
    resentAt: Number.NEGATIVE_INFINITY,
    working: false,
    again: false,
  })

  return {
    use(readers) {
      const told = readers.flatMap((reader) => {
        const it = known(reader)
        return it?.profile.accessList ? [it] : []
      })
      for (const id of devices.keys()) if (!told.some(({ reader }) => reader.id === id)) devices.delete(id)
      for (const it of told) {
        const before = devices.get(it.reader.id)
        if (before) before.it = it
        else devices.set(it.reader.id, { ...isFresh(), it })
      }
      subscribe([...new Set(told.flatMap((it) => topicsOf(it)))])
      workOnAll()
    },
    facts(now) {
      if (now !== version) workOnAll()
      version = now
    },
    came(message) {
      for (const device of devices.values()) {
        const heard = hear(device.it, message, new Date(0))
        if (!Array.isArray(heard)) continue
        const wasThere = isThere(device)
        for (const one of heard) {
          if (!message.retained) device.heardAt = performance.now()
          if (one.is === 'presence') device.away = !one.on
          const { ip, hash } = one.vars
          if (typeof ip === 'string' && isIP(ip) !== 0) device.ip = ip
          if (one.is === 'note' && typeof hash === 'string') device.hash = { is: hash, at: performance.now() }
        }
        if (!wasThere && isThere(device)) void work(device)
      }
    },
    stop() {
      stopped = true
      clearInterval(timer)
    },
  }
}
