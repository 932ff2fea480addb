import { eq } from 'drizzle-orm'
import * as v from 'valibot'
import { beforeAll, describe, expect, test } from 'vitest'
import { AccessListPage } from '../contract/access-list.ts'
import type { CardView } from '../contract/card-views.ts'
import { CALLS, open } from '../contract/envelope.ts'
import { readers } from '../db/schema.ts'
import { startTestApi, type TestApi } from '../testing/api.ts'
import { type Caller, expectProblem, replyOf, signIn } from '../testing/caller.ts'
import { type Bridge, bridgeWith, keyOf, registerBridge, scanOf } from '../testing/sealed.ts'

// Whom a reader that decides by itself may let in: whoever the decision would let in there now.

let api: TestApi
let admin: Caller
let bridge: Bridge
let group: string

beforeAll(async () => {
  api = await startTestApi()
  admin = await signIn(api, 'admin')
  bridge = await registerBridge(api, admin)
  group = await add('groups', { name: 'Everybody' })
})

let made = 0
const add = async (noun: string, fields: object): Promise<string> => {
  const { status, body } = await admin.post(`/${noun}`, fields)
  expect({ noun, status, body }).toMatchObject({ status: 201 })
  return body.id
}
const reader = async (cardView: CardView = 'hex', settings: object = { accessList: true }) => {
  const id = await add('readers', { name: 'Shed', topic: `shed/${++made}`, cardView })
  await api.db
    .update(readers)
    .set({ settings: { ...settings } })
    .where(eq(readers.id, id))
  return id
}
const rule = (readerId: string, groupId: string, scheduleId?: string) =>
  add('rules', { groupId, readerIds: [readerId], ...(scheduleId && { scheduleId }) })
const holder = async (number: string, { to = group, person = {}, card = {} } = {}) => {
  const personId = await add('people', { name: `Ada ${++made}`, ...person })
  await admin.put(`/groups/${to}/people/${personId}`)
  return { personId, cardId: await add('cards', { personId, number, ...card }) }
}
const page = async (readerId: string, after?: string) => {
  const response = await bridge.ask(CALLS.accessList, { readerId, ...(after && { after }) })
  expect(response.status).toBe(200)
  const sealed = await response.text()
  return v.parse(AccessListPage, await open(sealed, CALLS.accessList.answer, await keyOf(bridge.key), new Date()))
}
const cards = async (readerId: string) => (await page(readerId)).cards.map(({ card }) => card).sort()

describe('the access list of a reader', () => {
  test('is whoever the decision lets in now, and nobody whom it refuses', async () => {
    const to = await add('groups', { name: 'Some' })
    const id = await reader()
    await rule(id, to)
    const [past, ahead] = ['2020-01-01T00:00:00Z', '2090-01-01T00:00:00Z']
    const people: [string, object][] = [
      ['A0000001', {}],
      ['A0000002', { person: { active: false } }],
      ['A0000003', { person: { validUntil: past } }],
      ['A0000004', { person: { validFrom: ahead } }],
      ['A0000005', { card: { status: 'blocked' } }],
      ['A0000006', { card: { status: 'lost' } }],
      ['A0000007', { card: { validUntil: past } }],
      ['A0000008', { card: { validFrom: ahead } }],
      ['A0000009', { card: { validUntil: ahead } }],
    ]
    for (const [number, more] of people) await holder(number, { to, ...more })
    await holder('A000000A')

    const let_in = await cards(id)
    expect(let_in).toEqual(['A0000001', 'A0000009'])
    for (const [number] of people) {
      const { decision } = await bridge.check(scanOf(id, number))
      expect({ number, decision }).toEqual({ number, decision: let_in.includes(number) ? 'granted' : 'denied' })
    }
  })

  test('says until when a card is good, the earliest end counts, and of its holder nothing', async () => {
    const to = await add('groups', { name: 'Guests' })
    const id = await reader()
    await rule(id, to)
    const card = { validUntil: '2090-01-01T00:00:00.500Z' }
    const one = await holder('B0000001', { to, card, person: { validUntil: '2080-06-01T00:00:00Z' } })
    const other = await holder('B0000002', { to, card })
    await holder('B0000003', { to })
    const list = (await page(id)).cards
    expect(list.sort((a, b) => a.card.localeCompare(b.card))).toEqual([
      { card: 'B0000001', user: one.cardId.slice(-8), until: Date.parse('2080-06-01T00:00:00Z') / 1000 },
      { card: 'B0000002', user: other.cardId.slice(-8), until: Date.parse('2090-01-01T00:00:00Z') / 1000 },
      { card: 'B0000003', user: expect.any(String), until: 0 },
    ])
  })

  test.each<[CardView, string]>([
    ['hex', '0E0BA996'],
    ['hex-unpadded', 'EBA996'],
    ['decimal', '235645334'],
    ['w26', '764310'],
  ])('has cards as a reader with the view %s sees them', async (view, seen) => {
    const to = await add('groups', { name: view })
    const id = await reader(view)
    await rule(id, to)
    const { personId } = await holder('0E0BA996', { to })
    expect(await cards(id)).toEqual([seen])
    for (const { id: cardId } of (await admin.get(`/cards?personId=${personId}`)).body.items)
      await admin.delete(`/cards/${cardId}`)
  })

  test('has none of two cards that look the same there, even if only one may pass', async () => {
    const to = await add('groups', { name: 'Twins' })
    const id = await reader('w26')
    await rule(id, to)
    await holder('C1123456', { to })
    expect(await cards(id)).toEqual([String(0x123456)])
    await holder('C2123456')
    expect(await cards(id)).toEqual([])
  })

  test('follows schedules, and is empty of a reader that is off', async () => {
    const to = await add('groups', { name: 'Shift' })
    const id = await reader()
    const [never, always] = [
      await add('schedules', { name: 'Never', windows: [] }),
      await add('schedules', {
        name: 'Always',
        windows: [{ days: [1, 2, 3, 4, 5, 6, 7], from: '00:00', to: '24:00' }],
      }),
    ]
    await rule(id, to, never)
    await holder('D0000001', { to })
    expect(await cards(id)).toEqual([])
    await rule(id, to, always)
    expect(await cards(id)).toEqual(['D0000001'])
    await api.db.update(readers).set({ pinScheduleId: always }).where(eq(readers.id, id))
    expect(await cards(id)).toEqual([])
    const unreadable = await add('schedules', { name: 'Unreadable', windows: [] })
    await api.db.$client`update schedules set windows = '[{"days": 1}]' where id = ${unreadable}`
    await api.db.update(readers).set({ pinScheduleId: unreadable }).where(eq(readers.id, id))
    expect(await cards(id)).toEqual([])
    await api.db.update(readers).set({ pinScheduleId: null, enabled: false }).where(eq(readers.id, id))
    expect(await cards(id)).toEqual([])
  })

  test('has only who is exempt during a lockdown, and everybody again after it', async () => {
    const to = await add('groups', { name: 'Locked' })
    const id = await reader()
    await rule(id, to)
    await holder('DD000001', { to })
    await holder('DD000002', { to, person: { exemptFromLockdown: true } })
    const reason = 'A drill'
    await add('lockdowns', { kind: 'evacuation', readerIds: [id], reason })
    expect(await cards(id)).toEqual(['DD000001', 'DD000002'])
    const lockdown = await add('lockdowns', { kind: 'lockdown', readerIds: [id], reason })
    expect(await cards(id)).toEqual(['DD000002'])
    await admin.delete(`/lockdowns/${lockdown}`)
    expect(await cards(id)).toEqual(['DD000001', 'DD000002'])
  })

  test('comes in pages, none of which is too long, and every card is on one', async () => {
    const to = await add('groups', { name: 'Crowd' })
    const id = await reader()
    await rule(id, to)
    const person = await add('people', { name: 'Collector' })
    await admin.put(`/groups/${to}/people/${person}`)
    await api.db.$client`
      with made as (
        insert into cards (id, person_id, number, form, status)
        select gen_random_uuid(), ${person}, 'EE' || lpad(upper(to_hex(n)), 6, '0'), 'hex', 'active'
        from generate_series(1, 1500) n returning id, number)
      insert into card_keys (view, key, card_id) select 'hex', number, id from made`
    const first = await page(id)
    expect(first.cards).toHaveLength(1_000)
    const second = await page(id, first.next)
    expect(second.next).toBeUndefined()
    expect(new Set([...first.cards, ...second.cards].map(({ card }) => card)).size).toBe(1_500)
  })
})

describe('it is refused', () => {
  const refused = async (message: Record<string, unknown>, who = bridge) =>
    replyOf(await who.ask(CALLS.accessList, message))

  test('of a reader that is not to be told one, and of none', async () => {
    const id = await reader('hex', {})
    await rule(id, group)
    expectProblem(await refused({ readerId: id }), 404)
    expectProblem(await refused({ readerId: await reader('hex', { accessList: 'true' }) }), 404)
    expectProblem(await refused({ readerId: crypto.randomUUID() }), 404)
  })

  test('to what is no question', async () => {
    expectProblem(await refused({ readerId: 'shed' }), 422)
    expectProblem(await refused({ readerId: crypto.randomUUID(), limit: 1 }), 422)
  })

  test('to a bridge that is not known, whatever it asks for', async () => {
    const stranger = bridgeWith(api, crypto.randomUUID(), bridge.key)
    expectProblem(await refused({ readerId: await reader() }, stranger), 401)
    const gone = await registerBridge(api, admin, 'Gone')
    await gone.config()
    await admin.delete(`/bridges/${gone.id}`)
    expectProblem(await refused({ readerId: await reader() }, gone), 401)
  })
})
