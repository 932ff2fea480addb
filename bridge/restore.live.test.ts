import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test, vi } from 'vitest'
import { signIn } from './testing/call.ts'
import { ACCOUNT, type Door, KNOWN_CARD, startSite } from './testing/site.ts'

// The worst day: the database is gone, and doors go on.

const folder = mkdtempSync(join(tmpdir(), 'lintel-restore-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const eventually = <T>(check: () => T | Promise<T>) => vi.waitFor(check, { timeout: 30_000, interval: 50 })

const command = (file: string, args: string[], env: Record<string, string>) =>
  new Promise<string>((resolve, reject) => {
    const all = { PATH: String(process.env['PATH']), ...env }
    execFile(process.execPath, [file, ...args], { env: all }, (error, out, said) =>
      error ? reject(new Error(`${file} ended with ${error.code}: ${said}${out}`)) : resolve(out),
    )
  })

test('backed up, destroyed and restored: all is there again, and no door has noticed', async () => {
  // Of a real Postgres where there is one; else of the embedded database, files and all.
  const dataDir = process.env['TEST_DATABASE_URL'] ? '' : join(folder, 'data')
  const site = await startSite(2, { dataDir })
  const [front, back] = [await site.door(), await site.door()]
  const [heard, heardBack] = [await site.hear(front.replyTopic), await site.hear(back.replyTopic)]
  const scan = ({ topic }: Door, card: string) => site.mqtt.publishAsync(topic, card, { qos: 1 })
  const where = dataDir ? { DATA_DIR: dataDir } : { DATABASE_URL: site.databaseUrl }
  const eventsOf = async (call: typeof site.call) => {
    const { items } = await call('GET', '/events?limit=500')
    return items.map(({ cardNumber, reason, source }) => `${cardNumber} ${reason} ${source}`).sort()
  }

  await scan(front, KNOWN_CARD)
  await eventually(() => expect(heard).toEqual(['1']))
  const made = await eventually(() => command('api/backup/main.ts', ['--key', '--json'], {}))
  const keys = JSON.parse(made)
  const env = { ...where, BACKUP_DIR: join(folder, 'backups'), BACKUP_RECIPIENT: keys.recipient }
  await command('api/backup/main.ts', [], env)
  const [file = ''] = readdirSync(env.BACKUP_DIR)
  // What is decided by the API from now on is in no backup; what the bridge decides is.
  site.api.child.kill('SIGKILL')
  await once(site.api.child, 'exit')
  if (dataDir) rmSync(dataDir, { recursive: true })
  else await site.sql.unsafe('drop schema public cascade; drop schema drizzle cascade; create schema public')

  await scan(back, KNOWN_CARD)
  await scan(front, '4711')
  await eventually(() => expect([heard, heardBack]).toEqual([['1', '0'], ['1']]))
  const restoring = command('api/backup/restore-main.ts', [join(env.BACKUP_DIR, file), '--yes', '--json'], {
    ...where,
    BACKUP_IDENTITY: keys.identity,
  })
  await scan(back, '4712')
  await eventually(() => expect(heardBack).toEqual(['1', '0']))
  const restored = JSON.parse(await restoring)
  expect(restored).toMatchObject({ ok: true, comparison: { differences: [] } })

  const snapshots = () => site.bridge.log.join('').match(/"event":"snapshot"[^}]*"from":"api"/g)?.length ?? 0
  const before = snapshots()
  await site.startApi()
  const call = await signIn(site.apiUrl, ACCOUNT)
  const all = [
    `${KNOWN_CARD} granted online`,
    `${KNOWN_CARD} granted offline`,
    '4711 unknown_card offline',
    '4712 unknown_card offline',
  ].sort()
  await eventually(async () => expect(await eventsOf(call)).toEqual(all))
  // The bridge takes the facts as they are now, decides by the API again, and nothing comes twice.
  await eventually(() => expect(snapshots()).toBeGreaterThan(before))
  await vi.waitFor(
    async () => {
      await scan(front, KNOWN_CARD)
      await new Promise((done) => setTimeout(done, 300))
      const events = await eventsOf(call)
      expect(events).toContain(`${KNOWN_CARD} granted online`)
      expect(events.filter((event) => event === `${KNOWN_CARD} granted online`).length).toBeGreaterThan(1)
    },
    { timeout: 20_000, interval: 3_100 },
  )
  expect((await eventsOf(call)).filter((event) => event.endsWith('offline'))).toEqual(
    all.filter((event) => event.endsWith('offline')),
  )
  const { items: audit } = await call('GET', '/audit?action=backup.restore')
  expect(audit).toHaveLength(1)
}, 300_000)
