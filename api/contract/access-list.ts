import * as v from 'valibot'
import { Uuid } from './scan.ts'

/** Whom a reader that decides by itself is to let in, in pages. */
export const AccessListAsk = v.strictObject({ readerId: Uuid, after: v.optional(Uuid) })

/**
 * One page: cards that may pass this reader now, as it would publish them. `user` is a name for the card that says nothing
 * of its holder, `until` the Unix second in which it stops being valid, or 0. A page can be empty and yet name a next one.
 */
export const AccessListPage = v.object({
  cards: v.array(
    v.object({
      card: v.pipe(v.string(), v.minLength(1), v.maxLength(128)),
      user: v.pipe(v.string(), v.regex(/^[0-9a-f]{8}$/)),
      until: v.pipe(v.number(), v.integer(), v.minValue(0)),
    }),
  ),
  next: v.optional(Uuid),
})
export type AccessListPage = v.InferOutput<typeof AccessListPage>
