import { randomFillSync } from 'node:crypto'

/** Random bytes for some two hundred calls at once: the system is asked for them seldom. */
const pool = Buffer.alloc(4096)
let used = pool.length

const randomHex = (bytes: number): string => {
  if (used + bytes > pool.length) {
    randomFillSync(pool)
    used = 0
  }
  used += bytes
  return pool.toString('hex', used - bytes, used)
}

/** A trace id of W3C Trace Context: 16 random bytes in hex. */
export const newTrace = (): string => randomHex(16)

/** The header by which a question says which trace it belongs to, each with a parent id of its own. */
export const traceparent = (trace: string): string => `00-${trace}-${randomHex(8)}-01`
