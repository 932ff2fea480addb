import { and, eq, inArray, ne } from 'drizzle-orm'
import { Hono } from 'hono'
import * as v from 'valibot'
import { hashesOfPin, isObvious, randomPin } from '../access/pins.ts'
import { audited, type Tx } from '../audit/audited.ts'
import { locked } from '../audit/rows.ts'
import { sentences } from '../db/constraints.ts'
import { people, pins as table } from '../db/schema.ts'
import { doc } from '../docs.ts'
import { found, refuse } from '../errors.ts'
import { may } from '../login/guard.ts'
import type { AppEnv, Platform } from '../platform.ts'
import { body, param } from '../validate.ts'

const Pin = v.pipe(
  v.string(),
  v.regex(/^\d{4,8}$/, 'must be 4 to 8 digits'),
  v.check(
    (pin) => !isObvious(pin),
    'is what anybody would try first: neither one digit over and over nor digits in a row',
  ),
)

/** `pin` is the one that Lintel made, this once; null where it was given. */
const Made = v.object({ pin: v.nullable(v.string()) })

/** How it may be kept, unless it is somebody else's. */
const freeHash = async (tx: Tx, config: Platform['config'], personId: string, pin: string) => {
  const hashes = await hashesOfPin(config, pin)
  const [other] = await tx
    .select({ personId: table.personId })
    .from(table)
    .where(and(inArray(table.hash, hashes), ne(table.personId, personId)))
  return other ? undefined : hashes[0]
}

/** So few are taken of 900,000 that the first is nearly always free. */
const MOST_TRIES = 20

const newPin = async (tx: Tx, config: Platform['config'], personId: string) => {
  for (let left = MOST_TRIES; left > 0; left--) {
    const pin = randomPin()
    const hash = await freeHash(tx, config, personId, pin)
    if (hash !== undefined) return { pin, hash }
  }
  return refuse(409, 'No free PIN was found: choose one of 7 or 8 digits.')
}

/** Whose it is is not said, in the words that a race with somebody else's PIN would end in. */
const taken = () => refuse(409, sentences['pins_hash']?.detail ?? '')

export const pins = new Hono<AppEnv>()
  .put(
    '/:id/pin',
    may('people:write'),
    doc('people', 'Set a person’s PIN; without one Lintel makes one of 6 digits and shows it this once', {
      schema: Made,
    }),
    param('id'),
    body(v.strictObject({ pin: v.optional(Pin) })),
    async (c) => {
      const { id } = c.req.valid('param')
      const { pin: given } = c.req.valid('json')
      const { config, now } = c.env
      const pin = await audited(c, 'people.pin.set', async (tx) => {
        await locked(tx, people, 'person', id)
        const before = await tx.select({ id: table.personId }).from(table).where(eq(table.personId, id))
        const made = given === undefined ? await newPin(tx, config, id) : undefined
        const hash = made?.hash ?? (await freeHash(tx, config, id, given ?? '')) ?? taken()
        const set = { hash, setAt: now() }
        await tx
          .insert(table)
          .values({ personId: id, ...set })
          .onConflictDoUpdate({ target: table.personId, set })
        const change = { target: { kind: 'person', id }, before: { pin: before.length > 0 }, after: { pin: true } }
        return { ...change, answer: made?.pin ?? null }
      })
      return c.json({ pin })
    },
  )
  .delete(
    '/:id/pin',
    may('people:write'),
    doc('people', 'Take a person’s PIN away', { status: 204 }),
    param('id'),
    async (c) => {
      const { id } = c.req.valid('param')
      await audited(c, 'people.pin.remove', async (tx) => {
        const [row] = await tx.delete(table).where(eq(table.personId, id)).returning({ id: table.personId })
        found(row, 'PIN')
        return { target: { kind: 'person', id }, before: { pin: true }, after: { pin: false }, answer: null }
      })
      return c.body(null, 204)
    },
  )
