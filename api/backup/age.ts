import { ReadableStream } from 'node:stream/web'
import { Decrypter, Encrypter, generateX25519Identity, identityToRecipient } from 'age-encryption'
import { SetupError } from '../contract/environment.ts'

// Encrypted for whoever holds a key: what makes backups knows only its public half, so nobody who breaks in there can read
// the ones that lie elsewhere.

const BEGINS = 'age-encryption.org/v1\n'

type Bytes = AsyncIterable<Uint8Array>

export const isSealed = (first: Uint8Array): boolean =>
  Buffer.from(first).toString('latin1', 0, BEGINS.length) === BEGINS

/** The library speaks of the streams of the web as the DOM's types have them: Node's are the same. */
const toWeb = (chunks: Bytes) => ReadableStream.from(chunks) as unknown as globalThis.ReadableStream<Uint8Array>
const fromWeb = (stream: globalThis.ReadableStream<Uint8Array>) => stream as unknown as Bytes

export const seal = async (plain: Bytes, recipients: readonly string[]): Promise<Bytes> => {
  const encrypter = new Encrypter()
  for (const recipient of recipients) {
    try {
      encrypter.addRecipient(recipient)
    } catch {
      throw new SetupError('BACKUP_RECIPIENT is not usable: a public key, age1…, as npm run backup -- --key makes one.')
    }
  }
  return fromWeb(await encrypter.encrypt(toWeb(plain)))
}

/** Rejects with the library's words where no key fits or the head was changed; throws on the way where the rest was. */
export const unseal = async (sealed: Bytes, identities: readonly string[]): Promise<Bytes> => {
  const decrypter = new Decrypter()
  for (const identity of identities) {
    try {
      decrypter.addIdentity(identity)
    } catch {
      throw new SetupError('BACKUP_IDENTITY holds something that is no key: AGE-SECRET-KEY-… is wanted.')
    }
  }
  return fromWeb(await decrypter.decrypt(toWeb(sealed)))
}

export type KeyPair = { identity: string; recipient: string }

export const newKeyPair = async (): Promise<KeyPair> => {
  const identity = await generateX25519Identity()
  return { identity, recipient: await identityToRecipient(identity) }
}
