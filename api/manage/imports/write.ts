import { sql } from 'drizzle-orm'
import type { Change, Tx } from '../../audit/audited.ts'
import { keysOfCard } from '../../contract/card-views.ts'
import type { Plan } from './plan.ts'

/** So many rows are one statement; a card has a key in up to twelve views. */
const AT_ONCE = 500

const PERSON = sql.raw(`as x(id uuid, name text, email text, "employeeNumber" text, active boolean,
  "validFrom" timestamptz, "validUntil" timestamptz)`)
const CARD = sql.raw(`as x(id uuid, "personId" uuid, number text, form text, label text, status text,
  "validFrom" timestamptz, "validUntil" timestamptz)`)

const json = (rows: readonly unknown[]) => sql`json_to_recordset(${JSON.stringify(rows)}::json)`

const inParts = async <T>(all: readonly T[], write: (part: T[]) => Promise<unknown>) => {
  for (let i = 0; i < all.length; i += AT_ONCE) await write(all.slice(i, i + AT_ONCE))
}

/** All of a plan, in a few statements. */
export const write = async (tx: Tx, { people, cards, memberships }: Plan): Promise<void> => {
  await inParts(people.added, (part) =>
    tx.execute(sql`
      insert into people (id, name, email, employee_number, active, valid_from, valid_until)
      select id, name, email, "employeeNumber", active, "validFrom", "validUntil" from ${json(part)} ${PERSON}`),
  )
  await inParts(people.changed, (part) =>
    tx.execute(sql`
      update people p set name = x.name, email = x.email, employee_number = x."employeeNumber", active = x.active,
        valid_from = x."validFrom", valid_until = x."validUntil"
      from ${json(part.map(({ after }) => after))} ${PERSON} where p.id = x.id`),
  )
  await inParts(cards.added, async (part) => {
    await tx.execute(sql`
      insert into cards (id, person_id, number, form, label, status, valid_from, valid_until)
      select id, "personId", number, form, label, status, "validFrom", "validUntil" from ${json(part)} ${CARD}`)
    const keys = part.flatMap((card) => keysOfCard(card).map((found) => ({ ...found, cardId: card.id })))
    await tx.execute(sql`
      insert into card_keys (view, key, card_id)
      select view, key, "cardId" from ${json(keys)} as x(view text, key text, "cardId" uuid)`)
  })
  await inParts(cards.changed, (part) =>
    tx.execute(sql`
      update cards c set label = x.label, valid_from = x."validFrom", valid_until = x."validUntil"
      from ${json(part.map(({ after }) => after))} ${CARD} where c.id = x.id`),
  )
  await inParts(memberships, (part) =>
    tx.execute(sql`
      insert into group_people (group_id, person_id)
      select "groupId", "personId" from ${json(part)} as x("groupId" uuid, "personId" uuid)
      on conflict do nothing`),
  )
}

/**
 * What was there already and is another now is on record a row each, as if it were done by hand. New people come with
 * nothing before them: of these, their cards and their groups the import's own row says how many.
 */
export const changesOf = ({ people, cards, memberships }: Plan): (Change & { action: string })[] => {
  const isNew = new Set(people.added.map(({ id }) => id))
  return [
    ...people.changed.map(({ before, after }) => ({
      ...{ action: 'people.update', target: { kind: 'person', id: after.id }, before, after },
    })),
    ...cards.added.flatMap((after) =>
      isNew.has(after.personId) ? [] : [{ action: 'cards.create', target: { kind: 'card', id: after.id }, after }],
    ),
    ...cards.changed.map(({ before, after }) => ({
      ...{ action: 'cards.update', target: { kind: 'card', id: after.id }, before, after },
    })),
    ...memberships.flatMap(({ groupId, personId }) =>
      isNew.has(personId)
        ? []
        : [
            {
              ...{ action: 'groups.people.add', target: { kind: 'group', id: groupId } },
              ...{ before: { personId, member: false }, after: { personId, member: true } },
            },
          ],
    ),
  ]
}
