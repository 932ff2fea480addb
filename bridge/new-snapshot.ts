import { setImmediate } from 'node:timers/promises'
import type { SealingKey } from '../api/contract/envelope.ts'
import { type Snapshot, snapshotBuilder } from '../api/contract/snapshot.ts'
import { type Api, askForSnapshot } from './ask.ts'
import type { SealedPages, Writing } from './sealed-pages.ts'
import { takePage } from './snapshot-page.ts'

/** More cards than this are not kept: the memory of a bridge is for doors. */
export const MOST_CARDS = 100_000

/** How often the pages are begun anew at once when the facts change while they are read. */
const MOST_TRIES = 3

export type NewSnapshot = {
  snapshot: Snapshot
  /** When it was in force, on the API's clock. */
  at: Date
  /** Its pages, on their way to the disk. */
  writing: Writing
}

/**
 * Reads the facts from the API, all of one version, and writes them beside what `file` has; or says how many cards there
 * are, if they are too many. Takes each page in as it comes, in stretches of some milliseconds. Throws when the API does
 * not answer, and when the facts change at each of three tries.
 */
export const newSnapshot = async (api: Api, key: SealingKey, file: SealedPages): Promise<NewSnapshot | number> => {
  for (let left = MOST_TRIES; left > 0; left--) {
    const read = await readPages(api, key, file)
    if (read !== 'changed') return read
  }
  throw new Error('the facts changed on the way')
}

const readPages = async (api: Api, key: SealingKey, file: SealedPages): Promise<NewSnapshot | number | 'changed'> => {
  const builder = snapshotBuilder(key)
  const writing = file.write()
  const take = async (after: string | undefined) => {
    const page = await askForSnapshot(api, after)
    await setImmediate()
    const head = await takePage(page, builder)
    await setImmediate()
    await writing.add(Buffer.from(JSON.stringify(page)))
    return head
  }
  try {
    const first = await take(undefined)
    const tooMany = (first.cards ?? 0) > MOST_CARDS
    let changed = false
    for (let { next } = first; next !== undefined && !tooMany && !changed; ) {
      const page = await take(next)
      changed = page.version !== first.version
      next = page.next
    }
    if (!tooMany && !changed) return { snapshot: builder.done(), at: new Date(first.now), writing }
    await writing.giveUp()
    return changed ? 'changed' : (first.cards ?? 0)
  } catch (error) {
    await writing.giveUp()
    throw error
  }
}
