import type { ISql } from 'postgres'
import * as v from 'valibot'
import packageJson from '../../package.json' with { type: 'json' }
import { BEGINNING } from '../audit/checkpoint.ts'

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0))

/** What a backup says of itself: of exactly the rows that it holds, read in the same snapshot. */
export const Manifest = v.object({
  format: v.literal(1),
  /** `postgres`: an archive of pg_dump's; `embedded`: DATA_DIR's database, file by file. */
  kind: v.picklist(['postgres', 'embedded']),
  at: v.pipe(v.string(), v.isoTimestamp()),
  /** Lintel's version, and Postgres's. */
  version: v.string(),
  postgres: v.string(),
  /** When each migration was made that the database has, as drizzle's journal says it. */
  migrations: v.array(v.number()),
  /** Rows of each table, by schema and name. */
  counts: v.record(v.string(), count),
  /** Where the audit log ends. */
  audit: v.object({ number: count, hash: v.string() }),
  /** Does it hold secrets.json, and so APP_KEY? */
  secrets: v.boolean(),
})
export type Manifest = v.InferOutput<typeof Manifest>

/** What is read of the database itself. */
export type Facts = Pick<Manifest, 'postgres' | 'migrations' | 'counts' | 'audit'>

export const VERSION = packageJson.version

/** The schemas that are Lintel's. */
export const SCHEMAS = ['public', 'drizzle']

export const tablesOf = (sql: ISql) => sql<{ schema: string; name: string }[]>`
  select n.nspname as schema, c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where n.nspname = any(string_to_array(${SCHEMAS.join(',')}, ',')) and c.relkind in ('r', 'p') and not c.relispartition
    and not exists (select from pg_depend d where d.objid = c.oid and d.deptype = 'e')
  order by 1, 2`

export const countsOf = async (sql: ISql): Promise<Manifest['counts']> => {
  const counts: Manifest['counts'] = {}
  for (const { schema, name } of await tablesOf(sql)) {
    const [row] = await sql<{ rows: string }[]>`select count(*)::text as rows from ${sql(schema)}.${sql(name)}`
    counts[`${schema}.${name}`] = Number(row?.rows)
  }
  return counts
}

/** Everything a manifest says of a database; for one truth of it all, in a transaction that is `repeatable read`. */
export const factsOf = async (sql: ISql): Promise<Facts> => {
  const [server] = await sql<{ server_version: string }[]>`show server_version`
  const migrations = await sql<{ at: string }[]>`
    select created_at::text as at from drizzle.__drizzle_migrations order by created_at`
  const [end] = await sql<{ number: string; hash: string }[]>`
    select "number"::text, "hash" from "audit" order by "audit"."number" desc limit 1`
  return {
    postgres: server?.server_version ?? '',
    migrations: migrations.map(({ at }) => Number(at)),
    counts: await countsOf(sql),
    audit: { number: Number(end?.number ?? 0), hash: end?.hash ?? BEGINNING },
  }
}
