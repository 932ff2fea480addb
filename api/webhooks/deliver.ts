import { and, asc, eq, exists, inArray, lte, type SQL, sql } from 'drizzle-orm'
import { record, type Tx } from '../audit/audited.ts'
import { webhookDeliveries as deliveries, webhooks } from '../db/schema.ts'
import { decryptSecret } from '../login/secrets.ts'
import type { Db, Platform } from '../platform.ts'
import { waitAfter } from './backoff.ts'
import { signed } from './sign.ts'

type World = Pick<Platform, 'config' | 'db' | 'now' | 'log' | 'metrics' | 'send'>
type Hook = Pick<typeof webhooks.$inferSelect, 'id' | 'url' | 'secret'>
type Delivery = Pick<typeof deliveries.$inferSelect, 'id' | 'body' | 'attempts' | 'alertId'>
type Outcome = { status: number | null; error: string | null }

/** So many to one receiver at once, and so often one after another while it takes them. */
const AT_ONCE = 3
const MOST_ROUNDS = 20

/** Whoever took a delivery and has not said what became of it for so long is gone: somebody else takes it. Milliseconds. */
const CLAIM_MS = 60_000

/**
 * Sends what is due to webhooks, to each at its own pace: a slow one holds up nobody else. No connection to the database is
 * held meanwhile. Whoever else does the same at the same time takes others. Never throws: what was not sent is tried again.
 */
export const deliverDue = async (world: World): Promise<void> => {
  const { db, now, log } = world
  try {
    const due = db.select({ id: deliveries.id }).from(deliveries).where(isDue(webhooks.id, now()))
    const hooks = await db
      .select({ id: webhooks.id, url: webhooks.url, secret: webhooks.secret })
      .from(webhooks)
      .where(and(webhooks.enabled, exists(due)))
    await Promise.all(hooks.map((hook) => deliverTo(world, hook)))
  } catch (error) {
    log('warn', 'deliveries_failed', { error: codeOf(error) })
  }
}

const isDue = (webhookId: string | typeof webhooks.id, at: Date): SQL | undefined =>
  and(eq(deliveries.webhookId, webhookId), eq(deliveries.state, 'waiting'), lte(deliveries.nextAt, at))

const deliverTo = async (world: World, hook: Hook): Promise<void> => {
  for (let round = 0; round < MOST_ROUNDS; round += 1) {
    const taken = await take(world.db, hook.id, world.now())
    const outcomes = await Promise.all(taken.map((delivery) => deliver(world, hook, delivery)))
    if (taken.length < AT_ONCE || !outcomes.every((delivered) => delivered)) return
  }
}

/** Counted as tried before it is: who ends in the middle of it has tried. */
const take = (db: Db, webhookId: string, at: Date): Promise<Delivery[]> => {
  const due = db
    .select({ id: deliveries.id })
    .from(deliveries)
    .where(isDue(webhookId, at))
    .orderBy(asc(deliveries.nextAt))
    .limit(AT_ONCE)
    .for('update', { skipLocked: true })
  return db
    .update(deliveries)
    .set({ attempts: sql`${deliveries.attempts} + 1`, nextAt: new Date(at.getTime() + CLAIM_MS) })
    .where(inArray(deliveries.id, due))
    .returning({
      id: deliveries.id,
      body: deliveries.body,
      attempts: deliveries.attempts,
      alertId: deliveries.alertId,
    })
}

const deliver = async (world: World, hook: Hook, delivery: Delivery): Promise<boolean> => {
  const outcome = await attempt(world, hook, delivery)
  const state = await settle(world, hook, delivery, outcome)
  world.metrics.delivery(state === 'waiting' ? 'failed' : state)
  const ids = { webhook: hook.id, delivery: delivery.id, attempt: delivery.attempts }
  if (state !== 'delivered')
    world.log('warn', `delivery_${state === 'dead' ? 'dead' : 'failed'}`, { ...ids, ...outcome })
  return state === 'delivered'
}

const attempt = async ({ config, now, send }: World, hook: Hook, { id, body }: Delivery): Promise<Outcome> => {
  try {
    const secret = await decryptSecret(config, hook.secret, hook.id)
    const headers = { ...(await signed(secret, id, now(), body)), 'content-type': 'application/json' }
    const { status } = await send({ url: hook.url, headers: { ...headers, 'user-agent': 'Lintel' }, body })
    return { status, error: status >= 200 && status < 300 ? null : `HTTP_${status}` }
  } catch (error) {
    return { status: null, error: codeOf(error) }
  }
}

/** Of this try alone: what was sent again by hand meanwhile is another. */
const settle = async (world: World, hook: Hook, { id, attempts, alertId }: Delivery, outcome: Outcome) => {
  const { db, now } = world
  // A test is tried once: whoever sent it looks what came of it.
  const wait = alertId === null || outcome.status === GONE ? undefined : waitAfter(attempts)
  const state =
    outcome.error === null ? ('delivered' as const) : wait === undefined ? ('dead' as const) : ('waiting' as const)
  const at = now()
  const when = state === 'waiting' ? { nextAt: new Date(at.getTime() + (wait ?? 0)) } : { settledAt: at }
  await db
    .update(deliveries)
    .set({ state, ...outcome, ...when })
    .where(and(eq(deliveries.id, id), eq(deliveries.state, 'waiting'), eq(deliveries.attempts, attempts)))
  if (outcome.status === GONE) await turnOff(world, hook.id)
  return state
}

/** "The endpoint does not want any more webhooks" (Standard Webhooks): it is turned off, on record. */
const GONE = 410

const turnOff = ({ db, now, log }: World, id: string): Promise<void> =>
  db.transaction(async (tx) => {
    const on = and(eq(webhooks.id, id), webhooks.enabled)
    const [off] = await tx.update(webhooks).set({ enabled: false }).where(on).returning({ id: webhooks.id })
    if (!off) return
    await dropWaiting(tx, id, now())
    const change = { target: { kind: 'webhook', id }, before: { enabled: true }, after: { enabled: false } }
    await record(tx, { at: now(), address: null, actor: { kind: 'system', id: null } }, 'webhooks.gone', change)
    log('warn', 'webhook_gone', { webhook: id })
  })

/** Nothing goes to a webhook that is off, nor later what has waited: that can be sent again by hand. */
export const dropWaiting = async (tx: Tx, webhookId: string, at: Date): Promise<void> => {
  await tx
    .update(deliveries)
    .set({ state: 'dead', error: 'DISABLED', settledAt: at })
    .where(and(eq(deliveries.webhookId, webhookId), eq(deliveries.state, 'waiting')))
}

/** A word for why something could not be sent, and nothing of what was sent or where. */
const codeOf = (error: unknown): string => {
  if (!(error instanceof Error)) return 'FAILED'
  if (/^(Timeout|Abort)Error$/.test(error.name)) return 'TIMEOUT'
  const { code } = { code: undefined, ...error }
  return typeof code === 'string' && /^[A-Z0-9_]{1,60}$/.test(code) ? code : 'FAILED'
}
