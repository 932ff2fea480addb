import { createHash, createSecretKey, type KeyObject } from 'node:crypto'
import type { SealingKey } from '../../api/contract/envelope.ts'
import { keyBox, OWN_PROTOCOL } from '../../api/contract/reader-keys.ts'
import { ANSWER_LIFE_MS, DEADLINE_MS } from '../../api/contract/scan.ts'
import type { SiteReader } from '../../api/contract/site.ts'
import type { Log } from '../log.ts'
import type { Message, Refusal } from '../profiles/profile.ts'
import type { Counters } from './counters.ts'
import { type Answered, answerText, macOf, readSaid, sameMac, scanIdOf, scanText } from './message.ts'

/** How old a scan may be, besides what it waited at the broker, and how far ahead its reader's clock. Milliseconds. */
const FRESH_MS = 30_000

/** Whoever needs no key has its counter forgotten after so long: what is older is refused for its age. Milliseconds. */
const FORGET_MS = 2 * FRESH_MS

/** The same scan again within this time is answered again, as its first answer could still come. Milliseconds. */
const AGAIN_MS = DEADLINE_MS

const SAID_EVERY_MS = 60_000

type Came = { topic: string; payload: Buffer }
type Key = { name: string; key: KeyObject }

export type OwnProtocol = {
  /** The readers in force from now on. */
  use(readers: readonly SiteReader[]): void
  /**
   * Whether to believe a message of a reader, which may have waited so long at the broker, and Lintel's id for its scan.
   * What is not believed is not answered: nobody gets a signed answer to a question that he made up.
   */
  believe(reader: SiteReader, came: Came, now: Date, waited: number): { id: string } | { refused: Refusal }
  /** An answer with what only code can add to it, and signed if the reader has a key. */
  sign(reader: SiteReader, answer: Message): Message
}

export const ownProtocol = (bridgeKey: SealingKey, counters: Counters, log: Log): OwnProtocol => {
  const box = keyBox(bridgeKey)
  const keys = new Map<string, Key[]>()
  /** Which of its keys a reader has shown to have. */
  const shown = new Map<string, Key>()
  /** Scans of just now by their ids: what they said, and until when (`performance.now()`) they may come again; oldest first. */
  const recent = new Map<string, { text: string; until: number }>()
  const said = new Map<string, number>()

  const believe: OwnProtocol['believe'] = ({ id: readerId }, { topic, payload }, now, waited) => {
    const read = readSaid(payload)
    if (!read) return { refused: 'malformed' }
    const known = keys.get(readerId)
    const text = scanText(topic, read)
    const { mac } = read
    const key = mac === undefined ? undefined : known?.find((one) => sameMac(macOf(text, one.key), mac))
    if (known && !key) return { refused: mac === undefined ? 'unsigned' : 'wrong_signature' }
    if (key) shown.set(readerId, key)

    const id = scanIdOf(readerId, read)
    forgetRecent()
    if (recent.get(id)?.text === text) return { id }
    const who = whoOf(readerId, key)
    const last = counters.last(who)
    const counts = last && (key !== undefined || Math.abs(now.getTime() - last.at) < FORGET_MS)
    if (counts && read.counter <= last.counter) return { refused: 'replayed' }
    const age = now.getTime() - read.at.getTime()
    if (age > FRESH_MS + waited || age < -FRESH_MS) return { refused: 'too_old' }
    counters.note(who, { counter: read.counter, at: now.getTime() })
    recent.set(id, { text, until: performance.now() + AGAIN_MS })
    return { id }
  }

  const forgetRecent = () => {
    const now = performance.now()
    for (const [id, { until }] of recent) {
      if (until > now) break
      recent.delete(id)
    }
  }

  const tell = (reader: SiteReader, refused: Refusal) => {
    const what = `${reader.id} ${refused}`
    const now = performance.now()
    if (now - (said.get(what) ?? Number.NEGATIVE_INFINITY) < SAID_EVERY_MS) return
    said.set(what, now)
    log('warn', 'refused', { reader: reader.id, refused })
  }

  return {
    use(readers) {
      keys.clear()
      said.clear()
      const counting = new Set<string>()
      for (const { id, profile, keys: locked } of readers) {
        if (profile !== OWN_PROTOCOL) continue
        const unlocked = locked?.flatMap((text) => keyOf(box.unlock(text, id)) ?? [])
        // Where none can be read nobody can sign; and none is not the same as no need to.
        if (unlocked) keys.set(id, unlocked)
        for (const key of unlocked ?? [undefined]) counting.add(whoOf(id, key))
        if (!unlocked?.some(({ name }) => name === shown.get(id)?.name)) shown.delete(id)
      }
      counters.keepOnly(counting)
    },
    believe(reader, came, now, waited) {
      const believed = believe(reader, came, now, waited)
      if ('refused' in believed) tell(reader, believed.refused)
      return believed
    },
    sign({ id }, answer) {
      const told: Answered = JSON.parse(answer.payload)
      const expiresAt = new Date(told.expires * 1000).toISOString()
      const key = shown.get(id) ?? keys.get(id)?.[0]
      const mac = key && macOf(answerText(answer.topic, told), key.key)
      return { ...answer, payload: JSON.stringify({ ...told, expiresAt, ...(mac !== undefined && { mac }) }) }
    },
  }
}

/**
 * Was this scan on record before it arrived here? Then it came again, through another bridge or after this one had forgotten
 * it, and its first answer stands; the two clocks may differ a little. `expiresAt` is the API's, `at` this bridge's.
 */
export const isOnRecordSince = (at: string, expiresAt: string): boolean =>
  Date.parse(expiresAt) - ANSWER_LIFE_MS < Date.parse(at) - AGAIN_MS

/** By which a counter is known: a new key begins anew, and what was signed with another one is not counted by it. */
const whoOf = (readerId: string, key: Key | undefined): string => (key ? `${readerId} ${key.name}` : readerId)

/** The name is the first 48 bits of the key's SHA-256, which tell nothing of the key. */
const keyOf = (bytes: Buffer | undefined): Key | undefined =>
  bytes && { name: createHash('sha256').update(bytes).digest('base64url').slice(0, 8), key: createSecretKey(bytes) }
