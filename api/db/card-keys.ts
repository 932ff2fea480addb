import type { Sql } from 'postgres'
import { type CardNumber, keysOfCard } from '../contract/card-views.ts'

/** Goes up when a view is added, and then `hasKeys` has to ask for something that came with it. */
const VERSION = 1
const MARK = `Lintel: every card has the keys of version ${VERSION}.`

const BATCH = 1_000

/**
 * Cards that were written by an older Lintel have keys for the views that it knew. Gives each its missing ones, a thousand
 * cards in a transaction, so that it goes on where it was interrupted; and then marks the table, so that a later start
 * asks two short questions whatever the number of cards. Says how many cards it was.
 */
export const writeMissingKeys = async (sql: Sql, batch = BATCH): Promise<number> => {
  if (await nothingToDo(sql)) return 0
  let [written, last]: [number, string | undefined] = [0, '00000000-0000-0000-0000-000000000000']
  while (last !== undefined) {
    const cards: readonly Card[] = await writeBatch(sql, last, batch)
    written += cards.length
    last = cards.at(-1)?.id
  }
  await sql.unsafe(`comment on table card_keys is '${MARK}'`)
  return written
}

type Card = CardNumber & { id: string }

/** While a site is brought up to date an older API may still add cards: so the newest are looked at, mark or not. */
const nothingToDo = async (sql: Sql): Promise<boolean> => {
  const [row] = await sql<{ mark: string | null; lacking: boolean }[]>`
    select obj_description('card_keys'::regclass, 'pg_class') as mark, exists (
      select from (select * from cards order by id desc limit ${BATCH}) c where not ${hasKeys(sql)}
    ) as lacking`
  return row?.mark === MARK && !row.lacking
}

/** All keys of a card are written together, and every card has one in the view `text`, which the first Lintel did not know. */
const hasKeys = (sql: Sql) =>
  sql`exists (select from card_keys k where k.view = 'text' and k.key = c.number and k.card_id = c.id)`

/** The cards stay as they are until their keys are there. */
const writeBatch = (sql: Sql, after: string, batch: number): Promise<readonly Card[]> =>
  sql.begin(async (tx) => {
    const cards = await tx<Card[]>`
      select c.id, c.form, c.number from cards c where c.id > ${after} and not ${hasKeys(sql)}
      order by c.id limit ${batch} for key share`
    const keys = cards.flatMap((card) => keysOfCard(card).map(({ view, key }) => [view, key, card.id]))
    if (keys.length > 0) {
      await tx`
        insert into card_keys (view, key, card_id)
        select k ->> 0, k ->> 1, (k ->> 2)::uuid from json_array_elements(${JSON.stringify(keys)}::text::json) k
        on conflict do nothing`
    }
    return cards
  }) as Promise<readonly Card[]>
