import { existsSync, mkdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Sql } from 'postgres'
import { sealingKey } from '../../api/contract/envelope.ts'
import type { SiteReader } from '../../api/contract/site.ts'
import { askForSite } from '../ask.ts'
import { apiClock } from '../clock.ts'
import { startOffline } from '../offline.ts'
import { proxyTo } from '../testing/proxy.ts'
import { type Api, siteAt, startApi, startBridge } from './contenders.ts'
import { FIRST_CARD, loadOn } from './load.ts'
import { cpuMs, residentMiB, watchMemory } from './memory.ts'
import type { Options } from './options.ts'
import type { NodeProcess } from './processes.ts'
import { median, percentile, type Row } from './report.ts'
import { placeFor, type World } from './world.ts'

// npm run bench -- --offline: what a bridge does while the API is away, and what it costs to be ready for that.

const READERS = 500
const DECISIONS = 20_000
const LOOP_STRETCH = join(import.meta.dirname, 'loop-stretch.ts')
const pause = (ms: number) => new Promise((done) => setTimeout(done, ms))

export const benchOffline = async (
  world: World,
  folder: string,
  options: Options,
  say: (text: string) => void,
): Promise<Row[]> => {
  const place = await placeFor(world, 'offline')
  const site = siteAt(place.prefix, 'Lintel', options.cards, READERS)
  say(`Seeding ${options.cards} cards and ${READERS} readers …`)
  const api = await startApi(place, site, 0)

  say('Renewing and deciding in this process …')
  const alone: Renewal[] = []
  for (let round = 0; round < options.rounds; round++) alone.push(await renewalHere(api, join(folder, `here-${round}`)))

  const cable = await proxyTo('127.0.0.1', Number(new URL(api.url).port))
  world.ends.push(() => cable.close())
  const toApi = { ...api, url: `http://127.0.0.1:${cable.port}` }
  const bridge = await startBridge(place, site.name, toApi, ['--import', LOOP_STRETCH])
  const kept = join(folder, '.data', `bridge-${api.bridge.id}`, 'snapshot')
  await Promise.race([replaced(kept, undefined), world.processes.failed])
  const load = await loadOn(world.mqtt, [site])
  world.ends.push(() => load.close())

  say('Scanning while nothing changes …')
  await load.run(site, options.flood, 50)
  const calm = await load.run(site, options.single, 1)
  const memory = { before: residentMiB(bridge.pid) }

  say('Renewing in the bridge …')
  const quiet = await renewals(options.rounds, bridge, place.database.sql, kept, async () => {})
  say('Renewing in the bridge, and scanning meanwhile …')
  const during: number[] = []
  const busy = await renewals(options.rounds, bridge, place.database.sql, kept, async () => {
    during.push(...(await load.run(site, 20, 1)).latencies)
  })
  const after = residentMiB(bridge.pid)

  say('Scanning while the API is away …')
  cable.cut()
  await pause(3_000)
  await load.run(site, 500, 50)
  const away = await load.run(site, options.single, 1)
  const flood = await load.run(site, options.flood, 50)
  const lost = away.refused + flood.refused
  if (lost > 0) say(`${lost} scans were refused that the snapshot lets pass.`)

  const ms = (key: string, what: string, value: number | undefined, most?: number): Row => ({
    key,
    what,
    unit: 'ms',
    ...(value !== undefined && { value }),
    ...(most !== undefined && { bar: { most } }),
  })
  const mib = (key: string, what: string, value: number | undefined): Row => ({
    ...ms(key, what, value, 90),
    unit: 'MiB',
  })
  const of = (measure: (renewal: Renewal) => number) => median(alone.map(measure))
  const stretches = (by: keyof Stretch) => [...quiet.stretches, ...busy.stretches].map((stretch) => stretch[by])
  const decisions = Float64Array.from(alone.flatMap(({ decisions }) => [...decisions])).sort()
  return [
    ms('decideP50', 'offline.decide, p50', percentile(decisions, 0.5)),
    ms('decideP99', 'offline.decide, p99', percentile(decisions, 0.99), 10),
    ms('awayP50', 'scan → answer, API away, p50', percentile(away.latencies, 0.5)),
    ms('awayP99', 'scan → answer, API away, p99', percentile(away.latencies, 0.99), 10),
    { key: 'awayThroughput', what: 'API away, 50 in flight', unit: 'scans/s', value: flood.throughput },
    ms('calmP50', 'scan → answer, API there, p50', percentile(calm.latencies, 0.5)),
    ms('calmP99', 'scan → answer, API there, p99', percentile(calm.latencies, 0.99)),
    ms('duringP50', 'the same during renewals, p50', percentile(Float64Array.from(during).sort(), 0.5)),
    ms('duringP99', 'the same during renewals, p99', percentile(Float64Array.from(during).sort(), 0.99)),
    ms(
      'renewal',
      'a renewal, median',
      of(({ ms }) => ms),
    ),
    ms(
      'apiCpu',
      'CPU of the API for it',
      of(({ apiCpuMs }) => apiCpuMs),
    ),
    ms(
      'load',
      'reading it from disk',
      of(({ loadMs }) => loadMs),
    ),
    ms('stretchMost', 'longest stretch of computing in a renewal, most', Math.max(...stretches('cpu')), 20),
    ms('stretchMedian', 'the same, median of renewals', median(stretches('cpu'))),
    ms('stretchWall', 'the same by the clock, median', median(stretches('wall'))),
    ms('arrival', 'a change is in the snapshot after, most', Math.max(...quiet.arrivals, ...busy.arrivals), 15_000),
    mib('memoryBefore', 'memory of the bridge before', memory.before),
    mib('memoryDuring', 'most during renewals', Math.max(quiet.memory, busy.memory)),
    mib('memoryAfter', 'after', after),
  ]
}

/** What loop-stretch.ts tells. */
type Stretch = { wall: number; cpu: number }

type Renewal = { ms: number; apiCpuMs: number; loadMs: number; decisions: Float64Array }

/** A first renewal in this process, decisions by it, and the same read from disk. Milliseconds. */
const renewalHere = async ({ url, pid, bridge: { id, key } }: Api, folder: string): Promise<Renewal> => {
  mkdirSync(folder)
  const api = { url, id, key: sealingKey(Buffer.from(key, 'base64url')), clock: apiClock() }
  const told = Promise.withResolvers<void>()
  const offline = await startOffline(api, folder, (_, event) => event === 'snapshot' && told.resolve())
  const { snapshot, now, readers = [] } = await askForSite(api, undefined)
  const [cpu, began] = [cpuMs(pid), performance.now()]
  offline.inForce(snapshot, new Date(now))
  await told.promise
  const ms = performance.now() - began
  const apiCpuMs = (cpuMs(pid) ?? Number.NaN) - (cpu ?? Number.NaN)

  const decisions = decideAll(offline.decide, readers)
  const loading = performance.now()
  await startOffline(api, folder, () => {})
  return { ms, apiCpuMs, loadMs: performance.now() - loading, decisions }
}

const decideAll = (decide: Awaited<ReturnType<typeof startOffline>>['decide'], readers: SiteReader[]) => {
  const times = new Float64Array(DECISIONS)
  for (let n = 0; n < DECISIONS; n++) {
    const reader = readers[n % readers.length]
    if (!reader) throw new Error('a site without readers')
    const card = String(FIRST_CARD + ((n * 7_919) % 50_000))
    const scan = { id: '', readerId: reader.id, card, at: new Date().toISOString() }
    const began = performance.now()
    const { reason } = decide(reader, scan)
    times[n] = performance.now() - began
    if (reason !== 'granted') throw new Error(`a decision that should let pass was ${reason}`)
  }
  return times
}

/** Changes somebody, and waits until the bridge has it, doing `meanwhile` over and over; how long nothing else could run. */
const renewals = async (
  rounds: number,
  bridge: NodeProcess,
  sql: Sql,
  kept: string,
  meanwhile: () => Promise<void>,
): Promise<{ stretches: Stretch[]; arrivals: number[]; memory: number }> => {
  const watch = watchMemory([bridge.pid])
  const stretches: Stretch[] = []
  const arrivals: number[] = []
  for (let round = 0; round < rounds; round++) {
    const before = stampOf(kept)
    await bridge.ask('from now on')
    const began = performance.now()
    await sql`update people set name = name || '.' where id = (select id from people limit 1)`
    let there = false
    const waiting = replaced(kept, before).finally(() => {
      there = true
    })
    while (!there) await Promise.all([meanwhile(), pause(20)])
    await waiting
    arrivals.push(performance.now() - began)
    stretches.push((await bridge.ask('until now')) as Stretch)
  }
  watch.stop()
  return { stretches, arrivals, memory: watch.most()[0] ?? Number.NaN }
}

const stampOf = (path: string): string | undefined => {
  if (!existsSync(path)) return undefined
  const { ino, mtimeMs } = statSync(path)
  return `${ino} ${mtimeMs}`
}

/** Until another file has taken a file's place. */
const replaced = async (path: string, before: string | undefined): Promise<void> => {
  const end = performance.now() + 60_000
  for (let now = stampOf(path); now === undefined || now === before; now = stampOf(path)) {
    if (performance.now() > end) throw new Error('no renewal within a minute')
    await pause(10)
  }
}
