import { isAscii } from 'node:buffer'
import { keyOfScan } from '../../api/contract/card-views.ts'
import { isPlainText } from '../../api/contract/scan.ts'
import type { Profile } from './profile.ts'

/** Longer than any card in any view; whatever is longer is something else. */
const MOST = 128

/** Firmwares report that a card was taken away as `0`, as nothing, or as zeros in their own notation. */
const REMOVAL = /^[0\s:.-]*$/

/**
 * The card as text on a literal topic, `1` or `0` on another: the contract of the older system that Lintel replaces
 * (matejhendrych/kartickyProGrussyho, src/mqtt_handler.py). Unlike it, an unknown card is answered too.
 */
export const plain: Profile = {
  read(payload, { cardView }) {
    if (payload.length > MOST || !isAscii(payload)) return { dropped: 'not_text' }
    const card = payload.toString('ascii').trim()
    if (REMOVAL.test(card)) return { dropped: 'removal' }
    const known = isPlainText(card) && keyOfScan(cardView, card) !== undefined
    return known ? { card } : { dropped: 'not_a_card' }
  },
  reply({ decision }, { replyTopic }) {
    return replyTopic === null ? undefined : { topic: replyTopic, payload: decision === 'granted' ? '1' : '0' }
  },
}
