import { siteVersion } from '../access/site.ts'
import type { Config } from '../config.ts'
import { bridges, doors, readers } from '../db/schema.ts'
import type { Db, Platform } from '../platform.ts'
import { type Rules, rulesOf, type Site } from './rules.ts'

/** For so long what was read counts as what is: hundreds of devices connect at once when a broker comes back. Milliseconds. */
const FRESH_MS = 1_000

/** Everything that the rules are made of. */
export const readSite = async (db: Pick<Db, 'select'>): Promise<Site> => ({
  readers: await db
    .select({
      id: readers.id,
      name: readers.name,
      profile: readers.profile,
      topic: readers.topic,
      replyTopic: readers.replyTopic,
      unit: readers.unit,
      settings: readers.settings,
      brokerGeneration: readers.brokerGeneration,
    })
    .from(readers),
  doors: await db
    .select({
      id: doors.id,
      name: doors.name,
      profile: doors.profile,
      settings: doors.settings,
      brokerGeneration: doors.brokerGeneration,
    })
    .from(doors),
  bridges: await db
    .select({
      id: bridges.id,
      name: bridges.name,
      generation: bridges.generation,
      previousUntil: bridges.previousUntil,
    })
    .from(bridges),
})

/** While somebody reads them anew, others go by those from before, for so long. Milliseconds. */
const RENEW_MS = 2_000

type Kept = { rules: Rules; version: string; readAt: number; renewing: number }

/** What was read last; and who reads just now, over which database: a promise may not outlive its request on Workers. */
const kept = new WeakMap<Config, Kept>()
const reading = new WeakMap<Db, Promise<Rules>>()

const versionOf = async ({ $client: sql }: Db, now: Date): Promise<string> => {
  const [row] = await sql<{ version: string }[]>`
    select ${siteVersion(sql)} || coalesce((
      select string_agg(concat_ws(' ', id, generation, name, previous_until > ${now.toISOString()}), ',' order by id)
      from bridges), '') as version`
  return row?.version ?? ''
}

const read = async ({ config, db, now }: Pick<Platform, 'config' | 'db' | 'now'>): Promise<Rules> => {
  const at = now()
  const version = await versionOf(db, at)
  const known = kept.get(config)
  const rules = known?.version === version ? known.rules : rulesOf(await readSite(db), at)
  kept.set(config, { rules, version, readAt: at.getTime(), renewing: 0 })
  return rules
}

/** The rules in force, a second old or, where the database is slow, three; made anew only when something of the site has changed. */
export const currentRules = async (env: Pick<Platform, 'config' | 'db' | 'now'>): Promise<Rules> => {
  const known = kept.get(env.config)
  const at = env.now().getTime()
  const isWithin = (since: number, ms: number) => at >= since && at - since < ms
  if (known && (isWithin(known.readAt, FRESH_MS) || isWithin(known.renewing, RENEW_MS))) return known.rules
  const underWay = reading.get(env.db)
  if (underWay !== undefined) return underWay
  if (known) known.renewing = at
  const work = read(env).finally(() => reading.delete(env.db))
  reading.set(env.db, work)
  return work
}
