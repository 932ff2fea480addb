import { createHash, timingSafeEqual } from 'node:crypto'
import { constants, createReadStream, type ReadStream } from 'node:fs'
import { access, type FileHandle, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import * as v from 'valibot'
import { SetupError } from '../contract/environment.ts'
import { isSealed, seal, unseal } from './age.ts'
import { Manifest } from './manifest.ts'

// A backup is one file: a line that names the format, a line with the manifest, the body, and the SHA-256 of all that. With
// a recipient all of it is inside an age file (age-encryption.org/v1), which any age program opens too.

const MAGIC = 'lintel-backup 1\n'
const SUM_BYTES = 32
const MOST_HEAD_BYTES = 1 << 20

/** The file is not as it was written: its message says what to do. */
export class DamagedBackup extends Error {
  override name = 'DamagedBackup'
}

type Bytes = AsyncIterable<Uint8Array>

const withSum = async function* (manifest: Manifest, body: Bytes): Bytes {
  const hash = createHash('sha256')
  const head = Buffer.from(`${MAGIC}${JSON.stringify(manifest)}\n`)
  hash.update(head)
  yield head
  for await (const chunk of body) {
    hash.update(chunk)
    yield chunk
  }
  yield hash.digest()
}

/**
 * Writes a backup, for its owner's eyes only. Under its name there is never anything but a whole one that is on the disk;
 * whatever goes wrong leaves nothing. Gives its size in bytes.
 */
export const writeBackup = async (
  file: string,
  { manifest, body, recipients }: { manifest: Manifest; body: Bytes; recipients: readonly string[] },
): Promise<number> => {
  const partial = `${file}.partial`
  if (await isThere(file)) throw new SetupError(`${file} is there already.`)
  const handle = await open(partial, 'wx', 0o600)
  try {
    const plain = withSum(manifest, body)
    const bytes = await writeAll(handle, recipients.length > 0 ? await seal(plain, recipients) : plain)
    await handle.sync()
    await handle.close()
    await rename(partial, file)
    await syncFolder(dirname(file))
    return bytes
  } catch (error) {
    await handle.close().catch(() => {})
    await rm(partial, { force: true })
    throw error
  }
}

const isThere = (file: string): Promise<boolean> =>
  access(file, constants.F_OK).then(
    () => true,
    () => false,
  )

const writeAll = async (handle: FileHandle, chunks: Bytes): Promise<number> => {
  let bytes = 0
  for await (const chunk of chunks) {
    await handle.writeFile(chunk)
    bytes += chunk.byteLength
  }
  return bytes
}

/** A name is only safe when its folder is on the disk too. */
const syncFolder = async (folder: string): Promise<void> => {
  const handle = await open(folder, 'r')
  await handle.sync().finally(() => handle.close())
}

export type Backup = { manifest: Manifest; encrypted: boolean; body: Bytes }

/**
 * Opens a backup. Its manifest is only to be believed, and its body only of use, when the body was read to its end: then a
 * DamagedBackup is thrown if a single byte is not what was written.
 */
export const readBackup = async (file: string, identities: readonly string[]): Promise<Backup> => {
  const chunks = createReadStream(file, { highWaterMark: 1 << 18 })
  try {
    const { first, all } = await peek(chunks, file)
    const encrypted = isSealed(first)
    const { manifest, body } = await headOf(encrypted ? await opened(all, identities, file) : all, file)
    return { encrypted, manifest, body: closing(body, chunks) }
  } catch (error) {
    chunks.destroy()
    throw error
  }
}

const closing = async function* (body: Bytes, from: ReadStream): Bytes {
  try {
    yield* body
  } finally {
    from.destroy()
  }
}

/** Reads all of a backup, and throws a DamagedBackup or a SetupError unless it is whole. */
export const checkBackup = async (file: string, identities: readonly string[]): Promise<Omit<Backup, 'body'>> => {
  const { body, ...backup } = await readBackup(file, identities)
  for await (const _ of body);
  return backup
}

const damaged = (file: string) =>
  new DamagedBackup(
    `${file} is damaged: it is not as it was written. Take another backup, or another copy of this one.`,
  )

const peek = async (stream: ReadStream, file: string) => {
  const chunks: AsyncIterator<Uint8Array> = stream[Symbol.asyncIterator]()
  const { value, done } = await chunks.next().catch((error: unknown) => {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
    throw new SetupError(`${file} cannot be read (${code}).`)
  })
  if (done) throw damaged(file)
  const first: Uint8Array = value
  const all = async function* (): Bytes {
    yield first
    for (let next = await chunks.next(); !next.done; next = await chunks.next()) yield next.value
  }
  return { first, all: all() }
}

/** What is inside of an age file. Whatever does not fit there has been changed, or was made for other keys. */
const opened = async (sealed: Bytes, identities: readonly string[], file: string): Promise<Bytes> => {
  if (identities.length === 0) {
    throw new SetupError(`${file} is encrypted. Set BACKUP_IDENTITY to its key, or to the file that holds the key.`)
  }
  const plain = await unseal(sealed, identities).catch((error: unknown) => {
    if (error instanceof SetupError) throw error
    const why = error instanceof Error ? error.message : ''
    if (/no identity matched/.test(why)) {
      throw new SetupError(`${file} is encrypted for another key than BACKUP_IDENTITY (or its head is damaged).`)
    }
    throw damaged(file)
  })
  return (async function* () {
    try {
      yield* plain
    } catch {
      throw damaged(file)
    }
  })()
}

const headOf = async (plain: Bytes, file: string): Promise<Omit<Backup, 'encrypted'>> => {
  const chunks = plain[Symbol.asyncIterator]()
  let head = Buffer.alloc(0)
  const ends = () => head.indexOf('\n', MAGIC.length)
  while (ends() < 0) {
    const { value, done } = await chunks.next()
    if (done || head.length > MOST_HEAD_BYTES) throw damaged(file)
    head = Buffer.concat([head, value])
    if (head.length >= MAGIC.length && head.toString('latin1', 0, MAGIC.length) !== MAGIC) {
      throw new DamagedBackup(`${file} is not a backup that this version of Lintel knows, or its beginning is damaged.`)
    }
  }
  const end = ends() + 1
  const manifest = v.safeParse(Manifest, parsed(head.toString('utf8', MAGIC.length, end)))
  if (!manifest.success) throw damaged(file)
  return { manifest: manifest.output, body: bodyOf(head, end, chunks, file) }
}

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** All up to the checksum, which is held back and compared at the end. */
const bodyOf = async function* (head: Buffer, end: number, chunks: AsyncIterator<Uint8Array>, file: string): Bytes {
  const hash = createHash('sha256').update(head.subarray(0, end))
  let held = head.subarray(end)
  for (;;) {
    if (held.length > SUM_BYTES) {
      const good = held.subarray(0, -SUM_BYTES)
      hash.update(good)
      yield good
      held = held.subarray(-SUM_BYTES)
    }
    const { value, done } = await chunks.next()
    if (done) break
    held = Buffer.concat([held, value])
  }
  if (held.length !== SUM_BYTES || !timingSafeEqual(held, hash.digest())) throw damaged(file)
}
