import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'
import { type FileHandle, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { SealingKey } from '../api/contract/envelope.ts'
import { makeFolder, syncFolder, unless } from './sealed-file.ts'

/** A sealed file that is written and read page by page, so that it is never whole in memory. */
export type SealedPages = {
  /**
   * The pages that were written last, in order. Throws `Damaged`, after as many as were in order, when the file is not as
   * it was written or not sealed with this key: only when all have come is any of them to be believed. Of a file that is
   * not there, no page.
   */
  read(): AsyncGenerator<Buffer, void>
  /** Begins to write anew; until `done` the old pages stand. One at a time. */
  write(): Writing
}

export type Writing = {
  /** A page that is not empty. Resolves when the next may come; never rejects: what goes wrong is told by `done`. */
  add(page: Buffer): Promise<void>
  /** Resolves when the new pages would survive a power cut; rejects when the disk refuses, and then the old ones stand. */
  done(): Promise<void>
  /** Leaves the old pages as they are. */
  giveUp(): Promise<void>
}

export class Damaged extends Error {
  override name = 'Damaged'
}

const MAGIC = Buffer.from('lintel2\n')
const SALT = 32
const TAG = 16
/** Before each page: how long it is. */
const LENGTH = 4
/** No page is longer: a length beyond it is damage. Bytes. */
const MOST = 16 * 1024 * 1024

/**
 * In the file: magic, salt; then for each page its length, ciphertext and tag; at the end an empty page marked as the
 * last. AES-256-GCM under HKDF-SHA-256 of `key` for `label` with the salt, so each file has a key of its own, and the
 * nonce is the number of the page with the mark: no page can be taken out, put elsewhere, or come from another file.
 */
export const sealedPages = (path: string, key: SealingKey, label: string): SealedPages => {
  const unfinished = `${path}.new`
  const keyOf = (salt: Buffer) => Buffer.from(hkdfSync('sha256', key, salt, `lintel ${label}`, 32))

  const begin = async (salt: Buffer): Promise<FileHandle> => {
    await makeFolder(dirname(path))
    await rm(unfinished, { force: true })
    const file = await open(unfinished, 'wx', 0o600)
    await file.appendFile(Buffer.concat([MAGIC, salt]))
    return file
  }

  return {
    async *read() {
      const file = await open(path).catch(unless('ENOENT'))
      if (!file) return
      try {
        const head = await take(file, MAGIC.length + SALT)
        if (!head.subarray(0, MAGIC.length).equals(MAGIC)) throw new Damaged('not a file of pages')
        const secret = keyOf(head.subarray(MAGIC.length))
        for (let number = 0; ; number++) {
          const length = (await take(file, LENGTH)).readUInt32LE()
          if (length > MOST) throw new Damaged('a page that is too long')
          const sealed = await take(file, length + TAG)
          if (length === 0) {
            unsealed(secret, nonceOf(number, true), sealed)
            break
          }
          yield unsealed(secret, nonceOf(number, false), sealed)
        }
        const { bytesRead } = await file.read(Buffer.alloc(1), 0, 1)
        if (bytesRead > 0) throw new Damaged('something after the last page')
      } finally {
        await file.close()
      }
    },

    write() {
      const salt = randomBytes(SALT)
      const secret = keyOf(salt)
      const begun = begin(salt)
      let number = 0
      let written: Promise<unknown> = begun
      // Told by `done`, or by nobody: whoever gives up does not want to know.
      begun.catch(() => {})

      const append = (page: Buffer, last: boolean) => {
        const nonce = nonceOf(number++, last)
        const next = written.then(async () => (await begun).appendFile(sealed(secret, nonce, page)))
        next.catch(() => {})
        written = next
      }
      const close = async () => (await begun).close()
      return {
        async add(page) {
          append(page, false)
          await written.catch(() => {})
        },
        async done() {
          append(Buffer.alloc(0), true)
          try {
            await written
            await (await begun).datasync()
          } catch (error) {
            await close().catch(() => {})
            await rm(unfinished, { force: true }).catch(() => {})
            throw error
          }
          await close()
          await rename(unfinished, path)
          await syncFolder(dirname(path))
        },
        async giveUp() {
          await written.catch(() => {})
          await close().catch(() => {})
          await rm(unfinished, { force: true }).catch(() => {})
        },
      }
    },
  }
}

const nonceOf = (number: number, last: boolean): Buffer => {
  const nonce = Buffer.alloc(12)
  nonce.writeUInt32LE(number)
  nonce.writeUInt8(last ? 1 : 0, 11)
  return nonce
}

const sealed = (secret: Buffer, nonce: Buffer, page: Buffer): Buffer => {
  if (page.length > MOST) throw new Error('a page that is too long')
  const length = Buffer.alloc(LENGTH)
  length.writeUInt32LE(page.length)
  const cipher = createCipheriv('aes-256-gcm', secret, nonce, { authTagLength: TAG })
  return Buffer.concat([length, cipher.update(page), cipher.final(), cipher.getAuthTag()])
}

const unsealed = (secret: Buffer, nonce: Buffer, sealed: Buffer): Buffer => {
  const decipher = createDecipheriv('aes-256-gcm', secret, nonce, { authTagLength: TAG })
  decipher.setAuthTag(sealed.subarray(-TAG))
  const page = decipher.update(sealed.subarray(0, -TAG))
  try {
    decipher.final()
  } catch {
    throw new Damaged('a page that is not as it was written')
  }
  return page
}

/** Exactly so many bytes. */
const take = async (file: FileHandle, length: number): Promise<Buffer> => {
  const bytes = Buffer.allocUnsafe(length)
  for (let at = 0; at < length; ) {
    const { bytesRead } = await file.read(bytes, at, length - at)
    if (bytesRead === 0) throw new Damaged('an end before the last page')
    at += bytesRead
  }
  return bytes
}
