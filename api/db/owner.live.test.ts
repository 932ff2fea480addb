import { globSync, readFileSync } from 'node:fs'
import postgres from 'postgres'
import { expect, test } from 'vitest'
import { freshDatabase } from '../testing/database.ts'

test('whoever owns the tables can make every function of the migrations, and needs be no superuser', async () => {
  const statements = globSync('drizzle/*.sql')
    .sort()
    .flatMap((file) => readFileSync(file, 'utf8').split('--> statement-breakpoint'))
  const functions = statements
    .map((text) => text.match(/CREATE (OR REPLACE )?FUNCTION[\s\S]*/)?.[0] ?? '')
    .filter((text) => text !== '')
  const { url, close } = await freshDatabase()
  const sql = postgres(url, { max: 1, fetch_types: false, onnotice: () => {} })
  const role = `owner_${process.pid}`
  await sql
    .begin(async (tx) => {
      await tx.unsafe(`create role ${role}`)
      await tx.unsafe(`create schema apart authorization ${role}`)
      await tx.unsafe(`set local role ${role}`)
      await tx.unsafe('set local search_path = apart, public')
      for (const text of functions) await tx.unsafe(text)
      const [made] = await tx`select count(*)::int as made from pg_proc where pronamespace = 'apart'::regnamespace`
      expect(made?.['made']).toBeGreaterThan(7)
      throw new Error('enough')
    })
    .catch((error: Error) => expect(error.message).toBe('enough'))
  await sql.end()
  await close()
})
