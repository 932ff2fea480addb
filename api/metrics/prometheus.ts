import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import { ALERTS } from '../contract/alerts.ts'
import type { Metrics } from '../metrics.ts'

/** Seconds: a step takes a millisecond or few, and after two seconds no door waits any more. */
const STEP_S = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2]
const REQUEST_S = [0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 30]

/** Whatever else a client calls its method is one more label that nobody asked for. */
const METHODS: ReadonlySet<string> = new Set(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS'])

/** What this process counts, for Prometheus. Labels are words of ours: no id, no path, nothing that somebody typed. */
export const prometheus = (): Metrics => {
  const registry = new Registry()
  const registers = [registry]
  const counter = <L extends string>(name: string, help: string, labelNames: L[]) =>
    new Counter({ name, help, labelNames, registers })

  const scans = counter('lintel_scans_total', 'Scans that were decided and are on record here, each time they came.', [
    'decision',
    'reason',
    'source',
  ])
  const signIns = counter('lintel_sign_ins_total', 'Attempts to sign in.', ['outcome'])
  const alerts = counter('lintel_alerts_total', 'Alerts that were raised.', ['kind'])
  const deliveries = counter('lintel_webhook_deliveries_total', 'Attempts to deliver to webhooks.', ['outcome'])
  const steps = new Histogram({
    name: 'lintel_scan_step_seconds',
    help: 'How long a step of a scan took here.',
    labelNames: ['step'],
    buckets: STEP_S,
    registers,
  })
  const requests = new Histogram({
    name: 'lintel_http_request_seconds',
    help: 'How long a request took, by the route as it is written. Bridges wait long for commands.',
    labelNames: ['method', 'route', 'status'],
    buckets: REQUEST_S,
    registers,
  })
  const underWay = new Gauge({
    name: 'lintel_requests_under_way',
    help: 'Requests that are being worked on, those of bridges that wait for commands included.',
    registers,
  })
  addProcess(registry)
  // What only appears with its first count would not be seen to rise by it.
  for (const outcome of ['ok', 'failed', 'limited']) signIns.inc({ outcome }, 0)
  for (const outcome of ['delivered', 'failed', 'dead']) deliveries.inc({ outcome }, 0)
  for (const kind of ALERTS) alerts.inc({ kind }, 0)

  return {
    scan: (decision, reason, source) => scans.inc({ decision, reason, source }),
    step: (step, ms) => steps.observe({ step }, ms / 1000),
    request: (method, route, status, ms) =>
      requests.observe({ method: METHODS.has(method) ? method : 'other', route, status }, ms / 1000),
    signIn: (outcome) => signIns.inc({ outcome }),
    alert: (kind) => alerts.inc({ kind }),
    delivery: (outcome) => deliveries.inc({ outcome }),
    underWay: (change) => underWay.inc(change),
    text: () => registry.metrics(),
  }
}

/** What Prometheus calls the same of every process. Not prom-client's own: those also watch the event loop, all the time. */
const addProcess = (registry: Registry): void => {
  const registers = [registry]
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
  new Counter({
    name: 'process_cpu_seconds_total',
    help: 'Processor time used.',
    registers,
    collect() {
      const { user, system } = process.cpuUsage()
      this.reset()
      this.inc((user + system) / 1e6)
    },
  })
}
