import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { connect } from '../db/connect.ts'
import { freshDatabase } from '../testing/database.ts'
import { sealed } from './checkpoint.ts'
import { verifyChain } from './verify.ts'

// `npm run audit:verify` as an administrator would run it.

const APP_KEY = Buffer.from(Array.from({ length: 32 }, (_, i) => (i * 41 + 7) % 256))

let folder: string
let url: string
let closeDatabase: () => Promise<void>

const withSql = async <T>(work: (sql: ReturnType<typeof connect>) => Promise<T>): Promise<T> => {
  const sql = connect({ url }, 'command')
  return work(sql).finally(() => sql.end())
}

const run = (args: string[], env: Record<string, string> = {}) =>
  new Promise<{ code: number; out: string }>((resolve) => {
    const all = { PATH: String(process.env['PATH']), DATABASE_URL: url, APP_KEY: APP_KEY.toString('base64'), ...env }
    execFile(process.execPath, ['api/audit/verify-main.ts', ...args], { env: all }, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, out: `${stdout}${stderr}`.trim() }),
    )
  })

const checkpoint = async (change: Record<string, unknown> = {}): Promise<string> => {
  const { last } = await withSql((sql) => verifyChain(sql))
  const file = join(folder, `${crypto.randomUUID()}.json`)
  const made = await sealed(APP_KEY, { ...last, at: '2026-01-31T08:00:00.000Z' })
  await writeFile(file, JSON.stringify({ ...made, ...change }))
  return file
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lintel-audit-'))
  const database = await freshDatabase()
  url = database.url
  closeDatabase = database.close
  await withSql(
    (sql) => sql`insert into audit (number, at, actor_kind, action, previous, hash)
      select 0, now(), 'system', 'test', '', '' from generate_series(1, 2500)`,
  )
})

afterAll(async () => {
  await closeDatabase()
  await rm(folder, { recursive: true, force: true })
})

describe('npm run audit:verify', () => {
  test('says that the log is whole, to people and to programs', async () => {
    expect(await run([])).toEqual({
      code: 0,
      out: expect.stringMatching(/^The audit log is whole: 2500 rows, .*2500 with the hash [0-9a-f]{64}\.$/),
    })
    const { code, out } = await run(['--json', '--checkpoint', await checkpoint()])
    expect({ code, ...JSON.parse(out) }).toMatchObject({ code: 0, ok: true, rows: 2500, findings: [], found: 0 })
  })

  test.each([
    ['edited', { hash: 'a'.repeat(64) }],
    ['sealed by somebody else', { seal: 'A'.repeat(43) }],
    ['renumbered', { number: 3 }],
    ['dated anew', { at: '2026-02-01T08:00:00.000Z' }],
    ['without a seal', { seal: undefined }],
    ['not one', { number: 'x' }],
  ])('takes no checkpoint that is %s', async (_, change) => {
    const { code, out } = await run(['--checkpoint', await checkpoint(change)])
    expect({ code, out }).toEqual({ code: 1, out: expect.stringMatching(/seal .* not good|is not a checkpoint/) })
  })

  test('says what to do when it cannot begin', async () => {
    const file = await checkpoint()
    expect(await run(['--checkpoint', file], { APP_KEY: '' })).toEqual({
      code: 1,
      out: expect.stringMatching(/^APP_KEY is not set/),
    })
    expect(await run(['--checkpoint'])).toEqual({ code: 1, out: expect.stringMatching(/^Not understood\./) })
    expect(await run([], { DATABASE_URL: '', DATA_DIR: join(folder, 'new') })).toEqual({
      code: 1,
      out: expect.stringMatching(/^There is no database in DATA_DIR/),
    })
  })

  test('says what is wrong, a sentence for each, and exits with 1', async () => {
    const file = await checkpoint()
    await withSql(async (sql) => {
      await sql`alter table audit disable trigger user`
      await sql`update audit set action = 'x' where number = 7`
      await sql`delete from audit where number in (1000, 1001, 2500)`
      await sql`alter table audit enable trigger user`
    })
    const { code, out } = await run(['--checkpoint', file])
    expect({ code, out: out.split('\n') }).toEqual({
      code: 1,
      out: [
        'Row 7 was edited: its content is not what was hashed.',
        'Rows 1000 to 1001 were removed.',
        'Row 2500 was cut off: the checkpoint of 2026-01-31T08:00:00.000Z knew more.',
      ],
    })
    const json = await run(['--json'])
    expect({ code: json.code, ...JSON.parse(json.out) }).toMatchObject({ code: 1, ok: false, found: 2 })
  })
})
