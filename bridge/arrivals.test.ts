import { spawnSync } from 'node:child_process'
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import fc from 'fast-check'
import { afterAll, expect, test } from 'vitest'
import { type Arrival, openArrivals } from './arrivals.ts'

const root = mkdtempSync(join(tmpdir(), 'lintel-arrivals-'))
afterAll(() => rmSync(root, { recursive: true }))

let files = 0
const newFile = () => join(root, String(++files), 'arrivals')

const arrival = (id: string): Arrival => ({ id, readerId: 'door', card: 'Zoë 04a1', at: '2025-06-01T12:00:00.000Z' })
/** What a process that starts now finds. */
const foundIn = (file: string) => openArrivals(file).found.map(({ id }) => id)

test('what was noted and not settled is found whole, oldest first', () => {
  const file = newFile()
  const killed = openArrivals(file)
  expect(killed.found).toEqual([])
  const second = { ...arrival('b'), messageId: 7 }
  for (const one of [arrival('a'), second, arrival('c'), arrival('d')]) killed.note(one)
  killed.settled('c')
  killed.settled('nobody')
  expect(openArrivals(file).found).toEqual([arrival('a'), second, arrival('d')])
})

test('what was found is found again by the next, until it is settled', () => {
  const file = newFile()
  openArrivals(file).note(arrival('a'))
  openArrivals(file).note(arrival('b'))
  const third = openArrivals(file)
  expect(third.found.map(({ id }) => id)).toEqual(['a', 'b'])
  third.settled('a')
  expect(foundIn(file)).toEqual(['b'])
  third.settled('b')
  expect(foundIn(file)).toEqual([])
})

const sent = (id: string, messageId: number) => ({ ...arrival(id), messageId })
const doneIn = (file: string) => openArrivals(file).done.map(({ id, messageId }) => [id, messageId])

test('what was settled is known to the next process too, until the broker has heard of it', () => {
  const file = newFile()
  const arrivals = openArrivals(file)
  for (const [n, id] of ['a', 'b', 'c', 'd'].entries()) arrivals.note(sent(id, n))
  arrivals.note(arrival('without'))
  for (const id of ['a', 'b', 'without']) arrivals.settled(id)
  const known = arrivals.mark()
  arrivals.settled('c')
  expect(doneIn(file)).toEqual([
    ['a', 0],
    ['b', 1],
    ['c', 2],
  ])
  known()
  known()
  expect([doneIn(file), foundIn(file)]).toEqual([[['c', 2]], ['d']])
  arrivals.settled('d')
  arrivals.mark()()
  expect([statSync(file).size, doneIn(file)]).toEqual([0, []])
})

test('no more is kept of what was settled than a broker can have under way, and it costs no room', () => {
  const file = newFile()
  const arrivals = openArrivals(file)
  for (let n = 0; n < 20_000; n++) {
    arrivals.note(sent(`n${n}`, n))
    arrivals.settled(`n${n}`)
  }
  expect(statSync(file).size).toBeLessThanOrEqual(1 << 20)
  expect(doneIn(file)).toEqual(Array.from({ length: 1_000 }, (_, n) => [`n${19_000 + n}`, 19_000 + n]))
})

test('the file is empty whenever nothing is open', () => {
  const file = newFile()
  const arrivals = openArrivals(file)
  for (const id of ['a', 'b']) arrivals.note(arrival(id))
  for (const id of ['b', 'a']) arrivals.settled(id)
  expect(statSync(file).size).toBe(0)
  arrivals.note(arrival('c'))
  expect([foundIn(file), arrivals.refused()]).toEqual([['c'], 0])
})

test('a file in which nothing is open is emptied at the start', () => {
  const file = newFile()
  openArrivals(file)
  writeFileSync(file, 'torn')
  expect([openArrivals(file).refused(), statSync(file).size]).toEqual([0, 0])
})

/** Another process, in which a file can be 1 or 2 KiB and not more, and that runs `script`. */
const elsewhere = (script: string, file: string) => {
  const module = new URL('./arrivals.ts', import.meta.url).href
  const all = `import { openArrivals } from ${JSON.stringify(module)}
    const arrivals = openArrivals(process.argv[1])
    const arrival = (id) => ({ ...${JSON.stringify(arrival(''))}, id }); ${script}`
  const node = [process.execPath, '--input-type=module', '--eval', all, file]
  return spawnSync('sh', ['-c', 'ulimit -f 2; exec "$@"', 'sh', ...node], { encoding: 'utf8' })
}

test('SIGKILL loses nothing', () => {
  const file = newFile()
  const script = `for (const id of ['a', 'b', 'c']) arrivals.note(arrival(id))
    arrivals.settled('b')
    process.kill(process.pid, 'SIGKILL')`
  expect(elsewhere(script, file).signal).toBe('SIGKILL')
  expect(foundIn(file)).toEqual(['a', 'c'])
})

test('a disk that fills up is counted, keeps what it took, and hides nothing that it takes later', () => {
  const file = newFile()
  const script = `for (let n = 0; n < 50; n++) arrivals.note(arrival('n' + n))
    console.log(arrivals.refused())`
  const refused = Number(elsewhere(script, file).stdout)
  expect(refused).toBeGreaterThan(20)
  const taken = Array.from({ length: 50 - refused }, (_, n) => `n${n}`)
  const arrivals = openArrivals(file)
  arrivals.note(arrival('later'))
  expect([arrivals.found.map(({ id }) => id), foundIn(file)]).toEqual([taken, [...taken, 'later']])
})

test.skipIf(!existsSync('/dev/full'))('a full disk throws nothing', () => {
  const arrivals = openArrivals('/dev/full')
  arrivals.note(arrival('a'))
  arrivals.note(arrival('b'))
  arrivals.settled('a')
  expect(arrivals.refused()).toBe(3)
  arrivals.settled('b')
  arrivals.close()
})

test.for<[string, (line: Buffer) => Buffer, string[]]>([
  ['torn', (line) => line.subarray(0, 40), ['a', 'c']],
  ['without its first byte', (line) => line.subarray(1), ['a', 'b', 'c']],
  ['without its last byte', (line) => line.subarray(0, -1), ['a', 'b', 'c']],
  ['damaged', (line) => Buffer.from(line.map((byte, n) => (n === 40 ? byte ^ 1 : byte))), ['a', 'c']],
])('a line that is %s hides no other', ([, damage, expected]) => {
  const file = newFile()
  const arrivals = openArrivals(file)
  for (const id of ['a', 'b', 'c']) arrivals.note(arrival(id))
  const bytes = readFileSync(file)
  const size = bytes.length / 3
  const lines = [0, 1, 2].map((n) => bytes.subarray(n * size, (n + 1) * size))
  writeFileSync(file, Buffer.concat(lines.map((line, n) => (n === 1 ? damage(line) : line))))
  expect(foundIn(file)).toEqual(expected)
})

test('what is noted after a torn last line is found', () => {
  const file = newFile()
  const killed = openArrivals(file)
  for (const id of ['a', 'b']) killed.note(arrival(id))
  writeFileSync(file, readFileSync(file).subarray(0, -20))
  openArrivals(file).note(arrival('c'))
  expect(foundIn(file)).toEqual(['a', 'c'])
})

test('it does not grow with what comes and goes while one stays open', () => {
  const file = newFile()
  const arrivals = openArrivals(file)
  arrivals.note(arrival('stays'))
  let largest = 0
  for (let n = 0; n < 20_000; n++) {
    arrivals.note(arrival(`n${n}`))
    arrivals.settled(`n${n}`)
    if (n % 100 === 0) largest = Math.max(largest, statSync(file).size)
  }
  expect(largest).toBeLessThanOrEqual(1 << 20)
  expect([foundIn(file), arrivals.refused(), readdirSync(dirname(file))]).toEqual([['stays'], 0, ['arrivals']])
})

test('more than a file’s worth can be open', () => {
  const file = newFile()
  const ids = Array.from({ length: 20_000 }, (_, n) => `n${n}`)
  const arrivals = openArrivals(file)
  for (const id of ids) arrivals.note(arrival(id))
  expect(foundIn(file)).toEqual(ids)
  for (const id of ids) arrivals.settled(id)
  expect([statSync(file).size, arrivals.refused()]).toEqual([0, 0])
})

test('a file that cannot be written anew goes on growing, and is whole', () => {
  const file = newFile()
  const arrivals = openArrivals(file)
  mkdirSync(`${file}.new`)
  arrivals.note(arrival('stays'))
  for (let n = 0; n < 10_000; n++) {
    arrivals.note(arrival(`n${n}`))
    arrivals.settled(`n${n}`)
  }
  expect([foundIn(file), arrivals.refused()]).toEqual([['stays'], 1])
})

test('after the end it writes into nobody else’s file', () => {
  const file = newFile()
  const arrivals = openArrivals(file)
  arrivals.note(arrival('a'))
  arrivals.close()
  arrivals.close()
  const other = openSync(join(root, 'other'), 'w')
  arrivals.note(arrival('b'))
  closeSync(other)
  expect([statSync(join(root, 'other')).size, arrivals.refused(), foundIn(file)]).toEqual([0, 1, ['a']])
})

test('only this user can read it', () => {
  const file = newFile()
  openArrivals(file)
  expect([file, dirname(file)].map((path) => statSync(path).mode & 0o777)).toEqual([0o600, 0o700])
})

test('a file that cannot be made is said at once', () => {
  writeFileSync(join(root, 'file'), '')
  expect(() => openArrivals(join(root, 'file', 'deep', 'arrivals'))).toThrow('ENOTDIR')
})

test('property: what is found is what was noted and not settled', () => {
  const step = fc.record({
    what: fc.constantFrom('note', 'settled', 'killed'),
    id: fc.constantFrom('a', 'b', 'c', 'd'),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const file = newFile()
      let arrivals = openArrivals(file)
      const open = new Set<string>()
      for (const { what, id } of steps) {
        if (what === 'note') {
          arrivals.note(arrival(id))
          open.add(id)
        } else if (what === 'settled') {
          arrivals.settled(id)
          open.delete(id)
        } else {
          arrivals.close()
          arrivals = openArrivals(file)
          expect(arrivals.found.map(({ id }) => id)).toEqual([...open])
        }
      }
      arrivals.close()
    }),
  )
})
