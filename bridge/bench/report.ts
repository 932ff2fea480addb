import type { Run } from './load.ts'

/** What one contender did in one round: one scan at a time, and with many in flight. */
export type Round = { single: Run; flood: Run }
export type Contender = 'floor' | 'small' | 'large'
export type Rounds = Record<Contender, Round>[]

/** What must be reached: at most, or at least. */
export type Bar = { most: number } | { least: number }
export type Row = { key: string; what: string; unit: string; base?: number; value?: number; ratio?: Spread; bar?: Bar }
type Spread = { median: number; lowest: number; highest: number }

const MEASURES = {
  p50: ({ single }: Round) => percentile(single.latencies, 0.5),
  p99: ({ single }: Round) => percentile(single.latencies, 0.99),
  throughput: ({ flood }: Round) => flood.throughput,
}
const LABELS = {
  p50: ['p50, 1 in flight', 'ms'],
  p99: ['p99, 1 in flight', 'ms'],
  throughput: ['throughput, 50 in flight', 'scans/s'],
} as const

export const rowsOf = (
  rounds: Rounds,
  sizes: { small: string; large: string },
  memory: { bridge: number | undefined; api: number | undefined },
): Row[] => {
  const compare = (key: string, measure: keyof typeof MEASURES, base: Contender, other: Contender, bar?: Bar): Row => {
    const of = (contender: Contender) => rounds.map((round) => MEASURES[measure](round[contender]))
    const [bases, others] = [of(base), of(other)]
    const [what, unit] = LABELS[measure]
    return {
      key,
      what,
      unit,
      base: median(bases),
      value: median(others),
      // Each round by itself, since a busy moment of the machine hits both sides of one round alike.
      ratio: spread(others.map((value, round) => value / (bases[round] ?? Number.NaN))),
      ...(bar && { bar }),
    }
  }
  const named = (row: Row, suffix: string): Row => ({ ...row, what: `${row.what}, ${suffix}` })
  const resident = (key: string, what: string, value: number | undefined, most: number): Row => ({
    key,
    what,
    unit: 'MiB',
    ...(value !== undefined && { value }),
    bar: { most },
  })
  return [
    compare('p50', 'p50', 'floor', 'small', { most: 1.6 }),
    compare('p99', 'p99', 'floor', 'small', { most: 2 }),
    compare('throughput', 'throughput', 'floor', 'small', { least: 0.6 }),
    { ...compare('growth', 'p50', 'small', 'large', { most: 1.2 }), what: `growth of p50 to ${sizes.large}` },
    resident('bridgeMemory', 'memory of the bridge', memory.bridge, 90),
    resident('apiMemory', 'memory of the API', memory.api, 160),
    named(compare('largeP50', 'p50', 'floor', 'large'), sizes.large),
    named(compare('largeP99', 'p99', 'floor', 'large'), sizes.large),
    named(compare('largeThroughput', 'throughput', 'floor', 'large'), sizes.large),
  ]
}

/** A bar on a row with a ratio is about the ratio. */
const isMet = ({ ratio, value, bar }: Row): boolean | undefined => {
  const figure = ratio?.median ?? value
  if (!bar || figure === undefined) return undefined
  return 'most' in bar ? figure <= bar.most : figure >= bar.least
}

export const table = (rows: Row[]): string => {
  const cells = rows.map((row) => {
    const { what, unit, base, value, ratio, bar } = row
    const met = isMet(row)
    return [
      `${what} (${unit})`,
      base === undefined ? '' : figure(base),
      value === undefined ? 'not measured' : figure(value),
      ratio ? `${ratio.median.toFixed(2)}` : '',
      ratio ? `${ratio.lowest.toFixed(2)}–${ratio.highest.toFixed(2)}` : '',
      bar ? ('most' in bar ? `≤ ${bar.most}` : `≥ ${bar.least}`) : '',
      met === undefined ? '' : met ? 'met' : 'MISSED',
    ]
  })
  const lines = [['', 'base', 'Lintel', 'ratio', 'over rounds', 'bar', ''], ...cells]
  const widths = lines[0]?.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0))) ?? []
  const pad = (cell: string, column: number) =>
    column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)
  return lines.map((line) => line.map(pad).join('  ').trimEnd()).join('\n')
}

export const json = (rows: Row[], extra: Record<string, unknown>): string =>
  JSON.stringify({
    ...extra,
    figures: Object.fromEntries(
      rows.map((row) => {
        const { key, unit, base, value, ratio, bar } = row
        return [key, { unit, base, value, ratio: ratio?.median, spread: ratio, bar, met: isMet(row) }]
      }),
    ),
  })

const figure = (value: number) => (value >= 100 ? Math.round(value).toLocaleString('en') : value.toFixed(2))

export const percentile = (sorted: Float64Array, part: number): number =>
  sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * part) - 1)] ?? Number.NaN

export const median = (values: number[]): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length / 2
  const [low, high] = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]]
  return ((low ?? Number.NaN) + (high ?? Number.NaN)) / 2
}

const spread = (values: number[]): Spread => ({
  median: median(values),
  lowest: Math.min(...values),
  highest: Math.max(...values),
})
