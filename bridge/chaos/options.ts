import { parseArgs } from 'node:util'
import { SetupError } from '../../api/contract/environment.ts'

export type Options = {
  scans: number
  /** How many faults at least; undefined is each of them once. */
  faults: number | undefined
  seed: number
  only: string | undefined
  rate: number
  quick: boolean
  keep: boolean
  list: boolean
}

const USAGE = `npm run chaos -- [--quick] [--scans N] [--faults N] [--seed N] [--only NAME] [--rate N] [--list] [--keep]

  --quick       a few short faults in about 90 seconds
  --scans N     goes on with faults until there have been so many scans (50,000; quick, or with --only: no matter)
  --faults N    at least so many faults (each of them once; quick: 8; with --only: 1)
  --seed N      the order of the faults, and every other choice (a new one, printed)
  --only NAME   only this fault; several with commas between them
  --rate N      scans per second, of all readers together (80)
  --list        the faults, what each does and how it is mended
  --keep        leave the logs of all processes and the ledger, and say where; after a failure they are always left`

/** Undefined when only the usage was asked for; it is printed then. */
export const readOptions = (args: string[]): Options | undefined => {
  const values = parse(args)
  if (values.help) {
    console.log(USAGE)
    return undefined
  }
  const { quick, keep, list, only } = values
  const few = quick || only !== undefined
  return {
    quick,
    keep,
    list,
    only,
    scans: whole('--scans', values.scans, few ? 0 : 50_000, 0, 10_000_000),
    faults: values.faults === undefined && !quick ? undefined : whole('--faults', values.faults, 8, 0, 10_000),
    seed: whole('--seed', values.seed, Math.floor(Math.random() * 1_000_000), 0, 2 ** 32 - 1),
    // More, and a card would come again at a reader too soon to tell the two apart on record.
    rate: whole('--rate', values.rate, 80, 1, 120),
  }
}

const flag = { type: 'boolean', default: false } as const
const text = { type: 'string' } as const

const parse = (args: string[]) => {
  const options = { help: flag, quick: flag, keep: flag, list: flag, only: text }
  try {
    return parseArgs({ args, options: { ...options, scans: text, faults: text, seed: text, rate: text } }).values
  } catch (error) {
    throw new SetupError(`${error instanceof Error ? error.message : error}\n\n${USAGE}`)
  }
}

const whole = (name: string, given: string | undefined, unset: number, least: number, most: number): number => {
  if (given === undefined) return unset
  const value = Number(given.replaceAll('_', ''))
  if (!Number.isSafeInteger(value) || value < least || value > most) {
    throw new SetupError(`${name} wants a whole number from ${least} to ${most}, not “${given}”.`)
  }
  return value
}
