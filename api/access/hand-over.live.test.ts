import { beforeAll, describe, expect, test } from 'vitest'
import { CALLS } from '../contract/envelope.ts'
import type { HandedOver } from '../contract/hand-over.ts'
import { decisionOf, REASONS, type Reason } from '../contract/scan.ts'
import { events } from '../db/schema.ts'
import { startTestApi, type TestApi } from '../testing/api.ts'
import { type Caller, expectProblem, replyOf, signIn } from '../testing/caller.ts'
import { type Bridge, handedOver, registerBridge, scanOf } from '../testing/sealed.ts'

// What a bridge decided while the API was away, and what becomes of it on the record.

const CARD = 'DE0BA996'
const VERSION = '0123456789abcdef0123456789abcdef'

let api: TestApi
let admin: Caller
let bridge: Bridge
let reader: string
let other: string
/** Whose the card is. */
let whose: { cardId: string; personId: string }

const eventOf = async ({ id }: { id: string }) => (await admin.get(`/events/${id}`)).body
const recorded = () => api.db.$count(events)

beforeAll(async () => {
  api = await startTestApi()
  admin = await signIn(api, 'admin')
  bridge = await registerBridge(api, admin)
  const add = async (noun: string, fields: object) => (await admin.post(noun, fields)).body.id
  reader = await add('/readers', { name: 'Front door', topic: 'over/1', cardView: 'hex', openMs: 1_500 })
  other = await add('/readers', { name: 'Gate', topic: 'over/2', cardView: 'hex' })
  const [personId, groupId] = [await add('/people', { name: 'Ada' }), await add('/groups', { name: 'Staff' })]
  whose = { personId, cardId: await add('/cards', { personId, number: CARD }) }
  await admin.put(`/groups/${groupId}/people/${personId}`)
  await admin.post('/rules', { groupId, readerIds: [reader] })
})

describe('an event that is handed over', () => {
  test('is on record as the bridge has it, and says that the API was not asked', async () => {
    const at = '2026-01-01T12:00:00.250Z'
    const event = handedOver(reader, CARD, { at, reason: 'granted', openMs: 1_500, snapshot: VERSION, ...whose })
    const before = Date.now()
    expect(await bridge.handOver([event])).toBe(1)
    const { receivedAt, ...kept } = await eventOf(event)
    expect(kept).toEqual({
      id: event.id,
      at,
      readerId: reader,
      cardNumber: CARD,
      ...whose,
      decision: 'granted',
      reason: 'granted',
      source: 'offline',
      bridgeId: bridge.id,
      snapshot: VERSION,
    })
    expect(Math.abs(Date.parse(String(receivedAt)) - before)).toBeLessThan(10_000)
  })

  test('is in the lists of its reader, its person and its time', async () => {
    const event = handedOver(other, CARD, { at: '2025-05-05T05:05:05.000Z', reason: 'no_rule', ...whose })
    await bridge.handOver([event])
    for (const query of [`readerId=${other}`, `personId=${whose.personId}`, 'reason=no_rule', 'decision=denied']) {
      const { items } = (await admin.get(`/events?${query}&from=2025-05-05T05:05:05Z&to=2025-05-05T05:05:06Z`)).body
      expect({ query, items }).toEqual({ query, items: [await eventOf(event)] })
    }
  })

  test('need not know a card, a person or a snapshot, nor a reader that is known here', async () => {
    const event = handedOver(crypto.randomUUID(), 'whatever it read', { answered: false })
    await bridge.handOver([event])
    expect(await eventOf(event)).toMatchObject({
      readerId: event.readerId,
      cardNumber: 'whatever it read',
      cardId: null,
      personId: null,
      reason: 'unavailable',
      source: 'offline',
      snapshot: null,
    })
  })

  test.each(REASONS)('may have ended as %s', async (reason) => {
    const event = handedOver(reader, CARD, { reason })
    await bridge.handOver([event])
    const source = ['reader_granted', 'reader_denied'].includes(reason) ? 'reader' : 'offline'
    expect(await eventOf(event)).toMatchObject({ reason, decision: decisionOf(reason), source })
  })

  test.each([
    ['2026-01-01T14:00:00+02:00', '2026-01-01T12:00:00.000Z'],
    ['2026-01-01T12:00:00Z', '2026-01-01T12:00:00.000Z'],
    ['2026-01-01T12:00:00.0009Z', '2026-01-01T12:00:00.000Z'],
    ['2026-01-01T12:00:00+23:59', '2025-12-31T12:01:00.000Z'],
    ['0001-01-01T00:00:00Z', '0001-01-01T00:00:00.000Z'],
  ])('may be of the time %s', async (at, kept) => {
    const event = handedOver(reader, CARD, { at })
    await bridge.handOver([event])
    const [row] = await api.db.$client`select extract(epoch from at)::text as at from events where id = ${event.id}`
    expect(Number(row?.['at']) * 1_000).toBe(Date.parse(kept))
  })

  test('may be a little ahead of the API’s clock', async () => {
    const event = handedOver(reader, CARD, { at: new Date(Date.now() + 20_000).toISOString() })
    await bridge.handOver([event])
    expect((await eventOf(event))['at']).toBe(event.at)
  })

  test('may have its ids in capital letters', async () => {
    const event = handedOver(reader, CARD)
    await bridge.handOver([{ ...event, id: event.id.toUpperCase(), readerId: reader.toUpperCase() }])
    expect(await eventOf(event)).toMatchObject({ id: event.id, readerId: reader })
  })

  test('may come with 99 others', async () => {
    const before = await recorded()
    const all = Array.from({ length: 100 }, (_, n) => handedOver(reader, String(n), { snapshot: VERSION, ...whose }))
    expect(await bridge.handOver(all)).toBe(100)
    expect(await recorded()).toBe(before + 100)
    expect(await eventOf(all[99] ?? { id: '' })).toMatchObject({ cardNumber: '99' })
  })

  test('changes nothing when it is handed over again, whatever it says then and whoever says it', async () => {
    const stranger = await registerBridge(api, admin)
    const event = handedOver(reader, CARD, { reason: 'granted', openMs: 1_500, snapshot: VERSION, ...whose })
    await bridge.handOver([event])
    const [before, count] = [await eventOf(event), await recorded()]
    const { cardId: _, snapshot: __, ...less } = event
    for (const again of [event, { ...less, reason: 'card_lost' as const, openMs: 0, answered: true }]) {
      for (const who of [bridge, stranger]) expect(await who.handOver([again])).toBe(1)
    }
    expect(await eventOf(event)).toEqual(before)
    expect(await recorded()).toBe(count)
  })

  test.each(['late', 'unavailable'] as const)(
    'that was to open and did not go out is corrected: %s',
    async (reason) => {
      const opened = handedOver(reader, CARD, { reason: 'granted', openMs: 1_500, snapshot: VERSION, ...whose })
      await bridge.handOver([opened])
      const { cardId: _, personId: __, snapshot: ___, ...scan } = opened
      await bridge.handOver([{ ...scan, reason, openMs: 0 }])
      expect(await eventOf(opened)).toMatchObject({ decision: 'denied', reason })
      await bridge.handOver([opened])
      expect(await eventOf(opened)).toMatchObject({ decision: 'denied', reason })
    },
  )

  test('that was only supposed is corrected when it becomes known what the door got', async () => {
    const supposed = handedOver(reader, CARD, { answered: false })
    await bridge.handOver([supposed])
    const known = {
      ...supposed,
      reason: 'granted' as const,
      openMs: 1_500,
      snapshot: VERSION,
      answered: true,
      ...whose,
    }
    await bridge.handOver([known])
    expect(await eventOf(supposed)).toMatchObject({ decision: 'granted', source: 'offline', snapshot: VERSION })
    await bridge.handOver([supposed])
    expect(await eventOf(supposed)).toMatchObject({ decision: 'granted' })
  })

  test('is recorded once when it is handed over five times at once', async () => {
    const all = Array.from({ length: 20 }, () => handedOver(reader, CARD))
    const before = await recorded()
    const orders = [all, all.toReversed(), all, all.toReversed(), all]
    expect(await Promise.all(orders.map((order) => bridge.handOver(order)))).toEqual([20, 20, 20, 20, 20])
    expect(await recorded()).toBe(before + 20)
  })
})

describe('an event that is twice in one hand-over', () => {
  const granted = { reason: 'granted', openMs: 1_500 } as const
  const lost = { reason: 'card_lost' } as const

  test.each<[string, Partial<HandedOver>[], Reason]>([
    ['is what the door got, and not what was supposed later', [granted, { answered: false }], 'granted'],
    ['is what the door got, and not what was supposed before', [{ answered: false }, granted], 'granted'],
    ['is the last one, of two that the door got', [granted, lost], 'card_lost'],
    ['is the last one, of two that are supposed', [{ answered: false }, { ...lost, answered: false }], 'card_lost'],
  ])('%s', async (_, said, reason) => {
    const { id } = handedOver(reader, CARD)
    const before = await recorded()
    const both = said.map((more) => handedOver(reader, CARD, { id, ...more }))
    expect(await bridge.handOver(both)).toBe(2)
    expect(await recorded()).toBe(before + 1)
    expect(await eventOf({ id })).toMatchObject({ reason, decision: decisionOf(reason) })
  })

  test('replaces what the API had decided if one of the two was answered', async () => {
    const scan = scanOf(reader, 'AB')
    await bridge.check(scan)
    const both = [granted, { answered: false }].map((more) => handedOver(reader, 'AB', { id: scan.id, ...more }))
    await bridge.handOver(both)
    expect(await eventOf(scan)).toMatchObject({ reason: 'granted', source: 'offline' })
  })
})

describe('a scan that the API had decided in vain', () => {
  /** Checked, and so on record. */
  const decided = async (card = CARD) => {
    const scan = scanOf(reader, card)
    await bridge.check(scan)
    return { scan, before: await eventOf(scan) }
  }

  test('is on record as what the door got instead', async () => {
    const { scan, before } = await decided()
    expect(before).toMatchObject({ reason: 'granted', source: 'online', ...whose })
    await bridge.handOver([handedOver(reader, CARD, { id: scan.id, at: scan.at })])
    expect(await eventOf(scan)).toEqual({
      ...before,
      decision: 'denied',
      reason: 'unavailable',
      source: 'offline',
      cardId: null,
      personId: null,
    })
  })

  test('is on record as what opened the door, by which facts, and for how long', async () => {
    const { scan, before } = await decided('ABCD')
    expect(before).toMatchObject({ reason: 'unknown_card', cardId: null, snapshot: null })
    const opened = { id: scan.id, reason: 'granted' as const, openMs: 700, snapshot: VERSION, ...whose }
    await bridge.handOver([handedOver(reader, 'ABCD', opened)])
    expect(await eventOf(scan)).toEqual({
      ...before,
      decision: 'granted',
      reason: 'granted',
      source: 'offline',
      snapshot: VERSION,
      ...whose,
    })
    expect(await bridge.check(scan)).toMatchObject({ reason: 'granted', openMs: 700 })
  })

  test('stays as it is when nobody knows what the door got', async () => {
    const { scan, before } = await decided()
    expect(await bridge.handOver([handedOver(reader, CARD, { id: scan.id, answered: false })])).toBe(1)
    expect(await eventOf(scan)).toEqual(before)
    expect(await bridge.check(scan)).toMatchObject({ reason: 'granted' })
  })

  test('stays as it is when it is another bridge that says so', async () => {
    const { scan, before } = await decided()
    const stranger = await registerBridge(api, admin)
    expect(await stranger.handOver([handedOver(reader, CARD, { id: scan.id })])).toBe(1)
    expect(await eventOf(scan)).toEqual(before)
  })

  test('stays as it is when it is said of another reader', async () => {
    const { scan, before } = await decided()
    expect(await bridge.handOver([handedOver(other, CARD, { id: scan.id })])).toBe(1)
    expect(await eventOf(scan)).toEqual(before)
  })

  test('is replaced once and not again', async () => {
    const { scan } = await decided()
    await bridge.handOver([handedOver(reader, CARD, { id: scan.id, reason: 'superseded' })])
    const once = await eventOf(scan)
    expect(once).toMatchObject({ reason: 'superseded', source: 'offline' })
    await bridge.handOver([handedOver(reader, CARD, { id: scan.id, reason: 'granted', snapshot: VERSION, ...whose })])
    expect(await eventOf(scan)).toEqual(once)
  })

  test('is replaced in the midst of others, which stay as they are', async () => {
    const [first, second, third] = [await decided(), await decided(), await decided()]
    const fresh = handedOver(reader, CARD, { reason: 'late' })
    await bridge.handOver([
      handedOver(reader, CARD, { id: first.scan.id, answered: false }),
      handedOver(reader, CARD, { id: second.scan.id }),
      fresh,
    ])
    expect(await eventOf(first.scan)).toEqual(first.before)
    expect(await eventOf(second.scan)).toMatchObject({ reason: 'unavailable', source: 'offline' })
    expect(await eventOf(third.scan)).toEqual(third.before)
    expect(await eventOf(fresh)).toMatchObject({ reason: 'late' })
  })
})

describe('what a reader decided by itself', () => {
  const granted = { reason: 'reader_granted' } as const

  test('is on record with the card that it was in the reader’s view, and its person', async () => {
    const event = handedOver(reader, 'de:0b:a9:96', granted)
    await bridge.handOver([event])
    expect(await eventOf(event)).toMatchObject({ ...granted, ...whose, decision: 'granted', source: 'reader' })
  })

  test.each([
    ['nobody has', 'AB12'],
    ['is none', 'Ada'],
  ])('names nobody for a card that %s', async (_, card) => {
    const event = handedOver(reader, card, { reason: 'reader_denied' })
    await bridge.handOver([event])
    expect(await eventOf(event)).toMatchObject({
      reason: 'reader_denied',
      decision: 'denied',
      cardId: null,
      personId: null,
    })
  })

  test('names nobody where two cards match, at a reader that is not known, or instead of whom the bridge named', async () => {
    const decimal = (await admin.post('/readers', { name: 'Yard', topic: 'over/3' })).body.id
    await admin.post('/cards', { personId: whose.personId, number: `00${CARD}` })
    const ambiguous = handedOver(decimal, String(0xde0ba996), granted)
    const nowhere = handedOver(crypto.randomUUID(), CARD, granted)
    const named = handedOver(reader, CARD, { ...granted, personId: crypto.randomUUID() })
    await bridge.handOver([ambiguous, nowhere, named])
    const nobody = { cardId: null, personId: null }
    expect(await eventOf(ambiguous)).toMatchObject(nobody)
    expect(await eventOf(nowhere)).toMatchObject(nobody)
    expect(await eventOf(named)).toMatchObject({ ...nobody, personId: named.personId })
  })

  test('is never corrected, by whatever is handed over or asked afterwards, and opens nothing', async () => {
    const scan = scanOf(reader, CARD, { decided: 'granted' })
    const answer = await bridge.check(scan)
    const before = await eventOf(scan)
    expect(before).toMatchObject({ ...granted, ...whose, decision: 'granted', source: 'reader' })
    const others: Partial<HandedOver>[] = [
      granted,
      { reason: 'unavailable' },
      { reason: 'late' },
      { reason: 'reader_denied' },
    ]
    for (const more of others)
      expect(await bridge.handOver([handedOver(reader, CARD, { id: scan.id, ...more })])).toBe(1)
    const { decided: _, ...plain } = scan
    expect(await bridge.check(plain)).toEqual(answer)
    expect(answer).toMatchObject({ ...granted, decision: 'denied', openMs: 0 })
    expect(await eventOf(scan)).toEqual(before)
  })

  test('takes the place of what was only supposed', async () => {
    const supposed = handedOver(reader, CARD, { answered: false })
    await bridge.handOver([supposed])
    await bridge.handOver([{ ...supposed, ...granted, answered: true }])
    expect(await eventOf(supposed)).toMatchObject({ ...granted, ...whose, source: 'reader' })
  })
})

describe('a scan that was handed over', () => {
  test.each<[Reason, number]>([
    ['granted', 700],
    ['unavailable', 0],
    ['card_blocked', 0],
  ])('as %s gets that answer when it is asked about afterwards, and stays as it is', async (reason, openMs) => {
    const event = handedOver(reader, CARD, { reason, openMs: 700 })
    await bridge.handOver([event])
    const [before, count] = [await eventOf(event), await recorded()]
    expect(await bridge.check(scanOf(reader, CARD, { id: event.id }))).toMatchObject({
      scan: event.id,
      decision: decisionOf(reason),
      reason,
      openMs,
    })
    expect(await eventOf(event)).toEqual(before)
    expect(await recorded()).toBe(count)
  })
})

describe('a hand-over is refused, and nothing of it is recorded', () => {
  const bad = async (message: Record<string, unknown>, path: string) => {
    const before = await recorded()
    expectProblem(await replyOf(await bridge.ask(CALLS.events, message)), 422, path)
    expect(await recorded()).toBe(before)
  }
  const many = (length: number) => Array.from({ length }, () => handedOver(reader, CARD))

  test.each<[string, () => Record<string, unknown>, string]>([
    ['without events', () => ({}), 'events'],
    ['with no event', () => ({ events: [] }), 'events'],
    ['with 101 events', () => ({ events: many(101) }), 'events'],
    ['with an event that is not in a list', () => ({ events: handedOver(reader, CARD) }), 'events'],
    ['with a field beside the events', () => ({ events: many(1), bridge: '1' }), 'bridge'],
    ['with an event that is none', () => ({ events: [...many(1), 'granted'] }), 'events.1'],
  ])('%s', async (_, message, path) => {
    await bad(message(), path)
  })

  const inAnHour = () => new Date(Date.now() + 3_600_000).toISOString()
  test.each<[string, string, unknown]>([
    ['an id that is none', 'id', '1'],
    ['no id', 'id', undefined],
    ['a reader that is no id', 'readerId', 'front'],
    ['no reader', 'readerId', null],
    ['an empty card', 'card', ' '],
    ['a card of 129 letters', 'card', '1'.repeat(129)],
    ['a card with a NUL', 'card', '1\0'],
    ['a card with an escape', 'card', '\u001b[31m1'],
    ['a card with half a surrogate pair', 'card', '\ud800'],
    ['a card that is a number', 'card', 6159760],
    ['a time of the future', 'at', inAnHour()],
    ['a time that is none', 'at', 'now'],
    ['a time without a zone', 'at', '2020-01-01T00:00:00'],
    ['a day that no calendar has', 'at', '2020-02-31T00:00:00Z'],
    ['a year that no calendar has', 'at', '0000-01-01T00:00:00Z'],
    ['a reason nobody knows', 'reason', 'because'],
    ['no reason', 'reason', undefined],
    ['a card’s id that is none', 'cardId', 'card'],
    ['null for a card’s id', 'cardId', null],
    ['a person that is no id', 'personId', 'Ada'],
    ['less than no time to open', 'openMs', -1],
    ['half a millisecond to open', 'openMs', 0.5],
    ['more time to open than a reader may have', 'openMs', 600_001],
    ['more time to open than Postgres can count', 'openMs', 3_000_000_000],
    ['a text for a time to open', 'openMs', '3000'],
    ['no time to open', 'openMs', undefined],
    ['an empty version of the facts', 'snapshot', ''],
    ['a version of the facts that is too long', 'snapshot', 'x'.repeat(65)],
    ['a version of the facts with a NUL', 'snapshot', 'x\0'],
    ['a version of the facts with half a surrogate pair', 'snapshot', 'x\ud800'],
    ['no word of whether it was answered', 'answered', undefined],
    ['a text for whether it was answered', 'answered', 'true'],
    ['a decision of its own', 'decision', 'granted'],
    ['a pin', 'pin', '1234'],
    ['a source of its own', 'source', 'online'],
  ])('for one event with %s', async (_, field, value) => {
    const [good, spoilt] = many(2)
    await bad({ events: [good, { ...spoilt, [field]: value }] }, `events.1.${field}`)
  })
})
