import { eq } from 'drizzle-orm'
import { Hono } from 'hono'
import * as v from 'valibot'
import { audited } from '../audit/audited.ts'
import { accounts as table } from '../db/schema.ts'
import { doc } from '../docs.ts'
import { found, invalid } from '../errors.ts'
import { accountOf } from '../login/guard.ts'
import { endMailTokens } from '../login/mail-tokens.ts'
import { Chosen, NOBODY, requireUncommon, Typed } from '../login/passwords.ts'
import { endSessions } from '../login/sessions.ts'
import type { AppEnv } from '../platform.ts'
import { body, change, line } from '../validate.ts'
import { Account, columns, NEW_PASSWORD } from './accounts.ts'

const MyChange = v.pipe(
  change({ name: v.nullish(line()), password: Chosen, currentPassword: Typed }),
  v.forward(
    v.check(
      ({ password, currentPassword }) => (password === undefined) === (currentPassword === undefined),
      'send the current password together with the new one',
    ),
    ['currentPassword'],
  ),
)

/** The account that is signed in. */
export const me = new Hono<AppEnv>()
  .get('/', doc('me', 'My account', { schema: Account, refusals: [401] }), async (c) => {
    const [row] = await c.env.db
      .select(columns)
      .from(table)
      .where(eq(table.id, accountOf(c).id))
    return c.json(found(row, 'account'))
  })
  .patch(
    '/',
    doc('me', 'Change my name or password; a new password ends my other sessions', {
      schema: Account,
      refusals: [401, 415, 422],
    }),
    body(MyChange),
    async (c) => {
      const { name, password, currentPassword } = c.req.valid('json')
      const { db } = c.env
      const { id, sessionId } = accountOf(c)
      const [before] = await db.select().from(table).where(eq(table.id, id))
      const { email, passwordHash, ...old } = found(before, 'account')
      if (password !== undefined) requireUncommon(password, { email, name: name ?? old.name })
      if (currentPassword !== undefined && !(await c.env.password.verify(currentPassword, passwordHash ?? NOBODY))) {
        invalid('currentPassword', 'is not the current password')
      }
      const secret = password === undefined ? {} : { passwordHash: await c.env.password.hash(password) }
      const account = await audited(c, 'me.update', async (tx) => {
        // The account first, as everybody who changes one does, so that no two wait for each other.
        const [before] = await tx.select(columns).from(table).where(eq(table.id, id)).for('update')
        const change = { ...secret, ...(name !== undefined && { name }) }
        const [row] = await tx.update(table).set(change).where(eq(table.id, id)).returning(columns)
        if (password !== undefined) {
          await endMailTokens(tx, id)
          await endSessions(tx, id, sessionId)
        }
        const answer = found(row, 'account')
        const after = { ...answer, ...(password !== undefined && NEW_PASSWORD) }
        return { target: { kind: 'account', id }, before, after, answer }
      })
      return c.json(account)
    },
  )
