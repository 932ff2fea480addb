import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { sealingKey } from '../api/contract/envelope.ts'
import { Damaged, type SealedPages, sealedPages } from './sealed-pages.ts'

const root = mkdtempSync(join(tmpdir(), 'lintel-pages-'))
afterAll(() => rmSync(root, { recursive: true }))

let files = 0
const newPath = () => join(root, String(++files), 'facts')
const key = sealingKey(randomBytes(32))
const PAGES = ['who', 'may pass', 'where'].map((text) => Buffer.from(text))

const write = async (file: SealedPages, pages: readonly Buffer[]) => {
  const writing = file.write()
  for (const page of pages) await writing.add(page)
  await writing.done()
}
const read = async (file: SealedPages) => {
  const pages: Buffer[] = []
  for await (const page of file.read()) pages.push(page)
  return pages
}
/** A path at which the pages are sealed. */
const sealed = async (pages: readonly Buffer[] = PAGES) => {
  const path = newPath()
  await write(sealedPages(path, key, 'facts'), pages)
  return path
}
const at = (path: string) => sealedPages(path, key, 'facts')

test.for([[], [1], [1, 2, 3], [1_000_000, 5_000_000, 1]])('pages of %j bytes come back as they were', async (sizes) => {
  const pages = sizes.map((size) => randomBytes(size))
  const found = await read(at(await sealed(pages)))
  expect(found.map((page, place) => page.equals(pages[place] ?? Buffer.of()))).toEqual(pages.map(() => true))
})

test.for([
  ['another key', sealingKey(randomBytes(32)), 'facts'],
  ['another label', key, 'faces'],
] as const)('%s opens nothing', async ([, otherKey, label]) => {
  await expect(read(sealedPages(await sealed(), otherKey, label))).rejects.toThrow(Damaged)
})

test('a file that is not there has no page', async () => {
  expect(await read(at(newPath()))).toEqual([])
})

test('whatever bit is flipped, wherever it is cut and whatever is added, it is damaged', async () => {
  const path = await sealed()
  const bytes = readFileSync(path)
  const flipped = [...bytes].map((byte, n) => Buffer.from(bytes).fill(byte ^ (1 << (n % 8)), n, n + 1))
  const cut = [...bytes].map((_, n) => bytes.subarray(0, n))
  const longer = [Buffer.concat([bytes, Buffer.alloc(1)]), Buffer.concat([bytes, bytes])]
  for (const damaged of [...flipped, ...cut, ...longer]) {
    writeFileSync(path, damaged)
    await expect(read(at(path))).rejects.toThrow(Damaged)
  }
  writeFileSync(path, bytes)
  expect(await read(at(path))).toEqual(PAGES)
})

/** The parts of a file: its head, and each page with its length and tag, the mark of the end being the last. */
const partsOf = (bytes: Buffer) => {
  const parts = [bytes.subarray(0, 40)]
  for (let from = 40; from < bytes.length; ) {
    const end = from + 4 + bytes.readUInt32LE(from) + 16
    parts.push(bytes.subarray(from, end))
    from = end
  }
  return parts
}

test.for<[string, (parts: Buffer[], others: Buffer[]) => (Buffer | undefined)[]]>([
  ['a page is missing', ([head, one, , three, end]) => [head, one, three, end]],
  ['two pages have changed places', ([head, one, two, three, end]) => [head, two, one, three, end]],
  ['a page comes twice', ([head, one, two, three, end]) => [head, one, one, two, three, end]],
  ['the last page is missing', ([head, one, two, , end]) => [head, one, two, end]],
  ['the end comes early', ([head, one, , , end]) => [head, one, end]],
  ['the end is missing', ([head, one, two, three]) => [head, one, two, three]],
  ['a page comes from an older file', ([head, , two, three, end], [, old]) => [head, old, two, three, end]],
  ['the head comes from an older file', ([, ...rest], [old]) => [old, ...rest]],
])('it is damaged when %s', async ([, change]) => {
  const path = await sealed()
  const [parts, others] = [partsOf(readFileSync(path)), partsOf(readFileSync(await sealed()))]
  expect(parts).toHaveLength(5)
  writeFileSync(path, Buffer.concat(change(parts, others).filter((part) => part !== undefined)))
  await expect(read(at(path))).rejects.toThrow(Damaged)
})

test('what is inside does not show, not even that it is the same as before', async () => {
  const [one, other] = [readFileSync(await sealed()), readFileSync(await sealed())]
  expect(one.includes('may pass')).toBe(false)
  expect(one.subarray(44, 47).equals(other.subarray(44, 47))).toBe(false)
})

test('only this user can read it, and nothing is left beside it', async () => {
  const path = await sealed()
  expect([path, dirname(path)].map((each) => statSync(each).mode & 0o777)).toEqual([0o600, 0o700])
  expect(readdirSync(dirname(path))).toEqual(['facts'])
})

test('the old pages stand until all of the new are written', async () => {
  const path = await sealed()
  const writing = at(path).write()
  await writing.add(Buffer.from('new'))
  expect(await read(at(path))).toEqual(PAGES)
  await writing.done()
  expect(await read(at(path))).toEqual([Buffer.from('new')])
})

test('a writing that is given up leaves the old pages, and nothing beside them', async () => {
  const path = await sealed()
  const writing = at(path).write()
  await writing.add(Buffer.from('new'))
  await writing.giveUp()
  expect(await read(at(path))).toEqual(PAGES)
  expect(readdirSync(dirname(path))).toEqual(['facts'])
})

test('a disk that refuses is told at the end, leaves the old pages, and the next writing works', async () => {
  const path = await sealed()
  mkdirSync(`${path}.new`)
  const writing = at(path).write()
  await writing.add(Buffer.from('new'))
  await writing.add(Buffer.from('er'))
  await expect(writing.done()).rejects.toThrow()
  await at(path).write().giveUp()
  expect(await read(at(path))).toEqual(PAGES)
  rmSync(`${path}.new`, { recursive: true })
  await write(at(path), [Buffer.from('new')])
  expect(await read(at(path))).toEqual([Buffer.from('new')])
})

test('what a killed writing left behind is nobody’s, and goes with the next', async () => {
  const path = await sealed()
  writeFileSync(`${path}.new`, 'half', { mode: 0o644 })
  expect(await read(at(path))).toEqual(PAGES)
  await write(at(path), PAGES)
  expect([existsSync(`${path}.new`), statSync(path).mode & 0o777]).toEqual([false, 0o600])
})
