import { errorCode, messageOf } from '../cause.ts'
import { SetupError } from '../contract/environment.ts'
import { DamagedBackup } from './file.ts'

/** What a command says at its end: sentences for people, the same for programs with `--json`, and how it exits. */
export type Outcome = { code: 0 | 1 | 2; say: string[]; json: Record<string, unknown> }

/** 1: something is not as it should be. 2: it could not be done. Never with a value of the environment. */
export const outcomeOf = (error: unknown): Outcome => {
  const code = error instanceof DamagedBackup ? 1 : 2
  const say = [sentenceOf(error)]
  return { code, say, json: { ok: false, error: say.join(' ') } }
}

export const sentenceOf = (error: unknown): string => {
  if (error instanceof SetupError || error instanceof DamagedBackup) return error.message
  const code = errorCode(error, '')
  if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG') {
    return `There is no room for it (${code}). Nothing was kept of what was begun.`
  }
  return `It could not be done: ${messageOf(error, String(error))}${code === '' ? '' : ` (${code})`}.`
}

const PATIENCE_MS = 10_000

/** Runs a command, says how it went, and ends the process. */
export const command = async (json: boolean, work: () => Promise<Outcome>): Promise<void> => {
  // A signal ends what is waited for (programs.ts), and what was begun is undone: that takes a moment.
  const stop = () => setTimeout(() => process.exit(2), PATIENCE_MS).unref()
  process.once('SIGTERM', stop).once('SIGINT', stop)
  const outcome = await work().catch(outcomeOf)
  const out = outcome.code === 0 || json ? console.log : console.error
  out(json ? JSON.stringify(outcome.json) : outcome.say.join('\n'))
  process.exit(outcome.code)
}

export const sizeOf = (bytes: number): string =>
  bytes < 1 << 20 ? `${Math.ceil(bytes / 1024)} KiB` : `${(bytes / (1 << 20)).toFixed(1)} MiB`
