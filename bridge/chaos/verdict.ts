import { isDeepStrictEqual } from 'node:util'
import type { Judged, Judgement, Offence } from './checker.ts'
import { OFFENCES } from './checker.ts'
import type { Recorded, Scan } from './ledger.ts'

const isOpened = ({ scan }: Judged) => scan.answers.some(({ opened }) => opened)
const isSilent = ({ scan }: Judged) => scan.answers.length === 0
const recorded =
  (...reasons: string[]) =>
  (one: Judged) =>
    one.events.some(({ reason }) => reasons.includes(reason))
const isOffline = ({ events }: Judged) => events.some(({ source }) => source === 'offline')
/** Nothing was wrong, the card is good, and the door stayed shut. */
const isRefusedHealthy = (one: Judged) =>
  one.scan.phase === 'healthy' && one.scan.expected === 'granted' && !isOpened(one) && !recorded('card_blocked')(one)

const COLUMNS: Record<string, (one: Judged) => boolean> = {
  scans: () => true,
  opened: isOpened,
  refused: (one) => !isOpened(one) && !isSilent(one),
  silent: isSilent,
  offline: isOffline,
  waited: recorded('late'),
  unavail: recorded('unavailable'),
  supers: recorded('superseded'),
  'refused healthy': isRefusedHealthy,
}

/** A line per fault, in the order of the run, and one for all. */
export const table = ({ judged, offences }: Judgement): string => {
  const faults = [...new Set(judged.map(({ scan }) => scan.fault))]
  const line = (name: string, some: Judged[], bad: Offence[]): string[] => [
    name,
    ...Object.values(COLUMNS).map((counts) => String(some.filter(counts).length)),
    ...OFFENCES.map((kind) => String(bad.filter((offence) => offence.kind === kind).length || '·')),
  ]
  const lines = [
    ['', ...Object.keys(COLUMNS), ...OFFENCES],
    ...faults.map((fault) =>
      line(
        fault,
        judged.filter(({ scan }) => scan.fault === fault),
        offences.filter((offence) => offence.fault === fault),
      ),
    ),
    line('all', judged, offences),
  ]
  const widths = (lines[0] ?? []).map((_, column) => Math.max(...lines.map((cells) => cells[column]?.length ?? 0)))
  const pad = (cell: string, column: number) =>
    column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)
  return lines.map((cells) => cells.map(pad).join('  ')).join('\n')
}

/** Why good cards were refused although nothing was wrong, if any were. */
export const refusedHealthy = ({ judged }: Judgement): string => {
  const reasons = Map.groupBy(judged.filter(isRefusedHealthy), ({ events, scan }) =>
    isDeepStrictEqual(events, [])
      ? 'not on record'
      : `${events[0]?.reason}${scan.answers.length === 0 ? ', unheard' : ''}`,
  )
  return [...reasons].map(([reason, some]) => `${some.length} ${reason}`).join(', ')
}

/** Faults in whose time no door opened by the bridge's own decision. */
export const notOffline = ({ judged }: Judgement, faults: readonly string[]): string[] =>
  faults.filter((fault) => !judged.some((one) => one.scan.fault === fault && isOffline(one) && isOpened(one)))

export const counts = ({ offences }: Judgement) =>
  Object.fromEntries(OFFENCES.map((kind) => [kind, offences.filter((offence) => offence.kind === kind).length]))

export const lastLine = (judgement: Judgement, faults: number): string => {
  const { lost, doubled, unrecorded, late, wrong, contradicted } = counts(judgement)
  const scans = judgement.judged.length
  return `chaos: ${faults} faults, ${scans} scans: lost ${lost}, doubled ${doubled}, opened without record ${unrecorded}, opened late ${late}, wrong ${wrong}, contradicted ${contradicted}`
}

/** The first few offences of each kind in each fault, with what the ledger and the record say of them. */
export const evidence = ({ offences }: Judgement, most = 3): string =>
  [...Map.groupBy(offences, ({ kind, fault }) => `${kind} in ${fault}`)]
    .flatMap(([where, some]) =>
      some
        .slice(0, most)
        .map(({ why, scan, events }) =>
          [`${where}: ${why}`, ...(scan ? [ledgerLine(scan)] : []), ...events.map(eventLine)].join('\n'),
        ),
    )
    .join('\n')

const clock = (at: number) => new Date(at).toISOString().slice(11, 23)

const ledgerLine = (scan: Scan): string => {
  const first = Number(scan.published[0])
  const since = (at: number) => `+${Math.round(at - first)} ms`
  const again = scan.published.slice(1).map((at) => `, again ${since(at)}`)
  const heard = scan.answers.map(({ at, opened }) => `, heard ${opened ? 1 : 0} ${since(at)}`)
  return [
    `    scan ${scan.n} (${scan.phase}), reader ${scan.reader}, card ${scan.card}, should be ${scan.expected}:`,
    `published ${clock(first)}${again.join('')}, PUBACK ${scan.acked ? since(scan.acked) : 'never'}${heard.join('')}`,
  ].join(' ')
}

const eventLine = ({ id, at, receivedAt, reason, source }: Recorded): string =>
  `    event ${id}: at ${clock(at)}, received ${clock(receivedAt)}, ${source}, ${reason}`
