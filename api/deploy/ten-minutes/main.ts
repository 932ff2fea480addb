import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { SetupError } from '../../contract/environment.ts'
import { backUp, breakEach, isWell } from './doctor.ts'
import { install, type Step } from './installation.ts'
import { seconds, stopAll } from './processes.ts'

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
    const wasWell = await step('the doctor', () => isWell(site))
    // What is ill already would be found whatever is broken.
    const broken = chosen.break && wasWell ? await breakEach(site) : { found: 0, missed: 0 }
    const staysWell =
      wasWell && chosen.break ? await step('the doctor, with all of it mended', () => isWell(site)) : wasWell
    if (chosen.break) console.log(`${broken.found} found, ${broken.missed} missed`)
    process.exitCode = staysWell && broken.missed === 0 ? 0 : 1
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
