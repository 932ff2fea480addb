import { open, readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { crc32 } from 'node:zlib'
import { syncFolder, unless } from './sealed-file.ts'

const BREAK = 10

/**
 * A value as a line of a file that lines are only ever added to: CRC-32 in 8 hex digits, a space, JSON. It begins with a
 * line break and ends with one, so that a line that was torn or damaged, in whatever byte, takes no neighbour with it.
 */
export const toLine = (value: unknown): string => {
  const json = JSON.stringify(value)
  return `\n${sumOf(json)} ${json}\n`
}

/** A line that was found: what it says, or undefined if it is torn or damaged; `end` is the offset after it, in bytes. */
export type Line = { value: unknown; end: number }

/** The lines in the bytes of such a file, read one at a time as they are asked for. */
export function* linesIn(bytes: Buffer): Generator<Line> {
  for (let start = 0; start < bytes.length; ) {
    const stop = bytes.indexOf(BREAK, start)
    const end = stop === -1 ? bytes.length : stop + 1
    const text = bytes.toString('utf8', start, stop === -1 ? end : stop)
    if (text !== '') yield { value: contentOf(text), end }
    start = end
  }
}

/**
 * The bytes `from` to `to` of a file, up to the first `most` lines that are whole: what they say, how many between them
 * are damaged, and the offset of what comes next. A file that is not there has none.
 */
export const readLines = async (path: string, from = 0, to = Infinity, most = Infinity) => {
  const bytes = ((await readFile(path).catch(unless('ENOENT'))) ?? Buffer.alloc(0)).subarray(from, to)
  const values: unknown[] = []
  let damaged = 0
  for (const { value, end } of linesIn(bytes)) {
    if (value === undefined) damaged += 1
    else values.push(value)
    if (values.length === most) return { values, damaged, next: from + end }
  }
  return { values, damaged, next: from + bytes.length }
}

/** A file that lines are added to. */
export type LineFile = {
  /** Resolves when they would survive a power cut; rejects when they would not, and then the file is as before. */
  add(lines: Buffer): Promise<void>
  close(): Promise<void>
}

/** Begins such a file; undefined when there is one of this name already, rejects when the disk refuses. */
export const beginLines = async (path: string): Promise<LineFile | undefined> => {
  const file = await open(path, 'ax', 0o600).catch(unless('EEXIST'))
  let size = 0
  return (
    file && {
      async add(lines) {
        try {
          await file.appendFile(lines)
          await file.datasync()
          // The folder has to know the file too; and without a name there, lines last only until it is closed.
          if (size === 0) await syncFolder(dirname(path))
          if ((await file.stat()).nlink === 0) throw new Error(`${path} is gone`)
          size += lines.length
        } catch (error) {
          await file.truncate(size).catch(() => {})
          throw error
        }
      },
      close: () => file.close().catch(() => {}),
    }
  )
}

const contentOf = (text: string): unknown => {
  const json = text.slice(9)
  if (text.slice(0, 9) !== `${sumOf(json)} `) return undefined
  try {
    return JSON.parse(json)
  } catch {
    return undefined
  }
}

const sumOf = (json: string): string => crc32(json).toString(16).padStart(8, '0')
