import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import type { SealingKey } from '../api/contract/envelope.ts'

/** A file that only a holder of the key can read, or can have written. */
export type SealedFile = {
  /** What was written last; undefined when there is no such file, or it is damaged, or not sealed with this key. */
  read(): Promise<Buffer | undefined>
  /** Resolves when it would survive a power cut; rejects when the disk refuses, and then the old content stands. */
  write(content: Buffer): Promise<void>
}

const MAGIC = Buffer.from('lintel1\n')
const NONCE = 12
const TAG = 16
const HEAD = MAGIC.length + NONCE

/** Enciphered and deciphered in pieces of so many bytes: a large content then keeps no scan waiting. */
const PIECE = 1 << 20

/**
 * AES-256-GCM under HKDF-SHA-256 of `key` for `label`, so that no other use of the key, and no file of another label,
 * can pass for this one. In the file: magic, nonce, ciphertext, tag. Each write has a nonce of its own, by chance.
 */
export const sealedFile = (path: string, key: SealingKey, label: string): SealedFile => {
  const secret = Buffer.from(hkdfSync('sha256', key, '', `lintel ${label}`, 32))
  const stamp = Buffer.concat([MAGIC, Buffer.from(label)])
  const folder = dirname(path)
  const unfinished = `${path}.new`
  let last: Promise<unknown> = Promise.resolve()

  const write = async (content: Buffer): Promise<void> => {
    await makeFolder(folder)
    await rm(unfinished, { force: true })
    const nonce = randomBytes(NONCE)
    const cipher = createCipheriv('aes-256-gcm', secret, nonce, { authTagLength: TAG }).setAAD(stamp)
    const file = await open(unfinished, 'wx', 0o600)
    try {
      await file.appendFile(Buffer.concat([MAGIC, nonce]))
      for (let at = 0; at < content.length; at += PIECE) {
        await file.appendFile(cipher.update(content.subarray(at, at + PIECE)))
      }
      await file.appendFile(Buffer.concat([cipher.final(), cipher.getAuthTag()]))
      await file.datasync()
    } finally {
      await file.close()
    }
    await rename(unfinished, path)
    await syncFolder(folder)
  }

  return {
    async read() {
      const bytes = await readFile(path).catch(unless('ENOENT'))
      if (!bytes || bytes.length < HEAD + TAG || !bytes.subarray(0, MAGIC.length).equals(MAGIC)) return undefined
      const nonce = bytes.subarray(MAGIC.length, HEAD)
      const decipher = createDecipheriv('aes-256-gcm', secret, nonce, { authTagLength: TAG }).setAAD(stamp)
      decipher.setAuthTag(bytes.subarray(-TAG))
      const sealed = bytes.subarray(HEAD, -TAG)
      const content = Buffer.allocUnsafe(sealed.length)
      for (let at = 0; at < sealed.length; at += PIECE) {
        decipher.update(sealed.subarray(at, at + PIECE)).copy(content, at)
        await setImmediate()
      }
      try {
        decipher.final()
        return content
      } catch {
        return undefined
      }
    },
    // One after another: of two writes at once the later one stands.
    write(content) {
      const written = last.then(() => write(content))
      last = written.catch(() => rm(unfinished, { force: true })).catch(() => {})
      return written
    },
  }
}

/** Resolves when the names in a folder would survive a power cut: a file that was made, renamed or moved there. */
export const syncFolder = async (folder: string): Promise<void> => {
  const opened = await open(folder, 'r')
  try {
    await opened.sync()
  } finally {
    await opened.close()
  }
}

/** Makes a folder, and those above it, that only this user can enter; resolves when it would survive a power cut. */
export const makeFolder = async (folder: string): Promise<void> => {
  const first = await mkdir(folder, { recursive: true, mode: 0o700 })
  if (first === undefined) return
  for (let made = resolve(folder); made.length >= resolve(first).length; made = dirname(made)) {
    await syncFolder(dirname(made))
  }
}

/** For `.catch`: undefined instead of an error of this code; any other is thrown on. */
export const unless =
  (code: string) =>
  (error: NodeJS.ErrnoException): undefined => {
    if (error.code !== code) throw error
  }
