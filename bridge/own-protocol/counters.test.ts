import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { openCounters } from './counters.ts'

const folder = mkdtempSync(join(tmpdir(), 'lintel-counters-'))
const file = join(folder, 'counters')
afterEach(() => rmSync(file, { recursive: true, force: true }))

/** As after `kill -9`: nothing was closed. */
const soon = () => new Promise((done) => setImmediate(done))

test('what was noted is known after the process was killed', async () => {
  const before = openCounters(file)
  before.note('front', { counter: 7, at: 1 })
  before.note('back', { counter: 1, at: 2 })
  before.note('front', { counter: 8, at: 3 })
  await soon()
  const after = openCounters(file)
  expect([after.last('front'), after.last('back'), after.last('cellar')]).toEqual([
    { counter: 8, at: 3 },
    { counter: 1, at: 2 },
    undefined,
  ])
  before.close()
  after.close()
})

test('what is noted just before the end is written by it', () => {
  const before = openCounters(file)
  before.note('front', { counter: 7, at: 1 })
  before.close()
  const after = openCounters(file)
  expect(after.last('front')).toEqual({ counter: 7, at: 1 })
  after.close()
})

test('a line that was torn takes no other with it', async () => {
  const before = openCounters(file)
  before.note('front', { counter: 7, at: 1 })
  before.close()
  appendFileSync(file, readFileSync(file).subarray(0, 20))
  const torn = openCounters(file)
  torn.note('back', { counter: 2, at: 1 })
  torn.close()
  const after = openCounters(file)
  expect([after.last('front')?.counter, after.last('back')?.counter]).toEqual([7, 2])
  after.close()
})

test('a long history is written anew with only the last of each', async () => {
  const counters = openCounters(file, 2_000)
  for (let counter = 1; counter <= 500; counter += 1) {
    counters.note('front', { counter, at: counter })
    await soon()
    expect(statSync(file).size).toBeLessThan(2_200)
  }
  counters.close()
  const after = openCounters(file)
  expect(after.last('front')).toEqual({ counter: 500, at: 500 })
  after.close()
})

test('who is not among the readers any more is forgotten', () => {
  const counters = openCounters(file)
  counters.note('front', { counter: 7, at: 1 })
  counters.note('back', { counter: 7, at: 1 })
  counters.keepOnly(new Set(['front']))
  expect([counters.last('front')?.counter, counters.last('back')]).toEqual([7, undefined])
  counters.close()
})

test('a disk that refuses is counted, and what is in memory counts on', async () => {
  const nowhere = join(folder, 'a-file')
  writeFileSync(nowhere, '')
  const counters = openCounters(join(nowhere, 'counters'))
  counters.note('front', { counter: 7, at: 1 })
  await soon()
  expect([counters.last('front')?.counter, counters.refused() > 0]).toEqual([7, true])
  counters.close()
})
