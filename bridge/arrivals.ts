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
import { linesIn, toLine } from './lines.ts'

/** A scan that reached the bridge; `at` on the API's clock, `messageId` of the message that brought it. */
export type Arrival = { id: string; readerId: string; card: string; at: string; messageId?: number }

/** What arrived and is not settled yet: a bridge that was killed learns here what it had in its hands. */
export type Arrivals = {
  /** What an earlier process had noted and not settled, oldest first. It stays noted until it is settled. */
  found: readonly Arrival[]
  /**
   * With the operating system when this returns: it survives the death of the process, not of the machine. Never
   * throws: what the disk refuses is counted, and noted in memory only.
   */
  note(arrival: Arrival): void
  /** Not to be found again. An id that is not noted changes nothing. Never throws. */
  settled(id: string): void
  /** How many times the disk refused. */
  refused(): number
  close(): void
}

/** Bytes at which the file is written anew with only what is open. */
const LARGE = 1 << 20

/** Throws when the file, or the folder for it, can be neither opened nor made. Damaged lines in it are skipped. */
export const openArrivals = (file: string): Arrivals => {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  const unfinished = `${file}.new`
  const noted = new Map<string, Arrival>()
  let fd = openSync(file, 'a+', 0o600)
  let bytes = fstatSync(fd).size
  let large = LARGE
  let refused = 0

  const before = Buffer.alloc(bytes)
  for (const { value } of linesIn(before.subarray(0, readSync(fd, before, 0, bytes, 0)))) {
    // A string is the id of what was settled.
    if (typeof value === 'string') noted.delete(value)
    else if (value !== undefined) noted.set((value as Arrival).id, value as Arrival)
  }
  const found = [...noted.values()]

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

  const add = (value: Arrival | string): void =>
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
      const size = append(anew, [...noted.values()].map(toLine).join(''))
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

  if (bytes > 0 && noted.size === 0) orCount(clear)

  return {
    found,
    note(arrival) {
      noted.set(arrival.id, arrival)
      add(arrival)
    },
    settled(id) {
      if (!noted.delete(id)) return
      if (noted.size === 0) orCount(clear)
      else add(id)
    },
    refused: () => refused,
    // A number that is no file's, so that what is noted too late is refused and not written into somebody else's.
    close() {
      if (fd !== -1) closeSync(fd)
      fd = -1
    },
  }
}
