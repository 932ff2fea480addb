import { and, asc, count, eq, ilike } from 'drizzle-orm'
import { Hono } from 'hono'
import { v7 } from 'uuid'
import * as v from 'valibot'
import { audited } from '../audit/audited.ts'
import { ALERTS } from '../contract/alerts.ts'
import { webhooks as table } from '../db/schema.ts'
import { doc, pageOf } from '../docs.ts'
import { found, refuse } from '../errors.ts'
import { may } from '../login/guard.ts'
import { recentProof } from '../login/proof.ts'
import { encryptSecret } from '../login/secrets.ts'
import type { AppEnv } from '../platform.ts'
import { body, change, Id, line, param, query, time } from '../validate.ts'
import { refusalOf } from '../webhooks/address.ts'
import { dropWaiting } from '../webhooks/deliver.ts'
import { newWebhookSecret } from '../webhooks/sign.ts'
import { after, anywhere, Paging, Search, toPage } from './page.ts'

/** Each alert is sent to all of them. */
const MOST_WEBHOOKS = 50

const Kind = v.picklist(ALERTS)

const fields = {
  name: line(),
  /** Where its name leads is looked at each time that something is sent. */
  url: v.pipe(
    line(1_000),
    v.check(
      (text) => refusalOf(text) === undefined,
      ({ input }) => refusalOf(input) ?? '',
    ),
  ),
  kinds: v.nullish(
    v.pipe(
      v.array(Kind),
      v.minLength(1, 'name at least one, or leave it out for all'),
      v.maxLength(ALERTS.length),
      v.check((kinds) => new Set(kinds).size === kinds.length, 'each kind once'),
    ),
    null,
  ),
  enabled: v.optional(v.boolean(), true),
}
const NewWebhook = v.strictObject(fields)
const Change = change({
  ...fields,
  // Without what stands there when one is added: what is not named stays.
  kinds: v.nullable(fields.kinds.wrapped),
  enabled: v.boolean(),
})

const Webhook = v.object({
  id: Id,
  name: v.string(),
  url: v.string(),
  kinds: v.nullable(v.array(Kind)),
  enabled: v.boolean(),
  createdAt: time,
})
const WebhookWithSecret = v.object({ ...Webhook.entries, secret: v.string() })

/** What may be shown of a webhook: never its secret. */
const columns = {
  id: table.id,
  name: table.name,
  url: table.url,
  kinds: table.kinds,
  enabled: table.enabled,
  createdAt: table.createdAt,
}

export const webhooks = new Hono<AppEnv>()
  .get(
    '/',
    may('webhooks:read'),
    doc('webhooks', 'List webhooks by name; never their secrets', { schema: pageOf(Webhook), refusals: [401, 422] }),
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
    may('webhooks:write'),
    recentProof,
    doc('webhooks', 'Have alerts sent to an address; the secret that signs them is in this answer and never again', {
      status: 201,
      schema: WebhookWithSecret,
    }),
    body(NewWebhook),
    async (c) => {
      const { config, now } = c.env
      const [id, secret] = [v7(), newWebhookSecret()]
      const kept = await encryptSecret(config, secret, id)
      const row = await audited(c, 'webhooks.create', async (tx) => {
        const [there] = await tx.select({ count: count() }).from(table)
        if (Number(there?.count) >= MOST_WEBHOOKS) refuse(409, `There are ${MOST_WEBHOOKS} webhooks: delete one first.`)
        const values = { ...c.req.valid('json'), id, secret: kept, createdAt: now() }
        const [row] = await tx.insert(table).values(values).returning(columns)
        return { answer: found(row, 'webhook'), target: { kind: 'webhook', id }, after: row }
      })
      return c.json({ ...row, secret }, 201)
    },
  )
  .get('/:id', may('webhooks:read'), doc('webhooks', 'One webhook', { schema: Webhook }), param('id'), async (c) => {
    const { id } = c.req.valid('param')
    const [row] = await c.env.db.select(columns).from(table).where(eq(table.id, id))
    return c.json(found(row, 'webhook'))
  })
  .patch(
    '/:id',
    may('webhooks:write'),
    recentProof,
    doc('webhooks', 'Change a webhook; turned off, it gets nothing, nor later what waits for it now', {
      schema: Webhook,
    }),
    param('id'),
    body(Change),
    async (c) => {
      const { id } = c.req.valid('param')
      const row = await audited(c, 'webhooks.update', async (tx) => {
        const [before] = await tx.select(columns).from(table).where(eq(table.id, id)).for('update')
        found(before, 'webhook')
        const [row] = await tx.update(table).set(c.req.valid('json')).where(eq(table.id, id)).returning(columns)
        const answer = found(row, 'webhook')
        if (!answer.enabled) await dropWaiting(tx, id, c.env.now())
        return { answer, target: { kind: 'webhook', id }, before, after: answer }
      })
      return c.json(row)
    },
  )
  .post(
    '/:id/rotate',
    may('webhooks:write'),
    recentProof,
    doc('webhooks', 'Give a webhook a new secret; what is sent from now on is signed with that', {
      schema: WebhookWithSecret,
    }),
    param('id'),
    async (c) => {
      const { id } = c.req.valid('param')
      const secret = newWebhookSecret()
      const kept = await encryptSecret(c.env.config, secret, id)
      const row = await audited(c, 'webhooks.rotate', async (tx) => {
        const [row] = await tx.update(table).set({ secret: kept }).where(eq(table.id, id)).returning(columns)
        return { answer: found(row, 'webhook'), target: { kind: 'webhook', id } }
      })
      return c.json({ ...row, secret })
    },
  )
  .delete(
    '/:id',
    may('webhooks:write'),
    recentProof,
    doc('webhooks', 'Delete a webhook, and what was or is to be sent to it', { status: 204 }),
    param('id'),
    async (c) => {
      const { id } = c.req.valid('param')
      await audited(c, 'webhooks.delete', async (tx) => {
        const [before] = await tx.delete(table).where(eq(table.id, id)).returning(columns)
        return { answer: found(before, 'webhook').id, target: { kind: 'webhook', id }, before }
      })
      return c.body(null, 204)
    },
  )
