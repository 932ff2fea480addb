import { type CardNumber, keysOfCard } from '../contract/card-views.ts'
import { cardKeys } from '../db/schema.ts'
import type { Db } from '../platform.ts'

/** A card is found under these from now on; written in the transaction that writes the card. */
export const writeKeys = async (db: Pick<Db, 'insert'>, card: CardNumber & { id: string }): Promise<void> => {
  await db.insert(cardKeys).values(keysOfCard(card).map((found) => ({ ...found, cardId: card.id })))
}
