import { closeSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { linesIn, toLine } from '../lines.ts'

/** The last counter that was believed of somebody, and when on the API's clock (Unix milliseconds). */
export type Counted = { counter: number; at: number }

/**
 * How far each reader has counted. In memory at once, and on the disk within the same turn of the event loop but without a
 * sync: it survives the death of the process. What a power cut takes is seconds, and what was said then is refused for its
 * age by the time that a machine is up again, or is known to the API by its id.
 */
export type Counters = {
  last(who: string): Counted | undefined
  note(who: string, counted: Counted): void
  /** Forgets everybody else. */
  keepOnly(who: ReadonlySet<string>): void
  /** How many times the disk refused. */
  refused(): number
  close(): void
}

type Line = [who: string, counter: number, at: number]

/** Bytes at which the file is written anew with only the last of each. */
const LARGE = 1 << 20

/** Never throws: what the disk refuses is counted, and in memory only. Damaged lines are skipped. */
export const openCounters = (file: string, large = LARGE): Counters => {
  const known = new Map<string, Counted>()
  const unfinished = `${file}.new`
  let unsaid: Line[] = []
  let fd: number | undefined
  let bytes = 0
  let limit = large
  let refused = 0
  let closed = false

  const orCount = (work: () => void): void => {
    try {
      work()
    } catch {
      refused += 1
    }
  }

  const lines = () => [...known].map(([who, { counter, at }]) => toLine([who, counter, at] satisfies Line)).join('')

  const writeAnew = (): void => {
    // Whatever comes of it, the next time is far.
    limit = Math.max(large, 2 * bytes)
    rmSync(unfinished, { force: true })
    const anew = openSync(unfinished, 'ax', 0o600)
    try {
      const text = lines()
      if (writeSync(anew, text) < Buffer.byteLength(text)) throw new Error('the disk is full')
      renameSync(unfinished, file)
      bytes = Buffer.byteLength(text)
      limit = Math.max(large, 2 * bytes)
    } catch (error) {
      closeSync(anew)
      throw error
    }
    if (fd !== undefined) closeSync(fd)
    fd = anew
  }

  const write = (): void => {
    const added = unsaid
    unsaid = []
    if (added.length === 0 || closed) return
    orCount(() => {
      if (fd === undefined || bytes > limit) return writeAnew()
      const text = added.map(toLine).join('')
      bytes += Buffer.byteLength(text)
      // What is torn here is skipped when it is read.
      if (writeSync(fd, text) < Buffer.byteLength(text)) throw new Error('the disk is full')
    })
  }

  orCount(() => {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
    fd = openSync(file, 'a+', 0o600)
    const before = readFileSync(file)
    bytes = before.length
    for (const { value } of linesIn(before)) {
      if (!isLine(value)) continue
      const [who, counter, at] = value
      known.set(who, { counter, at })
    }
  })

  return {
    last: (who) => known.get(who),
    note(who, counted) {
      known.set(who, counted)
      // Not before the scan itself is noted: what is known by its counter and not as a scan would be refused when the
      // broker brings it again.
      if (unsaid.push([who, counted.counter, counted.at]) === 1) queueMicrotask(write)
    },
    keepOnly(who) {
      for (const one of known.keys()) if (!who.has(one)) known.delete(one)
    },
    refused: () => refused,
    close() {
      write()
      closed = true
      if (fd !== undefined) closeSync(fd)
      fd = undefined
    },
  }
}

const isLine = (value: unknown): value is Line =>
  Array.isArray(value) && typeof value[0] === 'string' && Number.isSafeInteger(value[1]) && Number.isFinite(value[2])
