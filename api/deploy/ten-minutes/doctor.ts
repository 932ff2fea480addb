import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as v from 'valibot'
import { BREAKS, type Break } from './breaks.ts'
import type { Installation, Step } from './installation.ts'
import { script } from './machine.ts'
import type { Env } from './processes.ts'

const Answer = v.object({
  ok: v.boolean(),
  lines: v.array(v.object({ check: v.string(), state: v.picklist(['ok', 'warning', 'fault']), why: v.string() })),
})
export type Line = v.InferOutput<typeof Answer>['lines'][number]

/** `npm run doctor -- --json`, with these settings besides; it has to look, and its exit code has to be what it says. */
export const doctorSays = async ({ machine, doctor }: Installation, env: Env = {}): Promise<Line[]> => {
  const [command = '', ...args] = script('doctor', '--json', ...doctor.args)
  const given = Object.fromEntries(Object.entries({ ...doctor.env, ...env }).filter(([, value]) => value !== ''))
  const child = spawn(command, args, {
    cwd: machine.folder,
    env: { PATH: process.env['PATH'], ...given },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let said = ''
  let why = ''
  child.stdout.on('data', (text: Buffer) => (said += text))
  child.stderr.on('data', (text: Buffer) => (why += text))
  const [code] = await once(child, 'close')
  if (code !== 0 && code !== 1) throw new Error(`the doctor could not look (${code}): ${why}`)
  const { ok, lines } = v.parse(Answer, JSON.parse(said))
  if (ok !== (code === 0)) throw new Error(`the doctor says ${ok ? 'ok' : 'ill'} and exits with ${code}`)
  return lines
}

/** A backup for the holder of a key, and that it can be restored, as its daily job and its timer do. */
export const backUp = async ({ machine, processes, api, doctor }: Installation): Promise<void> => {
  const { generateIdentity, identityToRecipient } = await import('age-encryption')
  const identity = await generateIdentity()
  doctor.env['BACKUP_RECIPIENT'] = await identityToRecipient(identity)
  const scratch = api['DATABASE_URL']?.replace('/lintel?', '/lintel_scratch?') ?? ''
  const env = { ...api, ...doctor.env, BACKUP_IDENTITY: identity, SCRATCH_DATABASE_URL: scratch }
  await processes.run({ name: 'backup', argv: script('backup'), env })
  await processes.run({
    name: 'backup --verify',
    argv: script('backup', '--verify'),
    env: { ...env, BACKUP_DIR: join(machine.folder, 'backups') },
  })
}

const breakOne = async (
  site: Installation,
  { name, expect, env = {}, api, file, sql, mend }: Break,
): Promise<string | undefined> => {
  const { services, configuration, postgres } = site
  const path = file && { conf: configuration[file.which], before: readFileSync(configuration[file.which], 'utf8') }
  const reload = async () => {
    if (!file) return
    if (file.which === 'mosquitto') await services.mosquitto.restart({})
    if (file.which === 'caddy') await services.caddy.restart({})
    if (file.which === 'hba') await postgres.sql('select pg_reload_conf()', 'postgres')
  }
  try {
    if (file && path) {
      writeFileSync(path.conf, file.change(path.before))
      await reload()
    }
    if (sql !== undefined) await postgres.sql(sql)
    if (api) await services.api.restart({ ADMIN_EMAIL: '', ADMIN_PASSWORD: '', ...api })
    const lines = await doctorSays(site, { ...(typeof env === 'function' ? env(site.api) : env), ...api })
    const found = lines.filter(({ state }) => state !== 'ok').map(({ check }) => check)
    return found.includes(expect) ? undefined : `${name}: ${expect} is not among ${found.join(', ') || 'nothing'}`
  } finally {
    if (path) writeFileSync(path.conf, path.before)
    await reload()
    if (mend !== undefined) await postgres.sql(mend)
    if (api) await services.api.restart({ ADMIN_EMAIL: '', ADMIN_PASSWORD: '' })
  }
}

/** Breaks each setting in turn and mends it again; answers what the doctor did not find. */
export const breakEach = async (site: Installation, step: Step): Promise<string[]> => {
  const missed: string[] = []
  for (const one of BREAKS) {
    const line = await step(`broken: ${one.name}`, () => breakOne(site, one))
    if (line !== undefined) missed.push(line)
  }
  return missed
}
