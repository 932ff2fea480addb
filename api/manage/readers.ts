import { and, asc, eq, getTableColumns, ilike, or } from 'drizzle-orm'
import { Hono } from 'hono'
import * as v from 'valibot'
import { audited } from '../audit/audited.ts'
import { added, changed, locked, removed } from '../audit/rows.ts'
import { CARD_VIEWS } from '../contract/card-views.ts'
import { profileNamed } from '../contract/profiles.ts'
import { isPlainText } from '../contract/scan.ts'
import { OFFLINE, Settings } from '../contract/site.ts'
import { DIRECTIONS, readerStates, readers as table } from '../db/schema.ts'
import { doc, pageOf } from '../docs.ts'
import { found } from '../errors.ts'
import { may } from '../login/guard.ts'
import type { AppEnv, Db } from '../platform.ts'
import { body, change, Id, line, param, query } from '../validate.ts'
import { DeviceState, shownState, stateColumns } from './device-state.ts'
import { after, anywhere, Paging, Search, toPage } from './page.ts'
import { refuseClashes, refuseMistakes, type Saved } from './reader-checks.ts'
import { isReserved, RESERVED, settings, timezone } from './reader-fields.ts'

/** A topic that is published on: literal, to the letter (a leading slash counts), and not one of the broker's own. */
const topic = v.pipe(
  v.string(),
  v.minLength(1, 'must not be empty'),
  v.maxLength(500),
  v.check((name) => !/[+#]/.test(name), 'must not have the wildcards + or #'),
  v.check((name) => !name.startsWith('$'), 'must not start with $: such topics are the broker’s own'),
  v.check((name) => !isReserved(name), RESERVED),
  v.check(isPlainText, 'must not contain control characters'),
)

const fields = {
  name: line(),
  profile: line(64),
  topic,
  replyTopic: v.nullable(topic),
  unit: v.nullable(line(128)),
  settings,
  cardView: v.picklist(CARD_VIEWS),
  timezone,
  direction: v.picklist(DIRECTIONS),
  enabled: v.boolean(),
  openMs: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(600_000)),
  offline: v.picklist(OFFLINE),
  offlineHours: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(8_760)),
  pinScheduleId: v.nullable(Id),
  pinAlone: v.boolean(),
  doorId: v.nullable(Id),
  place: v.nullable(line(100)),
}

/**
 * What is not said of a new reader: one of the plain profile, with the first view of its profile and a door that opens for
 * 3 s, and goes by the bridge's snapshot for a day while the API is away.
 */
const NewReader = v.strictObject({
  ...fields,
  profile: v.optional(fields.profile, 'plain'),
  replyTopic: v.optional(fields.replyTopic, null),
  unit: v.optional(fields.unit, null),
  settings: v.optional(fields.settings, {}),
  cardView: v.optional(fields.cardView),
  timezone: v.optional(fields.timezone, 'UTC'),
  direction: v.optional(fields.direction, 'none'),
  enabled: v.optional(fields.enabled, true),
  openMs: v.optional(fields.openMs, 3_000),
  offline: v.optional(fields.offline, 'snapshot'),
  offlineHours: v.optional(fields.offlineHours, 24),
  pinScheduleId: v.optional(fields.pinScheduleId, null),
  pinAlone: v.optional(fields.pinAlone),
  doorId: v.optional(fields.doorId, null),
  place: v.optional(fields.place, null),
})

const withDefaults = ({ cardView, pinAlone, ...input }: v.InferOutput<typeof NewReader>) => {
  const profile = profileNamed(input.profile)
  return {
    ...input,
    cardView: cardView ?? profile?.views[0] ?? 'decimal',
    pinAlone: pinAlone ?? profile?.keypad === 'alone',
  }
}

const Reader = v.object({
  id: Id,
  name: v.string(),
  profile: v.string(),
  topic: v.string(),
  replyTopic: v.nullable(v.string()),
  unit: v.nullable(v.string()),
  settings: Settings,
  cardView: v.picklist(CARD_VIEWS),
  timezone: v.string(),
  direction: v.picklist(DIRECTIONS),
  enabled: v.boolean(),
  openMs: v.number(),
  offline: v.picklist(OFFLINE),
  offlineHours: v.number(),
  pinScheduleId: v.nullable(Id),
  pinAlone: v.boolean(),
  /** Goes up with each key that the reader is given; 0 and less: it has none. */
  keyGeneration: v.number(),
  /** What it opens; null: what its own profile answers opens. */
  doorId: v.nullable(Id),
  brokerGeneration: v.number(),
  /** Nobody is in two places within a minute. */
  place: v.nullable(v.string()),
})

/** With how it is, where that is asked for: what is written, and what the audit log shows of it, is the reader alone. */
const ReaderWithState = v.object({ ...Reader.entries, state: DeviceState })

const withStates = (db: Db) =>
  db
    .select({ ...getTableColumns(table), state: stateColumns(readerStates, readerStates.readerId) })
    .from(table)
    .leftJoin(readerStates, eq(readerStates.readerId, table.id))
    .$dynamic()

const shown = (row: Awaited<ReturnType<typeof withStates>>[number]) => ({ ...row, state: shownState(row.state) })

/** A change of any other field is not stopped by these: a reader can be switched off whatever is wrong with it. */
const CHECKED: ReadonlySet<string> = new Set<keyof Saved>([
  'profile',
  'topic',
  'replyTopic',
  'unit',
  'settings',
  'cardView',
  'pinScheduleId',
  'pinAlone',
])

export const readers = new Hono<AppEnv>()
  .get(
    '/',
    may('readers:read'),
    doc('readers', 'List readers by name', { schema: pageOf(ReaderWithState), refusals: [401, 422] }),
    query(v.strictObject({ ...Paging, q: Search })),
    async (c) => {
      const { limit, cursor, q } = c.req.valid('query')
      const search = q === undefined ? undefined : or(ilike(table.name, anywhere(q)), ilike(table.topic, anywhere(q)))
      const rows = await withStates(c.env.db)
        .where(and(search, after(cursor, [table.name, table.id])))
        .orderBy(asc(table.name), asc(table.id))
        .limit(limit + 1)
      const page = toPage(rows, limit, (row) => [row.name, row.id])
      return c.json({ ...page, items: page.items.map(shown) })
    },
  )
  .post(
    '/',
    may('readers:write'),
    doc('readers', 'Add a reader', { status: 201, schema: Reader }),
    body(NewReader),
    async (c) => {
      const reader = withDefaults(c.req.valid('json'))
      refuseMistakes(reader)
      const row = await audited(c, 'readers.create', async (tx) => {
        await refuseClashes(tx, reader)
        return added(tx, table, 'reader', reader)
      })
      return c.json(row, 201)
    },
  )
  .get(
    '/:id',
    may('readers:read'),
    doc('readers', 'One reader', { schema: ReaderWithState }),
    param('id'),
    async (c) => {
      const { id } = c.req.valid('param')
      const [row] = await withStates(c.env.db).where(eq(table.id, id))
      return c.json(shown(found(row, 'reader')))
    },
  )
  .patch(
    '/:id',
    may('readers:write'),
    doc('readers', 'Change a reader; `settings` are replaced as a whole', { schema: Reader }),
    param('id'),
    body(change(fields)),
    async (c) => {
      const { id } = c.req.valid('param')
      const input = c.req.valid('json')
      const row = await audited(c, 'readers.update', async (tx) => {
        if (Object.keys(input).some((name) => CHECKED.has(name))) {
          const before = await locked(tx, table, 'reader', id)
          const reader: Saved = { ...before, ...(input as Partial<Saved>) }
          refuseMistakes(reader)
          await refuseClashes(tx, reader)
        }
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
