import { and, desc, eq, getTableColumns, lte, type SQL, sql } from 'drizzle-orm'
import { type Context, Hono } from 'hono'
import * as v from 'valibot'
import { audited, type Tx } from '../audit/audited.ts'
import { locked } from '../audit/rows.ts'
import { ENROLMENT_STATES, readers, enrolments as table } from '../db/schema.ts'
import { doc, pageOf } from '../docs.ts'
import { found, invalid, refuse } from '../errors.ts'
import { may } from '../login/guard.ts'
import type { AppEnv } from '../platform.ts'
import { body, Id, line, param, query, time } from '../validate.ts'
import { after, is, Paging, toPage } from './page.ts'

const SECONDS = { least: 10, most: 600, unsaid: 60 }

const State = v.picklist(ENROLMENT_STATES)

const Enrolment = v.object({
  id: Id,
  readerId: Id,
  personId: Id,
  label: v.nullable(v.string()),
  state: State,
  createdAt: time,
  expiresAt: time,
  cardId: v.nullable(Id),
  note: v.nullable(v.string()),
})

const OTHERS = 'A card that belongs to somebody already was shown at this reader, and stays theirs. Show another one.'

/** One that waited in vain says so, whether or not somebody has looked since. */
const stateAt = (now: Date): SQL<(typeof ENROLMENT_STATES)[number]> =>
  sql`case when ${table.state} = 'waiting' and ${table.expiresAt} <= ${now.toISOString()} then 'expired' else ${table.state} end`

/**
 * Read from the record, so that the scan of a known card does not have to ask whether an enrolment waits. Names are spelled
 * out: among the columns of a select drizzle leaves the table away, and then both would be the inner one's.
 */
const note: SQL<string | null> = sql`case
  when enrolments.note is null and enrolments.state in ('waiting', 'expired') and exists (
    select from events e
    where e.reader_id = enrolments.reader_id and e.at >= enrolments.created_at and e.at < enrolments.expires_at
      and (e.card_id is not null or e.reason = 'ambiguous_card')
  ) then ${OTHERS} else enrolments.note end`

const columnsAt = (now: Date) => ({ ...getTableColumns(table), state: stateAt(now), note })

/** One reader, one enrolment at a time: one that waited in vain makes room, any other is in the way. */
const begin = async (c: Context<AppEnv>, tx: Tx, values: typeof table.$inferInsert) => {
  const { readerId, createdAt } = values
  await tx
    .update(table)
    .set({ state: 'expired' })
    .where(and(eq(table.readerId, readerId), eq(table.state, 'waiting'), lte(table.expiresAt, createdAt)))
  const [after] = await tx.insert(table).values(values).onConflictDoNothing().returning()
  if (after) return { target: { kind: 'enrolment', id: after.id }, after, answer: after }
  const [other] = await tx
    .select()
    .from(table)
    .where(and(eq(table.readerId, readerId), eq(table.state, 'waiting')))
  const until = (other?.expiresAt ?? c.env.now()).toISOString()
  return refuse(
    409,
    `This reader waits for a card for somebody until ${until}. Cancel that enrolment, or try again then.`,
  )
}

export const enrolments = new Hono<AppEnv>()
  .get(
    '/',
    may('enrolments:read'),
    doc('enrolments', 'List enrolments, newest first', { schema: pageOf(Enrolment), refusals: [401, 422] }),
    query(v.strictObject({ ...Paging, readerId: v.optional(Id), personId: v.optional(Id), state: v.optional(State) })),
    async (c) => {
      const { limit, cursor, readerId, personId, state } = c.req.valid('query')
      const now = c.env.now()
      const rows = await c.env.db
        .select(columnsAt(now))
        .from(table)
        .where(
          and(
            is(table.readerId, readerId),
            is(table.personId, personId),
            state && eq(stateAt(now), state),
            after(cursor, [table.createdAt, table.id], true),
          ),
        )
        .orderBy(desc(table.createdAt), desc(table.id))
        .limit(limit + 1)
      return c.json(toPage(rows, limit, (row) => [row.createdAt.toISOString(), row.id]))
    },
  )
  .post(
    '/',
    may('enrolments:write'),
    doc('enrolments', 'The next card at this reader that nobody has belongs to this person', {
      status: 201,
      schema: Enrolment,
    }),
    body(
      v.strictObject({
        readerId: Id,
        personId: Id,
        label: v.nullish(line()),
        seconds: v.optional(
          v.pipe(v.number(), v.integer(), v.minValue(SECONDS.least), v.maxValue(SECONDS.most)),
          SECONDS.unsaid,
        ),
      }),
    ),
    async (c) => {
      const { seconds, ...input } = c.req.valid('json')
      const { caller } = c.var
      if (caller.personId === input.personId && !caller.permissions.has('cards:write')) {
        refuse(403, 'Nobody gives themselves a card: let somebody else do that.')
      }
      const createdAt = c.env.now()
      const expiresAt = new Date(createdAt.getTime() + seconds * 1_000)
      const row = await audited(c, 'enrolments.create', async (tx) => {
        const where = eq(readers.id, input.readerId)
        const [reader] = await tx.select({ enabled: readers.enabled }).from(readers).where(where)
        if (reader?.enabled === false) invalid('readerId', 'is disabled: no card that is shown there is looked at')
        return begin(c, tx, { ...input, createdAt, expiresAt })
      })
      return c.json(row, 201)
    },
  )
  .get(
    '/:id',
    may('enrolments:read'),
    doc('enrolments', 'One enrolment: ask again until its state is another than waiting', { schema: Enrolment }),
    param('id'),
    async (c) => {
      const { id } = c.req.valid('param')
      const [row] = await c.env.db.select(columnsAt(c.env.now())).from(table).where(eq(table.id, id))
      return c.json(found(row, 'enrolment'))
    },
  )
  .delete(
    '/:id',
    may('enrolments:write'),
    doc('enrolments', 'Cancel an enrolment that waits; the reader is free for another', { status: 204 }),
    param('id'),
    async (c) => {
      const { id } = c.req.valid('param')
      await audited(c, 'enrolments.cancel', async (tx) => {
        const before = await locked(tx, table, 'enrolment', id)
        const over = before.state === 'waiting' && before.expiresAt <= c.env.now() ? 'expired' : before.state
        if (over !== 'waiting') refuse(409, `This enrolment is over already: it is ${over}.`)
        const [after] = await tx.update(table).set({ state: 'cancelled' }).where(eq(table.id, id)).returning()
        return { target: { kind: 'enrolment', id }, before, after, answer: null }
      })
      return c.body(null, 204)
    },
  )
