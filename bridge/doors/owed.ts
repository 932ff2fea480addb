import { v7 } from 'uuid'
import * as v from 'valibot'
import { type Log, nameOf } from '../log.ts'
import type { Message } from '../profiles/profile.ts'
import type { SealedFile } from '../sealed-file.ts'

/** When the broker is there and would not take it. Milliseconds. */
const AGAIN_MS = 1_000

const Kept = v.array(
  v.object({
    key: v.string(),
    print: v.string(),
    held: v.boolean(),
    messages: v.array(v.object({ topic: v.string(), payload: v.string(), qos: v.picklist([0, 1]) })),
  }),
)

/**
 * What shuts a door again that was opened by a message which alone would leave it open. It is on disk before that one goes
 * out, and forgotten when it has gone out itself: so it goes out also when the broker went away in between, when the bridge
 * is told to stop, and at the next start when it was killed. `print` says what the messages were made of, so that a door
 * that became another one is shut as it was opened.
 */
export type Owed = {
  /**
   * Resolves when it is safe, to what was noted; rejects when the disk refuses. `held`: it is owed when somebody says so, and
   * not before.
   */
  note(key: string, print: string, messages: readonly Message[], held?: 'held'): Promise<Noted>
  has(key: string): boolean
  /** Its time has come, and it is perhaps on its way just now. */
  isDue(key: string): boolean
  /** Of which doors something is owed, from an earlier process perhaps. */
  keys(): string[]
  /** So much later, unless it is noted anew before that. What is held open is left so. */
  payLater(key: string, ms: number): void
  /** Resolves to whether it went out; if not, it is tried again until it does. */
  pay(key: string): Promise<boolean>
  /** What it was for did not go out. What was noted after it stays. */
  forget(key: string, noted: Noted): void
  /** The broker is back. */
  retry(): void
  /** Pays what has a time now, before it; resolves when that went out, or cannot. What is held open stays so. */
  stop(): Promise<void>
}

/** By it what was noted is known again. */
export type Noted = object

type Entry = {
  print: string
  held: boolean
  /** Its time has come. */
  due: boolean
  safe: boolean
  messages: readonly Message[]
  timer?: NodeJS.Timeout | undefined
  paying?: Promise<boolean> | undefined
}

type Parts = { file: SealedFile; publish(message: Message): Promise<void>; log: Log }

export const openOwed = async ({ file, publish, log }: Parts): Promise<Owed> => {
  const entries = new Map<string, Entry>()
  const bytes = await file.read()
  const kept = bytes && v.safeParse(Kept, JSON.parse(bytes.toString()))
  if (kept?.success) {
    for (const { key, ...entry } of kept.output) entries.set(key, { ...entry, due: !entry.held, safe: true })
  }
  let stopped = false

  /** Of many changes at once the last write has them all. */
  let last: Promise<void> = Promise.resolve()
  let next: Promise<void> | undefined
  const write = () => {
    next = undefined
    const all = [...entries].map(([key, { print, held, messages }]) => ({ key, print, held, messages }))
    return file.write(Buffer.from(JSON.stringify(all)))
  }
  const save = (): Promise<void> => {
    next ??= last.then(write)
    last = next.catch((error: unknown) => log('error', 'owed_not_kept', { error: nameOf(error) }))
    return next
  }

  const send = async (messages: readonly Message[]): Promise<boolean> => {
    try {
      for (const { topic, payload, qos } of messages) await publish({ topic, payload, qos })
      return true
    } catch {
      return false
    }
  }

  const pay = async (key: string): Promise<boolean> => {
    const entry = entries.get(key)
    if (!entry) return true
    clearTimeout(entry.timer)
    entry.timer = undefined
    entry.held = false
    entry.due = true
    entry.paying ??= send(entry.messages).finally(() => {
      entry.paying = undefined
    })
    const paid = await entry.paying
    if (entries.get(key) !== entry) return paid
    if (paid) {
      entries.delete(key)
      save().catch(() => {})
    } else if (!stopped) entry.timer ??= setTimeout(() => void pay(key), AGAIN_MS).unref()
    return paid
  }

  return {
    async note(key, print, messages, held) {
      const before = entries.get(key)
      if (held && before?.held && before.safe && before.print === print) return before
      clearTimeout(before?.timer)
      if (before && before.print !== print) {
        const other = `${key} ${v7()}`
        entries.set(other, { ...before, timer: undefined, paying: undefined })
        void pay(other)
      }
      const told = messages.map(({ topic, payload, qos }) => ({ topic, payload, qos }))
      const entry: Entry = { print, held: held !== undefined, due: false, safe: false, messages: told }
      entries.set(key, entry)
      await save()
      entry.safe = true
      return entry
    },
    has: (key) => entries.has(key),
    isDue: (key) => entries.get(key)?.due === true,
    keys: () => [...entries.keys()],
    payLater(key, ms) {
      const entry = entries.get(key)
      if (!entry || entry.held) return
      if (stopped) return void pay(key)
      clearTimeout(entry.timer)
      entry.timer = setTimeout(() => void pay(key), ms).unref()
    },
    pay,
    forget(key, noted) {
      if (entries.get(key) !== noted) return
      entries.delete(key)
      save().catch(() => {})
    },
    retry() {
      for (const [key, { due }] of entries) if (due) void pay(key)
    },
    async stop() {
      stopped = true
      const due = [...entries].filter(([, { held }]) => !held)
      await Promise.all(due.map(([key]) => pay(key)))
      await last
    },
  }
}
