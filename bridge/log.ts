import { pino } from 'pino'
import type { Config } from './config.ts'
import type { Dropped } from './profiles/profile.ts'

/** One JSON line per event; ids only, never a card number, a key or the broker's password. */
export type Log = (level: 'debug' | 'info' | 'warn' | 'error', event: string, fields?: Record<string, unknown>) => void

export const logger = (level: Config['LOG_LEVEL']): Log => {
  const lines = pino({
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (level) => ({ level }) },
  })
  return (at, event, fields = {}) => lines[at]({ event, ...fields })
}

const MINUTE_MS = 60_000

/** Counts what was dropped, by reason. */
export const dropCounter = (log: Log) => {
  const { count, stop } = counterOf<Dropped>(log, 'dropped')
  return { drop: count, stop }
}

/** Counts by word. Said at once the first time, then once a minute: rubbish must not fill a disk. */
export const counterOf = <Word extends string>(log: Log, event: string) => {
  const counts = new Map<Word, number>()
  const say = () => log('info', event, Object.fromEntries(counts))
  let unsaid = 0
  const timer = setInterval(() => {
    if (unsaid > 0) say()
    unsaid = 0
  }, MINUTE_MS).unref()
  return {
    count(reason: Word) {
      const before = counts.get(reason) ?? 0
      counts.set(reason, before + 1)
      if (before === 0) say()
      else unsaid += 1
    },
    stop() {
      clearInterval(timer)
      if (unsaid > 0) say()
    },
  }
}

/** What kind of error it was; its message may hold what was being sent. */
export const nameOf = (error: unknown): string => {
  if (!(error instanceof Error)) return 'unknown'
  if ('status' in error) return `http_${error.status}`
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name
}
