import { randomBytes, randomUUID } from 'node:crypto'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { sealingKey } from '../api/contract/envelope.ts'
import { hashingKey, hashOfKey, type SnapshotPage, type SnapshotRow } from '../api/contract/snapshot.ts'
import { apiClock } from './clock.ts'
import { newSnapshot } from './new-snapshot.ts'
import { sealedPages } from './sealed-pages.ts'
import { answerAt } from './testing/answers.ts'

// How a bridge reads the pages of the facts from the API, one after another.

const sealing = sealingKey(randomBytes(32))
const key = hashingKey(sealing)
const READER = randomUUID()
const root = mkdtempSync(join(tmpdir(), 'lintel-new-snapshot-'))

/** What is asked for comes from here: the pages in the order in which they are given. */
let answers: (Partial<SnapshotPage> | 'nothing')[] = []
let asked: unknown[] = []
const api = await answerAt(
  { id: randomUUID(), key: sealing, clock: apiClock() },
  {
    snapshot(message) {
      asked.push(message['after'])
      const page = answers.shift()
      if (page === undefined || page === 'nothing') return 503
      return { version: 'one', now: '2026-01-01T12:00:00.000Z', rows: [], ...page }
    },
  },
)
afterAll(() => rmSync(root, { recursive: true }))

const NEXT = randomUUID()
const site = {
  readers: [{ id: READER, enabled: true, timezone: 'UTC', cardView: 'decimal', openMs: 3_000, pin: null } as const],
  groups: [],
  schedules: [],
  rules: [],
}
const row = (number: string): SnapshotRow => ({
  card: randomUUID(),
  status: 'active',
  valid: [null, null],
  person: randomUUID(),
  active: true,
  personValid: [null, null],
  groups: [],
  keys: [hashOfKey(key, 'decimal', number)],
})

let files = 0
/** What comes of these answers; where its pages are; and what was asked for. */
const read = async (...given: typeof answers) => {
  answers = given
  asked = []
  const path = join(root, String(++files))
  const file = sealedPages(path, sealing, 'snapshot')
  const result = await newSnapshot(api, key, file).catch((error: Error) => error)
  return { result, path, file }
}
const snapshotIn = ({ result }: Awaited<ReturnType<typeof read>>) => {
  if (typeof result === 'number' || result instanceof Error) throw new Error(`no snapshot but ${result}`)
  return result
}

test('it is made of all pages, and kept as they came', async () => {
  const first = { site, cards: 2, rows: [row('7')], next: NEXT }
  const done = await read(first, { rows: [row('8')], now: '2026-01-01T12:00:05.000Z' })
  const { snapshot, at, writing } = snapshotIn(done)
  expect(asked).toEqual([undefined, NEXT])
  expect(snapshot).toMatchObject({ version: 'one', cards: 2 })
  expect(['7', '8', '9'].map((card) => snapshot.facts(READER, card).facts.cards.length)).toEqual([1, 1, 0])
  expect(at).toEqual(new Date('2026-01-01T12:00:00.000Z'))

  expect(existsSync(done.path)).toBe(false)
  await writing.done()
  const kept: SnapshotPage[] = []
  for await (const page of done.file.read()) kept.push(JSON.parse(page.toString()))
  expect(kept).toMatchObject([first, { rows: [{}] }])
})

test('when the facts change on the way it is begun anew at once, and only the new ones are in it', async () => {
  const done = await read(
    { site, rows: [row('7')], next: NEXT },
    { version: 'two', rows: [row('8')] },
    { version: 'two', site, rows: [row('9')] },
  )
  const { snapshot } = snapshotIn(done)
  expect(asked).toEqual([undefined, NEXT, undefined])
  expect(snapshot).toMatchObject({ version: 'two', cards: 1 })
  expect(snapshot.facts(READER, '8').facts.cards).toEqual([])
})

test('when they change again and again it is given up for now, and nothing is left on the disk', async () => {
  const changing = [1, 2, 3, 4].flatMap((n) => [
    { version: `${n}`, site, next: NEXT },
    { version: `${n + 1}`, next: NEXT },
  ])
  const { result, path } = await read(...changing)
  expect(result).toBeInstanceOf(Error)
  expect(asked).toEqual([undefined, NEXT, undefined, NEXT, undefined, NEXT])
  expect([existsSync(path), existsSync(`${path}.new`)]).toEqual([false, false])
})

test('of too many cards no more than the first page is read, and nothing is kept', async () => {
  const { result, path } = await read({ site, cards: 100_001, rows: [row('7')], next: NEXT }, {})
  expect(result).toBe(100_001)
  expect(asked).toEqual([undefined])
  expect([existsSync(path), existsSync(`${path}.new`)]).toEqual([false, false])
})

test.for<[string, typeof answers]>([
  ['the API is away', ['nothing']],
  ['the API goes away', [{ site, next: NEXT }, 'nothing']],
  ['the first page tells of no site', [{}]],
  ['a row is none', [{ site, rows: [{ ...row('7'), status: 'eaten' as 'lost' }] }]],
  ['a reader is none', [{ site: { ...site, readers: [{ ...site.readers[0], openMs: -1 } as never] } }]],
  ['a hash is a card number', [{ site, rows: [{ ...row('7'), keys: ['DE0BA996'] }] }]],
])('when %s there is none, and nothing is left on the disk', async ([, given]) => {
  const { result, path } = await read(...given)
  expect(result).toBeInstanceOf(Error)
  expect([existsSync(path), existsSync(`${path}.new`)]).toEqual([false, false])
})
