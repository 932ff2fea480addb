import { execFile } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type KeyPair, newKeyPair } from './age.ts'
import { archiveOf } from './embedded.ts'
import { checkBackup, DamagedBackup, readBackup, writeBackup } from './file.ts'
import type { Manifest } from './manifest.ts'
import { unpackEmbedded, usable } from './restore.ts'

const folder = mkdtempSync(join(tmpdir(), 'lintel-backup-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const manifest: Manifest = {
  format: 1,
  kind: 'postgres',
  at: '2026-11-25T00:00:00.000Z',
  version: '0.1.0',
  postgres: '15.18',
  migrations: [],
  counts: { 'public.events': 3 },
  audit: { number: 0, hash: '0'.repeat(64) },
  secrets: false,
}

/** More than two of age's chunks of 64 KiB, and no end of one. */
const BODY = Buffer.from(Array.from({ length: 150_001 }, (_, i) => (i * 31 + (i >> 8) * 7) % 256))
const inPieces = async function* (bytes = BODY) {
  for (let at = 0; at < bytes.length; at += 10_007) yield bytes.subarray(at, at + 10_007)
}
const read = async (file: string, identities: readonly string[]) => {
  const { body } = await readBackup(file, identities)
  const pieces: Uint8Array[] = []
  for await (const piece of body) pieces.push(piece)
  return Buffer.concat(pieces)
}

let pair: KeyPair
const files = { plain: join(folder, 'plain.backup'), sealed: join(folder, 'sealed.backup') }
beforeAll(async () => {
  pair = await newKeyPair()
  await writeBackup(files.plain, { manifest, body: inPieces(), recipients: [] })
  await writeBackup(files.sealed, { manifest, body: inPieces(), recipients: [pair.recipient] })
})

describe.each(['plain', 'sealed'] as const)('a backup that is %s', (kind) => {
  const file = files[kind]
  const bytes = () => readFileSync(file)
  const other = join(folder, `${kind}-other`)
  const check = (content: Buffer) => {
    writeFileSync(other, content)
    return checkBackup(other, [pair.identity])
  }

  test('gives back what was put into it, and is for the eyes of its owner alone', async () => {
    expect((await read(file, [pair.identity])).equals(BODY)).toBe(true)
    expect(await checkBackup(file, [pair.identity])).toEqual({ manifest, encrypted: kind === 'sealed' })
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(bytes().includes(BODY.subarray(1_000, 1_064))).toBe(kind === 'plain')
  })

  test('is refused with any one byte changed, wherever that is', async () => {
    const whole = bytes()
    // Heads and ends are short and matter most; and anywhere.
    const place = fc.oneof(
      fc.integer({ min: 0, max: 700 }),
      fc.integer({ min: whole.length - 64, max: whole.length - 1 }),
      fc.integer({ min: 0, max: whole.length - 1 }),
    )
    await fc.assert(
      fc.asyncProperty(place, fc.integer({ min: 1, max: 255 }), async (at, flip) => {
        const changed = Buffer.from(whole)
        changed[at] = Number(changed[at]) ^ flip
        await expect(check(changed)).rejects.toThrow(/damaged/)
      }),
      { numRuns: 60 },
    )
  })

  test.each([0, 1, 15, 100, 5_000, 65_536, -33, -32, -16, -1])('is refused when it ends at %i', async (end) => {
    await expect(check(bytes().subarray(0, end))).rejects.toThrow(DamagedBackup)
  })

  test('is refused with something after its end', async () => {
    await expect(check(Buffer.concat([bytes(), Buffer.from('\n')]))).rejects.toThrow(DamagedBackup)
  })
})

test('an encrypted backup wants its own key', async () => {
  const stranger = await newKeyPair()
  await expect(checkBackup(files.sealed, [stranger.identity])).rejects.toThrow(/encrypted for another key/)
  await expect(checkBackup(files.sealed, [])).rejects.toThrow(/Set BACKUP_IDENTITY/)
  await expect(checkBackup(files.sealed, ['hunter2'])).rejects.toThrow(/no key/)
  await expect(
    writeBackup(join(folder, 'none.backup'), { manifest, body: inPieces(), recipients: ['age1hunter2'] }),
  ).rejects.toThrow(/BACKUP_RECIPIENT is not usable/)
  await expect(checkBackup(join(folder, 'nowhere.backup'), [])).rejects.toThrow(/cannot be read \(ENOENT\)/)
})

test('a backup of a version that is newer than this one is refused before anything is done with it', async () => {
  const file = join(folder, 'newer.backup')
  const newer = { ...manifest, version: '9.0.0', migrations: [9_999_999_999_999] }
  await writeBackup(file, { manifest: newer, body: inPieces(), recipients: [] })
  await expect(usable({ file, identities: [] })).rejects.toThrow(/made by a newer Lintel \(9\.0\.0\).*Update Lintel/)
})

test.each([
  ['the disk is full', 'ulimit -f 64; ', /EFBIG/],
  ['what it is made of fails', '', /no more/],
])('when %s nothing is left that looks like a backup', async (_name, limit, error) => {
  const out = mkdtempSync(join(folder, 'full-'))
  // Many systems have no disk that is full: one file may not become greater here, and the same calls fail.
  const program = `
    const { writeBackup } = await import('./api/backup/file.ts')
    const body = (async function* () {
      for (let i = 0; i < 4; i++) yield Buffer.alloc(100_000, i)
      throw new Error('no more')
    })()
    await writeBackup(${JSON.stringify(join(out, 'one.backup'))}, { manifest: {}, body, recipients: [] })`
  const script = `${limit}exec "$0" --input-type=module -e "$1"`
  const said = await new Promise<string>((done) => {
    execFile('sh', ['-c', script, process.execPath, program], (_error, _out, text) => done(text))
  })
  expect(said).toMatch(error)
  expect(readdirSync(out)).toEqual([])
})

test('a backup never takes the place of another', async () => {
  await expect(writeBackup(files.plain, { manifest, body: inPieces(), recipients: [] })).rejects.toThrow(
    /there already/,
  )
})

describe('the files of the embedded database', () => {
  const from = join(folder, 'from')
  beforeAll(async () => {
    await mkdir(join(from, 'db', 'base', 'empty'), { recursive: true })
    await mkdir(join(from, 'db', 'pg_wal'))
    for (const size of [0, 1, 511, 512, 513, 300_000]) {
      writeFileSync(join(from, 'db', 'base', String(size)), BODY.subarray(0, size % BODY.length))
    }
    writeFileSync(join(from, 'secrets.json'), '{"APP_KEY":"x"}')
    chmodSync(join(from, 'secrets.json'), 0o600)
  })

  test('come back as they were, empty folders too', async () => {
    const file = join(folder, 'files.backup')
    await writeBackup(file, { manifest, body: archiveOf(join(from, 'db'), from), recipients: [] })
    const to = mkdtempSync(join(folder, 'to-'))
    await unpackEmbedded(to, { file, identities: [] })
    const names = readdirSync(from, { recursive: true }).map(String).sort()
    expect(readdirSync(to, { recursive: true }).map(String).sort()).toEqual(names)
    for (const name of names.filter((name) => statSync(join(from, name)).isFile())) {
      expect(readFileSync(join(to, name)).equals(readFileSync(join(from, name)))).toBe(true)
    }
    expect(statSync(join(to, 'secrets.json')).mode & 0o077).toBe(0)
  })

  test('hold no key where nothing hides it, and lie nowhere but in their folder', async () => {
    const file = join(folder, 'no-secrets.backup')
    await writeBackup(file, { manifest, body: archiveOf(join(from, 'db'), undefined), recipients: [] })
    const to = mkdtempSync(join(folder, 'to-'))
    await unpackEmbedded(to, { file, identities: [] })
    expect(existsSync(join(to, 'secrets.json'))).toBe(false)

    const { packed, unpack, end } = await import('./tar.ts')
    const evil = async function* () {
      yield* packed(join(from, 'secrets.json'), 'db/../../evil')
      yield end()
    }
    await expect(unpack(evil(), to, () => true)).rejects.toThrow(/does not belong/)
  })
})
