import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as v from 'valibot'
import { BREAKS, type Break } from './breaks.ts'
import type { Installation } from './installation.ts'
import { script } from './machine.ts'
import { type Env, seconds } from './processes.ts'

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

/** What is not well; npm's register of holes is not reached from everywhere, and is no part of the installation. */
export const ills = (lines: readonly Line[]): Line[] =>
  lines.filter((line) => line.state !== 'ok' && !isElsewhere(line))

const isElsewhere = ({ check, state, why }: Line) =>
  check === 'dependencies' && state === 'warning' && why.startsWith('Not looked at')

/** Asks the doctor, and prints what is not well and what could not be looked at; whether all is well. */
export const isWell = async (site: Installation): Promise<boolean> => {
  const lines = await doctorSays(site)
  const ill = ills(lines)
  for (const { check, why } of lines.filter(isElsewhere)) console.log(`          does not count: ${check}: ${why}`)
  for (const { check, state, why } of ill) console.log(`          ${state}: ${check}: ${why}`)
  console.log(`          ${lines.filter(({ state }) => state === 'ok').length} of ${lines.length} checks are ok`)
  return ill.length === 0
}

const breakOne = async (site: Installation, { env = {}, api, file, sql, mend }: Break): Promise<string[]> => {
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
    return ills(lines).map(({ check }) => check)
  } finally {
    if (path) writeFileSync(path.conf, path.before)
    await reload()
    if (mend !== undefined) await postgres.sql(mend)
    if (api) await services.api.restart({ ADMIN_EMAIL: '', ADMIN_PASSWORD: '' })
  }
}

/** Breaks each setting in turn and mends it again, and says of each whether the check that has to find it did. */
export const breakEach = async (site: Installation): Promise<{ found: number; missed: number }> => {
  let missed = 0
  for (const one of BREAKS) {
    const since = performance.now()
    const found = await breakOne(site, one)
    const isFound = found.includes(one.expect)
    if (!isFound) missed++
    const said = isFound
      ? `found by ${one.expect}`
      : `MISSED: ${one.expect} is not among ${found.join(', ') || 'nothing'}`
    console.log(`${seconds(since)}  broken: ${one.name}: ${said}`)
  }
  return { found: BREAKS.length - missed, missed }
}
