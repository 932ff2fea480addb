import { and, asc, eq, ilike } from 'drizzle-orm'
import { Hono } from 'hono'
import * as v from 'valibot'
import { audited } from '../audit/audited.ts'
import { ROLES, apiKeys as table } from '../db/schema.ts'
import { doc, pageOf } from '../docs.ts'
import { found, invalid, refuse } from '../errors.ts'
import { accountOf, may } from '../login/guard.ts'
import { mayGrant, permissionsOf, type Role, SCOPES } from '../login/permissions.ts'
import { recentProof } from '../login/proof.ts'
import { hashOf, KEY_PREFIX, newSecret } from '../login/tokens.ts'
import type { AppEnv } from '../platform.ts'
import { body, change, Id, instant, line, param, query, time } from '../validate.ts'
import { after, anywhere, Paging, Search, toPage } from './page.ts'

/** What a key can be: an owner's would be good for anything, a member's belongs to nobody. From the least to the most. */
const KEY_ROLES = ['auditor', 'operator', 'admin'] as const satisfies readonly Role[]

const Scope = v.picklist(SCOPES)

const fields = { name: line() }
const NewKey = v.strictObject({
  ...fields,
  role: v.optional(v.picklist(KEY_ROLES)),
  scopes: v.nullish(
    v.pipe(
      v.array(Scope),
      v.minLength(1, 'name at least one, or leave it out for all that the role may'),
      v.maxLength(SCOPES.length),
      v.check((scopes) => new Set(scopes).size === scopes.length, 'each scope once'),
    ),
    null,
  ),
  expiresAt: v.nullish(instant, null),
})

const ApiKey = v.object({
  id: Id,
  name: v.string(),
  prefix: v.string(),
  role: v.picklist(ROLES),
  scopes: v.nullable(v.array(v.string())),
  createdAt: time,
  createdBy: v.nullable(Id),
  expiresAt: v.nullable(time),
  lastUsedAt: v.nullable(time),
})
const ApiKeyWithKey = v.object({ ...ApiKey.entries, key: v.string() })

/** What may be shown of a key: never its hash. */
const columns = {
  id: table.id,
  name: table.name,
  prefix: table.prefix,
  role: table.role,
  scopes: table.scopes,
  createdAt: table.createdAt,
  createdBy: table.createdBy,
  expiresAt: table.expiresAt,
  lastUsedAt: table.lastUsedAt,
}

/** So many letters of a key are kept, to know it by: 36 bits of 256. */
const SHOWN = KEY_PREFIX.length + 6

type Wanted = { role: Role; scopes: readonly string[] | null }

/** Which of the scopes the role may not; -1 is none. */
const beyond = ({ role, scopes }: Wanted): number => {
  const may: ReadonlySet<string> = permissionsOf(role, { scopes: null })
  return (scopes ?? []).findIndex((scope) => !may.has(scope))
}

/** Without a role it is the least one that may do what the scopes say: an auditor's where there are none. */
const leastRole = (scopes: Wanted['scopes']): Role =>
  KEY_ROLES.find((role) => beyond({ role, scopes }) === -1) ?? 'admin'

export const keys = new Hono<AppEnv>()
  .get(
    '/',
    may('api-keys:read'),
    doc('api-keys', 'List API keys by name; never the keys themselves', {
      schema: pageOf(ApiKey),
      refusals: [401, 422],
    }),
    query(v.strictObject({ ...Paging, q: Search })),
    async (c) => {
      const { limit, cursor, q } = c.req.valid('query')
      const rows = await c.env.db
        .select(columns)
        .from(table)
        .where(and(q === undefined ? undefined : ilike(table.name, anywhere(q)), after(cursor, [table.name, table.id])))
        .orderBy(asc(table.name), asc(table.id))
        .limit(limit + 1)
      return c.json(toPage(rows, limit, (row) => [row.name, row.id]))
    },
  )
  .post(
    '/',
    may('api-keys:write'),
    recentProof,
    doc('api-keys', 'Make an API key; it is in this answer and never again', { status: 201, schema: ApiKeyWithKey }),
    body(NewKey),
    async (c) => {
      const { name, scopes, expiresAt, role = leastRole(scopes) } = c.req.valid('json')
      const maker = accountOf(c)
      const at = c.env.now()
      // A key may less than an account of its role, so one's own is not too much.
      if (role !== maker.role && !mayGrant(maker.role, role))
        refuse(403, `Your role may not make a key of the role “${role}”.`)
      const surplus = beyond({ role, scopes })
      if (surplus !== -1) invalid(`scopes.${surplus}`, `the role “${role}” may not do that`)
      if (expiresAt && expiresAt <= at) invalid('expiresAt', 'must be in the future')

      const key = `${KEY_PREFIX}${newSecret()}`
      const made = { name, role, scopes, expiresAt, prefix: key.slice(0, SHOWN), createdAt: at, createdBy: maker.id }
      const values = { ...made, hash: await hashOf(key) }
      const row = await audited(c, 'api-keys.create', async (tx) => {
        const [row] = await tx.insert(table).values(values).returning(columns)
        const answer = found(row, 'API key')
        return { answer, target: { kind: 'api-key', id: answer.id }, after: answer }
      })
      return c.json({ ...row, key }, 201)
    },
  )
  .get('/:id', may('api-keys:read'), doc('api-keys', 'One API key', { schema: ApiKey }), param('id'), async (c) => {
    const { id } = c.req.valid('param')
    const [row] = await c.env.db.select(columns).from(table).where(eq(table.id, id))
    return c.json(found(row, 'API key'))
  })
  .patch(
    '/:id',
    may('api-keys:write'),
    recentProof,
    doc('api-keys', 'Rename an API key; what it may do stays as it is', { schema: ApiKey }),
    param('id'),
    body(change(fields)),
    async (c) => {
      const { id } = c.req.valid('param')
      const row = await audited(c, 'api-keys.update', async (tx) => {
        const [before] = await tx.select(columns).from(table).where(eq(table.id, id)).for('update')
        found(before, 'API key')
        const [row] = await tx.update(table).set(c.req.valid('json')).where(eq(table.id, id)).returning(columns)
        const answer = found(row, 'API key')
        return { answer, target: { kind: 'api-key', id }, before, after: answer }
      })
      return c.json(row)
    },
  )
  .delete(
    '/:id',
    may('api-keys:write'),
    recentProof,
    doc('api-keys', 'Revoke an API key; it stops working at once', { status: 204 }),
    param('id'),
    async (c) => {
      const { id } = c.req.valid('param')
      await audited(c, 'api-keys.delete', async (tx) => {
        const [before] = await tx.delete(table).where(eq(table.id, id)).returning(columns)
        return { answer: found(before, 'API key').id, target: { kind: 'api-key', id }, before }
      })
      return c.body(null, 204)
    },
  )
