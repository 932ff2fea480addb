import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import postgres, { type Sql } from 'postgres'
import { v7 } from 'uuid'
import { afterAll, beforeAll, expect, inject, test, vi } from 'vitest'
import { factsVersion } from '../access/site.ts'
import { verifyChain } from '../audit/verify.ts'
import { connect } from '../db/connect.ts'
import { migrate } from '../db/migrate.ts'
import { socketPath, startEmbeddedPostgres } from '../embedded/postgres.ts'
import { writePrivate } from '../embedded/secrets.ts'
import { database } from '../platform.ts'
import { freshDatabase, withDatabase } from '../testing/database.ts'
import { type KeyPair, newKeyPair } from './age.ts'
import { backUpDaily } from './daily.ts'
import { DamagedBackup } from './file.ts'
import type { Manifest } from './manifest.ts'
import { restoreEmbedded, restorePostgres } from './restore.ts'
import { serveCopies } from './serve.ts'

// `npm run backup` and `npm run restore` as an administrator runs them, while Lintel works: of the embedded database, or of
// the real Postgres where the tests have one.

const folder = mkdtempSync(join(tmpdir(), 'lintel-backups-'))
const template = inject('template')

type Target = { into: string; use<T>(work: (sql: Sql) => Promise<T>): Promise<T>; isEmpty(): Promise<boolean> }

/** A database with somebody at work in it, and places to restore it into; `clean` says whether nothing is left of a trial. */
type Place = {
  kind: Manifest['kind']
  env: Record<string, string>
  /** As which Lintel itself runs: on a Postgres as a role that owns nothing. */
  app: Record<string, string>
  sql: Sql
  target(): Promise<Target>
  clean(): Promise<boolean>
  close(): Promise<void>
}

const using = async <T>(sql: Sql, work: (sql: Sql) => Promise<T>, close = async () => {}) => {
  try {
    return await work(sql)
  } finally {
    await sql.end()
    await close()
  }
}

const embedded = async (): Promise<Place> => {
  const dataDir = mkdtempSync(join(folder, 'data-'))
  const running = await startEmbeddedPostgres(dataDir)
  await migrate({ socket: socketPath(dataDir) })
  writePrivate(join(dataDir, 'secrets.json'), { APP_KEY: 'of this installation' })
  const sql = connect({ socket: socketPath(dataDir) }, 'rest')
  const copies = await serveCopies({ db: database(sql), log: () => {} }, dataDir)
  return {
    kind: 'embedded',
    env: { DATA_DIR: dataDir, DATABASE_URL: '' },
    app: { DATA_DIR: dataDir, DATABASE_URL: '' },
    sql,
    async target() {
      const into = join(folder, v7())
      return {
        into,
        isEmpty: async () => !existsSync(join(into, 'db')),
        async use(work) {
          const own = await startEmbeddedPostgres(into)
          return using(connect({ socket: socketPath(into) }, 'command'), work, own.close)
        },
      }
    },
    clean: async () => !readdirSync(dataDir).some((name) => name.startsWith('copy-')),
    async close() {
      await copies.close()
      await sql.end()
      await running.close()
    },
  }
}

const onServer = async (server: string): Promise<Place> => {
  const { url, close } = await freshDatabase()
  const admin = postgres(server, { max: 1, onnotice: () => {} })
  const made: string[] = []
  const sql = connect({ url }, 'rest')
  await sql.unsafe(readFileSync('api/db/least-privilege.sql', 'utf8'))
  await sql`alter role lintel_app login password 'of this test'`
  const app = new URL(url)
  app.username = 'lintel_app'
  app.password = 'of this test'
  return {
    kind: 'postgres',
    env: { DATABASE_URL: url },
    app: { DATABASE_URL: app.href },
    sql,
    async target() {
      const name = `lintel_restored_${v7().replaceAll('-', '')}`
      made.push(name)
      await admin.unsafe(`create database ${name}`)
      const into = withDatabase(server, name)
      const use: Target['use'] = (work) => using(connect({ url: into }, 'command'), work)
      const isEmpty = async () =>
        (await use((sql) => sql`select from pg_tables where schemaname = 'public'`)).length === 0
      return { into, use, isEmpty }
    },
    clean: async () => (await admin`select from pg_database where datname like 'lintel_verify_%'`).length === 0,
    async close() {
      await sql.end()
      for (const name of made) await admin.unsafe(`drop database ${name} with (force)`)
      await admin.end()
      await close()
    },
  }
}

let place: Place
let pair: KeyPair

beforeAll(async () => {
  place = await ('files' in template ? embedded() : onServer(template.server))
  pair = await newKeyPair()
  await place.sql`insert into people (id, name) select gen_random_uuid(), 'Person ' || n from generate_series(1, 300) n`
  await place.sql`insert into audit (number, at, actor_kind, action, previous, hash)
    select 0, now(), 'system', 'test', '', '' from generate_series(1, 300)`
})

afterAll(async () => {
  await place.close()
  rmSync(folder, { recursive: true, force: true })
})

const run = (main: 'main' | 'restore-main', args: string[], env: Record<string, string> = {}) =>
  new Promise<{ code: number; out: string; json: () => Record<string, unknown> }>((resolve) => {
    const all = { PATH: String(process.env['PATH']), ...place.env, ...env }
    execFile(process.execPath, [`api/backup/${main}.ts`, ...args], { env: all }, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, out: `${stdout}${stderr}`, json: () => JSON.parse(stdout) }),
    )
  })

const addEvent = ({ sql }: Pick<Place, 'sql'>) =>
  sql.begin(async (tx) => {
    await tx`insert into events (id, at, received_at, decision, reason, source, card_number, bridge_id, open_ms)
      values (${v7()}, now(), now(), 'denied', 'unknown_card', 'online', 'DE0BA996', ${v7()}, 0)`
    await tx`insert into audit (number, at, actor_kind, action, previous, hash) values (0, now(), 'system', 'test', '', '')`
  })

/** Somebody writes, one row and its line of the audit log after another, for as long as something else takes. */
const whileWriting = async <T>(work: () => Promise<T>): Promise<{ written: number; result: T }> => {
  const over = new AbortController()
  let written = 0
  const writing = (async () => {
    for (; !over.signal.aborted; written++) await addEvent(place)
  })()
  const [result] = await Promise.all([work().finally(() => over.abort()), writing])
  return { written, result }
}

const restoreInto = (into: string, from: Parameters<typeof restorePostgres>[1]) =>
  place.kind === 'embedded' ? restoreEmbedded(into, from) : restorePostgres(into, from)

const peopleOf = async (sql: Sql) =>
  (await sql`select md5(string_agg(p::text, ',' order by id)) as people from people p`)[0]?.['people']
const factsOf = async (sql: Sql) => (await sql`select ${factsVersion(sql)} as facts`)[0]?.['facts']

test('a backup made and tried while others write is of one instant, and is restored with all that was in it', async () => {
  const out = join(folder, 'out')
  const { written, result } = await whileWriting(() =>
    run('main', ['--verify', '--json'], { BACKUP_DIR: out, BACKUP_RECIPIENT: pair.recipient }),
  )
  const made = result.json()
  expect(made).toMatchObject({ ok: true, encrypted: true, comparison: { differences: [] } })
  const { counts, audit } = made['manifest'] as Manifest
  expect(counts).toMatchObject({ 'public.people': 300 })
  // Each event has its row of the audit log, written in one transaction: in no other instant are there as many.
  expect(audit.number).toBe(300 + Number(counts['public.events']))
  expect(counts['public.audit']).toBe(audit.number)
  expect(written).toBeGreaterThan(Number(counts['public.events']))
  expect(await place.clean()).toBe(true)
  const upkeep = await place.sql`select task, error, done_at is not null as done from upkeep order by task`
  expect(upkeep).toEqual([
    { task: 'backup', error: null, done: true },
    { task: 'backup-verified', error: null, done: true },
  ])

  const file = String(made['file'])
  const { into, use } = await place.target()
  const asked = await run('restore-main', [file, '--into', into], { BACKUP_IDENTITY: pair.identity })
  expect(asked).toMatchObject({ code: 2, out: 'Nobody can be asked here. If it is meant, add --yes.\n' })
  const restored = await run('restore-main', [file, '--into', into, '--yes'], { BACKUP_IDENTITY: pair.identity })
  expect(restored).toMatchObject({ code: 0, out: expect.stringMatching(/rows of \d+ tables are there, .* is whole/) })
  expect(restored.out).not.toContain('postgres://')

  const before = { people: await peopleOf(place.sql), facts: await factsOf(place.sql) }
  await use(async (sql) => {
    expect(await peopleOf(sql)).toBe(before.people)
    // Every bridge takes the facts anew.
    expect(await factsOf(sql)).not.toBe(before.facts)
    const [row] = await sql`select count(*)::int as events from events`
    expect(row).toEqual({ events: counts['public.events'] })
    expect(await verifyChain(sql)).toMatchObject({ rows: audit.number + 1, found: 0 })
    const [last] = await sql`select action, actor_kind from audit order by number desc limit 1`
    expect(last).toEqual({ action: 'backup.restore', actor_kind: 'system' })
    // Rows are numbered on from where they were, and what protects the record does so again.
    await addEvent({ sql })
    await sql`insert into people (id, name) values (gen_random_uuid(), 'New')`
    await expect(sql`delete from events`).rejects.toThrow(/only ever added/)
  })
  if (place.kind === 'embedded') {
    expect(readFileSync(join(into, 'secrets.json'), 'utf8')).toContain('of this installation')
  }

  const again = { file, identities: [pair.identity], replace: false, at: new Date() }
  await expect(restoreInto(into, again)).rejects.toThrow(/--replace/)
  const replaced = await run('restore-main', [file, '--into', into, '--yes', '--replace'], {
    BACKUP_IDENTITY: pair.identity,
  })
  expect(replaced).toMatchObject({ code: 0, out: expect.stringContaining('is whole') })
  await use(async (sql) => expect(await peopleOf(sql)).toBe(before.people))

  // One bit of it changed: a trial finds that, and it is restored nowhere.
  const bytes = readFileSync(file)
  const middle = bytes.length >> 1
  bytes[middle] = Number(bytes[middle]) ^ 1
  writeFileSync(file, bytes)
  const tried = await run('main', ['--verify', file], { BACKUP_IDENTITY: pair.identity })
  expect(tried).toMatchObject({ code: 1, out: expect.stringMatching(/is damaged: .* Take another backup/) })
  const [verified] = await place.sql`select error from upkeep where task = 'backup-verified'`
  expect(verified?.['error']).toMatch(/is damaged/)
  const other = await place.target()
  await expect(restoreInto(other.into, again)).rejects.toThrow(DamagedBackup)
  expect(await other.isEmpty()).toBe(true)
}, 300_000)

test('once a day one of several processes makes a backup, and old ones go', async () => {
  const out = mkdtempSync(join(folder, 'daily-'))
  const [old, young] = ['lintel-2020-01-01T03-00-00Z.backup', 'lintel-9999-01-01T03-00-00Z.backup']
  for (const name of [old, young]) writeFileSync(join(out, name), '')
  await place.sql`delete from upkeep`
  const lines: unknown[] = []
  const platform = {
    db: database(place.sql),
    now: () => new Date(),
    log: (...line: unknown[]) => void lines.push(line),
  }
  const settings = {
    DATA_DIR: place.app['DATA_DIR'] ?? '.data',
    DATABASE_URL: place.app['DATABASE_URL'] || undefined,
    SCRATCH_DATABASE_URL: undefined,
    BACKUP_DIR: out,
    BACKUP_KEEP_DAYS: 30,
    BACKUP_RECIPIENT: pair.recipient,
  }
  const several = [backUpDaily(platform, settings), backUpDaily(platform, settings)]
  // A trial is part of it where nobody's server gets a second copy of everything by it.
  const verified = place.kind === 'embedded'
  await vi.waitFor(
    () => expect(lines).toEqual([['info', 'backup', expect.objectContaining({ removed: 1, verified })]]),
    {
      timeout: 110_000,
      interval: 50,
    },
  )
  for (const { close } of several) await close()
  expect(readdirSync(out)).toHaveLength(2)
  expect(readdirSync(out)).not.toContain(old)
  await backUpDaily(platform, settings).close()
  expect(readdirSync(out)).toHaveLength(2)
}, 120_000)
