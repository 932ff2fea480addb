import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import postgres from 'postgres'
import { expect, inject, test } from 'vitest'
import { SetupError } from '../contract/environment.ts'
import { freshDatabase } from '../testing/database.ts'
import { whenFileEnds } from '../testing/endings.ts'
import { migrate } from './migrate.ts'

/** The migrations that there are, and one more. */
const oneMore = async () => {
  const folder = await mkdtemp(join(tmpdir(), 'lintel-migrations-'))
  whenFileEnds(() => rm(folder, { recursive: true, force: true }))
  await cp('drizzle', folder, { recursive: true })
  const journal = JSON.parse(await readFile(join(folder, 'meta/_journal.json'), 'utf8'))
  journal.entries.push({ ...journal.entries.at(-1), idx: 9999, when: 9_999_999_999_999, tag: '9999_more' })
  await writeFile(join(folder, 'meta/_journal.json'), JSON.stringify(journal))
  await writeFile(
    join(folder, '9999_more.sql'),
    'CREATE TABLE more (id int);--> statement-breakpoint\nALTER TABLE people ADD COLUMN more text',
  )
  return folder
}

// PGlite is one session, whoever is connected: there nobody is ever in anybody's way.
test.skipIf('files' in inject('template'))(
  'a migration that finds a table in use makes no door wait behind it: it lets go, says so, and comes again',
  async () => {
    const { url, close } = await freshDatabase()
    const sql = postgres(url, { max: 3, onnotice: () => {} })
    whenFileEnds(async () => {
      await sql.end()
      await close()
    })
    const migrationsFolder = await oneMore()
    const said: string[] = []
    const report = await sql.reserve()
    await report`begin`
    await report`select count(*) from people`
    const say = (sentence: string) => said.push(sentence)
    const refused = await migrate({ url }, { migrationsFolder, tries: 2, pauseMs: 100, say }).catch(
      (error: unknown) => error,
    )
    expect(refused).toBeInstanceOf(SetupError)
    expect(String(refused)).toMatch(/nothing was changed/)
    expect(said).toEqual([expect.stringMatching(/is in use.*trying again \(1 of 2\)/)])
    expect(await sql`select from pg_tables where tablename = 'more'`).toHaveLength(0)

    const migrated = migrate({ url }, { migrationsFolder, pauseMs: 200, say })
    // Who asks meanwhile is in the line behind it for half a second at most.
    for (let scan = 0; scan < 5; scan++) {
      const asked = performance.now()
      await sql`select count(*) from people`
      expect(performance.now() - asked).toBeLessThan(1_000)
      await new Promise((done) => setTimeout(done, 150))
    }
    await report`commit`
    report.release()
    await migrated
    expect(await sql`select more from people`).toHaveLength(0)
    expect(await sql`select from more`).toHaveLength(0)
  },
)

test('a database that is up to date is left as it is', async () => {
  const { url, close } = await freshDatabase()
  whenFileEnds(close)
  await migrate({ url })
})
