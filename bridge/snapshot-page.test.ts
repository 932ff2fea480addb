import { createSecretKey, randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import { hashOfKey, type SnapshotPage, type SnapshotRow, snapshotBuilder } from '../api/contract/snapshot.ts'
import { takePage } from './snapshot-page.ts'

const key = createSecretKey(Buffer.alloc(32, 7))
const READER = randomUUID()

const row = (number: string): SnapshotRow => ({
  card: randomUUID(),
  status: 'active',
  valid: [null, '2027-01-01T00:00:00.000Z'],
  person: randomUUID(),
  active: true,
  personValid: [null, null],
  groups: [0],
  keys: [hashOfKey(key, 'decimal', number)],
})
const page = (count: number): SnapshotPage => ({
  version: 'one',
  now: '2026-01-01T12:00:00.000Z',
  site: {
    readers: [{ id: READER, enabled: true, timezone: 'UTC', cardView: 'decimal', openMs: 3_000, pin: null }],
    groups: [randomUUID()],
    schedules: [{ id: randomUUID(), windows: [{ days: [1], from: '07:00', to: '17:30' }] }],
    rules: [{ id: randomUUID(), groupId: randomUUID(), scheduleId: null, readerIds: [READER] }],
  },
  cards: count,
  rows: Array.from({ length: count }, (_, n) => row(String(n + 1))),
})

test('a page is taken in whole, and told of without its lists', async () => {
  const building = snapshotBuilder(key)
  const next = randomUUID()
  const head = { version: 'one', now: '2026-01-01T12:00:00.000Z', cards: 3, next }
  expect(await takePage({ ...page(3), next, later: 'unknown yet' }, building)).toEqual(head)
  const snapshot = building.done()
  expect(snapshot).toMatchObject({ version: 'one', cards: 3 })
  expect(['1', '3', '4'].map((card) => snapshot.facts(READER, card).facts.cards.length)).toEqual([1, 1, 0])
})

test.for<[string, (good: SnapshotPage) => unknown]>([
  ['no object', () => 'a page'],
  ['without rows', ({ rows: _, ...more }) => more],
  ['with rows that are no list', (good) => ({ ...good, rows: { 0: good.rows[0] } })],
  ['with a row that is none', (good) => ({ ...good, rows: [...good.rows, null] })],
  ['with a site without readers', (good) => ({ ...good, site: { ...good.site, readers: undefined } })],
  ['with a reader that is none', (good) => ({ ...good, site: { ...good.site, readers: [{ id: READER }] } })],
  ['with a group that is none', (good) => ({ ...good, site: { ...good.site, groups: ['staff'] } })],
  ['with windows that are none', (good) => ({ ...good, site: { ...good.site, schedules: [{ windows: [{}] }] } })],
  ['with a rule that is none', (good) => ({ ...good, site: { ...good.site, rules: [{ id: READER }] } })],
])('a page %s is refused', async ([, spoil]) => {
  await expect(takePage(spoil(page(2)), snapshotBuilder(key))).rejects.toThrow()
})

test('while a long page is taken in, what waits gets its turn again and again', async () => {
  const long = page(20_000)
  let [turns, working] = [0, true]
  const turn = () => {
    turns += 1
    if (working) setImmediate(turn)
  }
  turn()
  await takePage(long, snapshotBuilder(key))
  working = false
  expect(turns).toBeGreaterThan(5)
})
