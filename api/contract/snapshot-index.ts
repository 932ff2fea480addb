import { growing } from './growing.ts'

export const HASH_BYTES = 16

/** A hash, and the number of the row that has it. */
const ENTRY_BYTES = HASH_BYTES + 4

export type HashIndex = {
  /** `hash` is 16 bytes in base64url. */
  add(hash: string, row: number): void
  /** The first rows that were added with this hash: at most two, as two are enough to be ambiguous. */
  find(hash: Buffer): number[]
}

/**
 * Hash → rows, by open addressing (linear probing, at most half full). It is added to row by row, and never has to be
 * sorted as a whole. The hashes are keyed, so nobody can choose them: their first bytes will do to spread them.
 */
export const hashIndex = (): HashIndex => {
  const room = growing()
  let count = 0
  /** The number of an entry plus one; 0 is free. */
  let slots = new Uint32Array(1 << 10)

  /** Entries with this hash, first added first, at most two; and the slot at which the search ended, if it is free. */
  const probe = (hash: Buffer, from: number) => {
    const entries = room(0)
    const found: number[] = []
    let slot = hash.readUInt32LE(from) % slots.length
    for (; slots[slot] !== 0 && found.length < 2; slot = (slot + 1) % slots.length) {
      const at = ((slots[slot] ?? 0) - 1) * ENTRY_BYTES
      if (entries.compare(hash, from, from + HASH_BYTES, at, at + HASH_BYTES) === 0) {
        found.push(entries.readUInt32LE(at + HASH_BYTES))
      }
    }
    return { found, free: slots[slot] === 0 && found.length < 2 ? slot : undefined }
  }
  const place = (entry: number) => {
    const { free } = probe(room(0), entry * ENTRY_BYTES)
    if (free !== undefined) slots[free] = entry + 1
  }

  return {
    add(hash, row) {
      const at = count * ENTRY_BYTES
      const entries = room(at + ENTRY_BYTES)
      entries.write(hash, at, HASH_BYTES, 'base64url')
      entries.writeUInt32LE(row, at + HASH_BYTES)
      count += 1
      if (2 * count <= slots.length) return place(count - 1)
      slots = new Uint32Array(2 * slots.length)
      for (let entry = 0; entry < count; entry++) place(entry)
    },
    find: (hash) => probe(hash, 0).found,
  }
}
