import { hash, verify } from '@node-rs/bcrypt'
import { refuse } from '../errors.ts'
import type { Password } from '../platform.ts'

/**
 * How many hashes run at once. Each occupies a thread of libuv's pool of four for a quarter of a second, and the seals
 * of the scan path need that pool too: a burst of sign-ins must not make a door wait.
 */
const AT_ONCE = 2

/** How many wait for their turn: some seconds' worth. One more is refused, as it would have to wait for longer than people do. */
const MOST_WAITING = 60

const waiting: (() => void)[] = []
let running = 0

const inTurn = async <T>(work: () => Promise<T>): Promise<T> => {
  if (running >= AT_ONCE && waiting.length >= MOST_WAITING) {
    refuse(503, 'Too many passwords are being checked right now. Try again in a moment.')
  }
  if (running >= AT_ONCE) await new Promise<void>((go) => waiting.push(go))
  else running += 1
  try {
    return await work()
  } finally {
    const next = waiting.shift()
    if (next) next()
    else running -= 1
  }
}

/** For Node: native code, so nothing in the worker's graph may import this file. */
export const bcrypt: Password = {
  hash: (plain) => inTurn(() => hash(plain, { cost: 12, rejectLongPasswords: true })),
  verify: (plain, stored) => inTurn(() => verify(plain, stored)),
}
