import { randomBytes } from 'node:crypto'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Sql } from 'postgres'
import { environment, SetupError } from '../../api/contract/environment.ts'
import { type Lintel, startFloor, startLintel } from './contenders.ts'
import { type Load, loadOn, READERS, type Site } from './load.ts'
import { watchMemory } from './memory.ts'
import { benchOffline } from './offline.ts'
import { type Options, readOptions } from './options.ts'
import { explainEverything, plansIn } from './plans.ts'
import { type Processes, processesIn } from './processes.ts'
import { type Contender, json, type Round, type Rounds, rowsOf, table } from './report.ts'
import { benchScale } from './scale/scale.ts'
import { aBroker, aPostgres, askVersion, type Postgres } from './servers.ts'
import { type Ends, placeFor } from './world.ts'

// npm run bench: scan → answer at the reader, against the floor: MQTT in → one POST → one committed insert → MQTT out.

const SMALL_CARDS = 1_000
/** At the large site, besides those that scan: whether one reader more costs anything. */
const IDLE_READERS = 500
/** Scans after which V8 has compiled what is hot: a bridge runs for months, and its first second is not its speed. */
const WARM_UP = 5_000
const say = (text: string) => console.error(text)
const sayWhen = (text: string) => say(`${Math.round(performance.now() / 1_000)} s`.padStart(6).concat(`  ${text}`))
const count = (n: number) => n.toLocaleString('en')

/** Each round measures every contender, one after the other, in an order that turns with the rounds. */
const measure = async (load: Load, sites: Record<Contender, Site>, options: Options): Promise<Rounds> => {
  const names = Object.keys(sites) as Contender[]
  const inTurn = async <T>(round: number, work: (site: Site) => Promise<T>): Promise<Record<Contender, T>> => {
    const results: Partial<Record<Contender, T>> = {}
    for (const [turn] of names.entries()) {
      const name = names[(turn + round) % names.length] ?? 'floor'
      results[name] = await work(sites[name])
    }
    return results as Record<Contender, T>
  }
  const rounds: Rounds = []
  for (let round = 0; round < options.rounds; round++) {
    const single = await inTurn(round, (site) => load.run(site, options.single, 1))
    const flood = await inTurn(round, (site) => load.run(site, options.flood, READERS))
    const of = (name: Contender): Round => ({ single: single[name], flood: flood[name] })
    rounds.push({ floor: of('floor'), small: of('small'), large: of('large') })
    sayWhen(`Round ${round + 1} of ${options.rounds} is done.`)
  }
  return rounds
}

/** The first scans compile the code and fill the caches; and they show whether the site works at all. */
const warmUp = async (load: Load, site: Site, options: Options): Promise<void> => {
  const { refused } = await load.run(site, 10, 1)
  if (refused > 0)
    throw new SetupError(`Scans at ${site.name} are refused that should be granted: there is no measuring.`)
  await load.run(site, WARM_UP, READERS)
  await load.run(site, options.single, 1)
}

/** Every scan that opened is on record, once: otherwise scans were taken for repetitions, and speed means nothing. */
const requireRecorded = async (load: Load, site: Site, sql: Sql, relation: string, since: Date): Promise<void> => {
  const [row] = await sql<{ n: string }[]>`
    select count(*) as n from ${sql(relation)} where at >= ${since.toISOString()}`
  const { scans, opened } = load.total(site)
  const recorded = Number(row?.n)
  if (recorded < opened || recorded > scans) {
    throw new SetupError(`${site.name} answered ${scans} scans and opened for ${opened}, but recorded ${recorded}.`)
  }
}

const printPlans = async (server: Postgres, load: Load, { site }: Lintel, sql: Sql): Promise<void> => {
  if (!server.log) return say('--plans reads the log of the bench’s own Postgres: unset DATABASE_URL.')
  await explainEverything(sql)
  const before = server.log().length
  // More than five of a statement on each of ten connections: from the sixth on Postgres may prefer a generic plan.
  await load.run(site, 500, READERS)
  await load.run(site, 200, 1)
  say(`\nThe statements behind a scan at ${site.name}, as Postgres ran them:\n\n${plansIn(server.log().slice(before))}`)
}

const bench = async (options: Options, folder: string, processes: Processes, ends: Ends): Promise<void> => {
  const env = environment()
  const server = await aPostgres(processes, folder, env['DATABASE_URL'] || undefined)
  const mqtt = await aBroker(processes, folder, env['MQTT_URL'] || undefined)
  const machine = {
    cores: availableParallelism(),
    load: loadavg()[0]?.toFixed(1),
    node: process.versions.node,
    postgres: await askVersion(server.url),
  }
  say(`Node ${machine.node}, Postgres ${machine.postgres}, ${machine.cores} cores, load ${machine.load} at the start.`)

  const world = { processes, server, mqtt, run: randomBytes(4).toString('hex'), ends }
  if (options.offline || options.scale) {
    const rows = options.scale
      ? await benchScale(world, options, sayWhen)
      : await benchOffline(world, folder, options, sayWhen)
    ;(options.json ? say : console.log)(`\n${table(rows)}\n`)
    if (options.json) console.log(json(rows, { machine, rounds: options.rounds, cards: options.cards }))
    return
  }
  const places = {
    floor: await placeFor(world, 'floor'),
    small: await placeFor(world, 'small'),
    large: await placeFor(world, 'large'),
  }
  const sizes = { small: `${count(SMALL_CARDS)} cards`, large: `${count(options.cards)} cards` }
  sayWhen(`Seeding ${sizes.large}, ${count(options.events)} events and ${IDLE_READERS} readers of every profile …`)
  const large = await startLintel(places.large, `Lintel with ${sizes.large}`, {
    cards: options.cards,
    events: options.events,
    idle: IDLE_READERS,
  })
  const small = await startLintel(places.small, `Lintel with ${sizes.small}`, {
    cards: SMALL_CARDS,
    events: 0,
    idle: 0,
  })
  const floor = await startFloor(places.floor, SMALL_CARDS)

  const sites = { floor, small: small.site, large: large.site }
  const load = await loadOn(mqtt, Object.values(sites))
  ends.push(() => load.close())
  // The seed's events end a day before; the processes' clocks may be another machine's.
  const since = new Date(Date.now() - 3_600_000)
  sayWhen('Warming up …')
  for (const site of Object.values(sites)) await warmUp(load, site, options)

  sayWhen('Measuring …')
  const memory = watchMemory([small.pids.bridge, large.pids.bridge, small.pids.api, large.pids.api])
  const rounds = await measure(load, sites, options).finally(() => memory.stop())
  await requireRecorded(load, floor, places.floor.database.sql, 'scans', since)
  await requireRecorded(load, small.site, places.small.database.sql, 'events', since)
  await requireRecorded(load, large.site, places.large.database.sql, 'events', since)

  const [smallBridge, largeBridge, smallApi, largeApi] = memory.most()
  const higher = (a: number | undefined, b: number | undefined) =>
    a === undefined || b === undefined ? undefined : Math.max(a, b)
  const rows = rowsOf(rounds, sizes, { bridge: higher(smallBridge, largeBridge), api: higher(smallApi, largeApi) })
  const refused = rounds.flatMap(Object.values<Round>).reduce((n, r) => n + r.single.refused + r.flood.refused, 0)
  const print = options.json ? say : console.log
  print(`\n${table(rows)}\n`)
  print(`Medians of ${options.rounds} rounds; the base is the floor, of growth Lintel with ${sizes.small}.`)
  if (refused > 0) print(`${count(refused)} scans were refused, which took longer than the bridge waits.`)
  if (options.plans) await printPlans(server, load, large, places.large.database.sql)
  if (options.json) {
    console.log(json(rows, { machine, rounds: options.rounds, cards: options.cards, events: options.events, refused }))
  }
}

const main = async (options: Options): Promise<void> => {
  const folder = mkdtempSync(join(tmpdir(), 'lintel-bench-'))
  // Postgres and Mosquitto run as users of their own, who have to get in.
  chmodSync(folder, 0o755)
  const processes = processesIn(folder)
  const ends: Ends = []
  const interrupted = new Promise<never>((_, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.on(signal, () => reject(new SetupError('Interrupted.')))
    }
  })
  try {
    await Promise.race([bench(options, folder, processes, ends), processes.failed, interrupted])
  } finally {
    for (const end of ends.reverse()) await end().catch(() => {})
    await processes.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

try {
  const options = readOptions(process.argv.slice(2))
  if (options) await main(options)
  process.exit(0)
} catch (error) {
  console.error(error instanceof SetupError ? `bench: ${error.message}` : error)
  process.exit(1)
}
