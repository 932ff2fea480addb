import { Hono } from 'hono'
import type { ISql } from 'postgres'
import * as v from 'valibot'
import { CALLS, SEALED, seal } from '../contract/envelope.ts'
import { HOLD_MS } from '../contract/scan.ts'
import { type SiteAnswer, SiteAsk } from '../contract/site.ts'
import { readers } from '../db/schema.ts'
import { doc, sealed } from '../docs.ts'
import type { AppEnv, Db, Platform } from '../platform.ts'
import { confirm, goodGenerations, type SealedBy, unseal } from './keys.ts'
import { lockedKeys } from './reader-keys.ts'

const { ask, answer } = CALLS.config

type CheckedIn = { generations: number[]; version: string; snapshot: string; changes: number }

/** Note that the bridge was here, and read what it needs to compare, in one statement. */
const checkIn = async ({ $client: sql }: Db, bridgeId: string, now: Date): Promise<CheckedIn | undefined> => {
  // A row's xmin changes with every write to it, so this digest changes with every commit that changes a reader; a
  // column of times would miss a transaction that began earlier and committed later.
  const [row] = await sql<CheckedIn[]>`
    update bridges b set last_seen_at = ${now.toISOString()} where id = ${bridgeId}
    returning ${goodGenerations(sql)} as generations,
      (select md5(coalesce(string_agg(id::text || xmin::text, ',' order by id), '')) from readers) as version,
      ${factsVersion(sql)} as snapshot,
      (select count(*)::int from site_changes) as changes`
  return row
}

/**
 * The version of everything that a decision may look at: another one after every commit that changes any of it. Every
 * bridge asks every other second, and of all digests of the marks this one, in no order, costs least: 0.3 ms of 2,000.
 */
export const factsVersion = (sql: ISql) =>
  sql`(select md5(concat_ws(',', count(*), max(id), bit_xor(uuid_hash_extended(mark, 0)))) from site_changes)`

/** More changes on the list than this are forgotten but for the last. It costs each bridge one needless new snapshot. */
const MOST_CHANGES = 2_000

const forgetChanges = ({ $client: sql }: Db) =>
  sql`delete from site_changes where id < (select max(id) from site_changes)`

const siteReaders = async (env: Platform, bridge: SealedBy): Promise<SiteAnswer['readers']> => {
  const { id, name, profile, topic, replyTopic, unit, settings, cardView, openMs, pinAlone, offline, offlineHours } =
    readers
  const columns = {
    id,
    name,
    profile,
    topic,
    replyTopic,
    unit,
    settings,
    cardView,
    openMs,
    pinAlone,
    offline,
    offlineHours,
    keyGeneration: readers.keyGeneration,
  }
  const rows = await env.doorDb.select(columns).from(readers)
  return Promise.all(
    rows.map(async (row) => {
      const { keyGeneration: _, ...reader } = row
      const keys = await lockedKeys(env, row, bridge.key)
      return { ...reader, holdMs: HOLD_MS, ...(keys && { keys }) }
    }),
  )
}

/** What a bridge needs to know of this site. Asked every other second, so an unchanged version costs one statement. */
export const site = new Hono<AppEnv>().post(
  '/config',
  doc('bridges', 'The readers of this site, for a bridge', sealed),
  async (c) => {
    const { doorDb: db, now } = c.env
    const { bridge, message, mark } = await unseal(c.env, await c.req.text(), ask)
    const has = v.parse(SiteAsk, message)

    const row = await checkIn(db, bridge.id, now())
    confirm(c.env, bridge, row?.generations ?? [])
    const { version = '', snapshot = '', changes = 0 } = row ?? {}
    const unchanged = has.version === version
    const reply: SiteAnswer = {
      ...mark,
      version,
      now: now().toISOString(),
      snapshot,
      ...(!unchanged && { readers: await siteReaders(c.env, bridge) }),
    }
    if (changes > MOST_CHANGES) await forgetChanges(db)

    return c.body(await seal(reply, answer, bridge.id, bridge.key, now()), 200, { 'content-type': SEALED })
  },
)
