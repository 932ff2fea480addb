import * as v from 'valibot'
import { CARD_VIEWS, type CardView, keysOfScan } from '../contract/card-views.ts'
import { Uuid } from '../contract/scan.ts'
import type { Db } from '../platform.ts'

/** What a view makes of a card, in a few words for people. */
export const MEANING: Record<CardView, string> = {
  hex: 'the bytes in hex',
  'hex-unpadded': 'the bytes in hex, each without its leading zero',
  'hex-reversed': 'the bytes in reverse order, in hex',
  decimal: 'the bytes as one decimal number',
  'decimal-reversed': 'the bytes in reverse order, as one decimal number',
  decimal4: 'the first four bytes as a decimal number',
  'hex4-reversed': 'the first four bytes in reverse order, in hex',
  'em32-hex': 'the last four bytes of an EM4100 card, in hex',
  'em32-decimal': 'the last four bytes of an EM4100 card, as a decimal number',
  w26: 'the 24 bits of Wiegand 26',
  w34: 'the 32 bits of Wiegand 34',
  text: 'the number as it stands',
}

export const Hint = v.object({ cardId: Uuid, view: v.picklist(CARD_VIEWS), sentence: v.string() })
export type Hint = v.InferOutput<typeof Hint>

const MOST = 5

/** Views that lose nothing of a card: where one of them fits, a guess that loses something is no better. */
const WHOLE: readonly CardView[] = ['hex', 'decimal', 'hex-reversed', 'decimal-reversed']

/**
 * Which cards an unknown scan would have matched if its reader had another view: at most five, for people to judge. One
 * question, with one probe of the index for each view in which the text says anything.
 */
export const hintsFor = async (db: Db, { cardView }: { cardView: CardView }, text: string): Promise<Hint[]> => {
  const { [cardView]: _, ...keys } = keysOfScan(text)
  const rows = await db.$client<{ cardId: string; view: CardView }[]>`
    select found.card_id as "cardId", meant.key as view
    from json_each_text(${JSON.stringify(keys)}::json) meant
    cross join lateral (
      select k.card_id from card_keys k where k.view = meant.key and k.key = meant.value order by k.card_id limit ${MOST}
    ) found`
  const best = [...Map.groupBy(rows, ({ cardId }) => cardId)].flatMap(([cardId, some]) => {
    const views = CARD_VIEWS.filter((view) => some.some((row) => row.view === view))
    const whole = WHOLE.find((view) => views.includes(view))
    return (whole ? [whole] : views).map((view) => ({ cardId, view }))
  })
  return best
    .sort((a, b) => CARD_VIEWS.indexOf(a.view) - CARD_VIEWS.indexOf(b.view) || (a.cardId < b.cardId ? -1 : 1))
    .slice(0, MOST)
    .map(({ cardId, view }) => ({
      cardId,
      view,
      sentence: `The card ${cardId} would match if this reader’s view were ${view} (${MEANING[view]}).`,
    }))
}
