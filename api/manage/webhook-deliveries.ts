import { and, desc, eq } from 'drizzle-orm'
import { Hono } from 'hono'
import * as v from 'valibot'
import { audited, type Tx } from '../audit/audited.ts'
import { DELIVERY_STATES, webhookDeliveries as table, webhooks } from '../db/schema.ts'
import { doc, pageOf } from '../docs.ts'
import { found, refuse } from '../errors.ts'
import { may } from '../login/guard.ts'
import { recentProof } from '../login/proof.ts'
import type { AppEnv } from '../platform.ts'
import { Id, param, query, time } from '../validate.ts'
import { deliverDue } from '../webhooks/deliver.ts'
import { after, is, Paging, toPage } from './page.ts'

const State = v.picklist(DELIVERY_STATES)

/** `id` is the message's `webhook-id`. `status` is the last answer's, `error` a word for what went wrong; `alertId` is null of a test. */
const Delivery = v.object({
  id: Id,
  alertId: v.nullable(Id),
  state: State,
  attempts: v.number(),
  createdAt: time,
  nextAt: time,
  status: v.nullable(v.number()),
  error: v.nullable(v.string()),
  settledAt: v.nullable(time),
})

const columns = {
  id: table.id,
  alertId: table.alertId,
  state: table.state,
  attempts: table.attempts,
  createdAt: table.createdAt,
  nextAt: table.nextAt,
  status: table.status,
  error: table.error,
  settledAt: table.settledAt,
}

/** One that is on, and stays so until the transaction ends. */
const requireOn = async (tx: Tx, id: string): Promise<void> => {
  const [hook] = await tx.select({ enabled: webhooks.enabled }).from(webhooks).where(eq(webhooks.id, id)).for('share')
  if (!found(hook, 'webhook').enabled) refuse(409, 'This webhook is turned off: turn it on first.')
}

/** What was sent to a webhook, and what is to be. */
export const webhookDeliveries = new Hono<AppEnv>()
  .post(
    '/:id/test',
    may('webhooks:write'),
    recentProof,
    doc('webhooks', 'Send a test, once and at once; `GET …/deliveries` says what came of it', {
      status: 202,
      schema: Delivery,
    }),
    param('id'),
    async (c) => {
      const { id } = c.req.valid('param')
      const at = c.env.now()
      const body = JSON.stringify({ type: 'test', timestamp: at.toISOString(), data: { webhookId: id } })
      const row = await audited(c, 'webhooks.test', async (tx) => {
        await requireOn(tx, id)
        const values = { webhookId: id, body, createdAt: at, nextAt: at }
        const [row] = await tx.insert(table).values(values).returning(columns)
        return { answer: found(row, 'delivery'), target: { kind: 'webhook', id } }
      })
      c.env.later(() => deliverDue(c.env))
      return c.json(row, 202)
    },
  )
  .get(
    '/:id/deliveries',
    may('webhooks:read'),
    doc('webhooks', 'What was sent to a webhook and what waits, newest first; `dead` are those that are given up', {
      schema: pageOf(Delivery),
    }),
    param('id'),
    query(v.strictObject({ ...Paging, state: v.optional(State) })),
    async (c) => {
      const { id } = c.req.valid('param')
      const { limit, cursor, state } = c.req.valid('query')
      const [hook] = await c.env.db.select({ id: webhooks.id }).from(webhooks).where(eq(webhooks.id, id))
      found(hook, 'webhook')
      const rows = await c.env.db
        .select(columns)
        .from(table)
        .where(and(eq(table.webhookId, id), is(table.state, state), after(cursor, [table.createdAt, table.id], true)))
        .orderBy(desc(table.createdAt), desc(table.id))
        .limit(limit + 1)
      return c.json(toPage(rows, limit, (row) => [row.createdAt.toISOString(), row.id]))
    },
  )
  .post(
    '/:id/deliveries/:deliveryId/replay',
    may('webhooks:write'),
    recentProof,
    doc('webhooks', 'Send again what was delivered or given up: the same message with the same id, tried anew', {
      status: 202,
      schema: Delivery,
    }),
    param('id', 'deliveryId'),
    async (c) => {
      const { id, deliveryId } = c.req.valid('param')
      const anew = {
        state: 'waiting',
        attempts: 0,
        nextAt: c.env.now(),
        status: null,
        error: null,
        settledAt: null,
      } as const
      const row = await audited(c, 'webhooks.replay', async (tx) => {
        await requireOn(tx, id)
        const mine = and(eq(table.id, deliveryId), eq(table.webhookId, id))
        const [before] = await tx.select({ state: table.state }).from(table).where(mine).for('update')
        if (found(before, 'delivery').state === 'waiting') refuse(409, 'This delivery still waits to be sent.')
        const [row] = await tx.update(table).set(anew).where(mine).returning(columns)
        return { answer: found(row, 'delivery'), target: { kind: 'webhook', id }, after: { deliveryId } }
      })
      c.env.later(() => deliverDue(c.env))
      return c.json(row, 202)
    },
  )
