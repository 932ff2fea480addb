import { createHmac, createSecretKey } from 'node:crypto'
import * as v from 'valibot'
import { CARD_VIEWS, type CardView, keyOfScan } from './card-views.ts'
import { type Facts, type RuleFacts, STATUSES } from './decide.ts'
import type { SealingKey } from './envelope.ts'
import { Instant, Uuid } from './scan.ts'
import type { SiteReader } from './site.ts'
import { HASH_BYTES, hashIndex } from './snapshot-index.ts'
import { snapshotRows } from './snapshot-rows.ts'
import { Window } from './window.ts'

/*
 * The facts of a whole site, for the times when nobody can be asked. It travels in pages, and knows cards only by keyed
 * hashes: who finds one learns no card number. `facts` gives what `gatherFacts` of the API gives, so `decide` decides alike.
 */

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
      /** When a PIN is asked for; null is never. No PIN is in a snapshot, so offline such a time opens to nobody. */
      pin: v.optional(v.nullable(v.array(Window)), null),
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
  /** A lockdown does not keep this person out. */
  exempt: v.optional(v.boolean()),
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

export type SnapshotFacts = { facts: Omit<Facts, 'late' | 'pin'>; openMs: number }

/**
 * A snapshot's facts with what the site says of the reader, which a bridge is told first and keeps by itself: a lockdown
 * changes no snapshot, and holds as soon as the site is known.
 */
export const withSite = (
  { facts }: SnapshotFacts,
  { lockdown, openMs }: Pick<SiteReader, 'lockdown' | 'openMs'>,
): SnapshotFacts => {
  if (!facts.reader) return { facts, openMs: 0 }
  const until = lockdown && { until: lockdown.until === null ? null : new Date(lockdown.until) }
  return { facts: { ...facts, reader: { ...facts.reader, lockdown: until } }, openMs }
}

export type Snapshot = {
  version: string
  cards: number
  /** What is known about a card at a reader. Never more than two cards, as two are enough to be ambiguous. */
  facts(readerId: string, card: string): SnapshotFacts
}

export type SnapshotBuilder = {
  /** The next page, in order. A page of a thousand cards takes a few milliseconds; whoever has no such time adds it without its rows. */
  add(page: Pick<SnapshotPage, 'version' | 'site' | 'rows'>): void
  /** One more row of the page that was added last. */
  addRow(row: SnapshotRow): void
  /** The snapshot of all pages so far; nothing may be added afterwards. Throws when the first page is missing. */
  done(): Snapshot
}

/**
 * Makes a snapshot of its pages as they come, so that nobody waits for long while it is made. Compact: rows and hashes lie
 * in bytes until one is asked for, some hundred for each card.
 */
export const snapshotBuilder = (key: SealingKey): SnapshotBuilder => {
  const rows = snapshotRows()
  const index = hashIndex()
  let site: SnapshotSite | undefined
  let version = ''

  const addRow = (row: SnapshotRow) => {
    for (const text of row.keys) index.add(text, rows.count())
    rows.add(row)
  }

  return {
    add(page) {
      site ??= page.site
      version = page.version
      page.rows.forEach(addRow)
    },
    addRow,
    done() {
      if (!site) throw new Error('a snapshot without its first page')
      const { groups } = site
      const readers = new Map(site.readers.map((reader) => [reader.id, reader]))
      const rulesOf = rulesByReader(site)
      return {
        version,
        cards: rows.count(),
        facts(readerId, card) {
          const reader = readers.get(readerId)
          if (!reader) return { facts: { reader: undefined, cards: [], rules: [] }, openMs: 0 }
          const cardKey = keyOfScan(reader.cardView, card)
          const found = cardKey === undefined ? [] : index.find(hash(key, reader.cardView, cardKey)).map(rows.read)
          const theirs = new Set(found.flatMap(({ places }) => places.map((place) => groups[place])))
          const rules = (rulesOf.get(readerId) ?? []).filter(({ groupId }) => theirs.has(groupId))
          const { enabled, timezone, openMs, pin: pinWindows } = reader
          const cards = found.map((row) => row.card)
          return { facts: { reader: { enabled, timezone, pinWindows }, cards, rules }, openMs }
        },
      }
    },
  }
}

/** A snapshot made of all its pages at once. Throws when the first is missing. */
export const snapshotOf = (pages: Iterable<SnapshotPage>, key: SealingKey): Snapshot => {
  const builder = snapshotBuilder(key)
  for (const page of pages) builder.add(page)
  return builder.done()
}

/** One object per rule, however many readers it names: a site can have a hundred thousand such pairs. */
const rulesByReader = ({ rules, schedules }: SnapshotSite): Map<string, RuleFacts[]> => {
  const windowsOf = new Map(schedules.map(({ id, windows }) => [id, windows]))
  const byReader = new Map<string, RuleFacts[]>()
  for (const { id, groupId, scheduleId, readerIds } of rules) {
    // A schedule that is missing is never open: null would be always.
    const windows = scheduleId === null ? null : (windowsOf.get(scheduleId) ?? [])
    const rule = { id, groupId, scheduleId, windows }
    for (const readerId of readerIds) {
      const theirs = byReader.get(readerId)
      if (theirs) theirs.push(rule)
      else byReader.set(readerId, [rule])
    }
  }
  return byReader
}
