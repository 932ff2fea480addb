import {
  closeSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import type { Decision } from '../api/contract/scan.ts'
import { linesIn, toLine } from './lines.ts'

/**
 * A scan that reached the bridge; `at` on the API's clock, `messageId` of the message that brought it. `decided` is what the
 * reader did itself. A PIN is not among these.
 */
export type Arrival = {
  id: string
  readerId: string
  card: string
  at: string
  decided?: Decision | undefined
  messageId?: number
}

/** One whose message the broker may bring again. */
export type Brought = Arrival & { messageId: number }

/**
 * What arrived and is not settled yet, or was settled just now: a bridge that was killed learns here what it had in its
 * hands, and what the broker may bring again because the last acknowledgements did not reach it.
 */
export type Arrivals = {
  /** What an earlier process had noted and not settled, oldest first. It stays noted until it is settled. */
  found: readonly Arrival[]
  /** What it had settled, and the broker perhaps does not know yet: sent again, these are no new scans. */
  done: readonly Brought[]
  /**
   * With the operating system when this returns: it survives the death of the process, not of the machine. Never
   * throws: what the disk refuses is counted, and noted in memory only.
   */
  note(arrival: Arrival): void
  /** Not to be found again. An id that is not noted changes nothing. Never throws. */
  settled(id: string): void
  /** Gives what to call when the broker has had everything that was sent to it until now: it brings none of that again. */
  mark(): () => void
  /** How many times the disk refused. */
  refused(): number
  close(): void
}

/** Bytes at which the file is written anew with only what is open. */
const LARGE = 1 << 20

/** So many that were settled are kept, should the broker never say that it knows: more than it has under way at once. */
const MOST_DONE = 1_000

/** Throws when the file, or the folder for it, can be neither opened nor made. Damaged lines in it are skipped. */
export const openArrivals = (file: string): Arrivals => {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  const unfinished = `${file}.new`
  const noted = new Map<string, Arrival>()
  const done = new Map<string, Brought>()
  let fd = openSync(file, 'a+', 0o600)
  let bytes = fstatSync(fd).size
  let large = LARGE
  let refused = 0

  /** False when there was nothing to settle. A message without an id is not brought again. */
  const settle = (id: string): boolean => {
    const arrival = noted.get(id)
    if (!arrival) return false
    noted.delete(id)
    const { messageId } = arrival
    if (messageId !== undefined) done.set(id, { ...arrival, messageId })
    const [oldest] = done.keys()
    if (done.size > MOST_DONE && oldest !== undefined) done.delete(oldest)
    return true
  }

  const before = Buffer.alloc(bytes)
  for (const { value } of linesIn(before.subarray(0, readSync(fd, before, 0, bytes, 0)))) {
    // A string is the id of what was settled; a list has those that the broker will not bring again.
    if (typeof value === 'string') settle(value)
    else if (Array.isArray(value)) for (const id of value) done.delete(id)
    else if (value !== undefined) noted.set((value as Arrival).id, value as Arrival)
  }
  const found = [...noted.values()]
  const doneBefore = [...done.values()]

  const orCount = (write: () => void): void => {
    try {
      write()
    } catch {
      refused += 1
    }
  }

  /** All or an error: a disk that fills up takes a part and says nothing. */
  const append = (to: number, text: string): number => {
    const size = Buffer.byteLength(text)
    if (writeSync(to, text) < size) throw new Error('the disk is full')
    return size
  }

  const add = (value: Arrival | string | string[]): void =>
    orCount(() => {
      bytes += append(fd, toLine(value))
      if (bytes > large) writeAnew()
    })

  const writeAnew = (): void => {
    // Whatever comes of it, the next time is far: each would cost as much as this one.
    large = 2 * bytes
    rmSync(unfinished, { force: true })
    const anew = openSync(unfinished, 'ax', 0o600)
    try {
      const settled = [...done.values()].map((arrival) => toLine(arrival) + toLine(arrival.id))
      const size = append(anew, [...settled, ...[...noted.values()].map(toLine)].join(''))
      renameSync(unfinished, file)
      bytes = size
    } catch (error) {
      closeSync(anew)
      rmSync(unfinished, { force: true })
      throw error
    }
    closeSync(fd)
    fd = anew
    large = Math.max(LARGE, 2 * bytes)
  }

  const clear = (): void => {
    ftruncateSync(fd)
    bytes = 0
    large = LARGE
  }

  const isEmpty = () => noted.size === 0 && done.size === 0
  if (bytes > 0 && isEmpty()) orCount(clear)

  return {
    found,
    done: doneBefore,
    note(arrival) {
      noted.set(arrival.id, arrival)
      add(arrival)
    },
    settled(id) {
      if (!settle(id)) return
      if (isEmpty()) orCount(clear)
      else add(id)
    },
    mark() {
      const known = [...done.keys()]
      return () => {
        const gone = known.filter((id) => done.delete(id))
        if (gone.length === 0) return
        if (isEmpty()) orCount(clear)
        else add(gone)
      }
    },
    refused: () => refused,
    // A number that is no file's, so that what is noted too late is refused and not written into somebody else's.
    close() {
      if (fd !== -1) closeSync(fd)
      fd = -1
    },
  }
}
