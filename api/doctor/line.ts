/** What the doctor says of one thing: `why` in a sentence, and `mend`, the command or the setting that helps. */
export type Line = { check: string; state: 'ok' | 'warning' | 'fault'; why: string; mend?: string }

export const ok = (check: string, why: string): Line => ({ check, state: 'ok', why })
export const warning = (check: string, why: string, mend: string): Line => ({ check, state: 'warning', why, mend })
export const fault = (check: string, why: string, mend: string): Line => ({ check, state: 'fault', why, mend })

/** What was not looked at is neither well nor ill. */
export const unseen = (check: string, why: string, mend: string): Line => warning(check, `Not looked at: ${why}`, mend)

/** What has to be so where real people are let in, and need not be for a first try on one's own machine. */
const PRODUCTION: ReadonlySet<string> = new Set([
  'environment',
  'public-url',
  'trusted-proxies',
  'database',
  'broker-tls',
  'broker-anonymous',
  'second-factor-required',
  'second-factor',
  'backup',
  'backup-verified',
  'backup-encrypted',
])

/** For a first try: there these faults are only something to know of. */
export const forTrial = (lines: readonly Line[]): Line[] =>
  lines.map((line) =>
    line.state === 'fault' && PRODUCTION.has(line.check)
      ? { ...line, state: 'warning', why: `Only production needs it: ${line.why}` }
      : line,
  )

export const days = (from: Date, to: Date): number => Math.floor((to.getTime() - from.getTime()) / 86_400_000)

/** A few ids, and how many there are. */
export const some = (ids: readonly string[]): string =>
  ids.length <= 3 ? ids.join(', ') : `${ids.slice(0, 3).join(', ')} and ${ids.length - 3} more`
