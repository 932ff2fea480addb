import { eq, sql } from 'drizzle-orm'
import { beforeAll, expect, test } from 'vitest'
import { verifyChain } from '../audit/verify.ts'
import {
  alerts,
  audit,
  deviceEvents,
  eventCorrections,
  events,
  lockdowns,
  seenReaders,
  upkeep,
  webhookDeliveries,
  webhooks,
} from '../db/schema.ts'
import { APP_KEY, startTestApi, type TestApi } from '../testing/api.ts'
import { signIn } from '../testing/caller.ts'

// What is kept how long, and that what goes is on record.

let api: TestApi
const ago = (days: number) => new Date(Date.now() - days * 86_400_000)
const bridgeId = crypto.randomUUID()

/** One of everything that was `days` ago. */
const addAll = async (days: number) => {
  const at = ago(days)
  const id = crypto.randomUUID()
  const { db } = api
  const scan = { at, receivedAt: at, cardNumber: '1', decision: 'denied', reason: 'unknown_card', openMs: 0 } as const
  await db.insert(events).values({ ...scan, id, source: 'online', bridgeId })
  await db.insert(eventCorrections).values({ eventId: id, at, before: {} })
  await db.insert(deviceEvents).values({ id, at, receivedAt: at, kind: 'tampered' })
  await db
    .insert(seenReaders)
    .values({ profile: 'plain', topic: `t/${days}`, firstSeenAt: at, lastSeenAt: at, bridgeId })
  await db.insert(alerts).values({ at, kind: 'tamper', about: id, since: at, detail: {} })
  await db
    .insert(lockdowns)
    .values({ kind: 'lockdown', everywhere: true, reason: 'x', createdAt: ago(days + 1), endedAt: at })
  const [webhook] = await db.insert(webhooks).values({ name: 'x', url: 'x', secret: 'x', createdAt: at }).returning()
  const sent = { webhookId: String(webhook?.id), body: '', createdAt: at, nextAt: at }
  await db.insert(webhookDeliveries).values({ ...sent, state: 'dead', settledAt: at })
}

const TABLES = { events, deviceEvents, eventCorrections, seenReaders, alerts, lockdowns, webhookDeliveries }
const left = async () =>
  Object.fromEntries(
    await Promise.all(Object.entries(TABLES).map(async ([name, table]) => [name, await api.db.$count(table)])),
  )
const runs = () => api.db.select().from(audit).where(eq(audit.action, 'retention.run'))
const keys = () => [Buffer.from(APP_KEY, 'base64')]

beforeAll(async () => {
  api = await startTestApi()
  const row = { actorKind: 'system', action: 'test', number: 0, previous: '', hash: '' } as const
  for (const days of [500, 400, 366]) await api.db.insert(audit).values({ ...row, at: ago(days) })
  for (const days of [400, 100, 89]) await addAll(days)
  await signIn(api, 'owner')
})

test('what is too old goes, nothing else does, and one row says what that was', async () => {
  await api.daily()
  const two = { events: 1, deviceEvents: 1, eventCorrections: 1, seenReaders: 1, alerts: 1, webhookDeliveries: 1 }
  expect(await left()).toEqual({ ...two, lockdowns: 2 })
  const went = { removed: 2, before: expect.any(String) }
  expect(await runs()).toMatchObject([
    {
      actorKind: 'system',
      after: {
        ...{ events: went, deviceEvents: went, unknownReaders: went, alerts: went, webhookDeliveries: went },
        lockdowns: { removed: 1 },
        audit: { removed: 3, last: { number: 3, seal: expect.stringMatching(/^[\w-]{43}$/) } },
      },
    },
  ])
  const [{ doneAt, error, detail } = {}] = await api.db.select().from(upkeep).where(eq(upkeep.task, 'retention'))
  expect({ doneAt, error, detail }).toMatchObject({ doneAt: expect.any(Date), error: null, detail: { whole: true } })
})

test('the audit log that begins later is whole', async () => {
  expect(await verifyChain(api.db.$client, undefined, keys)).toMatchObject({ from: 3, found: 0 })
  expect(await verifyChain(api.db.$client)).toMatchObject({ found: 1, findings: [{ kind: 'missing', from: 1, to: 3 }] })
})

test('where nothing is too old, nothing goes and nothing is said', async () => {
  const [before, rows] = [await left(), await api.db.$count(audit)]
  await api.daily()
  expect([await left(), await api.db.$count(audit)]).toEqual([before, rows])
})

test('what a run removed that did not come to its end is said by the next one', async () => {
  const before = '2026-01-01T00:00:00.000Z'
  const detail = JSON.stringify({ underway: { events: { removed: 5, before } } })
  await api.db.execute(sql`update upkeep set detail = ${detail}::jsonb where task = 'retention'`)
  await addAll(91)
  await api.daily()
  expect((await runs()).at(-1)?.after).toMatchObject({ events: { removed: 6 }, alerts: { removed: 1 } })
  await api.daily()
  expect(await runs()).toHaveLength(2)
})

test('more than goes in one transaction goes too, oldest first', async () => {
  await api.db.execute(sql`
    insert into events (id, at, received_at, card_number, decision, reason, source, bridge_id, open_ms)
    select gen_random_uuid(), now() - interval '95 days' + n * interval '1 second', now(), '1', 'denied', 'unknown_card',
      'online', gen_random_uuid(), 0 from generate_series(1, 2100) n`)
  await api.daily()
  expect(await api.db.$count(events)).toBe(1)
  expect((await runs()).at(-1)?.after).toMatchObject({ events: { removed: 2_100 } })
})
