import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { Gauges, Metrics } from '../metrics.ts'

/** Seconds: a scan takes a few milliseconds, and after two seconds nobody waits any more. */
const BUCKETS_S = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2]

/** What this bridge counts, and how it is, for Prometheus. Labels are words of ours, never an id or what a device said. */
export const prometheus = (gauges: () => Gauges | undefined): Metrics & { text(): Promise<string> } => {
  const registry = new Registry()
  const registers = [registry]
  const histogram = (name: string, help: string) => new Histogram({ name, help, buckets: BUCKETS_S, registers })
  const gauge = (name: string, help: string, read: (now: Gauges) => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        const now = gauges()
        this.set(now === undefined ? 0 : read(now))
      },
    })

  const scans = new Counter({
    name: 'lintel_bridge_scans_total',
    help: 'Scans that got a decision: online is the API’s, offline is one made here, reader is what a reader did by itself.',
    labelNames: ['decision', 'reason', 'source'],
    registers,
  })
  // What only appears with its first count would not be seen to rise by it.
  scans.inc({ decision: 'denied', reason: 'unavailable', source: 'offline' }, 0)
  const drops = new Counter({
    name: 'lintel_bridge_dropped_total',
    help: 'Messages that were no scan, or were refused.',
    labelNames: ['reason'],
    registers,
  })
  const answered = histogram('lintel_bridge_scan_seconds', 'From the arrival of a scan to its answer, published.')
  const asked = histogram('lintel_bridge_api_seconds', 'How long the API took to answer about a scan, or not to.')

  gauge('lintel_bridge_broker_connected', 'Whether the broker is there.', (now) => Number(now.brokerConnected()))
  gauge('lintel_bridge_api_up', 'Whether the API answers.', (now) => Number(now.apiUp()))
  gauge('lintel_bridge_spool_events', 'Scans not yet handed over.', (now) => now.spool().events)
  gauge('lintel_bridge_spool_bytes', 'The same, as bytes on disk.', (now) => now.spool().bytes)
  gauge(
    'lintel_bridge_snapshot_age_seconds',
    'Since when nobody said that the snapshot is in force; infinite without one.',
    (now) => now.snapshotAgeMs() / 1000,
  )
  gauge(
    'lintel_bridge_clock_offset_seconds',
    'By how much this machine’s clock is behind the API’s; 0 until that was heard.',
    (now) => now.clockOffsetMs() / 1000,
  )
  gauge('lintel_bridge_queue', 'Scans that wait until they are asked about.', (now) => now.queue())
  new Gauge({
    name: 'process_resident_memory_bytes',
    help: 'Resident memory.',
    registers,
    collect() {
      this.set(process.memoryUsage.rss())
    },
  })
  new Gauge({
    name: 'process_start_time_seconds',
    help: 'When this process began, in seconds since 1970.',
    registers,
  }).set(Math.round(performance.timeOrigin / 1000))

  return {
    scan: (decision, reason, source) => scans.inc({ decision, reason, source }),
    answered: (ms) => answered.observe(ms / 1000),
    asked: (ms) => asked.observe(ms / 1000),
    dropped: (reason) => drops.inc({ reason }),
    text: () => registry.metrics(),
  }
}
