import postgres from 'postgres'
import { SetupError } from '../../api/contract/environment.ts'
import type { Place } from './contenders.ts'
import type { Processes } from './processes.ts'
import type { Postgres } from './servers.ts'

/** What has to be done at the end, last first. */
export type Ends = (() => Promise<unknown>)[]
/** What all that is measured stands on. */
export type World = { processes: Processes; server: Postgres; mqtt: string; run: string; ends: Ends }

/** A database of its own, gone afterwards. */
const aDatabase = async ({ server, run, ends }: World, name: string): Promise<Place['database']> => {
  const database = `lintel_bench_${run}_${name}`
  const admin = async (statement: string) => {
    const sql = postgres(server.url, { max: 1, onnotice: () => {} })
    await sql.unsafe(statement).finally(() => sql.end({ timeout: 1 }))
  }
  await admin(`create database ${database}`).catch((error: Error) => {
    throw new SetupError(`A database cannot be created (${error.message}). DATABASE_URL wants a user who may.`)
  })
  // A server of our own is thrown away whole.
  if (!server.log) ends.push(() => admin(`drop database ${database} with (force)`))
  const url = new URL(server.url)
  url.pathname = `/${database}`
  const sql = postgres(url.href, { max: 1, onnotice: () => {} })
  ends.push(() => sql.end({ timeout: 1 }))
  return { url: url.href, sql }
}

export const placeFor = async (world: World, name: string): Promise<Place> => ({
  processes: world.processes,
  mqtt: world.mqtt,
  prefix: `lintel-bench/${world.run}/${name}`,
  database: await aDatabase(world, name),
})
