import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { isDue } from './daily.ts'
import { nameOf, newestIn, removeOldBackups } from './keep.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lintel-keep-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const put = (...names: string[]) => {
  for (const name of names) writeFileSync(join(folder, name), '')
}
const backup = (day: string) => `lintel-${day}T03-00-00Z.backup`

test('what is older than it is kept goes; what is not named as ours stays, and so does what others began today', async () => {
  put(backup('2026-10-25'), backup('2026-10-26'), backup('2026-11-24'), backup('2026-11-25'))
  put(`${backup('2026-11-23')}.partial`, `${backup('2026-11-25')}.partial`)
  put(
    'lintel-2020-01-01.backup',
    'lintel-2020-01-01T00-00-00Z.backup.gz',
    'my-lintel-2020-01-01T00-00-00Z.backup',
    'notes.txt',
  )
  const removed = await removeOldBackups(join(folder, backup('2026-11-25')), 30)
  expect(removed).toEqual([backup('2026-10-25'), `${backup('2026-11-23')}.partial`])
  expect(readdirSync(folder)).toContain(backup('2026-10-26'))
  expect(readdirSync(folder)).toHaveLength(8)
})

test('the last one stays however old all are, and nothing goes when it is not there', async () => {
  put(backup('2020-01-01'), backup('2021-01-01'))
  expect(await removeOldBackups(join(folder, backup('2026-11-25')), 30)).toEqual([])
  expect(await removeOldBackups(join(folder, backup('2021-01-01')), 1)).toEqual([backup('2020-01-01')])
  expect(readdirSync(folder)).toEqual([backup('2021-01-01')])
})

test('the newest is the one of the latest instant', async () => {
  expect(await newestIn(join(folder, 'nowhere'))).toBeUndefined()
  put(
    nameOf(new Date('2026-11-25T10:00:00Z')),
    nameOf(new Date('2026-11-25T09:59:59Z')),
    `${backup('2026-12-01')}.partial`,
  )
  expect(await newestIn(folder)).toBe(join(folder, 'lintel-2026-11-25T10-00-00Z.backup'))
})

// On the clock of the machine, whatever its zone.
const at = (day: number, hour: number, minute = 0) => new Date(2026, 10, day, hour, minute)

test.each([
  ['never done', at(25, 12), undefined, true],
  ['done after the last quiet hour', at(25, 12), { triedAt: at(25, 3), doneAt: at(25, 3) }, false],
  ['just before the quiet hour', at(26, 2, 59), { triedAt: at(25, 3), doneAt: at(25, 3) }, false],
  ['at the quiet hour', at(26, 3), { triedAt: at(25, 3), doneAt: at(25, 3) }, true],
  ['missed while Lintel was stopped', at(26, 17), { triedAt: at(25, 3), doneAt: at(25, 3) }, true],
  ['done late, by hand', at(26, 3), { triedAt: at(25, 23), doneAt: at(25, 23) }, true],
  ['tried in vain just now', at(26, 3, 30), { triedAt: at(26, 3), doneAt: at(25, 3) }, false],
  ['tried in vain an hour ago', at(26, 4), { triedAt: at(26, 3), doneAt: at(25, 3) }, true],
  ['never done and tried in vain just now', at(25, 12, 1), { triedAt: at(25, 12), doneAt: null }, false],
])('%s: due or not', (_name, now, last, due) => {
  expect(isDue(now, last)).toBe(due)
})
