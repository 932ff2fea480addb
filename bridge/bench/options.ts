import { parseArgs } from 'node:util'
import { SetupError } from '../../api/contract/environment.ts'

export type Options = {
  /** Cards of the large site, and events already on its record. */
  cards: number
  events: number
  rounds: number
  /** Scans of one round, of each contender: one at a time, and with many in flight. */
  single: number
  flood: number
  json: boolean
  plans: boolean
  /** Instead of all that: what a bridge does while the API is away, and what its snapshot costs. */
  offline: boolean
  /** Instead of all that: a record of years, read and removed. */
  scale: boolean
}

const USAGE = `npm run bench -- [--quick] [--cards N] [--events N] [--rounds N] [--json] [--plans] [--offline] [--scale]

  --quick       100,000 cards, 200,000 events, fewer and shorter rounds
  --cards N     cards of the large site (1,000,000)
  --events N    events on its record (10,000,000)
  --rounds N    rounds, each of which measures every contender (9; quick: 5)
  --json        only one line of JSON on stdout; everything else goes to stderr
  --offline     instead: decisions while the API is away, and what keeping the snapshot costs (50,000 cards, 500 readers)
  --scale       instead: lists, filters and exports of the record of 1,000 doors and 100,000 people, and what removing a
                month of it does to the doors (60 rounds of each question; the base is p50, the figure p95, or before)
  --plans       afterwards print the plans of the statements behind a scan, as Postgres ran them

DATABASE_URL (a server where databases may be created) and MQTT_URL are used when set; else a Postgres and a Mosquitto
of the bench's own are started, and ended.`

const FULL = { cards: 1_000_000, events: 10_000_000, rounds: 9, single: 1_000, flood: 5_000 }
const OFFLINE = { cards: 50_000, events: 0, rounds: 5, single: 1_000, flood: 5_000 }
const SCALE = { cards: 100_000, events: 10_000_000, rounds: 60, single: 0, flood: 0 }
const QUICK = { cards: 100_000, events: 200_000, rounds: 5, single: 250, flood: 1_000 }

/** Undefined when only the usage was asked for; it is printed then. */
export const readOptions = (args: string[]): Options | undefined => {
  const { values } = parse(args)
  if (values.help) {
    console.log(USAGE)
    return undefined
  }
  const base = values.scale ? SCALE : values.offline ? OFFLINE : values.quick ? QUICK : FULL
  return {
    ...base,
    cards: whole('--cards', values.cards, base.cards, 1_000),
    events: whole('--events', values.events, base.events, 0),
    rounds: whole('--rounds', values.rounds, base.rounds, 1),
    json: values.json,
    plans: values.plans,
    offline: values.offline,
    scale: values.scale,
  }
}

const flag = { type: 'boolean', default: false } as const
const number = { type: 'string' } as const

const parse = (args: string[]) => {
  try {
    return parseArgs({
      args,
      options: {
        help: flag,
        quick: flag,
        json: flag,
        plans: flag,
        offline: flag,
        scale: flag,
        cards: number,
        events: number,
        rounds: number,
      },
    })
  } catch (error) {
    throw new SetupError(`${error instanceof Error ? error.message : error}\n\n${USAGE}`)
  }
}

const whole = (name: string, text: string | undefined, unset: number, least: number): number => {
  if (text === undefined) return unset
  const value = Number(text.replaceAll('_', ''))
  if (!Number.isSafeInteger(value) || value < least) {
    throw new SetupError(`${name} wants a whole number from ${least} on, not “${text}”.`)
  }
  return value
}
