import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { SetupError } from '../../contract/environment.ts'
import { backUp, breakEach, doctorSays } from './doctor.ts'
import { install, type Step } from './installation.ts'
import { stopAll } from './processes.ts'

/*
 * `npm run ten-minutes`: README's way from a clean machine to a first door, on this machine, as processes in a folder that is
 * gone afterwards; then what the doctor says of it. With `--break` each setting is broken in turn, and the doctor has to find
 * it. As root on Debian, with postgresql, mosquitto, mosquitto-clients, caddy and openssl. Exits with 0 when all went well.
 */

const options = () => {
  try {
    return parseArgs({
      options: { break: { type: 'boolean', default: false }, keep: { type: 'boolean', default: false } },
    }).values
  } catch {
    throw new SetupError('Not understood. npm run ten-minutes -- [--break] [--keep]')
  }
}

const seconds = (since: number) => `${((performance.now() - since) / 1_000).toFixed(1).padStart(6)} s`

const step: Step = async (what, work) => {
  const since = performance.now()
  const result = await work()
  console.log(`${seconds(since)}  ${what}`)
  return result
}

// Whoever ends this early ends what it started too.
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void stopAll().finally(() => process.exit(1)))
}

const folder = mkdtempSync(join(tmpdir(), 'lintel-ten-minutes-'))
let keep = false
try {
  const chosen = options()
  keep = chosen.keep
  const since = performance.now()
  const site = await install(folder, step)
  try {
    console.log(`${seconds(since)}  from nothing to a first door`)
    await step('a backup, and that it can be restored', () => backUp(site))
    const ill = (await step('the doctor', () => doctorSays(site))).filter(({ state }) => state !== 'ok')
    for (const { check, state, why } of ill) console.log(`          ${state}: ${check}: ${why}`)
    const missed = chosen.break ? await breakEach(site, step) : []
    for (const line of missed) console.log(`          missed: ${line}`)
    process.exitCode = ill.length + missed.length === 0 ? 0 : 1
  } finally {
    await site.processes.stop()
  }
} catch (error) {
  console.error(error instanceof SetupError ? error.message : error)
  process.exitCode = 1
} finally {
  if (!keep) rmSync(folder, { recursive: true, force: true })
  else console.log(folder)
}
