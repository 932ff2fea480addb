import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { beginLines, type LineFile, readLines, toLine } from './lines.ts'
import { makeFolder, unless } from './sealed-file.ts'

/** Events that could not be handed over yet, on disk until they are; all of one kind, known by their ids. */
export type Spool<E> = {
  /**
   * Resolves when the event would survive a power cut. Rejects when it would not (the disk is full, the folder is gone,
   * the spool has reached its cap or is closed), and then it is not in the spool.
   */
  put(event: E): Promise<void>
  /**
   * The oldest events in the order they were put: at most `most` (1 or more), perhaps fewer than wait; undefined when
   * none do. The next call gives the same ones until `done`, which forgets them. It rejects when a file cannot be
   * deleted: they do not come again all the same, unless the spool is opened anew before a later `done` deletes it.
   * After an end in between, the newest of what was done may come once more: events are known by their id. A file that
   * cannot be read holds up only its own events: `oldest` rejects when they alone are left.
   */
  oldest(most: number): Promise<{ events: E[]; done(): Promise<void> } | undefined>
  /** How many events wait. */
  waiting(): number
  /** How large its files are, those of events that are done and not yet deleted included. */
  bytes(): number
  /** How many lines, or whole files, could not be read and were passed over. */
  damaged(): number
  /** Resolves when all that was put before is settled. */
  close(): Promise<void>
}

/** `bytes` and `events` that are safe in it; how many of them are `done`, and where the next begins. */
type Segment = { path: string; bytes: number; events: number; done: number; from: number }
type Put = { line: Buffer; resolve: () => void; reject: (error: unknown) => void }

/**
 * Makes the folder, or finds in it what earlier processes left; rejects when it can do neither. `segmentBytes` is the
 * size at which a further file is begun, `mostBytes` the cap over all of them.
 */
export const openSpool = async <E>(
  folder: string,
  { segmentBytes = 1 << 20, mostBytes = 256 << 20 }: { segmentBytes?: number; mostBytes?: number } = {},
): Promise<Spool<E>> => {
  const segments: Segment[] = []
  let current: { file: LineFile; segment: Segment } | undefined
  const queue: Put[] = []
  let closed = false
  let [number, used, damaged] = [0, 0, 0]

  let last: Promise<unknown> = Promise.resolve()
  /** One at a time: nobody reads, deletes or begins a file while another is at it. */
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const mine = last.then(work)
    last = mine.catch(() => {})
    return mine
  }

  const begin = async (): Promise<{ file: LineFile; segment: Segment }> => {
    number += 1
    const path = join(folder, `${String(number).padStart(8, '0')}.jsonl`)
    // A file that another process began is left to it.
    const file = await beginLines(path)
    if (!file) return begin()
    current = { file, segment: { path, bytes: 0, events: 0, done: 0, from: 0 } }
    segments.push(current.segment)
    return current
  }

  const end = async () => {
    const ended = current
    current = undefined
    await ended?.file.close()
  }

  /** Deletes the files whose events are all done. */
  const sweep = async () => {
    let failure: unknown
    for (const segment of segments.filter(isDone)) {
      if (segment === current?.segment) await end()
      try {
        const size = (await stat(segment.path).catch(unless('ENOENT')))?.size ?? 0
        // A file that has grown is still written by another process, which will see to it.
        if (size <= segment.bytes) await rm(segment.path, { force: true })
        segments.splice(segments.indexOf(segment), 1)
        used -= segment.bytes
      } catch (error) {
        failure = error
      }
    }
    if (failure) throw failure
  }

  /** What waits for the disk goes there together: one write and one sync for all of it that fits into a segment. */
  const writeQueued = async () => {
    let size = 0
    const fits = queue.findIndex(({ line }, n) => {
      size += line.length
      return n > 0 && size > segmentBytes
    })
    const batch = queue.splice(0, fits === -1 ? queue.length : fits)
    if (queue.length > 0) startWriting()
    const lines = Buffer.concat(batch.map(({ line }) => line))
    try {
      if (current && current.segment.bytes + lines.length > segmentBytes) await end()
      const { file, segment } = current ?? (await begin())
      await file.add(lines)
      segment.bytes += lines.length
      segment.events += batch.length
      for (const { resolve } of batch) resolve()
    } catch (error) {
      used -= lines.length
      await end()
      await sweep().catch(() => {})
      for (const { reject } of batch) reject(error)
    }
  }
  const startWriting = () => {
    inTurn(writeQueued).catch(() => {})
  }

  const oldestOf = async (segment: Segment, most: number) => {
    const { values, next } = await readLines(segment.path, segment.from, segment.bytes, most)
    // Fewer than asked for are all there are, however many there were when they were counted.
    const done = values.length < most ? segment.events : segment.done + values.length
    const lost = done - segment.done - values.length
    const forget = async () => {
      if (done > segment.done) {
        Object.assign(segment, { done, from: next })
        damaged += lost
      }
      await sweep()
    }
    return { events: values as E[], forget }
  }

  await makeFolder(folder)
  for (const name of (await readdir(folder)).filter((name) => /^\d{8}\.jsonl$/.test(name)).sort()) {
    number = Number.parseInt(name, 10)
    const path = join(folder, name)
    const found = await readLines(path).catch(() => undefined)
    damaged += found?.damaged ?? 1
    if (!found) continue
    segments.push({ path, bytes: found.next, events: found.values.length, done: 0, from: 0 })
    used += found.next
  }
  await sweep().catch(() => {})

  return {
    async put(event) {
      if (closed) throw new Error('the spool is closed')
      const line = Buffer.from(toLine(event))
      if (used + line.length > mostBytes) throw new Error(`the spool is full: ${used} of ${mostBytes} bytes`)
      used += line.length
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      if (queue.push({ line, resolve, reject }) === 1) startWriting()
      return promise
    },
    oldest: (most) =>
      inTurn(async () => {
        let failure: unknown
        for (const segment of segments.filter((segment) => !isDone(segment))) {
          try {
            const { events, forget } = await oldestOf(segment, most)
            if (events.length > 0) return { events, done: () => inTurn(forget) }
            await forget()
          } catch (error) {
            failure = error
          }
        }
        if (failure) throw failure
        return undefined
      }),
    waiting: () => segments.reduce((sum, { events, done }) => sum + events - done, 0),
    bytes: () => used,
    damaged: () => damaged,
    async close() {
      closed = true
      do await inTurn(end)
      while (queue.length > 0)
    },
  }
}

const isDone = ({ events, done }: Segment): boolean => events === done
