import { parse } from 'csv-parse/sync'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { csvLine } from './csv.ts'

test.each([
  ['Ada', 'Ada'],
  ['Ada, Countess', '"Ada, Countess"'],
  ['Ada "the first"', '"Ada ""the first"""'],
  ['two\r\nlines', '"two\r\nlines"'],
  ['Žluťoučký kůň', 'Žluťoučký kůň'],
  ['', ''],
])('%j is the cell %s', (text, cell) => {
  expect(csvLine([text, null])).toBe(`${cell},\r\n`)
})

test.each([
  ["=HYPERLINK('http://x')", "'=HYPERLINK('http://x')"],
  ['+1', "'+1"],
  ['-1', "'-1"],
  ['@SUM(A1)', "'@SUM(A1)"],
  ['＝1', "'＝1"],
  ['\0=1', "'\0=1"],
  ['\t=1', `"'\t'=1"`],
  ['\r=1', `"'\r'=1"`],
  ['Ada;=1', `"Ada;'=1"`],
  ['Ada,=1', `"Ada,'=1"`],
  ['a-b+c@d=e', 'a-b+c@d=e'],
])('%j is no formula', (text, cell) => {
  expect(csvLine([text])).toBe(`${cell}\r\n`)
})

test('whatever the cells are, a reader gets as many, and none of them begins a formula', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: fc.constantFrom(...'ab"\',;=+-@\t\r\n ') }), { minLength: 2 }), (cells) => {
      const [read = []]: string[][] = parse(csvLine(cells), { record_delimiter: '\r\n' })
      expect(read.length).toBe(cells.length)
      for (const [i, cell] of read.entries()) {
        expect(cell).not.toMatch(/^[=+\-@\t\r\n]/)
        expect(cell.replaceAll("'", '')).toBe(cells[i]?.replaceAll("'", ''))
      }
    }),
  )
})
