import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'

const text = readFileSync('SECURITY.md', 'utf8')

/** A file in backticks, and the names of tests behind it, each “in quotes”, until the next file or the end of the cell. */
const pointers = [
  ...text.matchAll(
    /`((?:api|bridge|drizzle)\/[\w./-]+|[\w-]*\.?[\w-]+\.(?:json|toml|md|example)|\.gitignore)`([^`|]*)/g,
  ),
].map(([, path = '', rest = '']) => ({
  path,
  names: [...rest.matchAll(/“([^”]+)”/g)].map(([, name = '']) => name.replaceAll(/\s+/g, ' ')),
}))

describe('SECURITY.md names', () => {
  test.each([...new Set(pointers.map(({ path }) => path))])('%s, and it is there', (path) => {
    expect(existsSync(path)).toBe(true)
  })

  const named = pointers.flatMap(({ path, names }) => names.map((name) => [path, name] as const))
  test.each(named)('in %s a test “%s”, and it is there', (path, name) => {
    const source = readFileSync(path, 'utf8')
    expect([`'${name}'`, `"${name}"`].some((quoted) => source.includes(quoted))).toBe(true)
  })

  test('a file for every claim', () => {
    const rows = text.split('\n').filter((line) => line.startsWith('| ') && /\b(met|partly)\b/.test(line))
    expect(rows.length).toBeGreaterThan(100)
    expect(
      rows.filter((row) => !/`[\w./-]+\.(ts|sql|json|toml|md|example)`|`\.(gitignore|env\.example)`/.test(row)),
    ).toEqual([])
  })

  test('every name in quotes behind a file: none is left unchecked', () => {
    expect(named.length).toBe([...text.matchAll(/“[^”]+”/g)].length)
  })
})
