import { existsSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

const readme = readFileSync('README.md', 'utf8')

test.each([...new Set(readme.match(/`(api|bridge|drizzle)\/[\w./-]*`/g))])(
  'the README names %s, and it is there',
  (path) => {
    expect(existsSync(path.replaceAll('`', ''))).toBe(true)
  },
)
