import { and, asc, eq, ilike, ne, or } from 'drizzle-orm'
import { Hono } from 'hono'
import * as v from 'valibot'
import { audited } from '../audit/audited.ts'
import { added, changed, removed } from '../audit/rows.ts'
import { CARD_VIEWS } from '../contract/card-views.ts'
import { isPlainText } from '../contract/scan.ts'
import { OFFLINE } from '../contract/site.ts'
import { isTimezone } from '../contract/window.ts'
import { DIRECTIONS, readers as table } from '../db/schema.ts'
import { doc, pageOf } from '../docs.ts'
import { found, invalid, refuse } from '../errors.ts'
import { may } from '../login/guard.ts'
import type { AppEnv, Db } from '../platform.ts'
import { body, change, Id, line, param, query } from '../validate.ts'
import { after, anywhere, is, Paging, Search, toPage } from './page.ts'

/** A topic that is published on: literal, to the letter (a leading slash counts), and not one of the broker's own. */
const topic = v.pipe(
  v.string(),
  v.minLength(1, 'must not be empty'),
  v.maxLength(500),
  v.check((name) => !/[+#]/.test(name), 'must not have the wildcards + or #'),
  v.check((name) => !name.startsWith('$'), 'must not start with $: such topics are the broker’s own'),
  v.check(isPlainText, 'must not contain control characters'),
)

const fields = {
  name: line(),
  profile: line(64),
  topic,
  replyTopic: v.nullable(topic),
  cardView: v.picklist(CARD_VIEWS),
  timezone: v.pipe(v.string(), v.maxLength(64), v.check(isTimezone, 'not an IANA time zone such as Europe/Prague')),
  direction: v.picklist(DIRECTIONS),
  enabled: v.boolean(),
  openMs: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(600_000)),
  offline: v.picklist(OFFLINE),
  offlineHours: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(8_760)),
}

/**
 * What is not said of a new reader: one of the plain profile, with decimal numbers and a door that opens for 3 s, and
 * goes by the bridge's snapshot for a day while the API is away.
 */
const NewReader = v.strictObject({
  ...fields,
  profile: v.optional(fields.profile, 'plain'),
  replyTopic: v.optional(fields.replyTopic, null),
  cardView: v.optional(fields.cardView, 'decimal'),
  timezone: v.optional(fields.timezone, 'UTC'),
  direction: v.optional(fields.direction, 'none'),
  enabled: v.optional(fields.enabled, true),
  openMs: v.optional(fields.openMs, 3_000),
  offline: v.optional(fields.offline, 'snapshot'),
  offlineHours: v.optional(fields.offlineHours, 24),
})

const Reader = v.object({
  id: Id,
  name: v.string(),
  profile: v.string(),
  topic: v.string(),
  replyTopic: v.nullable(v.string()),
  cardView: v.picklist(CARD_VIEWS),
  timezone: v.string(),
  direction: v.picklist(DIRECTIONS),
  enabled: v.boolean(),
  openMs: v.number(),
  offline: v.picklist(OFFLINE),
  offlineHours: v.number(),
})

type Topics = { id?: string; topic?: string | undefined; replyTopic?: string | null | undefined }

/** An answer on a topic where scans are read would come back as a scan, of card 1: refuse such a pair of topics. */
const refuseEcho = async (db: Pick<Db, 'select'>, { id, topic, replyTopic }: Topics) => {
  if (topic !== undefined && topic === replyTopic) invalid('replyTopic', 'must not be the topic of the scans')
  const clash = or(is(table.topic, replyTopic ?? undefined), is(table.replyTopic, topic))
  if (!clash) return
  const [other] = await db
    .select({ name: table.name })
    .from(table)
    .where(and(clash, id === undefined ? undefined : ne(table.id, id)))
    .limit(1)
  if (other) refuse(409, `Answers would be read as scans: “${other.name}” uses the same topic the other way round.`)
}

export const readers = new Hono<AppEnv>()
  .get(
    '/',
    may('readers:read'),
    doc('readers', 'List readers by name', { schema: pageOf(Reader), refusals: [401, 422] }),
    query(v.strictObject({ ...Paging, q: Search })),
    async (c) => {
      const { limit, cursor, q } = c.req.valid('query')
      const search = q === undefined ? undefined : or(ilike(table.name, anywhere(q)), ilike(table.topic, anywhere(q)))
      const rows = await c.env.db
        .select()
        .from(table)
        .where(and(search, after(cursor, [table.name, table.id])))
        .orderBy(asc(table.name), asc(table.id))
        .limit(limit + 1)
      return c.json(toPage(rows, limit, (row) => [row.name, row.id]))
    },
  )
  .post(
    '/',
    may('readers:write'),
    doc('readers', 'Add a reader', { status: 201, schema: Reader }),
    body(NewReader),
    async (c) => {
      const input = c.req.valid('json')
      const row = await audited(c, 'readers.create', async (tx) => {
        await refuseEcho(tx, input)
        return added(tx, table, 'reader', input)
      })
      return c.json(row, 201)
    },
  )
  .get('/:id', may('readers:read'), doc('readers', 'One reader', { schema: Reader }), param('id'), async (c) => {
    const { id } = c.req.valid('param')
    const [row] = await c.env.db.select().from(table).where(eq(table.id, id))
    return c.json(found(row, 'reader'))
  })
  .patch(
    '/:id',
    may('readers:write'),
    doc('readers', 'Change a reader', { schema: Reader }),
    param('id'),
    body(change(fields)),
    async (c) => {
      const { id } = c.req.valid('param')
      const input = c.req.valid('json')
      const row = await audited(c, 'readers.update', async (tx) => {
        await refuseEcho(tx, { ...input, id })
        return changed(tx, table, 'reader', id, input)
      })
      return c.json(row)
    },
  )
  .delete(
    '/:id',
    may('readers:write'),
    doc('readers', 'Delete a reader that no rule names', { status: 204 }),
    param('id'),
    async (c) => {
      const { id } = c.req.valid('param')
      await audited(c, 'readers.delete', (tx) => removed(tx, table, 'reader', id))
      return c.body(null, 204)
    },
  )
