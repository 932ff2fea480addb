import { inArray, sql } from 'drizzle-orm'
import type { Tx } from '../../audit/audited.ts'
import { cards, groupPeople, groups, people } from '../../db/schema.ts'
import type { Line, RowError } from './lines.ts'
import type { Known } from './plan.ts'

const among = (texts: readonly unknown[]) => sql`(select json_array_elements_text(${JSON.stringify(texts)}::json))`

/** Of all that a file names, what is there; people and cards stay as they are until the transaction ends. */
export const knownOf = async (tx: Tx, rows: readonly (Line | RowError[])[]): Promise<Known> => {
  const lines = rows.filter((row): row is Line => !Array.isArray(row))
  const numbers = lines.flatMap(({ person }) => person.employeeNumber ?? [])
  const emails = lines.flatMap(({ person }) => person.email ?? [])
  const shown = lines.flatMap(({ card }) => (card ? [{ number: card.number, form: card.form }] : []))
  const names = [...new Set(lines.flatMap(({ groups }) => groups))]

  const peopleThere = await tx
    .select()
    .from(people)
    .where(sql`${people.employeeNumber} in ${among(numbers)} or ${people.email} in ${among(emails)}`)
    .orderBy(people.id)
    .for('update')
  const cardsThere = await tx
    .select()
    .from(cards)
    .where(
      sql`(${cards.number}, ${cards.form}) in (
        select number, form from json_to_recordset(${JSON.stringify(shown)}::json) as shown(number text, form text))`,
    )
    .orderBy(cards.id)
    .for('update')
  if (names.length === 0) return { people: peopleThere, cards: cardsThere, groups: [], members: [] }
  const groupsThere = await tx
    .select()
    .from(groups)
    .where(sql`${groups.name} in ${among(names)}`)
  const ids = groupsThere.map(({ id }) => id)
  const members = ids.length === 0 ? [] : await tx.select().from(groupPeople).where(inArray(groupPeople.groupId, ids))
  return { people: peopleThere, cards: cardsThere, groups: groupsThere, members }
}
