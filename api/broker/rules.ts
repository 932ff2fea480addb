import { doorNamed, varsOfDoor } from '../contract/doors.ts'
import { type OwnTopics, profileNamed } from '../contract/profiles.ts'
import { type Vars, varsOf } from '../contract/reader-topics.ts'
import type { bridges, doors, readers } from '../db/schema.ts'
import { type Holder, type Kind, usernameOf } from './accounts.ts'
import { covers, isFilter, isTopic, meet, type Places, places, unshared } from './topics.ts'

/*
 * Who may do what at the broker. A device may publish where its profile says that it does, and hear what is told to it,
 * besides what its firmware does in a namespace of its own (`own` of its profile). Nobody but a bridge may publish where a
 * door is told anything, and no device may listen where another one says cards or PINs.
 *
 * Readers and doors that are one device (the same `own.device`; or a door that is told in the namespace of a reader's
 * firmware) have an account each, and each of these accounts may do what the device may: it needs one of them.
 */

export type Site = {
  readers: readonly Pick<
    typeof readers.$inferSelect,
    'id' | 'name' | 'profile' | 'topic' | 'replyTopic' | 'unit' | 'settings' | 'brokerGeneration'
  >[]
  doors: readonly Pick<typeof doors.$inferSelect, 'id' | 'name' | 'profile' | 'settings' | 'brokerGeneration'>[]
  bridges: readonly Pick<typeof bridges.$inferSelect, 'id' | 'name' | 'generation' | 'previousUntil'>[]
}

export type Action = 'publish' | 'subscribe'

/** What a profile wants and does not get, and why. */
export type Refused = { action: Action; topic: string; reason: string }

export type Account = Holder & {
  name: string
  username: string
  publish: readonly string[]
  subscribe: readonly string[]
  refused: readonly Refused[]
}

export type Rules = {
  /** By their usernames. */
  accounts: ReadonlyMap<string, Account>
  /** Where doors and readers are told something. */
  told: { topics: ReadonlySet<string>; filters: readonly string[] }
}

type Thing = {
  kind: Exclude<Kind, 'bridge'>
  id: string
  name: string
  generation: number
  device: string | undefined
  /** Where it says cards and PINs, where it says anything, and where it is told something. */
  hears: string[]
  says: string[]
  tells: string[]
  publishes: string[]
  listens: string[]
}

const PLACE = /\{(\w+)(?:\.\.\.|\/)?(?::\w+)?\}/g

type Known = { vars: Vars; places: ReadonlySet<string>; unit: string | null }

/**
 * A template of a profile filled in. What is neither known nor could be known before (it stands in a message) is any one
 * level, or the unit of a reader that has one; undefined where something that could be known is not there.
 */
const filled = (template: string, { vars, places, unit }: Known): string | undefined => {
  let whole = true
  const text = template.replaceAll(PLACE, (_, name: string) => {
    const value = Object.hasOwn(vars, name) ? String(vars[name]) : places.has(name) ? undefined : (unit ?? '+')
    if (value === undefined || (value !== '+' && /[+#]/.test(value))) whole = false
    return String(value)
  })
  return whole && isFilter(text) ? text : undefined
}

const placesIn = (templates: readonly string[]): string[] =>
  templates.flatMap((template) => [...template.matchAll(PLACE)].map(([, name = '']) => name))

type Templates = { hears?: string[]; says: string[]; tells: string[]; own?: OwnTopics }

const thing = (
  { kind, id, name, generation }: Pick<Thing, 'kind' | 'id' | 'name' | 'generation'>,
  { hears = [], says, tells, own = {} }: Templates,
  known: Known,
): Thing => {
  const all = (templates: readonly string[]) => templates.flatMap((template) => filled(template, known) ?? [])
  const device =
    own.device === undefined
      ? undefined
      : filled(own.device, { ...known, vars: { ...known.vars, unit: known.unit ?? '' } })
  return {
    kind,
    id,
    name,
    generation,
    device,
    hears: all(hears).filter(isTopic),
    says: all(says).filter(isTopic),
    tells: all(tells),
    publishes: all(own.publish ?? []),
    listens: all(own.subscribe ?? []),
  }
}

const thingsOf = ({ readers, doors }: Pick<Site, 'readers' | 'doors'>): Thing[] => [
  ...readers.flatMap((reader) => {
    const profile = profileNamed(reader.profile)
    if (!profile) return []
    const known = {
      vars: varsOf(reader),
      places: new Set([...Object.keys(profile.settings), ...placesIn(profile.topics), 'topic', 'replyTopic', 'unit']),
      unit: reader.unit,
    }
    return [thing({ kind: 'reader', ...reader, generation: reader.brokerGeneration }, profile, known)]
  }),
  ...doors.flatMap((door) => {
    const profile = doorNamed(door.profile)
    if (!profile) return []
    const vars = varsOfDoor(door)
    // Where devices share a topic, a door's is a setting.
    const unit = typeof vars['unit'] === 'string' ? vars['unit'] : null
    const known = { vars, places: new Set(Object.keys(profile.settings)), unit }
    return [thing({ kind: 'door', ...door, generation: door.brokerGeneration }, profile, known)]
  }),
]

/** Those that are one device, together. */
const devicesOf = (things: readonly Thing[]): Thing[][] => {
  const groups = new Map<string, Thing[]>()
  const namespaces = places<Thing>()
  for (const one of things) {
    const key = one.device === undefined ? `${one.kind} ${one.id}` : `device ${one.device}`
    groups.set(key, [...(groups.get(key) ?? []), one])
    if (one.kind === 'reader') for (const filter of one.listens) namespaces.add(filter, one)
  }
  for (const door of things) {
    if (door.kind !== 'door' || door.device !== undefined || door.tells.length === 0) continue
    const [first = ''] = door.tells
    const host = [...namespaces.meeting(first)].find(({ listens }) =>
      door.tells.every((topic) => listens.some((filter) => covers(filter, topic))),
    )
    if (host?.device === undefined) continue
    groups.delete(`door ${door.id}`)
    groups.get(`device ${host.device}`)?.push(door)
  }
  return [...groups.values()]
}

/** What bridges say of themselves and of doors, and what Home Assistant believes: nobody else's. */
const BRIDGES = ['lintel/bridge/#', 'lintel/door/#', 'homeassistant/#']

type Topics = { hears: Places<Thing>; says: Places<Thing>; tells: Places<Thing> }

const IS_OF_BRIDGES = 'It is for bridges alone.'
const OF_BROKER = 'It is the broker’s own.'
const OPENS = 'A door or a reader is told something there, and by a device it must not be.'
const SCANS = 'Another device says its cards or PINs there.'
const OTHERS = 'It would reach another device.'

const reserved = (topic: string): string | undefined => {
  if (topic.startsWith('$')) return OF_BROKER
  return BRIDGES.some((filter) => meet(filter, topic)) ? IS_OF_BRIDGES : undefined
}

/** What a device of these readers and doors may do. */
const rightsOf = (device: readonly Thing[], { hears, says, tells }: Topics) => {
  const refused: Refused[] = []
  const own = new Set(device)
  const others = (where: Places<Thing>, topic: string) => [...where.meeting(topic)].some((one) => !own.has(one))
  const kept = (action: Action, topics: readonly string[], why: (topic: string) => string | undefined): string[] =>
    [...new Set(topics)].filter((topic) => {
      const reason = why(topic)
      if (reason !== undefined) refused.push({ action, topic, reason })
      return reason === undefined
    })

  // Where devices share a topic, each says its cards there.
  const scans = new Set(device.flatMap((one) => one.hears))
  const exact = new Set(device.flatMap((one) => [...one.says, ...one.tells]))
  const publish = kept(
    'publish',
    [...device.flatMap((one) => one.says), ...device.flatMap((one) => one.publishes)],
    (topic) => {
      const why = reserved(topic)
      if (why !== undefined) return why
      if (tells.meeting(topic).size > 0) return OPENS
      if (!scans.has(topic) && others(hears, topic)) return SCANS
      return !exact.has(topic) && others(says, topic) ? OTHERS : undefined
    },
  )
  const subscribe = kept(
    'subscribe',
    [...device.flatMap((one) => one.tells), ...device.flatMap((one) => one.listens)],
    (topic) => {
      const why = reserved(topic)
      if (why !== undefined) return why
      if (others(hears, topic)) return SCANS
      return !exact.has(topic) && (others(says, topic) || others(tells, topic)) ? OTHERS : undefined
    },
  )
  return { publish, subscribe, refused }
}

/** What every account may do. `now` is for a bridge's password of before, which is good for a while. */
export const rulesOf = (site: Site, now: Date): Rules => {
  const things = thingsOf(site)
  const topics: Topics = { hears: places(), says: places(), tells: places() }
  for (const one of things) {
    for (const topic of one.hears) topics.hears.add(topic, one)
    for (const topic of one.says) topics.says.add(topic, one)
    for (const topic of one.tells) topics.tells.add(topic, one)
  }
  const told = [...new Set(things.flatMap(({ tells }) => tells))].filter((topic) => reserved(topic) === undefined)
  const scans = [...new Set(things.flatMap(({ hears }) => hears))].filter((topic) => reserved(topic) === undefined)

  const accounts: Account[] = [
    ...devicesOf(things).flatMap((device) => {
      const rights = rightsOf(device, topics)
      return device.map(({ kind, id, name, generation }) => ({
        kind,
        id,
        name,
        generations: [generation],
        username: usernameOf(kind, id),
        ...rights,
      }))
    }),
    ...site.bridges.map(({ id, name, generation, previousUntil }) => ({
      kind: 'bridge' as const,
      id,
      name,
      generations: previousUntil && previousUntil > now ? [generation, generation - 1] : [generation],
      username: usernameOf('bridge', id),
      // Scans too: `npm run scan` says one for a reader, and who may open doors gains nothing by it.
      publish: [`lintel/bridge/${id}/#`, 'lintel/door/#', 'homeassistant/#', ...told, ...scans],
      subscribe: ['#'],
      refused: [],
    })),
  ]
  const byName = Map.groupBy(accounts, ({ username }) => username)
  return {
    // Two ids that end alike: then it is not known who it is, and nobody gets in.
    accounts: new Map([...byName].flatMap(([name, [one, ...more]]) => (one && more.length === 0 ? [[name, one]] : []))),
    told: { topics: new Set(told.filter(isTopic)), filters: told.filter((topic) => !isTopic(topic)) },
  }
}

const exactOf = new WeakMap<readonly string[], { topics: ReadonlySet<string>; filters: readonly string[] }>()

const sorted = (allowed: readonly string[]) => {
  const known = exactOf.get(allowed) ?? {
    topics: new Set(allowed.filter(isTopic)),
    filters: allowed.filter((filter) => !isTopic(filter)),
  }
  exactOf.set(allowed, known)
  return known
}

const isAmong = ({ topics, filters }: { topics: ReadonlySet<string>; filters: readonly string[] }, asked: string) =>
  topics.has(asked) || filters.some((filter) => covers(filter, asked))

/**
 * Whether an account may publish on a topic, or subscribe to a filter: all that would be heard by it must be allowed by one
 * line. Nothing that the broker keeps may be published where a door is told to open, by nobody.
 */
export const may = (
  { accounts, told }: Rules,
  username: string,
  action: Action,
  asked: string,
  { retain = false } = {},
): boolean => {
  const account = accounts.get(username)
  if (!account) return false
  if (action === 'publish') {
    if (!isTopic(asked) || asked.startsWith('$') || (retain && isAmong(told, asked))) return false
    return isAmong(sorted(account.publish), asked)
  }
  // Shared subscriptions are for bridges that share the readers of a broker.
  const filter = account.kind === 'bridge' ? (unshared(asked) ?? asked) : asked
  return isFilter(filter) && !filter.startsWith('$') && isAmong(sorted(account.subscribe), filter)
}

/** The client ids of bridges, by which the broker keeps what waits for them. */
const OF_BRIDGES = 'lintel-'

/** Whoever came with a bridge's client id would take its place: so these are for that bridge's account alone. */
export const mayBeCalled = ({ kind, id }: Holder, clientId: string): boolean => {
  if (!clientId.startsWith(OF_BRIDGES)) return true
  const own = `${OF_BRIDGES}${id}`
  // It has more connections than one, each with a name of its own behind that.
  return kind === 'bridge' && (clientId === own || clientId.startsWith(`${own}-`))
}
