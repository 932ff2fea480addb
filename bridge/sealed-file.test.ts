import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { sealingKey } from '../api/contract/envelope.ts'
import { sealedFile } from './sealed-file.ts'

const root = mkdtempSync(join(tmpdir(), 'lintel-sealed-'))
afterAll(() => rmSync(root, { recursive: true }))

let files = 0
const newPath = () => join(root, String(++files), 'facts')
const key = sealingKey(randomBytes(32))
const content = Buffer.from('who may pass where')

/** A path at which `content` is sealed. */
const sealed = async () => {
  const path = newPath()
  await sealedFile(path, key, 'facts').write(content)
  return path
}

test.for([0, 1, 1 << 20, (1 << 20) + 1, 20_000_000])('%i bytes come back as they were', async (size) => {
  const bytes = randomBytes(size)
  const path = newPath()
  await sealedFile(path, key, 'facts').write(bytes)
  expect((await sealedFile(path, key, 'facts').read())?.equals(bytes)).toBe(true)
})

test.for([
  ['another key', sealingKey(randomBytes(32)), 'facts'],
  ['another label', key, 'faces'],
  ['a label that begins alike', key, 'facts '],
] as const)('%s opens nothing', async ([, otherKey, label]) => {
  expect(await sealedFile(await sealed(), otherKey, label).read()).toBeUndefined()
})

test('a file that is not there is nothing', async () => {
  expect(await sealedFile(newPath(), key, 'facts').read()).toBeUndefined()
})

test('whatever bit is flipped, wherever it is cut and whatever is added, it is nothing', async () => {
  const path = await sealed()
  const bytes = readFileSync(path)
  const flipped = [...bytes].map((byte, at) => Buffer.from(bytes).fill(byte ^ (1 << (at % 8)), at, at + 1))
  const cut = [...bytes].map((_, at) => bytes.subarray(0, at))
  const longer = [Buffer.concat([bytes, Buffer.alloc(1)]), Buffer.concat([bytes, bytes])]
  for (const damaged of [...flipped, ...cut, ...longer]) {
    writeFileSync(path, damaged)
    expect(await sealedFile(path, key, 'facts').read()).toBeUndefined()
  }
  writeFileSync(path, bytes)
  expect(await sealedFile(path, key, 'facts').read()).toEqual(content)
})

test('what is inside does not show, not even that it is the same as before', async () => {
  const [one, other] = [readFileSync(await sealed()), readFileSync(await sealed())]
  expect(one.includes(content.subarray(0, 4))).toBe(false)
  expect(one.subarray(20, -16).equals(other.subarray(20, -16))).toBe(false)
})

test('only this user can read it, and nothing is left beside it', async () => {
  const path = await sealed()
  expect([path, dirname(path)].map((each) => statSync(each).mode & 0o777)).toEqual([0o600, 0o700])
  expect(readdirSync(dirname(path))).toEqual(['facts'])
})

test('of writes at the same time the last stands', async () => {
  const path = newPath()
  const file = sealedFile(path, key, 'facts')
  const all = [3_000_000, 2, 1].map((size) => Buffer.alloc(size, size))
  await Promise.all(all.map((each) => file.write(each)))
  expect(await file.read()).toEqual(all[2])
})

test('a read while it is written gives the old or the new', async () => {
  const file = sealedFile(await sealed(), key, 'facts')
  const anew = randomBytes(3_000_000)
  const writing = file.write(anew)
  let read = await file.read()
  while (read?.equals(content)) read = await file.read()
  expect(read?.equals(anew)).toBe(true)
  await writing
})

test('a write that fails leaves the old content, and the next one works', async () => {
  const path = await sealed()
  const file = sealedFile(path, key, 'facts')
  mkdirSync(`${path}.new`)
  await expect(file.write(Buffer.from('new'))).rejects.toThrow()
  expect(await file.read()).toEqual(content)
  rmSync(`${path}.new`, { recursive: true })
  await file.write(Buffer.from('new'))
  expect(await file.read()).toEqual(Buffer.from('new'))
})

test('what a killed write left behind is nobody’s content, and goes with the next', async () => {
  const path = await sealed()
  writeFileSync(`${path}.new`, 'half', { mode: 0o644 })
  const file = sealedFile(path, key, 'facts')
  expect(await file.read()).toEqual(content)
  await file.write(Buffer.from('new'))
  expect([existsSync(`${path}.new`), statSync(path).mode & 0o777]).toEqual([false, 0o600])
})

test('a content that changes while it is written is not what breaks the file', async () => {
  const file = sealedFile(newPath(), key, 'facts')
  const changing = Buffer.alloc(3_000_000)
  const writing = file.write(changing)
  changing.fill(1)
  await writing
  expect((await file.read())?.length).toBe(changing.length)
})
