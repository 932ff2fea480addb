import type { Context } from 'hono'
import { routePath } from 'hono/route'
import * as v from 'valibot'
import type { AppEnv } from '../platform.ts'
import { Id } from '../validate.ts'
import { note } from './audited.ts'

/**
 * Put on record that somebody who is signed in was refused: the route as it is written in the floor plan, and the ids in
 * it. Nothing else of the path, in which anybody may write anything. The 401 of a stranger goes to the log only, or
 * strangers could fill the table.
 */
export const noteRefusal = async (c: Context<AppEnv>): Promise<void> => {
  if (c.res.status !== 403) return
  const ids = Object.fromEntries(Object.entries(c.req.param()).filter(([, value]) => v.is(Id, value)))
  await note(c.env.db, c, 'refused', { after: { method: c.req.method, route: routePath(c, -1), ...ids } })
}
