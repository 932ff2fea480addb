import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { InvalidFields } from '../../errors.ts'
import { COLUMNS, type Column, MOST_ROWS, readCsv } from './csv.ts'

const cellsOf = (text: string) => readCsv(text).map(({ row, cells }) => ({ row, ...cells }))

const mistakeOf = (text: string) => {
  try {
    readCsv(text)
  } catch (thrown) {
    if (thrown instanceof InvalidFields) return thrown.fields[0]
    throw thrown
  }
  return undefined
}

describe('a file is read', () => {
  test.each([',', ';', '\t'])(
    'with %j between its cells, whatever the order and the case of its columns',
    (between) => {
      const rows = [
        [' Employee_Number', 'NAME', 'email'],
        ['7', 'Ada', 'ada@example.org'],
        ['', 'Bob', ''],
      ]
      expect(cellsOf(rows.map((cells) => cells.join(between)).join('\r\n'))).toEqual([
        { row: 2, employee_number: '7', name: 'Ada', email: 'ada@example.org' },
        { row: 3, name: 'Bob' },
      ])
    },
  )

  test('with one column alone', () => {
    expect(cellsOf('name\nAda, Bob; Eve')).toEqual([{ row: 2, name: 'Ada' }])
  })

  test('with quotes around whatever a cell may hold', () => {
    const text = 'name;groups;card_label\n"Ada; ""the first""";"Staff|Night, late";"two\nlines"\nBob;;\n'
    expect(cellsOf(text)).toEqual([
      { row: 2, name: 'Ada; "the first"', groups: 'Staff|Night, late', card_label: 'two\nlines' },
      { row: 3, name: 'Bob' },
    ])
  })

  test('with rows counted as a spreadsheet does: empty ones count, and are none', () => {
    expect(cellsOf('name,email\n\nAda,\n,\n\n  ,  \nBob,\n')).toEqual([
      { row: 3, name: 'Ada' },
      { row: 7, name: 'Bob' },
    ])
  })

  test('with a row that is too short; one that is too long is known as such', () => {
    expect(readCsv('name,email\nAda\nBob,b@example.org,x\nEve,,,\n')).toEqual([
      { row: 2, cells: { name: 'Ada' }, tooMany: false },
      { row: 3, cells: { name: 'Bob', email: 'b@example.org' }, tooMany: true },
      { row: 4, cells: { name: 'Eve' }, tooMany: false },
    ])
  })

  test('as it was written: whatever stands in its cells, and whatever stands between them', () => {
    const cell = fc.oneof(
      fc.string({ unit: 'grapheme', maxLength: 12 }),
      fc.constantFrom('', '"', '""', ',', ';', '\t', '\n', '\r\n', 'a"b', '=1+1', '|', "'"),
    )
    const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`
    const columns = fc.shuffledSubarray([...COLUMNS], { minLength: 1 })
    fc.assert(
      fc.property(
        columns.chain((names) =>
          fc.record({
            names: fc.constant(names),
            rows: fc.array(fc.tuple(...names.map(() => cell)), { minLength: 1, maxLength: 8 }),
            between: fc.constantFrom(',', ';', '\t'),
            end: fc.constantFrom('\n', '\r\n'),
          }),
        ),
        ({ names, rows, between, end }) => {
          const text = [names, ...rows].map((cells) => cells.map(quoted).join(between)).join(end)
          const expected = rows.flatMap((cells, i) => {
            const said = cells.flatMap((one, column): [Column, string][] =>
              one.trim() === '' ? [] : [[names[column] as Column, one.trim()]],
            )
            return said.length === 0 ? [] : [{ row: i + 2, ...Object.fromEntries(said) }]
          })
          if (expected.length === 0) expect(mistakeOf(text)?.path).toBe('rows')
          else expect(cellsOf(text)).toEqual(expected)
        },
      ),
      { numRuns: 300 },
    )
  })
})

describe('a file is refused', () => {
  test.each<[string, string, string, RegExp]>([
    ['nothing in it', '', 'header', /missing/],
    ['only a header', 'name,email\n', 'rows', /missing/],
    ['a column that nobody knows', 'name,Phone\nAda,1', 'header', /“phone”: not known/],
    ['a column without a name', 'name,\nAda,', 'header', /not known/],
    ['a column twice', 'name,email,NAME\nAda,,Ada', 'header', /“name” is there twice/],
    ['__proto__ for a column', 'name,__proto__\nAda,1', 'header', /not known/],
    ['a quote that is never closed', 'name\nAda\n"Bob', 'lines.3', /never closed/],
    ['a quote in the midst of a cell', 'name\nA"da', 'lines.2', /middle/],
    ['something behind a quote', 'name,email\n"Ada"x,', 'lines.2', /follows a quote/],
    ['too many rows', `name\n${'Ada\n'.repeat(MOST_ROWS + 1)}`, 'rows', /more than 10000/],
    ['no end of empty rows', `name,email\n${',\n'.repeat(MOST_ROWS + 1)}`, 'rows', /more than 10000/],
  ])('for %s, with a sentence', (_, text, path, message) => {
    expect(mistakeOf(text)).toEqual({ path, message: expect.stringMatching(message) })
  })

  test('or read, whatever is in it', () => {
    const piece = fc.oneof(
      fc.constantFrom('name', 'email', ',', ';', '\t', '"', '\n', '\r', '\0', '\ufeff', '__proto__', '\ud800'),
      fc.string({ maxLength: 20 }),
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
        mistakeOf(pieces.join(''))
        mistakeOf(`name,email\n${pieces.join('')}`)
      }),
      { numRuns: 500 },
    )
  })
})
