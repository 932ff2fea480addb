import { Hono } from 'hono'
import * as v from 'valibot'
import { CALLS, SEALED, seal } from '../contract/envelope.ts'
import { HOLD_MS } from '../contract/scan.ts'
import { type SiteAnswer, SiteAsk } from '../contract/site.ts'
import { readers } from '../db/schema.ts'
import { doc, sealed } from '../docs.ts'
import type { AppEnv, Db } from '../platform.ts'
import { confirm, unseal } from './keys.ts'

const { ask, answer } = CALLS.config

/** Note that the bridge was here, and read what it needs to compare, in one statement. */
const checkIn = async (db: Db, bridgeId: string, now: Date) => {
  // A row's xmin changes with every write to it, so this digest changes with every commit that changes a reader; a
  // column of times would miss a transaction that began earlier and committed later.
  const [row] = await db.$client<{ generation: number; version: string }[]>`
    update bridges set last_seen_at = ${now.toISOString()} where id = ${bridgeId}
    returning generation,
      (select md5(coalesce(string_agg(id::text || xmin::text, ',' order by id), '')) from readers) as version`
  return row
}

const siteReaders = async (db: Db): Promise<SiteAnswer['readers']> => {
  const { id, name, profile, topic, replyTopic, cardView } = readers
  const rows = await db.select({ id, name, profile, topic, replyTopic, cardView }).from(readers)
  return rows.map((row) => ({ ...row, holdMs: HOLD_MS }))
}

/** What a bridge needs to know of this site. Asked every other second, so an unchanged version costs one statement. */
export const site = new Hono<AppEnv>().post(
  '/config',
  doc('bridges', 'The readers of this site, for a bridge', sealed),
  async (c) => {
    const { db, now } = c.env
    const { bridge, message } = await unseal(c.env, await c.req.text(), ask)
    const has = v.parse(SiteAsk, message)

    const row = await checkIn(db, bridge.id, now())
    confirm(c.env, bridge, row?.generation ?? null)
    const version = row?.version ?? ''
    const unchanged = has.version === version
    const reply: SiteAnswer = {
      version,
      now: now().toISOString(),
      ...(!unchanged && { readers: await siteReaders(db) }),
    }

    return c.body(await seal(reply, answer, bridge.id, bridge.key, now()), 200, { 'content-type': SEALED })
  },
)
