import { type CardFacts, STATUSES } from './decide.ts'
import { growing } from './growing.ts'
import type { SnapshotRow } from './snapshot.ts'

/** Where the parts of a row lie: two ids of 16 bytes, two of one, four times of 8, and where its groups end. */
const [CARD, PERSON, STATUS, IS, TIMES, GROUPS_END, ROW_BYTES] = [0, 16, 32, 33, 34, 66, 70]
/** Bits of what a person is. */
const [ACTIVE, EXEMPT] = [1, 2]
const MOST_UINT32 = 0xffff_ffff

export type SnapshotRows = {
  /** How many there are. */
  count(): number
  add(row: SnapshotRow): void
  /** Row `n` as facts; its groups still as places in the site's list. */
  read(n: number): { card: CardFacts; places: number[] }
}

/** The rows of a snapshot as bytes: some eighty of each. */
export const snapshotRows = (): SnapshotRows => {
  const rows = growing()
  const groups = growing()
  let count = 0
  let groupsEnd = 0

  const idAt = (at: number) =>
    rows(0)
      .toString('hex', at, at + 16)
      .replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
  // No time is told from one that cannot be read: the one lets pass, the other must not.
  const timeAt = (at: number) => {
    const ms = rows(0).readDoubleLE(at)
    return ms === Number.POSITIVE_INFINITY ? null : new Date(ms)
  }

  return {
    count: () => count,
    add(row) {
      const at = count * ROW_BYTES
      const bytes = rows(at + ROW_BYTES)
      bytes.write(row.card.replaceAll('-', ''), at + CARD, 'hex')
      bytes.write(row.person.replaceAll('-', ''), at + PERSON, 'hex')
      bytes.writeUInt8(STATUSES.indexOf(row.status), at + STATUS)
      bytes.writeUInt8((row.active ? ACTIVE : 0) | (row.exempt ? EXEMPT : 0), at + IS)
      let time = at + TIMES
      for (const text of [...row.valid, ...row.personValid]) {
        time = bytes.writeDoubleLE(text === null ? Number.POSITIVE_INFINITY : Date.parse(text), time)
      }
      for (const place of row.groups) {
        groupsEnd = groups(groupsEnd + 4).writeUInt32LE(Math.min(place, MOST_UINT32), groupsEnd)
      }
      bytes.writeUInt32LE(groupsEnd, at + GROUPS_END)
      count += 1
    },
    read(n) {
      const bytes = rows(0)
      const at = n * ROW_BYTES
      const places: number[] = []
      const end = bytes.readUInt32LE(at + GROUPS_END)
      for (let from = n === 0 ? 0 : bytes.readUInt32LE(at - ROW_BYTES + GROUPS_END); from < end; from += 4) {
        places.push(groups(0).readUInt32LE(from))
      }
      const status = STATUSES[bytes.readUInt8(at + STATUS)]
      const is = bytes.readUInt8(at + IS)
      if (!status) throw new Error('a row with a status that is none')
      return {
        card: {
          id: idAt(at + CARD),
          status,
          validFrom: timeAt(at + TIMES),
          validUntil: timeAt(at + TIMES + 8),
          person: {
            id: idAt(at + PERSON),
            active: (is & ACTIVE) !== 0,
            exemptFromLockdown: (is & EXEMPT) !== 0,
            validFrom: timeAt(at + TIMES + 16),
            validUntil: timeAt(at + TIMES + 24),
          },
        },
        places,
      }
    },
  }
}
