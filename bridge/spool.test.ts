import { execFileSync } from 'node:child_process'
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, expect, test } from 'vitest'
import type { HandedOver } from '../api/contract/hand-over.ts'
import { openSpool, type Spool } from './spool.ts'

const root = mkdtempSync(join(tmpdir(), 'lintel-spool-'))
afterAll(() => rmSync(root, { recursive: true }))

let folders = 0
const newFolder = () => join(root, String(++folders))
const fileOf = (folder: string, n: number) => join(folder, `0000000${n}.jsonl`)

const uuid = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`
const event = (n: number): HandedOver => ({
  id: uuid(n),
  readerId: uuid(0),
  card: 'Zoë 04a1b2c3',
  at: '2025-06-01T12:00:00.000Z',
  reason: 'granted',
  openMs: 3000,
  answered: true,
})
const put = (spool: Spool<HandedOver>, ...numbers: number[]) => Promise.all(numbers.map((n) => spool.put(event(n))))
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => from + n)
const numbersOf = (events: HandedOver[]) => events.map(({ id }) => Number(id.slice(-12)))
const peek = async (spool: Spool<HandedOver>, most = 100) => numbersOf((await spool.oldest(most))?.events ?? [])

/** All that waits, in the order in which it comes. */
const drain = async (spool: Spool<HandedOver>, most = 100) => {
  const all: number[] = []
  for (let next = await spool.oldest(most); next; next = await spool.oldest(most)) {
    expect(next.events.length).toBeLessThanOrEqual(most)
    all.push(...numbersOf(next.events))
    await next.done()
  }
  return all
}

/** A folder in which a process that is no more left these. */
const left = async (...numbers: number[]) => {
  const folder = newFolder()
  const spool = await openSpool<HandedOver>(folder)
  await put(spool, ...numbers)
  await spool.close()
  return folder
}

test('what was put comes back whole, oldest first, the same again until it is done, then never', async () => {
  const spool = await openSpool<HandedOver>(newFolder())
  expect(await spool.oldest(2)).toBeUndefined()
  await put(spool, 1, 2, 3)
  const first = await spool.oldest(2)
  expect(first?.events).toEqual([event(1), event(2)])
  expect(await peek(spool, 2)).toEqual([1, 2])
  await first?.done()
  await first?.done()
  expect([spool.waiting(), await drain(spool), spool.waiting()]).toEqual([1, [3], 0])
  await put(spool, 4)
  expect(await drain(spool)).toEqual([4])
})

test('of two that hold the same events, one done does for both', async () => {
  const spool = await openSpool<HandedOver>(newFolder())
  await put(spool, 1, 2, 3, 4)
  const [two, three] = [await spool.oldest(2), await spool.oldest(3)]
  await Promise.all([three?.done(), two?.done()])
  expect([spool.waiting(), await drain(spool)]).toEqual([1, [4]])
})

// A file is synced to disk: as many files as events take a slow disk long.
test.for([
  [100, 1],
  [500, 1000],
  [500, 1 << 20],
] as const)('%i at once are each there once and in order, in files of %i bytes', async ([many, bytes]) => {
  const folder = newFolder()
  const spool = await openSpool<HandedOver>(folder, { segmentBytes: bytes })
  await put(spool, ...range(0, many))
  expect(spool.waiting()).toBe(many)
  const sizes = readdirSync(folder).map((name) => statSync(join(folder, name)).size)
  expect(Math.max(...sizes)).toBeLessThanOrEqual(Math.max(bytes, 300))
  expect(await drain(spool, 7)).toEqual(range(0, many))
  expect(readdirSync(folder)).toEqual([])
})

test('what a killed process had put is there, before what is put now, and its file is not written into', async () => {
  const folder = newFolder()
  const killed = await openSpool<HandedOver>(folder)
  await put(killed, 1, 2)
  const before = readFileSync(fileOf(folder, 1))
  const spool = await openSpool<HandedOver>(folder)
  await put(spool, 3)
  expect(readFileSync(fileOf(folder, 1))).toEqual(before)
  expect([spool.waiting(), await drain(spool)]).toEqual([3, [1, 2, 3]])
  await killed.close()
})

const flip = (bytes: Buffer, at: number) => Buffer.from(bytes.map((byte, n) => (n === at ? byte ^ 4 : byte)))
const half = (bytes: Buffer) => bytes.subarray(0, bytes.length / 2)

test.for<[string, (line: Buffer) => Buffer, number[], number]>([
  ['a torn last line', (line) => Buffer.concat([line, half(line)]), [1, 2, 3], 1],
  ['a last line torn at its first byte', (line) => Buffer.concat([line, line.subarray(0, 1)]), [1, 2, 3], 0],
  ['a line torn within', (line) => half(line), [1, 3], 1],
  ['a flipped bit', (line) => flip(line, 60), [1, 3], 1],
  ['a flipped bit in a checksum', (line) => flip(line, 3), [1, 3], 1],
  ['a damaged break before a line', (line) => flip(line, 0), [1, 3], 1],
  ['a damaged break after a line', (line) => flip(line, line.length - 1), [1, 3], 1],
  ['zeros instead of a line', (line) => Buffer.alloc(line.length), [1, 3], 1],
  ['no line', () => Buffer.alloc(0), [1, 3], 0],
])('%s hides no other', async ([what, damage, expected, damaged]) => {
  const folder = await left(1, 2, 3)
  const bytes = readFileSync(fileOf(folder, 1))
  const size = bytes.length / 3
  const lines = [0, 1, 2].map((n) => bytes.subarray(n * size, (n + 1) * size))
  const at = what.includes('last') ? 2 : 1
  writeFileSync(fileOf(folder, 1), Buffer.concat(lines.map((line, n) => (n === at ? damage(line) : line))))
  const spool = await openSpool<HandedOver>(folder)
  expect([spool.waiting(), spool.damaged()]).toEqual([expected.length, damaged])
  expect([await drain(spool, 1), spool.damaged(), readdirSync(folder)]).toEqual([expected, damaged, []])
})

test('what is damaged or gone while the spool is open costs itself only, and is counted once', async () => {
  const folder = newFolder()
  const spool = await openSpool<HandedOver>(folder, { segmentBytes: 500 })
  await put(spool, ...range(0, 6))
  expect(readdirSync(folder).length).toBe(3)
  writeFileSync(fileOf(folder, 1), flip(readFileSync(fileOf(folder, 1)), 60))
  rmSync(fileOf(folder, 2))
  expect([await peek(spool, 1), await peek(spool, 1)]).toEqual([[1], [1]])
  expect([await drain(spool, 1), spool.damaged(), spool.waiting()]).toEqual([[1, 4, 5], 3, 0])
})

test('a file that cannot be read at all is counted and left alone', async () => {
  const folder = await left(1)
  mkdirSync(fileOf(folder, 2))
  const spool = await openSpool<HandedOver>(folder)
  await put(spool, 3)
  expect([spool.damaged(), await drain(spool), readdirSync(folder)]).toEqual([1, [1, 3], ['00000002.jsonl']])
})

test('a file that cannot be read for a while holds up its own events only', async () => {
  const folder = newFolder()
  const spool = await openSpool<HandedOver>(folder, { segmentBytes: 1 })
  await put(spool, 1, 2, 3)
  renameSync(fileOf(folder, 2), join(folder, 'away'))
  mkdirSync(fileOf(folder, 2))
  await (await spool.oldest(1))?.done()
  await (await spool.oldest(1))?.done()
  await expect(spool.oldest(1)).rejects.toThrow('EISDIR')
  rmSync(fileOf(folder, 2), { recursive: true })
  renameSync(join(folder, 'away'), fileOf(folder, 2))
  expect([spool.waiting(), await drain(spool), spool.damaged()]).toEqual([1, [2], 0])
})

test('only this user can read it', async () => {
  const folder = join(newFolder(), 'deep')
  await put(await openSpool<HandedOver>(folder), 1)
  expect([folder, join(folder, '..'), fileOf(folder, 1)].map((path) => statSync(path).mode & 0o777)).toEqual([
    0o700, 0o700, 0o600,
  ])
})

test('above the cap it refuses, and takes again once a file is done', async () => {
  const spool = await openSpool<HandedOver>(newFolder(), { segmentBytes: 500, mostBytes: 1200 })
  const [first, ...more] = await Promise.allSettled(range(0, 9).map((n) => spool.put(event(n))))
  expect(first?.status).toBe('fulfilled')
  expect(more.filter(({ status }) => status === 'rejected').length).toBeGreaterThan(3)
  const waiting = spool.waiting()
  await expect(spool.put(event(50))).rejects.toThrow('the spool is full')
  expect(await peek(spool)).toEqual([0, 1])
  await (await spool.oldest(2))?.done()
  await put(spool, 51)
  expect(await drain(spool)).toEqual([...range(2, waiting), 51])
})

test('the cap counts what earlier processes left', async () => {
  const spool = await openSpool<HandedOver>(await left(1, 2, 3), { mostBytes: 700 })
  await expect(spool.put(event(4))).rejects.toThrow('the spool is full')
  expect(await drain(spool)).toEqual([1, 2, 3])
  await put(spool, 4)
})

/** Runs `script` where a file can be 4 or 8 KiB and not more: the disk takes a part, then nothing. */
const onSmallDisk = (script: string, folder: string) => {
  const module = new URL('./spool.ts', import.meta.url).href
  const all = `import { openSpool } from ${JSON.stringify(module)}; const event = ${JSON.stringify(event(0))}; ${script}`
  const node = [process.execPath, '--input-type=module', '--eval', all, folder]
  return JSON.parse(execFileSync('sh', ['-c', 'ulimit -f 8; exec "$@"', 'sh', ...node], { encoding: 'utf8' }))
}

test('what a full disk refuses is not in the spool, and what it takes afterwards can be read', async () => {
  const folder = newFolder()
  const script = `
    const spool = await openSpool(process.argv[1])
    const put = (n) => spool.put({ ...event, id: event.id.slice(0, -3) + n })
    await put(100)
    const many = await Promise.allSettled(Array.from({ length: 99 }, (_, n) => put(101 + n)))
    await Promise.all([put(200), put(201)])
    const { events } = await spool.oldest(1)
    console.log(JSON.stringify({ codes: many.map(({ reason }) => reason?.code), waiting: spool.waiting(), events }))`
  const said = onSmallDisk(script, folder)
  expect(new Set(said.codes)).toEqual(new Set(['EFBIG']))
  expect([said.waiting, numbersOf(said.events)]).toEqual([3, [100]])
  const spool = await openSpool<HandedOver>(folder)
  expect([await drain(spool), spool.damaged()]).toEqual([[100, 200, 201], 0])
})

test('a folder that is gone refuses, and takes again when it is back', async () => {
  const folder = newFolder()
  const spool = await openSpool<HandedOver>(folder, { mostBytes: 600 })
  await put(spool, 1)
  rmSync(folder, { recursive: true })
  await expect(spool.put(event(2))).rejects.toThrow('is gone')
  await expect(spool.put(event(3))).rejects.toThrow('ENOENT')
  mkdirSync(folder)
  await put(spool, 4)
  expect([await drain(spool), spool.waiting(), spool.damaged()]).toEqual([[4], 0, 1])
})

test('a folder that cannot be made is said at once', async () => {
  const file = newFolder()
  writeFileSync(file, '')
  await expect(openSpool(join(file, 'spool'))).rejects.toThrow('ENOTDIR')
})

test('a file that cannot be deleted is told by done, again and again, and stops nothing', async () => {
  const folder = newFolder()
  const spool = await openSpool<HandedOver>(folder, { segmentBytes: 1 })
  // Longer than what shall take its place: a file that has grown would be left alone.
  await spool.put({ ...event(1), card: 'x'.repeat(10_000) })
  await put(spool, 2, 3)
  const first = await spool.oldest(1)
  rmSync(fileOf(folder, 1))
  mkdirSync(fileOf(folder, 1))
  await expect(first?.done()).rejects.toThrow()
  expect([spool.waiting(), await peek(spool)]).toEqual([2, [2]])
  await put(spool, 4)
  await expect((await spool.oldest(1))?.done()).rejects.toThrow()
  expect(existsSync(fileOf(folder, 2))).toBe(false)
  rmSync(fileOf(folder, 3))
  expect([await peek(spool), spool.damaged()]).toEqual([[4], 1])
  rmSync(fileOf(folder, 1), { recursive: true })
  expect([await drain(spool), readdirSync(folder)]).toEqual([[4], []])
})

test('two processes in one folder hand over some things twice and lose nothing', async () => {
  const folder = newFolder()
  const one = await openSpool<HandedOver>(folder)
  const other = await openSpool<HandedOver>(folder)
  await put(one, 1)
  await put(other, 2)
  const third = await openSpool<HandedOver>(folder)
  await put(one, 3)
  expect(await drain(third)).toEqual([1, 2])
  expect(await drain(one)).toEqual([1, 3])
  await expect(other.put(event(4))).rejects.toThrow('is gone')
  await put(other, 5)
  expect(await drain(await openSpool<HandedOver>(folder))).toEqual([5])
})

test('other files in the folder are nobody’s events', async () => {
  const folder = await left(1)
  appendFileSync(join(folder, 'notes.jsonl'), 'hello')
  const spool = await openSpool<HandedOver>(folder)
  expect([await drain(spool), spool.damaged(), readdirSync(folder)]).toEqual([[1], 0, ['notes.jsonl']])
})

test('closing waits for what was put before, and takes nothing more', async () => {
  const folder = newFolder()
  const spool = await openSpool<HandedOver>(folder, { segmentBytes: 500 })
  const puts = put(spool, ...range(0, 20))
  await spool.close()
  expect(spool.waiting()).toBe(20)
  await expect(spool.put(event(20))).rejects.toThrow('closed')
  await puts
  expect(await drain(await openSpool<HandedOver>(folder))).toEqual(range(0, 20))
})

test('property: any one damaged byte costs at most one event', async () => {
  const folder = await left(1, 2, 3)
  const bytes = readFileSync(fileOf(folder, 1))
  const damage = fc.record({ at: fc.nat(bytes.length - 1), to: fc.nat(255) })
  await fc.assert(
    fc.asyncProperty(damage, async ({ at, to }) => {
      const folder = newFolder()
      mkdirSync(folder)
      writeFileSync(fileOf(folder, 1), Buffer.from(bytes.map((byte, n) => (n === at ? to : byte))))
      const got = await drain(await openSpool<HandedOver>(folder))
      const hit = 1 + Math.floor((3 * at) / bytes.length)
      expect(got.length === 3 ? [1, 2, 3] : [1, 2, 3].filter((n) => n !== hit)).toEqual(got)
    }),
    { examples: [0, 1, 2].map((n) => [{ at: (n * bytes.length) / 3, to: 0 }]) },
  )
})

test('property: whatever comes between, nothing is lost, nothing doubled after done, and the order is kept', async () => {
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.record({ put: fc.integer({ min: 1, max: 5 }) }) },
    { weight: 3, arbitrary: fc.record({ oldest: fc.integer({ min: 1, max: 4 }) }) },
    { weight: 3, arbitrary: fc.constant('done' as const) },
    { weight: 1, arbitrary: fc.constantFrom('killed' as const, 'closed' as const) },
  )
  const bytes = fc.constantFrom(1, 700, 1 << 20)
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), bytes, async (steps, segmentBytes) => {
      const folder = newFolder()
      let spool = await openSpool<HandedOver>(folder, { segmentBytes })
      let [all, gone] = [0, 0]
      let held: { upTo: number; done(): Promise<void> }[] = []
      for (const step of steps) {
        if (step === 'done') {
          const first = held.shift()
          await first?.done()
          gone = Math.max(gone, first?.upTo ?? 0)
        } else if (step === 'killed' || step === 'closed') {
          if (step === 'closed') await spool.close()
          spool = await openSpool<HandedOver>(folder, { segmentBytes })
          held = []
          // Within a file it may begin again at the front; a file that is done is gone.
          const again = all - spool.waiting()
          expect(again).toBeLessThanOrEqual(gone)
          if (segmentBytes === 1) expect(again).toBe(gone)
          gone = again
        } else if ('put' in step) {
          await put(spool, ...range(all, all + step.put))
          all += step.put
        } else {
          const next = await spool.oldest(step.oldest)
          const numbers = numbersOf(next?.events ?? [])
          expect(numbers).toEqual(range(gone, gone + numbers.length))
          expect(numbers.length > 0).toBe(gone < all)
          expect(numbers.length).toBeLessThanOrEqual(step.oldest)
          if (next) held.push({ upTo: gone + numbers.length, done: next.done })
        }
        expect(spool.waiting()).toBe(all - gone)
      }
      expect([await drain(spool), spool.damaged(), readdirSync(folder)]).toEqual([range(gone, all), 0, []])
    }),
    { numRuns: 60 },
  )
})
