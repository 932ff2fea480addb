import { existsSync } from 'node:fs'
import { join } from 'node:path'
import * as v from 'valibot'
import { decide } from '../api/contract/decide.ts'
import { Instant, PIN_ALONE, type Reason, type Scan } from '../api/contract/scan.ts'
import type { SiteReader } from '../api/contract/site.ts'
import { hashingKey, type Snapshot, snapshotBuilder, withSite } from '../api/contract/snapshot.ts'
import type { Api } from './ask.ts'
import { type Log, nameOf } from './log.ts'
import { MOST_CARDS, newSnapshot } from './new-snapshot.ts'
import { sealedFile } from './sealed-file.ts'
import { sealedPages } from './sealed-pages.ts'
import { takePage } from './snapshot-page.ts'

/**
 * After a renewal the API and this thread rest for twice as long as it took, within these bounds. While the link is up a
 * change is here after the rest, one look at the site and one renewal: in 15 s as long as a renewal takes at most 4 s.
 * Not so while changes keep coming faster than the pages of a site can be read, as during a long import into a large
 * site: no whole set of pages is of one version then, and the snapshot from before stands until it is over. Milliseconds.
 */
const [LEAST_REST_MS, MOST_REST_MS] = [3_000, 8_000]

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
  /**
   * The decision by the facts of the snapshot, and by the lockdown that the site tells of, which holds however old the
   * snapshot is: by the very function that the API decides by. Where a PIN is what it takes, nobody
   * can decide here: no PIN is in a snapshot. What a reader decided by itself stays so, and this only says whose card it was.
   */
  decide(reader: SiteReader, scan: Scan): Verdict
  /** The API said that this version of the facts is in force now. */
  inForce(version: string, at: Date): void
  /** How long ago the snapshot was last known to be in force, in milliseconds; Infinity where there is none. */
  age(): number
}

const Noted = v.object({ version: v.string(), at: Instant })

/** Knows what is on disk from before. */
export const startOffline = async (api: Api, folder: string, log: Log): Promise<Offline> => {
  const key = hashingKey(api.key)
  const paths = { pages: join(folder, 'snapshot'), good: join(folder, 'snapshot-good') }
  const pagesFile = sealedPages(paths.pages, api.key, 'snapshot')
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
    const known = await goodFile.read()
    if (!existsSync(paths.pages) && !existsSync(paths.good)) return
    if (!known) throw new Error('damaged, or sealed with another key')
    const { version, at } = v.parse(Noted, JSON.parse(known.toString()))
    const builder = snapshotBuilder(key)
    let pages = 0
    for await (const page of pagesFile.read()) {
      await takePage(JSON.parse(page.toString()), builder)
      pages += 1
    }
    if (pages === 0) throw new Error('damaged, or sealed with another key')
    const found = builder.done()
    if (found.version !== version) throw new Error('the facts of another version')
    snapshot = found
    noted = good = Date.parse(at)
    log('info', 'snapshot', { version, cards: found.cards, from: 'disk' })
  }

  const renew = async () => {
    const fresh = await newSnapshot(api, key, pagesFile)
    if (typeof fresh === 'number') return { cards: fresh }
    snapshot = fresh.snapshot
    good = fresh.at.getTime()
    const { version, cards } = snapshot
    // The pages first: what is noted as good must be what is there.
    keepAgain = performance.now() + KEEP_AGAIN_MS
    await fresh.writing.done()
    keepAgain = Number.POSITIVE_INFINITY
    noted = 0
    await note(version, fresh.at)
    log('info', 'snapshot', { version, cards, from: 'api' })
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
    age: () => (snapshot === undefined ? Number.POSITIVE_INFINITY : api.clock.now().getTime() - good),
    decide(reader, { readerId, card, decided }) {
      const otherwise: Verdict = decided ? { reason: `reader_${decided}`, openMs: 0 } : UNAVAILABLE
      if (!snapshot || !ready(reader)) return otherwise
      try {
        const { facts, openMs } = withSite(snapshot.facts(readerId, card), reader)
        const [one, second] = facts.cards
        const whose = one && !second && one.id !== null ? { cardId: one.id, personId: one.person.id } : {}
        if (decided) return { ...otherwise, ...whose }
        const reason = decide({ ...facts, late: false, pin: 'none' }, api.clock.now())
        if (reason === 'pin_required' || (reason === 'unknown_card' && card === PIN_ALONE && reader.pinAlone))
          return UNAVAILABLE
        return { reason, openMs, snapshot: snapshot.version, ...whose }
      } catch (error) {
        log('error', 'offline_failed', { reader: readerId, error: nameOf(error) })
        return otherwise
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
      const began = performance.now()
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
        const took = performance.now() - began
        rested = began + took + Math.min(Math.max(2 * took, LEAST_REST_MS), MOST_REST_MS)
      })
    },
  }
}
