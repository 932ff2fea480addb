import { asc, eq, gt, sql } from 'drizzle-orm'
import { messageOf } from '../cause.ts'
import { erasures, people } from '../db/schema.ts'
import type { Platform } from '../platform.ts'
import { scansOf, scansOfNobody } from './scans.ts'

type World = Pick<Platform, 'db' | 'now' | 'log'>

/** Bridges hand over what they decided by themselves for so long after somebody was erased, and then their names are in it. */
const LATE_MS = 90 * 86_400_000

/** A run ends after so long; the next one finds what is left. With retention it has to fit into a Worker's quarter of an hour. */
const MOST_MS = 4 * 60_000

/**
 * Makes the card numbers in the events of somebody who was erased their pseudonym, a thousand in a transaction of their own.
 * Gives false where it was not done by `until`, and is to be called again: what is done already costs only its reading.
 */
export const eraseEvents = async ({ db, now }: World, personId: string, until: number): Promise<boolean> => {
  const [person] = await db.select({ name: people.name }).from(people).where(eq(people.id, personId))
  const [left] = await db.select({ cards: erasures.cards }).from(erasures).where(eq(erasures.personId, personId))
  for (const pages of [scansOf(db, personId), scansOfNobody(db, left?.cards ?? [])]) {
    for await (const page of pages) {
      const ids = page.filter(({ cardNumber }) => cardNumber !== person?.name).map(({ id }) => id)
      const list = sql`(select array_agg(id::uuid) from json_array_elements_text(${JSON.stringify(ids)}::json) as id)`
      if (ids.length > 0) await db.execute(sql`select erase_events(${personId}::uuid, ${list})`)
      if (now().getTime() > until) return false
    }
  }
  await db.delete(erasures).where(eq(erasures.personId, personId))
  return true
}

/** Goes on with what was not done, and looks for what came late. Never throws: tomorrow comes again. */
export const finishErasures = async (world: World): Promise<void> => {
  const { db, now, log } = world
  try {
    const until = now().getTime() + MOST_MS
    const unfinished = db.select({ id: erasures.personId }).from(erasures).orderBy(asc(erasures.personId))
    const lately = gt(people.erasedAt, new Date(now().getTime() - LATE_MS))
    const late = db.select({ id: people.id }).from(people).where(lately).orderBy(asc(people.erasedAt))
    const ids = new Set([...(await unfinished), ...(await late)].map(({ id }) => id))
    for (const id of ids) if (!(await eraseEvents(world, id, until))) return
  } catch (error) {
    log('error', 'erasure_failed', { error: messageOf(error) })
  }
}
