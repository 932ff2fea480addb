import type { AlertKind } from './contract/alerts.ts'
import type { Answer } from './contract/scan.ts'

/** What a process counts and times, for whoever watches it. Numbers only: no id is a label. */
export type Metrics = {
  /** A scan was decided and is on record. */
  scan(decision: Answer['decision'], reason: Answer['reason'], source: 'online' | 'offline' | 'reader'): void
  /** How long a step of the scan path took, in milliseconds. */
  step(step: 'open' | 'facts' | 'record' | 'seal', ms: number): void
  request(method: string, route: string, status: number, ms: number): void
  signIn(outcome: 'ok' | 'failed' | 'limited'): void
  alert(kind: AlertKind): void
  delivery(outcome: 'delivered' | 'failed' | 'dead'): void
  /** A request begins to be worked on (1), or that ended (-1). */
  underWay(change: 1 | -1): void
  /** All of it, in the text format of Prometheus; empty where nobody keeps any. */
  text(): Promise<string>
}
export type Step = Parameters<Metrics['step']>[0]

/** Where nobody keeps them: on Workers, whose isolates come and go, and in tests. */
export const noMetrics: Metrics = {
  scan: () => {},
  step: () => {},
  request: () => {},
  signIn: () => {},
  alert: () => {},
  delivery: () => {},
  underWay: () => {},
  text: async () => '',
}

/** Times steps that follow one another: each from the end of the one before. */
export const timing = (metrics: Metrics): ((step: Step) => void) => {
  let since = performance.now()
  return (step) => {
    const now = performance.now()
    metrics.step(step, now - since)
    since = now
  }
}
