import { CsvError, parse } from 'csv-parse/sync'
import { invalid } from '../../errors.ts'

/** What a file may say of people and their cards, by the names in its first row. */
export const COLUMNS = [
  'name',
  'email',
  'employee_number',
  'active',
  'valid_from',
  'valid_until',
  'groups',
  'card_number',
  'card_form',
  'card_label',
  'card_valid_from',
  'card_valid_until',
] as const
export type Column = (typeof COLUMNS)[number]

export const MOST_ROWS = 10_000

/** A row as a spreadsheet counts it (the header is row 1). An empty cell says nothing, so it is left out. */
export type Row = { row: number; cells: Partial<Record<Column, string>>; tooMany: boolean }

const DELIMITERS = [',', ';', '\t'] as const
/** Far more than a header takes: the delimiter is told by that alone. */
const HEADER_LETTERS = 10_000

type Parsed = { record: string[]; info: { records: number; empty_lines: number } }

const isColumn = (name: string): name is Column => (COLUMNS as readonly string[]).includes(name)
const nameOf = (cell: string) => cell.trim().toLowerCase()

/** The one by which the first row has most of the names that it may have. */
const delimiterOf = (text: string): string => {
  const known = (delimiter: string) => {
    try {
      const [header = []] = parse(text.slice(0, HEADER_LETTERS), { delimiter, to: 1, relax_quotes: true })
      return header.map(nameOf).filter(isColumn).length
    } catch {
      return 0
    }
  }
  return DELIMITERS.map((delimiter) => ({ delimiter, names: known(delimiter) })).reduce((best, one) =>
    one.names > best.names ? one : best,
  ).delimiter
}

const WRONG: Record<string, string> = {
  CSV_QUOTE_NOT_CLOSED: 'a quote is opened and never closed',
  CSV_INVALID_CLOSING_QUOTE: 'something follows a quote that should end its cell',
  INVALID_OPENING_QUOTE: 'a quote stands in the middle of a cell: put the cell into quotes, and the quote twice',
}

const recordsOf = (text: string): Parsed[] => {
  const options = {
    delimiter: delimiterOf(text),
    info: true,
    relax_column_count: true,
    skip_empty_lines: true,
    to: MOST_ROWS + 2,
  }
  try {
    // What `info` makes of a record its types do not say.
    return parse(text, options) as unknown as Parsed[]
  } catch (thrown) {
    if (!(thrown instanceof CsvError)) throw thrown
    return invalid(`lines.${Number(thrown['lines'])}`, WRONG[thrown.code] ?? 'is not CSV')
  }
}

const columnsOf = (header: string[]): Column[] => {
  const names = header.map(nameOf)
  const unknown = names.filter((name) => !isColumn(name))
  if (unknown.length > 0) {
    const shown = unknown.slice(0, 5).map((name) => `“${name.slice(0, 40)}”`)
    invalid('header', `${shown.join(', ')}: not known here. The columns are ${COLUMNS.join(', ')}`)
  }
  const columns = names.filter(isColumn)
  const twice = columns.find((name, i) => columns.indexOf(name) !== i)
  if (twice !== undefined) invalid('header', `“${twice}” is there twice`)
  return columns
}

/** A file's rows by column; what is wrong with the file as a whole is thrown, as there is then no row to speak of. */
export const readCsv = (text: string): Row[] => {
  const [header, ...records] = recordsOf(text)
  if (!header) return invalid('header', `is missing: the first row names the columns, of ${COLUMNS.join(', ')}`)
  const columns = columnsOf(header.record)
  if (records.length > MOST_ROWS) invalid('rows', `are more than ${MOST_ROWS}: split the file`)
  const rows = records.map(({ record, info }) => rowOf(columns, record, info.records + info.empty_lines))
  const said = rows.filter(({ cells, tooMany }) => tooMany || Object.keys(cells).length > 0)
  if (said.length === 0) invalid('rows', 'are missing: there is only a header')
  return said
}

const rowOf = (columns: readonly Column[], record: string[], row: number): Row => {
  const cells: Row['cells'] = {}
  for (const [i, column] of columns.entries()) {
    const cell = record[i]?.trim()
    if (cell) cells[column] = cell
  }
  return { row, cells, tooMany: record.slice(columns.length).some((cell) => cell.trim() !== '') }
}
