import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'
import type { SealingKey } from './envelope.ts'

/** The name of Lintel's own protocol among the profiles: only its readers have keys. */
export const OWN_PROTOCOL = 'lintel'

const NONCE = 12
const TAG = 16

/**
 * Readers' keys on their way to one bridge, which a seal does not hide: AES-256-GCM (NIST SP 800-38D) with a fresh nonce,
 * under HKDF-SHA-256 of the bridge's key with a label of its own, bound to the reader's id. The text is the nonce, the
 * ciphertext and the tag in base64url.
 */
export const keyBox = (bridgeKey: SealingKey) => {
  const secret = Buffer.from(hkdfSync('sha256', bridgeKey.export(), '', 'lintel reader keys for a bridge', 32))
  return {
    lock(key: Uint8Array, readerId: string): string {
      const nonce = randomBytes(NONCE)
      const cipher = createCipheriv('aes-256-gcm', secret, nonce, { authTagLength: TAG }).setAAD(Buffer.from(readerId))
      const locked = Buffer.concat([cipher.update(key), cipher.final()])
      return Buffer.concat([nonce, locked, cipher.getAuthTag()]).toString('base64url')
    },

    /** Undefined when it was changed, or made for another bridge or another reader. */
    unlock(text: string, readerId: string): Buffer | undefined {
      const bytes = Buffer.from(text, 'base64url')
      if (bytes.length < NONCE + TAG) return undefined
      const nonce = bytes.subarray(0, NONCE)
      const cipher = createDecipheriv('aes-256-gcm', secret, nonce, { authTagLength: TAG }).setAAD(
        Buffer.from(readerId),
      )
      cipher.setAuthTag(bytes.subarray(-TAG))
      try {
        return Buffer.concat([cipher.update(bytes.subarray(NONCE, -TAG)), cipher.final()])
      } catch {
        return undefined
      }
    },
  }
}
