import { eq } from 'drizzle-orm'
import { Hono } from 'hono'
import * as v from 'valibot'
import { audited } from '../audit/audited.ts'
import { people } from '../db/schema.ts'
import { doc } from '../docs.ts'
import { found } from '../errors.ts'
import { may } from '../login/guard.ts'
import { recentProof } from '../login/proof.ts'
import { Person } from '../manage/people.ts'
import type { AppEnv } from '../platform.ts'
import { param, time } from '../validate.ts'
import { jsonStream } from './json-stream.ts'
import { knownOf } from './known.ts'
import { tracesOf } from './traces.ts'

const rows = v.array(v.record(v.string(), v.unknown()))

const Known = v.object({
  person: Person,
  /** When it was set; what it is nobody can read. */
  pin: v.nullable(v.object({ setAt: time })),
  cards: rows,
  groups: rows,
  /** Those of the person’s groups: what they may open, and when. */
  rules: rows,
  enrolments: rows,
  accounts: rows,
  sessions: rows,
  /** Made by the person’s accounts, as are the lockdowns and commands. */
  apiKeys: rows,
  lockdowns: rows,
  alerts: rows,
  commands: rows,
  /** Their scans, each with what it said before it was corrected. */
  events: rows,
  /** Scans of the same cards that are on record as nobody’s. */
  eventsBeforeKnown: rows,
  /** What was done to them, their cards and accounts, and by these. */
  audit: rows,
})

export const personExport = new Hono<AppEnv>().get(
  '/:id/export',
  may('people:write'),
  recentProof,
  doc('people', 'All that is known about a person, as JSON; that it was read is on the audit log', {
    schema: Known,
    refusals: [401, 403, 404, 422],
  }),
  param('id'),
  async (c) => {
    const { id } = c.req.valid('param')
    const { db, later } = c.env
    const { person, traces } = await audited(c, 'people.export', async (tx) => {
      const [row] = await tx.select().from(people).where(eq(people.id, id))
      const answer = { person: found(row, 'person'), traces: await tracesOf(tx, id) }
      return { target: { kind: 'person', id }, answer }
    })
    const members = await knownOf(db, person, traces)
    const { promise, resolve } = Promise.withResolvers<void>()
    // Where connections last only as long as a request, they last until it is written.
    later(() => promise)
    return c.body(jsonStream(members, resolve), 200, {
      'content-type': 'application/json',
      'content-disposition': `attachment; filename="person-${id}.json"`,
    })
  },
)
