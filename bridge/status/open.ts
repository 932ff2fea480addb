import type { Config } from '../config.ts'
import { type Gauges, type Metrics, noMetrics } from '../metrics.ts'

export type Status = {
  gauges: Gauges
  /** Why this bridge cannot decide scans now; nothing where it can. */
  notReady(): string | undefined
}

/**
 * Says at BRIDGE_PORT how this bridge is; `now` gives nothing while it starts. Where there is no such port nobody counts, and
 * what counts is not even loaded: memory.
 */
export const openStatus = async (
  { BRIDGE_PORT: port, BRIDGE_HOST: host, METRICS_TOKEN: token }: Config,
  now: () => Status | undefined,
): Promise<{ metrics: Metrics; port?: number; close(): Promise<void> }> => {
  if (port === undefined) return { metrics: noMetrics, close: async () => {} }
  const [{ prometheus }, { serveStatus }] = await Promise.all([import('./prometheus.ts'), import('./status.ts')])
  const { text, ...metrics } = prometheus(() => now()?.gauges)
  const notReady = () => {
    const status = now()
    return status === undefined ? 'This bridge is starting.' : status.notReady()
  }
  return { metrics, ...(await serveStatus({ port, host, token, notReady, metrics: text })) }
}
