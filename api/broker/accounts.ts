import { timingSafeEqual } from 'node:crypto'
import { base64url } from 'jose'
import { deriveKey } from '../keys.ts'

/** Who has an account at the broker. */
export type Kind = 'reader' | 'door' | 'bridge'

/** Some firmwares cut a name or a password at 25 letters. The end of an id is the part of it that came by chance. */
export const usernameOf = (kind: Kind, id: string): string => `${kind}-${id.replaceAll('-', '').slice(-12)}`

const LETTERS = 24

/** 144 bits in 24 letters. Derived from APP_KEY and stored nowhere, so it can be shown again, and a stolen database opens nothing. */
export const passwordOf = async (appKey: Uint8Array, kind: Kind, id: string, generation: number): Promise<string> =>
  base64url.encode(await deriveKey(appKey, `lintel broker ${kind} ${id} ${generation}`)).slice(0, LETTERS)

/** Whoever has one account may have made others: so of which generations a password is good, each says itself. */
export type Holder = { kind: Kind; id: string; generations: readonly number[] }

/** Generations begin at 1: nobody can have this one's password. */
const NOBODY: Holder = { kind: 'reader', id: '00000000-0000-0000-0000-000000000000', generations: [0] }

const bytes = (text: string, size: number): Uint8Array => {
  const padded = new Uint8Array(size)
  new TextEncoder().encodeInto(text, padded)
  return padded
}

/**
 * Is this the password of this account, by the root key in force or the one before? A holder that is not there takes the
 * same steps as one that is, so both take the same time.
 */
export const isPassword = async (
  roots: readonly Uint8Array[],
  holder: Holder | undefined,
  given: string,
): Promise<boolean> => {
  const { kind, id, generations } = holder ?? NOBODY
  const good = await Promise.all(
    roots.flatMap((root) => generations.map((generation) => passwordOf(root, kind, id, generation))),
  )
  const said = bytes(given, 2 * LETTERS)
  // All of them, whichever it was.
  const same = good.map((password) => timingSafeEqual(bytes(password, 2 * LETTERS), said))
  return holder !== undefined && given.length === LETTERS && same.includes(true)
}
