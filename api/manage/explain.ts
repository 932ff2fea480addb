import { eq } from 'drizzle-orm'
import { Hono } from 'hono'
import * as v from 'valibot'
import { gatherFacts } from '../access/facts.ts'
import { Hint, hintsFor } from '../access/hints.ts'
import { explain as explainDecision, STATUSES } from '../contract/decide.ts'
import { CardText, Decision, decisionOf, Reason } from '../contract/scan.ts'
import { cards, people, readers } from '../db/schema.ts'
import { doc } from '../docs.ts'
import { may } from '../login/guard.ts'
import type { AppEnv, Db } from '../platform.ts'
import { Id, instant, query, time } from '../validate.ts'

const Explanation = v.object({
  decision: Decision,
  reason: Reason,
  at: time,
  clock: v.nullable(v.object({ day: v.number(), time: v.string(), timezone: v.string() })),
  reader: v.nullable(v.object({ id: Id, name: v.string() })),
  /** In force at the reader at that instant; it does not keep out who is exempt. */
  lockdown: v.nullable(v.object({ until: v.nullable(time) })),
  card: v.nullable(v.object({ id: Id, number: v.string(), status: v.picklist(STATUSES) })),
  person: v.nullable(v.object({ id: Id, name: v.string() })),
  matches: v.array(Id),
  rules: v.array(v.object({ id: Id, groupId: Id, scheduleId: v.nullable(Id), open: v.boolean() })),
  pin: v.optional(v.picklist(['asked', 'not asked'])),
  /** Of a card that nobody knows: which cards it would be if the reader had another view. */
  hints: v.array(Hint),
})

const readerById = async (db: Db, id: string) => {
  const columns = { id: readers.id, name: readers.name, cardView: readers.cardView }
  const [row] = await db.select(columns).from(readers).where(eq(readers.id, id))
  return row
}

const holderOf = async (db: Db, cardId: string | undefined) => {
  if (cardId === undefined) return { card: null, person: null }
  const [row] = await db
    .select({
      card: { id: cards.id, number: cards.number, status: cards.status },
      person: { id: people.id, name: people.name },
    })
    .from(cards)
    .innerJoin(people, eq(people.id, cards.personId))
    .where(eq(cards.id, cardId))
  return row ?? { card: null, person: null }
}

/** Of a time that is none, which a lockdown never reaches, as of one that has no end. */
const isoOrNever = (until: Date | null) => (until && !Number.isNaN(until.getTime()) ? until.toISOString() : null)

/** What the decision would be, and why: the trace of the very function that decides. Records nothing. */
export const explain = new Hono<AppEnv>().get(
  '/',
  may('explain:read'),
  doc(
    'explain',
    'What the decision would be at an instant, and why; `card` is what the reader would publish, without a PIN',
    {
      schema: Explanation,
      refusals: [401, 422],
    },
  ),
  query(v.strictObject({ readerId: Id, card: CardText, at: v.optional(instant) })),
  async (c) => {
    const { db } = c.env
    const { readerId, card, at = c.env.now() } = c.req.valid('query')
    const { facts } = await gatherFacts(db, readerId, card)
    const { reason, lockdown, clock, rules, pinAsked } = explainDecision({ ...facts, late: false, pin: 'none' }, at)
    const matches = facts.cards.flatMap(({ id }) => id ?? [])
    const reader = await readerById(db, readerId)
    const mayHint = reader && reason === 'unknown_card' && c.var.caller.permissions.has('cards:read')
    const answer: v.InferOutput<typeof Explanation> = {
      decision: decisionOf(reason),
      reason,
      at: at.toISOString(),
      clock: clock && facts.reader ? { ...clock, timezone: facts.reader.timezone } : null,
      reader: reader ? { id: reader.id, name: reader.name } : null,
      lockdown: lockdown && { until: isoOrNever(lockdown.until) },
      ...(await holderOf(db, matches.length === 1 ? matches[0] : undefined)),
      matches,
      rules: rules.map(({ id, groupId, scheduleId, open }) => ({ id, groupId, scheduleId, open })),
      pin: pinAsked ? 'asked' : 'not asked',
      hints: mayHint ? await hintsFor(db, reader, card) : [],
    }
    return c.json(answer)
  },
)
