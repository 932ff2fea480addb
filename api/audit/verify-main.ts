import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import * as v from 'valibot'
import { messageOf } from '../cause.ts'
import { environment, SetupError } from '../contract/environment.ts'
import { openDatabase } from '../db/open.ts'
import { rootKeys } from '../keys.ts'
import { Checkpoint, isSealed } from './checkpoint.ts'
import { type Verdict, verifyChain } from './verify.ts'

// `npm run audit:verify`, against DATABASE_URL, or against the embedded database while Lintel is stopped. Exits with 0 when
// the chain is whole, and with 1 when it is not, or when that could not be found out. It wants the APP_KEY only for a
// checkpoint, and where something was removed or erased: there the seal says that Lintel did it.

const USAGE = 'npm run audit:verify -- [--checkpoint FILE] [--json]'

const options = () => {
  try {
    return parseArgs({ options: { checkpoint: { type: 'string' }, json: { type: 'boolean', default: false } } }).values
  } catch {
    throw new SetupError(`Not understood. ${USAGE}`)
  }
}

/** A checkpoint as `GET /api/v1/audit/checkpoint` gave it, whose seal is good. */
const readCheckpoint = async (file: string, keys: readonly Uint8Array[]): Promise<Checkpoint> => {
  const checkpoint = (() => {
    try {
      return v.parse(Checkpoint, JSON.parse(readFileSync(file, 'utf8')))
    } catch {
      throw new SetupError(`${file} is not a checkpoint as GET /api/v1/audit/checkpoint gives it.`)
    }
  })()
  if (await isSealed(keys, checkpoint)) return checkpoint
  throw new SetupError(`The seal of ${file} is not good: it was changed, or made with another APP_KEY.`)
}

const verify = async (file: string | undefined): Promise<Verdict> => {
  const { sql, config, close } = await openDatabase(environment())
  try {
    const keys = () => rootKeys(config())
    return await verifyChain(sql, file === undefined ? undefined : await readCheckpoint(file, keys()), keys)
  } finally {
    await close()
  }
}

const sentences = ({ rows, from, last, findings, found }: Verdict): string[] => {
  if (found === 0) {
    const whole = `The audit log is whole: ${rows} rows, the last is number ${last.number} with the hash ${last.hash}.`
    return from === 0 ? [whole] : [whole, `It begins behind row ${from}: what was before was too old, and was removed.`]
  }
  const more = found - findings.length
  return [...findings.map(({ detail }) => detail), ...(more > 0 ? [`And ${more} findings more.`] : [])]
}

try {
  const { checkpoint, json } = options()
  const verdict = await verify(checkpoint)
  console.log(json ? JSON.stringify({ ok: verdict.found === 0, ...verdict }) : sentences(verdict).join('\n'))
  process.exit(verdict.found === 0 ? 0 : 1)
} catch (error) {
  const why = messageOf(error, String(error))
  console.error(error instanceof SetupError ? error.message : `The audit log could not be read: ${why}`)
  process.exit(1)
}
