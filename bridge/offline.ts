import { existsSync } from 'node:fs'
import { join } from 'node:path'
import * as v from 'valibot'
import { decide } from '../api/contract/decide.ts'
import { Instant, type Reason, type Scan } from '../api/contract/scan.ts'
import type { SiteReader } from '../api/contract/site.ts'
import { hashingKey, type Snapshot, SnapshotPage, snapshotOf } from '../api/contract/snapshot.ts'
import { type Api, askForSnapshot } from './ask.ts'
import { type Log, nameOf } from './log.ts'
import { sealedFile } from './sealed-file.ts'

/** More cards than this are not kept: the memory of a bridge is for doors. */
const MOST_CARDS = 100_000

/** Between two snapshots, at least; a change must have arrived within 15 s. Milliseconds. */
const REST_MS = 3_000

/** How often it is noted on disk until when the snapshot was good. Milliseconds. */
const NOTE_EVERY_MS = 60_000

/** How often what the disk did not take is fetched anew, to be written after all. Milliseconds. */
const KEEP_AGAIN_MS = 60_000

/** A clock that is this much behind the last time we knew of is wrong, and so is every schedule by it. Milliseconds. */
const BEHIND_MS = 60_000

const HOUR_MS = 3_600_000

export type Verdict = { reason: Reason; openMs: number; cardId?: string; personId?: string; snapshot?: string }

const UNAVAILABLE: Verdict = { reason: 'unavailable', openMs: 0 }

/** What the bridge knows itself, for the times when it cannot ask. */
export type Offline = {
  /** May this reader be decided here at all, as things are? */
  ready(reader: SiteReader): boolean
  /** The decision by the facts of the snapshot: the very function that the API decides by. */
  decide(reader: SiteReader, scan: Scan): Verdict
  /** The API said that this version of the facts is in force now. */
  inForce(version: string, at: Date): void
}

const Noted = v.object({ version: v.string(), at: Instant })
const Pages = v.array(SnapshotPage)

/** Knows what is on disk from before. */
export const startOffline = async (api: Api, folder: string, log: Log): Promise<Offline> => {
  const key = hashingKey(api.key)
  const paths = { pages: join(folder, 'snapshot'), good: join(folder, 'snapshot-good') }
  const pagesFile = sealedFile(paths.pages, api.key, 'snapshot')
  const goodFile = sealedFile(paths.good, api.key, 'snapshot good until')

  let snapshot: Snapshot | undefined
  /** When the snapshot was last known to be in force, on the API's clock; `noted` is the same, on disk. */
  let good = 0
  let noted = 0
  let busy = false
  let rested = 0
  /** When to write again what could not be written; there is no such thing at first. */
  let keepAgain = Number.POSITIVE_INFINITY
  let tooLarge: string | undefined

  const note = async (version: string, at: Date) => {
    good = Math.max(good, at.getTime())
    if (good - noted < NOTE_EVERY_MS) return
    noted = good
    await writeGood(version, at)
  }
  const writeGood = (version: string, at: Date) => goodFile.write(Buffer.from(JSON.stringify({ version, at })))

  const load = async () => {
    const pages = await pagesFile.read()
    const known = await goodFile.read()
    if (!existsSync(paths.pages) && !existsSync(paths.good)) return
    if (!pages || !known) throw new Error('damaged, or sealed with another key')
    const { version, at } = v.parse(Noted, JSON.parse(known.toString()))
    const found = snapshotOf(v.parse(Pages, JSON.parse(pages.toString())), key)
    if (found.version !== version) throw new Error('the facts of another version')
    snapshot = found
    noted = good = Date.parse(at)
    log('info', 'snapshot', { version, cards: found.cards, from: 'disk' })
  }

  const renew = async () => {
    const pages = await allPages(api)
    if (typeof pages === 'number') return { cards: pages }
    const fresh = snapshotOf(pages, key)
    const at = new Date(pages[0]?.now ?? 0)
    snapshot = fresh
    good = at.getTime()
    // The pages first: what is noted as good must be what is there.
    keepAgain = performance.now() + KEEP_AGAIN_MS
    await pagesFile.write(Buffer.from(JSON.stringify(pages)))
    keepAgain = Number.POSITIVE_INFINITY
    noted = 0
    await note(fresh.version, at)
    log('info', 'snapshot', { version: fresh.version, cards: fresh.cards, from: 'api' })
    return undefined
  }

  const isGood = (hours: number) => {
    const age = api.clock.now().getTime() - good
    return age > -BEHIND_MS && age <= hours * HOUR_MS
  }
  const ready: Offline['ready'] = ({ offline, offlineHours }) =>
    offline === 'snapshot' && snapshot !== undefined && isGood(offlineHours)

  await load().catch((error: unknown) => {
    const say = 'The snapshot on disk cannot be used: until the API has sent another, doors stay shut while it is away.'
    log('warn', 'snapshot_unreadable', { error: nameOf(error), say })
  })

  return {
    ready,
    decide(reader, { readerId, card }) {
      if (!snapshot || !ready(reader)) return UNAVAILABLE
      try {
        const { facts, openMs } = snapshot.facts(readerId, card)
        const [one, second] = facts.cards
        return {
          reason: decide({ ...facts, late: false }, api.clock.now()),
          openMs,
          snapshot: snapshot.version,
          ...(one && !second && { cardId: one.id, personId: one.person.id }),
        }
      } catch (error) {
        log('error', 'offline_failed', { reader: readerId, error: nameOf(error) })
        return UNAVAILABLE
      }
    },
    inForce(version, at) {
      const keep = (work: Promise<unknown>) =>
        work.catch((error: unknown) => log('warn', 'no_snapshot', { error: nameOf(error) }))
      if (snapshot?.version === version) {
        void keep(note(version, at))
        if (performance.now() < keepAgain) return
      }
      if (busy || version === tooLarge || performance.now() < rested) return
      busy = true
      const renewed = renew().then(async (refused) => {
        tooLarge = refused && version
        if (!refused) return
        const before = snapshot
        snapshot = undefined
        const say = `This site has more than ${MOST_CARDS} cards: while the API is away its doors stay shut.`
        log('warn', 'snapshot_too_large', { ...refused, say })
        // What is on disk is not good any more, after a restart either.
        if (before) await writeGood(version, at)
      })
      void keep(renewed).finally(() => {
        busy = false
        rested = performance.now() + REST_MS
      })
    },
  }
}

/** All pages of one version; or how many cards there are, if they are too many. */
const allPages = async (api: Api): Promise<SnapshotPage[] | number> => {
  const first = await askForSnapshot(api, undefined)
  if ((first.cards ?? 0) > MOST_CARDS) return first.cards ?? 0
  const pages = [first]
  for (let { next } = first; next !== undefined; ) {
    const page = await askForSnapshot(api, next)
    if (page.version !== first.version) throw new Error('the facts changed on the way')
    pages.push(page)
    next = page.next
  }
  return pages
}
