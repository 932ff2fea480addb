import fc from 'fast-check'
import { expect, test } from 'vitest'
import { readJson } from './places.ts'

test.each([
  ['{"n":9007199254740993}', { n: '9007199254740993' }],
  ['[36114299919949316,1229299948670336]', ['36114299919949316', 1229299948670336]],
  ['[1e2,1E2,1.0,0.5,-0,-0.0,-5]', ['1e2', '1E2', '1.0', '0.5', '-0', '-0.0', -5]],
  ['{"Time":"2026-03-02T07:58:11","UID":427}', { Time: '2026-03-02T07:58:11', UID: 427 }],
  ['{"UID":', undefined],
])('%s is read to the digit', (text, read) => {
  expect(readJson(text)).toEqual(read)
})

test('property: whatever JSON it is, its numbers are exact, or the text that stood there', () => {
  const number = fc.oneof(
    fc.integer(),
    fc.double(),
    fc.bigInt().map(String),
    fc.constantFrom('-0', '1e5', '-0e1', '0.10'),
  )
  const text = fc.array(fc.tuple(fc.string(), number)).map((all) => all.map(([key, n]) => [JSON.stringify(key), n]))
  fc.assert(
    fc.property(text, (all) => {
      const numbers = all.flatMap(([, n]) => (Number.isFinite(Number(n)) ? [String(Object.is(n, -0) ? '-0' : n)] : []))
      const read = readJson(`[${numbers.map((n, i) => `[${all[i]?.[0]},${n}]`)}]`) as [string, unknown][]
      expect(read.map(([, n]) => String(n))).toEqual(numbers)
    }),
  )
})
