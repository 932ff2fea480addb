import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { SetupError } from '../../api/contract/environment.ts'
import { check } from './checker.ts'
import { FAULTS } from './faults/all.ts'
import type { Fault } from './faults/fault.ts'
import { now } from './ledger.ts'
import { type Options, readOptions } from './options.ts'
import { type Service, type Services, servicesIn } from './processes.ts'
import { type Random, randomOf, shuffled } from './random.ts'
import { counts, evidence, lastLine, notOffline, refusedHealthy, table } from './verdict.ts'
import { type Ends, startWorld, type World } from './world.ts'

// npm run chaos: no scan lost, none recorded twice, no door opened wrongly, late or without a record, whatever breaks.

/** After a fault is mended: how long refusals are still its doing, and how long all has to be well. Seconds. */
const FULL = { recovering: 5, healthy: 3 }
const QUICK = { recovering: 3, healthy: 2 }

const say = (text: string) =>
  console.error(`${Math.round(performance.now() / 1_000)} s`.padStart(6).concat(`  ${text}`))

/** The faults in the order of this seed, each once before one comes again. */
const plan = function* (options: Options, random: Random): Generator<Fault> {
  const names = options.only?.split(',')
  for (const name of names ?? []) {
    if (!FAULTS.some((fault) => fault.name === name)) throw new SetupError(`There is no fault “${name}”: see --list.`)
  }
  const pool = FAULTS.filter(({ name, quick }) => (names ? names.includes(name) : !options.quick || quick))
  for (;;) yield* shuffled(pool, random)
}

/** Ready by itself; or restarted, as somebody would have to, and that is a failure. */
const comeBack = (service: Service) =>
  service.ready().catch(async (error: Error) => {
    service.troubles.push({ at: Date.now(), why: error.message, restarted: true })
    say(`${error.message} Restarting it.`)
    await service.end('SIGKILL')
    service.launch()
    await service.ready()
  })

const runFault = async (world: World, services: Services, fault: Fault, quiet: typeof FULL): Promise<void> => {
  const { fleet } = world
  fleet.mark(fault, 'broken')
  // What was published just before has its answer by now.
  await sleep(300)
  await fault.begin(world)
  await sleep(fault.seconds * 1_000)
  await fault.mend(world)
  for (const service of services.all) await comeBack(service)
  fleet.mark(fault, 'recovering')
  await sleep(quiet.recovering * 1_000)
  fleet.mark(fault, 'healthy')
  await sleep(quiet.healthy * 1_000)
}

/** Waits until the bridge has handed over what it kept: as many events as scans with a PUBACK, or none more for 20 s. */
const settle = async ({ sql, fleet }: World): Promise<void> => {
  let [before, quiet] = [-1, 0]
  for (const end = now() + 60_000; now() < end && quiet < 20; await sleep(1_000)) {
    const [row] = await sql<{ n: number }[]>`select count(*)::int as n from events`
    quiet = row?.n === before ? quiet + 1 : 0
    before = row?.n ?? 0
    if (quiet >= 5 && before >= fleet.ledger.filter(({ acked }) => acked !== undefined).length) return
  }
}

const progress = ({ fleet }: World, { name }: Fault, place: number): string => {
  const scans = fleet.ledger.filter(({ fault }) => fault === name)
  const opened = scans.filter(({ answers }) => answers.some(({ opened }) => opened)).length
  const silent = scans.filter(({ answers }) => answers.length === 0).length
  return `${String(place).padStart(3)} ${name}: ${scans.length} scans, ${opened} opened, ${silent} silent; ${fleet.ledger.length} in all`
}

/** True when nothing happened that must never happen. */
const chaos = async (options: Options, folder: string, services: Services, ends: Ends): Promise<boolean> => {
  const random = randomOf(options.seed)
  say(`Seed ${options.seed}; logs in ${folder}. Starting …`)
  const world = await startWorld(folder, services, { rate: options.rate, random: randomOf(options.seed + 1) }, ends)
  const quiet = options.quick ? QUICK : FULL
  const lags = monitorEventLoopDelay()
  lags.enable()
  await sleep(quiet.healthy * 1_000)

  const wanted = options.faults ?? (options.only?.split(',') ?? FAULTS).length
  const ran: Fault[] = []
  const notRun = new Map<string, string>()
  for (const fault of plan(options, random)) {
    if (ran.length + notRun.size >= wanted && world.fleet.ledger.length >= options.scans) break
    const why = fault.hindered?.(world)
    if (why) notRun.set(fault.name, why)
    else {
      await runFault(world, services, fault, quiet)
      ran.push(fault)
      say(progress(world, fault, ran.length))
    }
  }

  await world.fleet.stop()
  say('Waiting for what the bridge has kept …')
  await settle(world)
  const record = await world.site.record()
  const judgement = check(world.fleet.ledger, record, world.revocations)
  writeFileSync(join(folder, 'ledger.jsonl'), world.fleet.ledger.map((scan) => JSON.stringify(scan)).join('\n'))
  writeFileSync(join(folder, 'events.jsonl'), record.map((event) => JSON.stringify(event)).join('\n'))

  console.log(`\n${table(judgement)}\n`)
  const because = refusedHealthy(judgement)
  if (because) console.log(`Good cards refused although nothing was wrong: ${because}.`)
  const { echoes, unclear, woken } = judgement.excused
  if (echoes > 0) console.log(`${echoes} openings were the second answer to a scan that the broker delivered again.`)
  if (woken > 0)
    console.log(`${woken} openings came late from a broker that had stopped within a moment of being given them.`)
  if (unclear > 0) console.log(`${unclear} refusals may have been meant for an earlier scan.`)
  if (judgement.misdated > 0)
    console.log(`${judgement.misdated} events are dated minutes from when they were received.`)
  const lag = Math.round(lags.max / 1e6)
  if (lag > 250)
    console.log(`The harness itself stood still for up to ${lag} ms: answers may have come sooner than it heard them.`)
  const offline = new Set(ran.filter((fault) => fault.offline).map(({ name }) => name))
  for (const name of notOffline(judgement, [...offline])) console.log(`No door opened offline during ${name}.`)
  const troubles = services.all.flatMap(({ name, troubles }) => troubles.map((trouble) => ({ name, ...trouble })))
  for (const { name, at, why } of troubles) console.log(`${new Date(at).toISOString()} ${name}: ${why}`)
  for (const [name, why] of notRun) console.log(`not run: ${name} (${why}).`)
  const isGood =
    Object.values(counts(judgement)).every((count) => count === 0) && !troubles.some(({ restarted }) => restarted)
  if (!isGood) console.log(`\n${evidence(judgement)}\n\nAgain with: npm run chaos -- --seed ${options.seed}`)
  console.log(lastLine(judgement, ran.length))
  return isGood
}

const main = async (options: Options): Promise<boolean> => {
  const folder = mkdtempSync(join(tmpdir(), 'lintel-chaos-'))
  // Postgres runs as a user of its own, who has to get in.
  chmodSync(folder, 0o755)
  const services = servicesIn(folder)
  const ends: Ends = []
  const interrupted = new Promise<never>((_, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.on(signal, () => reject(new SetupError('Interrupted.')))
    }
  })
  let isGood = false
  try {
    isGood = await Promise.race([chaos(options, folder, services, ends), interrupted])
    return isGood
  } finally {
    await services.stop()
    for (const end of ends.reverse()) await Promise.resolve(end()).catch(() => {})
    if (isGood && !options.keep) rmSync(folder, { recursive: true, force: true })
    else console.error(`Logs, ledger and record: ${folder}`)
  }
}

try {
  const options = readOptions(process.argv.slice(2))
  if (options?.list) for (const { name, does, mended } of FAULTS) console.log(`${name}\n    ${does}; ${mended}`)
  else if (options && !(await main(options))) process.exit(1)
  process.exit(0)
} catch (error) {
  console.error(error instanceof SetupError ? `chaos: ${error.message}` : error)
  process.exit(1)
}
