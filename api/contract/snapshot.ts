import { createHmac, createSecretKey } from 'node:crypto'
import * as v from 'valibot'
import { CARD_VIEWS, type CardView, keyOfScan } from './card-views.ts'
import { type CardFacts, type Facts, type RuleFacts, STATUSES } from './decide.ts'
import type { SealingKey } from './envelope.ts'
import { Instant, Uuid } from './scan.ts'
import { Window } from './window.ts'

/*
 * The facts of a whole site, for the times when nobody can be asked. It travels in pages, and knows cards only by keyed
 * hashes: who finds one learns no card number. `facts` gives what `gatherFacts` of the API gives, so `decide` decides alike.
 */

const HASH_BYTES = 16

/** What only this bridge and the API can turn card keys into hashes with. */
export const hashingKey = (bridgeKey: SealingKey): SealingKey =>
  createSecretKey(createHmac('sha256', bridgeKey).update('lintel card keys').digest())

const hash = (key: SealingKey, view: CardView, cardKey: string): Buffer =>
  createHmac('sha256', key).update(`${view} ${cardKey}`).digest().subarray(0, HASH_BYTES)

/** The keyed hash of a card's key in one view, as it stands in a page. */
export const hashOfKey = (key: SealingKey, view: CardView, cardKey: string): string =>
  hash(key, view, cardKey).toString('base64url')

const maybeInstant = v.nullable(Instant)

/** The readers and rules of the site; `groups` are those that a rule names, and rows speak of them by their place here. */
export const SnapshotSite = v.object({
  readers: v.array(
    v.object({
      id: Uuid,
      enabled: v.boolean(),
      timezone: v.string(),
      cardView: v.picklist(CARD_VIEWS),
      openMs: v.pipe(v.number(), v.integer(), v.minValue(0)),
    }),
  ),
  groups: v.array(Uuid),
  schedules: v.array(v.object({ id: Uuid, windows: v.array(Window) })),
  rules: v.array(v.object({ id: Uuid, groupId: Uuid, scheduleId: v.nullable(Uuid), readerIds: v.array(Uuid) })),
})
export type SnapshotSite = v.InferOutput<typeof SnapshotSite>

/** A card and who carries it. Short names, as there are tens of thousands of them. */
export const SnapshotRow = v.object({
  card: Uuid,
  status: v.picklist(STATUSES),
  valid: v.tuple([maybeInstant, maybeInstant]),
  person: Uuid,
  active: v.boolean(),
  personValid: v.tuple([maybeInstant, maybeInstant]),
  /** Places in `groups` of the site. */
  groups: v.array(v.pipe(v.number(), v.integer(), v.minValue(0))),
  /** A hash for each of the views that the site's readers use. */
  keys: v.array(v.pipe(v.string(), v.regex(/^[\w-]{22}$/))),
})
export type SnapshotRow = v.InferOutput<typeof SnapshotRow>

/** Ask for the first page, or for the one after a card. */
export const SnapshotAsk = v.strictObject({ after: v.optional(Uuid) })

/**
 * One page. Pages belong together when their version is the same. The first brings the site and how many cards there
 * are; `next` is what to ask for the next one with, and missing in the last.
 */
export const SnapshotPage = v.object({
  version: v.string(),
  now: Instant,
  site: v.optional(SnapshotSite),
  cards: v.optional(v.number()),
  rows: v.array(SnapshotRow),
  next: v.optional(Uuid),
})
export type SnapshotPage = v.InferOutput<typeof SnapshotPage>

export type SnapshotFacts = { facts: Omit<Facts, 'late'>; openMs: number }

export type Snapshot = {
  version: string
  cards: number
  /** What is known about a card at a reader. Never more than two cards, as two are enough to be ambiguous. */
  facts(readerId: string, card: string): SnapshotFacts
}

/**
 * A snapshot made of its pages, compact: the rows stay text until one is asked for, and the hashes lie sorted in one
 * buffer, so fifty thousand cards are some ten megabytes.
 */
export const snapshotOf = (pages: Iterable<SnapshotPage>, key: SealingKey): Snapshot => {
  const rows: Buffer[] = []
  const entries: { hash: Buffer; row: number }[] = []
  let site: SnapshotSite | undefined
  let version = ''
  for (const page of pages) {
    site ??= page.site
    version = page.version
    for (const row of page.rows) {
      const { keys, ...rest } = row
      for (const text of keys) entries.push({ hash: Buffer.from(text, 'base64url'), row: rows.length })
      rows.push(Buffer.from(JSON.stringify(rest)))
    }
  }
  if (!site) throw new Error('a snapshot without its first page')
  const row = rowsIn(rows)
  const find = index(entries)
  const readers = new Map(site.readers.map((reader) => [reader.id, reader]))
  const rulesOf = rulesByReader(site)
  const { groups } = site

  const cardOf = (text: Omit<SnapshotRow, 'keys'>): CardFacts => ({
    id: text.card,
    status: text.status,
    ...validity(text.valid),
    person: { id: text.person, active: text.active, ...validity(text.personValid) },
  })

  return {
    version,
    cards: rows.length,
    facts(readerId, card) {
      const reader = readers.get(readerId)
      if (!reader) return { facts: { reader: undefined, cards: [], rules: [] }, openMs: 0 }
      const cardKey = keyOfScan(reader.cardView, card)
      const found = cardKey === undefined ? [] : find(hash(key, reader.cardView, cardKey)).map(row)
      const theirs = new Set(found.flatMap((match) => match.groups.map((place) => groups[place])))
      const rules = (rulesOf.get(readerId) ?? []).filter(({ groupId }) => theirs.has(groupId))
      const { enabled, timezone, openMs } = reader
      return { facts: { reader: { enabled, timezone }, cards: found.map(cardOf), rules }, openMs }
    },
  }
}

const validity = ([from, until]: readonly [string | null, string | null]) => ({
  validFrom: from === null ? null : new Date(from),
  validUntil: until === null ? null : new Date(until),
})

const rulesByReader = ({ rules, schedules }: SnapshotSite): Map<string, RuleFacts[]> => {
  const windowsOf = new Map(schedules.map(({ id, windows }) => [id, windows]))
  const byReader = new Map<string, RuleFacts[]>()
  for (const { id, groupId, scheduleId, readerIds } of rules) {
    // A schedule that is missing is never open: null would be always.
    const windows = scheduleId === null ? null : (windowsOf.get(scheduleId) ?? [])
    for (const readerId of readerIds) {
      byReader.set(readerId, [...(byReader.get(readerId) ?? []), { id, groupId, scheduleId, windows }])
    }
  }
  return byReader
}

/** All rows in one buffer; a row is read when it is asked for. */
const rowsIn = (rows: readonly Buffer[]): ((at: number) => Omit<SnapshotRow, 'keys'>) => {
  const ends = new Uint32Array(rows.length)
  let end = 0
  rows.forEach((row, at) => {
    end += row.length
    ends[at] = end
  })
  const all = Buffer.concat(rows)
  return (at) => JSON.parse(all.toString('utf8', at === 0 ? 0 : ends[at - 1], ends[at]))
}

/** Hash → the rows that have it, at most two; by binary search in one sorted buffer. */
const index = (entries: { hash: Buffer; row: number }[]): ((hash: Buffer) => number[]) => {
  entries.sort((a, b) => Buffer.compare(a.hash, b.hash))
  const hashes = Buffer.concat(entries.map(({ hash }) => hash))
  const rows = Uint32Array.from(entries, ({ row }) => row)
  const compare = (at: number, hash: Buffer) =>
    hashes.compare(hash, 0, HASH_BYTES, at * HASH_BYTES, (at + 1) * HASH_BYTES)
  return (hash) => {
    let low = 0
    let high = rows.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (compare(middle, hash) < 0) low = middle + 1
      else high = middle
    }
    const found: number[] = []
    for (let at = low; at < rows.length && found.length < 2 && compare(at, hash) === 0; at++) {
      const row = rows[at]
      if (row !== undefined) found.push(row)
    }
    return found
  }
}
