import { and, asc, eq, ilike, or } from 'drizzle-orm'
import { Hono } from 'hono'
import * as v from 'valibot'
import { audited } from '../audit/audited.ts'
import { ROLES, accounts as table } from '../db/schema.ts'
import { doc, pageOf } from '../docs.ts'
import { found, invalid, refuse } from '../errors.ts'
import { accountOf, may } from '../login/guard.ts'
import { endMailTokens, newMailToken } from '../login/mail-tokens.ts'
import { Chosen, requireUncommon } from '../login/passwords.ts'
import { mayGrant, type Role } from '../login/permissions.ts'
import { recentProof } from '../login/proof.ts'
import { endSessions } from '../login/sessions.ts'
import { requireMail, send, tokenMail } from '../mail/mail.ts'
import type { AppEnv, Caller, Db } from '../platform.ts'
import { body, change, email, Id, line, param, query } from '../validate.ts'
import { after, anywhere, Paging, Search, toPage } from './page.ts'

const fields = {
  email,
  name: v.nullish(line()),
  role: v.picklist(ROLES),
  personId: v.nullish(Id),
  disabled: v.optional(v.boolean()),
  password: v.optional(Chosen),
}

export const Account = v.object({
  id: Id,
  email: v.string(),
  name: v.nullable(v.string()),
  role: v.picklist(ROLES),
  personId: v.nullable(Id),
  disabled: v.boolean(),
  totp: v.boolean(),
})

/** What may be shown of an account: never the password's hash. */
export const columns = {
  id: table.id,
  email: table.email,
  name: table.name,
  role: table.role,
  personId: table.personId,
  disabled: table.disabled,
  totp: table.totp,
}

/** What the audit log says of a new password: that there is one. */
export const NEW_PASSWORD = { newPassword: true }

/** Nobody makes, changes or ends an account of a role that they may not give. */
export const requireGrant = ({ role }: Caller, ...roles: (Role | undefined)[]) => {
  const beyond = roles.find((other) => other !== undefined && !mayGrant(role, other))
  if (beyond !== undefined) refuse(403, `Your role may not make or change an account of the role “${beyond}”.`)
}

type Tx = Pick<Db, 'select'>

/**
 * The owners who can sign in, locked in one order until the transaction ends and before any other account is: two
 * owners who change each other at once neither wait for each other for ever, nor both rely on the other.
 */
const lockOwners = (tx: Tx) =>
  tx
    .select({ id: table.id })
    .from(table)
    .where(and(eq(table.role, 'owner'), eq(table.disabled, false)))
    .orderBy(table.id)
    .for('update')

export const lockAccount = async (tx: Tx, id: string) => {
  const owners = await lockOwners(tx)
  const [account] = await tx.select(columns).from(table).where(eq(table.id, id)).for('update')
  return { ...found(account, 'account'), isLastOwner: owners.length === 1 && owners[0]?.id === id }
}

const refuseLastOwner = (): never => refuse(409, 'This is the last owner who can sign in. Make another one first.')

export const accounts = new Hono<AppEnv>()
  .get(
    '/',
    may('accounts:read'),
    doc('accounts', 'List accounts by e-mail', { schema: pageOf(Account), refusals: [401, 422] }),
    query(v.strictObject({ ...Paging, q: Search })),
    async (c) => {
      const { limit, cursor, q } = c.req.valid('query')
      const search = q === undefined ? undefined : or(ilike(table.email, anywhere(q)), ilike(table.name, anywhere(q)))
      const rows = await c.env.db
        .select(columns)
        .from(table)
        .where(and(search, after(cursor, [table.email, table.id])))
        .orderBy(asc(table.email), asc(table.id))
        .limit(limit + 1)
      return c.json(toPage(rows, limit, (row) => [row.email, row.id]))
    },
  )
  .post(
    '/',
    may('accounts:write'),
    recentProof,
    doc('accounts', 'Add an account; without a password its address is mailed an invitation to choose one', {
      status: 201,
      schema: Account,
      refusals: [401, 403, 409, 415, 422, 503],
    }),
    body(v.strictObject(fields)),
    async (c) => {
      const { password, ...values } = c.req.valid('json')
      requireGrant(c.var.caller, values.role)
      if (password === undefined) requireMail(c.env)
      else requireUncommon(password, values)
      const passwordHash = password === undefined ? null : await c.env.password.hash(password)
      const { account, token } = await audited(c, 'accounts.create', async (tx) => {
        const [row] = await tx
          .insert(table)
          .values({ ...values, passwordHash })
          .returning(columns)
        const account = found(row, 'account')
        const token = password === undefined ? await newMailToken(c.env, tx, account.id, 'invitation') : undefined
        return { target: { kind: 'account', id: account.id }, after: account, answer: { account, token } }
      })
      if (token !== undefined && !(await send(c.env, tokenMail(c.env, 'invitation', account.email, token)))) {
        refuse(503, `The account is there, but its invitation was not sent: POST /accounts/${account.id}/invitation.`)
      }
      return c.json(account, 201)
    },
  )
  .get('/:id', may('accounts:read'), doc('accounts', 'One account', { schema: Account }), param('id'), async (c) => {
    const { id } = c.req.valid('param')
    const [row] = await c.env.db.select(columns).from(table).where(eq(table.id, id))
    return c.json(found(row, 'account'))
  })
  .patch(
    '/:id',
    may('accounts:write'),
    recentProof,
    doc('accounts', 'Change an account', { schema: Account }),
    param('id'),
    body(change(fields)),
    async (c) => {
      const { id } = c.req.valid('param')
      const { password, ...values } = c.req.valid('json')
      if (password !== undefined) {
        const [before] = await c.env.db.select(columns).from(table).where(eq(table.id, id))
        const account = found(before, 'account')
        if (id === c.var.caller.id) invalid('password', 'change your own password at /me, with the current one')
        requireGrant(c.var.caller, account.role)
        requireUncommon(password, { email: values.email ?? account.email, name: values.name ?? account.name })
      }
      const secret = password === undefined ? {} : { passwordHash: await c.env.password.hash(password) }
      const account = await audited(c, 'accounts.update', async (tx) => {
        const { isLastOwner, ...before } = await lockAccount(tx, id)
        requireGrant(c.var.caller, before.role, values.role)
        const leaves = values.disabled === true || (values.role !== undefined && values.role !== 'owner')
        if (isLastOwner && leaves) refuseLastOwner()
        // A new password signs everybody out who signed in with the old one, except whoever is changing it.
        if (password !== undefined || values.disabled === true) {
          await endSessions(tx, id, accountOf(c).sessionId)
        }
        // What was mailed was for whoever read that address, and for the password of then.
        if (password !== undefined || values.disabled === true || values.email !== undefined)
          await endMailTokens(tx, id)
        const [row] = await tx
          .update(table)
          .set({ ...values, ...secret })
          .where(eq(table.id, id))
          .returning(columns)
        const answer = found(row, 'account')
        const after = { ...answer, ...(password !== undefined && NEW_PASSWORD) }
        return { target: { kind: 'account', id }, before, after, answer }
      })
      return c.json(account)
    },
  )
  .delete(
    '/:id',
    may('accounts:write'),
    recentProof,
    doc('accounts', 'Delete an account', { status: 204 }),
    param('id'),
    async (c) => {
      const { id } = c.req.valid('param')
      await audited(c, 'accounts.delete', async (tx) => {
        const { isLastOwner, ...before } = await lockAccount(tx, id)
        requireGrant(c.var.caller, before.role)
        if (isLastOwner) refuseLastOwner()
        await tx.delete(table).where(eq(table.id, id))
        return { target: { kind: 'account', id }, before, answer: null }
      })
      return c.body(null, 204)
    },
  )
