import { createReadStream } from 'node:fs'
import { mkdir, open, readdir, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'

// Plain ustar (POSIX 1003.1-1988): folders and files, no links, no owners; whoever has no Lintel takes tar.

const BLOCK = 512

type Bytes = AsyncIterable<Uint8Array>

const octal = (value: number, digits: number) => `${value.toString(8).padStart(digits, '0')}\0`

const header = (name: string, size: number, type: '0' | '5'): Buffer => {
  if (Buffer.byteLength(name) > 100 || size >= 8 ** 11) throw new Error(`${name} does not fit into a tar`)
  const block = Buffer.alloc(BLOCK)
  block.write(name, 0)
  block.write(octal(type === '5' ? 0o700 : 0o600, 7), 100)
  block.write(octal(0, 7), 108)
  block.write(octal(0, 7), 116)
  block.write(octal(size, 11), 124)
  block.write(octal(0, 11), 136)
  block.write('        ', 148)
  block.write(type, 156)
  block.write('ustar\x0000', 257)
  block.write(octal(sumOf(block), 6), 148)
  return block
}

const sumOf = (block: Buffer) => block.reduce((sum, byte) => sum + byte, 0)

/** A file, or a folder and all that is in it, under a name. */
export const packed = async function* (path: string, name: string): Bytes {
  const { size, isFolder } = await stat(path).then((of) => ({ size: of.size, isFolder: of.isDirectory() }))
  if (isFolder) {
    yield header(`${name}/`, 0, '5')
    for (const entry of (await readdir(path)).sort()) yield* packed(join(path, entry), `${name}/${entry}`)
    return
  }
  yield header(name, size, '0')
  if (size === 0) return
  yield* createReadStream(path, { highWaterMark: 1 << 18 })
  yield Buffer.alloc((BLOCK - (size % BLOCK)) % BLOCK)
}

/** What ends an archive. */
export const end = (): Buffer => Buffer.alloc(2 * BLOCK)

/** Lays an archive's files and folders down in a folder, those whose name is allowed; anything else in it throws. */
export const unpack = async (archive: Bytes, folder: string, isAllowed: (name: string) => boolean): Promise<void> => {
  const { take, pieces, drain } = reader(archive)
  for (let block = await take(BLOCK); block.some((byte) => byte !== 0); block = await take(BLOCK)) {
    const text = (from: number, to: number) => block.toString('utf8', from, to).replace(/\0.*$/s, '')
    const [name, size, type] = [text(0, 100), Number.parseInt(text(124, 136), 8), text(156, 157)]
    if (name.split('/').includes('..') || !isAllowed(name)) throw new Error('a name that does not belong there')
    const path = join(folder, name)
    if (type === '5') {
      await mkdir(path, { recursive: true, mode: 0o700 })
      continue
    }
    if (type !== '0' || !Number.isSafeInteger(size)) throw new Error('something that is neither file nor folder')
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    const file = await open(path, 'wx', 0o600)
    try {
      for await (const piece of pieces(size)) await file.writeFile(piece)
    } finally {
      await file.close()
    }
    await take((BLOCK - (size % BLOCK)) % BLOCK)
  }
  await drain()
}

const reader = (archive: Bytes) => {
  const chunks = archive[Symbol.asyncIterator]()
  let held: Buffer = Buffer.alloc(0)
  const more = async () => {
    const { value, done } = await chunks.next()
    if (done) throw new Error('an archive that is cut off')
    held =
      held.length === 0 ? Buffer.from(value.buffer, value.byteOffset, value.byteLength) : Buffer.concat([held, value])
  }
  const cut = (size: number) => {
    const piece = held.subarray(0, size)
    held = held.subarray(size)
    return piece
  }
  return {
    async take(size: number): Promise<Buffer> {
      while (held.length < size) await more()
      return cut(size)
    },
    async *pieces(size: number) {
      for (let left = size; left > 0; ) {
        if (held.length === 0) await more()
        const piece = cut(Math.min(left, held.length))
        left -= piece.length
        yield piece
      }
    },
    /** To its end, where what it comes from says whether it was whole. */
    async drain() {
      while (!(await chunks.next()).done);
    },
  }
}
