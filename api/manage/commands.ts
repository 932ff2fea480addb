import { and, desc, eq, gte, lt } from 'drizzle-orm'
import { Hono } from 'hono'
import * as v from 'valibot'
import { ACTIONS, COMMAND_STATES, DETAILS } from '../contract/commands.ts'
import { ACTORS, doors, readers, commands as table } from '../db/schema.ts'
import { doc, pageOf } from '../docs.ts'
import { found, invalid } from '../errors.ts'
import { may } from '../login/guard.ts'
import type { AppEnv } from '../platform.ts'
import { body, Id, instant, line, param, query, time } from '../validate.ts'
import { type Order, order } from './order.ts'
import { after, is, Paging, toPage } from './page.ts'

const MOST_TARGETS = 500
const targets = v.optional(
  v.pipe(
    v.array(Id),
    v.maxLength(MOST_TARGETS),
    v.transform((ids) => [...new Set(ids)]),
  ),
  [],
)
const reason = v.optional(v.nullable(line()), null)

const NewCommands = v.strictObject({
  action: v.picklist(ACTIONS),
  doorIds: targets,
  readerIds: targets,
  reason,
  until: v.optional(v.nullable(instant), null),
})
const Opening = v.strictObject({ reason })

const Command = v.object({
  id: Id,
  action: v.picklist(ACTIONS),
  doorId: v.nullable(Id),
  readerId: v.nullable(Id),
  reason: v.nullable(v.string()),
  until: v.nullable(time),
  state: v.picklist(COMMAND_STATES),
  detail: v.nullable(v.picklist(DETAILS)),
  createdAt: time,
  expiresAt: time,
  settledAt: v.nullable(time),
  bridgeId: v.nullable(Id),
  by: v.object({ kind: v.picklist(ACTORS), id: v.nullable(Id) }),
})

const filters = {
  from: v.optional(instant),
  to: v.optional(instant),
  doorId: v.optional(Id),
  readerId: v.optional(Id),
  state: v.optional(v.picklist(COMMAND_STATES)),
}

const shown = ({ actorKind, actorId, ...command }: typeof table.$inferSelect) => ({
  ...command,
  by: { kind: actorKind, id: actorId },
})

const refuseMistakes = ({ action, doorIds, readerIds, until }: Order, now: Date): void => {
  if (doorIds.length === 0 && readerIds.length === 0) invalid('doorIds', 'name a door, or a reader that has none')
  if (action !== 'open' && readerIds.length > 0)
    invalid('readerIds', 'can only be told to open: give the reader a door')
  if (until && action !== 'hold' && action !== 'lock') invalid('until', 'is for hold and lock')
  if (until && until <= now) invalid('until', 'must be in the future')
}

export const commands = new Hono<AppEnv>()
  .get(
    '/',
    may('commands:read'),
    doc('commands', 'What doors were told, newest first; `from` inclusive, `to` exclusive', {
      schema: pageOf(Command),
      refusals: [401, 422],
    }),
    query(v.strictObject({ ...Paging, ...filters })),
    async (c) => {
      const { limit, cursor, from, to, doorId, readerId, state } = c.req.valid('query')
      const rows = await c.env.db
        .select()
        .from(table)
        .where(
          and(
            from && gte(table.createdAt, from),
            to && lt(table.createdAt, to),
            is(table.doorId, doorId),
            is(table.readerId, readerId),
            is(table.state, state),
            after(cursor, [table.createdAt, table.id], true),
          ),
        )
        .orderBy(desc(table.createdAt), desc(table.id))
        .limit(limit + 1)
      const { items, nextCursor } = toPage(rows, limit, (row) => [row.createdAt.toISOString(), row.id])
      return c.json({ items: items.map(shown), nextCursor })
    },
  )
  .post(
    '/',
    may('commands:write'),
    doc('commands', 'Open doors, hold them open, lock or release them; answered when it is known what came of it', {
      status: 201,
      schema: v.object({ items: v.array(Command) }),
    }),
    body(NewCommands),
    async (c) => {
      const wanted = c.req.valid('json')
      refuseMistakes(wanted, c.env.now())
      const rows = await order(c, wanted)
      return c.json({ items: rows.map(shown) }, 201)
    },
  )
  .get('/:id', may('commands:read'), doc('commands', 'One command', { schema: Command }), param('id'), async (c) => {
    const { id } = c.req.valid('param')
    const [row] = await c.env.db.select().from(table).where(eq(table.id, id))
    return c.json(shown(found(row, 'command')))
  })

/** The same of one door, and of one reader, in the words in which somebody with a telephone in the hand says it. */
export const doorOpening = new Hono<AppEnv>().post(
  '/:id/open',
  may('commands:write'),
  doc('commands', 'Open a door once', { status: 201, schema: Command }),
  param('id'),
  body(Opening),
  async (c) => {
    const { id } = c.req.valid('param')
    const [door] = await c.env.db.select({ id: doors.id }).from(doors).where(eq(doors.id, id))
    const doorIds = [found(door, 'door').id]
    const [row] = await order(c, { action: 'open', doorIds, readerIds: [], until: null, ...c.req.valid('json') })
    return c.json(shown(found(row, 'door')), 201)
  },
)

export const readerOpening = new Hono<AppEnv>().post(
  '/:id/open',
  may('commands:write'),
  doc('commands', 'Open what a reader without a door opens by itself, once', { status: 201, schema: Command }),
  param('id'),
  body(Opening),
  async (c) => {
    const { id } = c.req.valid('param')
    const [row] = await c.env.db.select({ doorId: readers.doorId }).from(readers).where(eq(readers.id, id))
    if (found(row, 'reader').doorId !== null) invalid('id', 'has a door: open that')
    const [command] = await order(c, {
      ...{ action: 'open', doorIds: [], readerIds: [id], until: null },
      ...c.req.valid('json'),
    })
    return c.json(shown(found(command, 'reader')), 201)
  },
)
