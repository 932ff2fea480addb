/** Bytes that are added to for a while: called with a length, the buffer with room for as many. Kept content stays. */
export type Growing = (length: number) => Buffer

export const growing = (): Growing => {
  let bytes = Buffer.alloc(1 << 14)
  return (length) => {
    if (length <= bytes.length) return bytes
    const larger = Buffer.alloc(Math.max(length, 2 * bytes.length))
    bytes.copy(larger)
    bytes = larger
    return bytes
  }
}
