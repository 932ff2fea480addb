import { type SQL, sql } from 'drizzle-orm'

/** For `in (…)`. Numbers as they stand: they are ours, and a parameter each would be a thousand. */
export const listOf = (numbers: readonly number[]): SQL => sql.raw([0, ...numbers.map(Math.trunc)].join())
