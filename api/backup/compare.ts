import type { Sql } from 'postgres'
import { verifyChain } from '../audit/verify.ts'
import { countsOf, type Manifest } from './manifest.ts'

/** Is what was restored what was backed up? Each sentence says what is not. */
export type Comparison = { tables: number; rows: number; audit: number; differences: string[] }

/**
 * Counts every table and walks the audit log to where it ended in the backup. Whoever makes backups need not have APP_KEY, so what
 * the log says was taken from it by its rules is believed here; `npm run audit:verify` looks at the seals.
 */
export const compare = async (sql: Sql, { counts, audit, at }: Manifest): Promise<Comparison> => {
  const found = await countsOf(sql)
  const names = [...new Set([...Object.keys(counts), ...Object.keys(found)])].sort()
  const differing = names.filter((name) => counts[name] !== found[name])
  const chain = await verifyChain(sql, { ...audit, at }, 'all')
  return {
    tables: names.length,
    rows: Object.values(found).reduce((sum, count) => sum + count, 0),
    audit: chain.rows,
    differences: [
      ...differing.map(
        (name) => `${name} has ${found[name] ?? 'no table'} rows; the backup had ${counts[name] ?? 'no table'}.`,
      ),
      ...chain.findings.map(({ detail }) => detail),
    ],
  }
}

export const sentenceOf = ({ tables, rows, audit }: Comparison): string =>
  `All ${rows} rows of ${tables} tables are there, and the audit log of ${audit} rows is whole.`
