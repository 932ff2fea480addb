import { setTimeout as pause } from 'node:timers/promises'
import type { Sql } from 'postgres'
import { SetupError } from '../../../api/contract/environment.ts'
import { type Api, siteAt, startApi } from '../contenders.ts'
import { watchMemory } from '../memory.ts'
import type { Options } from '../options.ts'
import { percentile, type Row } from '../report.ts'
import { placeFor, type World } from '../world.ts'
import { scansDuring, type Waits } from './door.ts'
import { type Question, questionsAt } from './questions.ts'
import { type Size, seedRecord } from './record.ts'
import { removeBefore } from './removal.ts'

// npm run bench -- --scale: a record of years: what reading it takes, and what removing a month of it does to the doors.

const DOORS = 1_000
const DAYS = 92
const DAY_MS = 86_400_000
const MOST_MS = 300
/** As api/privacy/retention.ts does it. */
const BATCH = { batch: 1_000, breathMs: 50 }
const RATES = [20, 100]
const CALM_MS = 15_000

export const benchScale = async (world: World, options: Options, say: (text: string) => void): Promise<Row[]> => {
  const place = await placeFor(world, 'scale')
  const { sql } = place.database
  const site = siteAt(place.prefix, 'Lintel', options.cards, DOORS)
  const api = await startApi(place, site, 0)
  const { cards, events } = options
  const size: Size = { cards, readers: DOORS, events, devices: events / 5, audit: events / 10, days: DAYS }
  say(`Seeding ${events} events, a fifth of that of devices, a tenth of that on the audit log …`)
  await seedRecord(sql, size)
  const sizes = await sizesOf(sql)

  const memory = watchMemory([api.pid])
  say('Asking …')
  const questions: Row[] = []
  for (const question of questionsAt(size, today())) questions.push(await asked(api, question, options.rounds))
  say('Exporting …')
  const file = await exportOf(api)

  const doors: Row[] = []
  const month = today() - (DAYS - 30) * DAY_MS
  for (const [turn, rate] of RATES.entries()) {
    say(`Removing ${30 / RATES.length} days at ${rate} scans a second …`)
    const calm = () => scansDuring(api, size, rate, () => pause(CALM_MS)).then(({ waits }) => waits)
    await scansDuring(api, size, rate, () => pause(5_000))
    const before = await calm()
    const until = new Date(month - (RATES.length - 1 - turn) * (30 / RATES.length) * DAY_MS)
    const { waits, result } = await scansDuring(api, size, rate, () => removeBefore(sql, until, BATCH))
    doors.push(...doorRows(rate, before, waits, await calm()), {
      ...figure(`removed${rate}`, `rows removed at ${rate}/s`, 'a second', (result.rows / result.ms) * 1_000),
    })
    doors.push(figure(`batch${rate}`, 'longest statement of it', 'ms', result.longest))
  }
  memory.stop()
  const after = await sizesOf(sql)
  return [
    ...questions,
    ...file,
    ...doors,
    ...Object.entries(sizes).map(([name, mib]) => ({
      ...figure(name, `${name}, before and after`, 'MiB', after[name] ?? Number.NaN),
      base: mib,
    })),
    figure('api', 'memory of the API, most', 'MiB', memory.most()[0] ?? Number.NaN),
  ]
}

const today = () => Math.floor(Date.now() / DAY_MS) * DAY_MS

const figure = (key: string, what: string, unit: string, value: number): Row => ({ key, what, unit, value })

const get = async ({ url, token }: Api, path: string): Promise<Response> => {
  const response = await fetch(`${url}/api/v1${path}`, { headers: { authorization: `Bearer ${token}` } })
  if (response.status !== 200) throw new SetupError(`GET ${path} answered ${response.status}: ${await response.text()}`)
  return response
}

/** So many rows are in an answer, whether it is a list or a file. */
const rowsIn = (text: string): number =>
  text.startsWith('{') ? JSON.parse(text).items.length : text.trimEnd().split('\r\n').length - 1

/** The base is p50, the value p95: of the whole answer, over HTTP, one at a time. */
const asked = async (api: Api, { what, path, finds = 'something' }: Question, rounds: number): Promise<Row> => {
  const times = new Float64Array(rounds)
  let found = 0
  for (let n = 0; n < rounds; n++) {
    const began = performance.now()
    const text = await (await get(api, path(n))).text()
    times[n] = performance.now() - began
    found += rowsIn(text)
  }
  if (found === 0 && finds === 'something') throw new SetupError(`“${what}” finds nothing: there is no measuring.`)
  times.sort()
  const [base, value] = [percentile(times, 0.5), percentile(times, 0.95)]
  return { key: what, what, unit: 'ms', base, value, bar: { most: MOST_MS } }
}

/** The longest file that there is. */
const exportOf = async (api: Api): Promise<Row[]> => {
  const began = performance.now()
  const response = await get(api, '/events/export?limit=100000')
  const reader = response.body?.getReader()
  await reader?.read()
  const first = performance.now() - began
  let bytes = 0
  for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) bytes += part.value.length
  const all = performance.now() - began
  return [
    { ...figure('exportFirst', 'export of 100,000, first lines', 'ms', first), bar: { most: MOST_MS } },
    figure('exportAll', 'export of 100,000, all', 'ms', all),
    figure('exportBytes', 'its length', 'MiB', bytes / 1_048_576),
  ]
}

const doorRows = (rate: number, before: Waits, during: Waits, after: Waits): Row[] => [
  ...(['p50', 'p99', 'most'] as const).flatMap((key): Row[] => {
    const ratio = during[key] / before[key]
    const what = `door at ${rate}/s while a month goes, ${key}`
    return [
      {
        ...figure(`${key}${rate}`, what, 'ms', during[key]),
        base: before[key],
        ratio: { median: ratio, lowest: ratio, highest: ratio },
      },
      figure(`${key}${rate}After`, 'the same after', 'ms', after[key]),
    ]
  }),
  { ...figure(`refused${rate}`, 'scans that were not granted in time', 'scans', during.refused), base: before.refused },
]

/** MiB of each table that grows, with its indexes. */
const sizesOf = async (sql: Sql): Promise<Record<string, number>> => {
  const rows = await sql<{ name: string; mib: number }[]>`
    select relname as name, pg_total_relation_size(oid)::float8 / 1048576 as mib from pg_class
    where relname in ('events', 'device_events', 'audit') and relkind = 'r' order by 1`
  return Object.fromEntries(rows.map(({ name, mib }) => [name, mib]))
}
