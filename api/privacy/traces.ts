import { and, asc, eq, inArray, isNotNull, or, type SQL, sql } from 'drizzle-orm'
import * as v from 'valibot'
import type { Tx } from '../audit/audited.ts'
import { type CardNumber, FORMS } from '../contract/card-views.ts'
import { accounts, audit, cards, enrolments } from '../db/schema.ts'

/** By what else than their own id the record speaks of a person. */
export type Traces = { personId: string; cards: string[]; accounts: string[]; enrolments: string[] }

export const tracesOf = async (tx: Tx, personId: string): Promise<Traces> => {
  const idsOf = async (table: typeof cards | typeof accounts | typeof enrolments) =>
    (await tx.select({ id: table.id }).from(table).where(eq(table.personId, personId)).orderBy(asc(table.id))).map(
      ({ id }) => id,
    )
  return {
    personId,
    cards: await idsOf(cards),
    accounts: await idsOf(accounts),
    enrolments: await idsOf(enrolments),
  }
}

/** What is on record with whole rows that name a person: found by that where what it was done to is gone, or somebody else's. */
const NAMING = [
  'accounts.create',
  'accounts.update',
  'accounts.delete',
  'cards.create',
  'cards.update',
  'cards.delete',
  'enrolments.create',
  'enrolments.cancel',
  'enrolments.enrol',
  'groups.people.add',
  'groups.people.remove',
  'me.update',
]

/** The rows of the audit log that are about a person: what was done to them, their cards, accounts, enrolments and sessions. */
export const isAbout = ({ personId, ...ids }: Traces): SQL | undefined =>
  or(
    inArray(audit.targetId, [personId, ...ids.cards, ...ids.accounts, ...ids.enrolments]),
    and(
      inArray(audit.action, NAMING),
      or(eq(sql`${audit.before} ->> 'personId'`, personId), eq(sql`${audit.after} ->> 'personId'`, personId)),
    ),
    ids.accounts.length === 0 ? undefined : and(eq(audit.targetKind, 'session'), inArray(audit.actorId, ids.accounts)),
  )

const Card = v.object({ number: v.string(), form: v.picklist(FORMS) })

/** Of these rows the numbers, and the cards that they tell of. */
export const auditAbout = async (tx: Tx, traces: Traces): Promise<{ numbers: number[]; cards: CardNumber[] }> => {
  const rows = await tx
    .select({ number: audit.number, before: audit.before, after: audit.after })
    .from(audit)
    .where(and(isAbout(traces), or(isNotNull(audit.before), isNotNull(audit.after))))
  const told = rows.flatMap(({ before, after }) => [before, after]).filter((one) => v.is(Card, one))
  return { numbers: rows.map(({ number }) => number), cards: told.map(({ number, form }) => ({ number, form })) }
}
