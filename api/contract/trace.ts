/** W3C Trace Context: what says that a question of a bridge and the work that it makes here belong together. */
export const TRACEPARENT = 'traceparent'

/** Version 00 and nothing else, to the letter: no trace and no parent is all zeros. */
const WRITTEN = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/

/** The trace that a request belongs to; undefined where it says none, or says it otherwise than it is written. */
export const traceOf = (header: string | undefined): string | undefined =>
  header === undefined ? undefined : WRITTEN.exec(header)?.[1]
