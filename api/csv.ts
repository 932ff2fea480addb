/*
 * CSV (RFC 4180): cells in quotes where they have to be, lines that end with CR LF. A program for spreadsheets takes a cell
 * that begins with one of these for a formula and runs it, and a name may be anything: such a cell gets an apostrophe before
 * it, also where one begins for a program that takes another separator. It is on OWASP's page on CSV injection.
 */
const FORMULA = /^(?=[=+\-@\t\r\n\0＝＋－＠])|(?<=[,;|\t\r\n])(?=[=+\-@＝＋－＠])/g

const QUOTED = /[",;\t\r\n]/

/** One cell of text that somebody else wrote. */
export const textCell = (text: string): string => {
  const safe = text.replace(FORMULA, "'")
  return QUOTED.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}

/** A line of cells; null is an empty one. */
export const csvLine = (cells: readonly (string | null)[]): string =>
  `${cells.map((cell) => (cell === null ? '' : textCell(cell))).join(',')}\r\n`
