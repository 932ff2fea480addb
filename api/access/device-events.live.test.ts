import { eq } from 'drizzle-orm'
import { beforeAll, describe, expect, test } from 'vitest'
import { CALLS } from '../contract/envelope.ts'
import { bridges } from '../db/schema.ts'
import { startTestApi, type TestApi } from '../testing/api.ts'
import { type Caller, expectProblem, replyOf, signIn } from '../testing/caller.ts'
import { type Bridge, bridgeWith, registerBridge } from '../testing/sealed.ts'
import { noticeBridges } from './bridges-away.ts'

// What a bridge says of doors and readers: on record, and how they are now.

let api: TestApi
let admin: Caller
let bridge: Bridge
let reader: string
let door: string

let made = 0
const addReader = async () => {
  made += 1
  return (await admin.post('/readers', { name: 'Reader', topic: `/watched/${made}/Tag`, profile: 'plain' })).body.id
}
const addDoor = async (fields = {}) =>
  (await admin.post('/doors', { name: 'Door', profile: 'shelly-gen2', settings: { device: 'shelly' }, ...fields })).body
    .id

beforeAll(async () => {
  api = await startTestApi()
  admin = await signIn(api, 'admin')
  bridge = await registerBridge(api, admin)
  reader = await addReader()
  door = await addDoor()
})

const event = (kind: string, fields: object = {}) => ({
  id: crypto.randomUUID(),
  at: new Date().toISOString(),
  kind,
  ...fields,
})
const report = async (events: object[], seen: object[] = []) =>
  replyOf(await bridge.ask(CALLS.deviceEvents, { events, seen }))
const told = async (events: object[], seen: object[] = []) => {
  const { status, body } = await report(events, seen)
  expect({ status, body }).toMatchObject({ status: 200 })
}
const recorded = async (query: string) => (await admin.get(`/device-events?${query}`)).body.items
const stateOf = async (path: string) => (await admin.get(path)).body['state'] as Record<string, unknown>
/** Minutes ago, so that one is before the other. */
const ago = (minutes: number) => new Date(Date.now() - minutes * 60_000).toISOString()

describe('what doors and readers did', () => {
  test('is on record once, however often it is reported, and nobody changes it', async () => {
    const one = event('door_forced', { doorId: door, at: ago(5), note: 'as it was' })
    await told([one, one])
    await told([{ ...one, kind: 'door_closed', note: 'as it was not' }])
    expect(await recorded(`doorId=${door}&kind=door_forced`)).toMatchObject([
      { ...one, readerId: null, commandId: null, bridgeId: bridge.id },
    ])
    expect(await recorded(`doorId=${door}&kind=door_closed`)).toEqual([])
  })

  test('is how they are now', async () => {
    const [id, at] = [await addDoor(), ago(3)]
    expect(await stateOf(`/doors/${id}`)).toEqual({
      online: null,
      lastSeenAt: null,
      contact: null,
      contactSince: null,
      tampered: null,
      alarm: null,
      mode: 'normal',
    })
    const seenAt = ago(1)
    const kinds = ['door_online', 'door_opened', 'door_forced', 'tampered']
    await told(
      kinds.map((kind) => event(kind, { doorId: id, at })),
      [{ doorId: id, at: seenAt }],
    )
    const now = { online: true, lastSeenAt: seenAt, contact: 'open', contactSince: at, tampered: true, alarm: 'forced' }
    expect(await stateOf(`/doors/${id}`)).toEqual({ ...now, mode: 'normal' })
    const items = (await admin.get('/doors?limit=500')).body.items
    expect(items.find((one) => one.id === id)?.['state']).toEqual({ ...now, mode: 'normal' })
    await told(
      ['door_closed', 'door_forced_ended', 'tamper_ended', 'door_offline'].map((kind) => event(kind, { doorId: id })),
    )
    expect(await stateOf(`/doors/${id}`)).toMatchObject({
      online: false,
      contact: 'closed',
      tampered: false,
      alarm: null,
      lastSeenAt: seenAt,
    })
  })

  test('is a reader’s where the door is its own, and the door’s where there is one', async () => {
    await told([
      event('door_opened', { readerId: reader }),
      event('exit_requested', { readerId: reader, doorId: door }),
    ])
    expect(await stateOf(`/readers/${reader}`)).toMatchObject({ contact: 'open', online: null })
    const [item] = (await admin.get('/readers?q=watched/1/')).body.items
    expect(item).toMatchObject({ id: reader, state: { contact: 'open' } })
    expect(await recorded(`readerId=${reader}`)).toHaveLength(2)
  })

  test('only goes forward, in whatever order it is told', async () => {
    const id = await addReader()
    const of = (kind: string, minutes: number) => event(kind, { readerId: id, at: ago(minutes) })
    await told(
      [of('door_closed', 10), of('tamper_ended', 10), of('reader_offline', 10)],
      [{ readerId: id, at: ago(10) }],
    )
    const before = await stateOf(`/readers/${id}`)
    await told(
      [of('door_opened', 20), of('door_forced', 20), of('tampered', 20), of('reader_online', 20)],
      [{ readerId: id, at: ago(20) }],
    )
    expect(await stateOf(`/readers/${id}`)).toEqual(before)
  })

  test('leaves a forced door forced when it also stays open, until it is shut', async () => {
    const id = await addDoor()
    const of = (kind: string, minutes: number) => event(kind, { doorId: id, at: ago(minutes) })
    await told([of('door_opened', 9), of('door_forced', 9)])
    await told([of('door_held_open', 8)])
    expect(await stateOf(`/doors/${id}`)).toMatchObject({ alarm: 'forced' })
    await told([of('door_closed', 7)])
    await told([of('door_opened', 6), of('door_held_open', 5)])
    expect(await stateOf(`/doors/${id}`)).toMatchObject({ alarm: 'held_open' })
    await told([of('door_held_open_ended', 4)])
    expect(await stateOf(`/doors/${id}`)).toMatchObject({ alarm: null })
  })

  test('was seen last when it was, and never in the time to come', async () => {
    const id = await addReader()
    await told([], [{ readerId: id, at: '2999-01-01T00:00:00Z' }])
    expect(Date.parse(String((await stateOf(`/readers/${id}`))['lastSeenAt']))).toBeLessThanOrEqual(Date.now())
  })

  test('outlives the door and the reader, and what is no more has no state', async () => {
    const id = await addReader()
    await told([event('door_opened', { readerId: id })], [{ readerId: id, at: ago(1) }])
    expect((await admin.delete(`/readers/${id}`)).status).toBe(204)
    await told([event('door_closed', { readerId: id })], [{ readerId: id, at: ago(0) }])
    expect(await recorded(`readerId=${id}`)).toHaveLength(2)
  })

  test('changes nothing of the site that bridges are told, and nothing of the reader or the audit log', async () => {
    const { version } = await bridge.config()
    const { body: before } = await admin.patch(`/readers/${reader}`, { name: 'Reader' })
    expect(before).not.toHaveProperty('state')
    const { version: then } = await bridge.config()
    await told([event('door_closed', { readerId: reader })])
    expect((await bridge.config()).version).toBe(then)
    expect(version).not.toBe(undefined)
    const audit = (await admin.get(`/audit?targetId=${reader}`)).body.items
    expect(JSON.stringify(audit)).not.toContain('"state"')
  })
})

describe('the mode of a door', () => {
  test('is what its schedule, an order and a lockdown make of it', async () => {
    const all = [1, 2, 3, 4, 5, 6, 7].map((day) => ({ days: [day], from: '00:00', to: '24:00' }))
    const { body: always } = await admin.post('/schedules', { name: 'Always', windows: all })
    const id = await addDoor({ holdScheduleId: always.id })
    expect(await stateOf(`/doors/${id}`)).toMatchObject({ mode: 'held' })
    const lockdown = crypto.randomUUID()
    await api.db.$client`
      insert into lockdowns (id, kind, everywhere, reason, created_at)
      values (${lockdown}, 'lockdown', true, 'fire drill', now())`
    expect(await stateOf(`/doors/${id}`)).toMatchObject({ mode: 'lockdown' })
    await api.db.$client`update lockdowns set ended_at = now() where id = ${lockdown}`
    expect(await stateOf(`/doors/${id}`)).toMatchObject({ mode: 'held' })
  })
})

describe('a report', () => {
  test.each<[string, () => { events: object[]; seen: object[] }]>([
    ['a kind that nobody knows', () => ({ events: [event('door_melted')], seen: [] })],
    ['an id that is none', () => ({ events: [event('door_opened', { id: '1' })], seen: [] })],
    ['a time to come', () => ({ events: [event('door_opened', { at: ago(-60) })], seen: [] })],
    ['a field that is not meant', () => ({ events: [event('door_opened', { secret: '1' })], seen: [] })],
    ['a note that is too long', () => ({ events: [event('door_opened', { note: 'x'.repeat(201) })], seen: [] })],
    ['too many', () => ({ events: Array.from({ length: 101 }, () => event('door_opened')), seen: [] })],
    ['too many that were seen', () => ({ events: [], seen: Array.from({ length: 501 }, () => ({ at: ago(1) })) })],
  ])('is refused as a whole with %s', async (_, bad) => {
    const good = event('tampered', { doorId: door, note: 'refused' })
    const { events, seen } = bad()
    expectProblem(await report([good, ...events], seen), 422)
    expect((await recorded(`doorId=${door}&kind=tampered`)).filter(({ id }) => id === good.id)).toEqual([])
  })

  test('is refused from whoever has no key, and from one who has another’s', async () => {
    const message = { events: [event('door_forced', { doorId: door })], seen: [] }
    const other = await registerBridge(api, admin, 'Other')
    const thief = bridgeWith(api, bridge.id, other.key)
    expectProblem(await replyOf(await thief.ask(CALLS.deviceEvents, message)), 401)
    expectProblem(
      await replyOf(await bridge.ask({ ...CALLS.deviceEvents, ask: CALLS.events.ask } as never, message)),
      401,
    )
  })

  test('of as much as there can be is taken', async () => {
    const events = Array.from({ length: 100 }, () =>
      event('opened_by_command', {
        doorId: door,
        readerId: reader,
        commandId: crypto.randomUUID(),
        note: '字'.repeat(200),
      }),
    )
    const seen = Array.from({ length: 500 }, () => ({ doorId: door, readerId: reader, at: ago(1) }))
    expect((await report(events, seen)).status).toBe(200)
  })
})

describe('a bridge', () => {
  const events = async (id: string) => (await recorded(`bridgeId=${id}`)).map(({ kind }) => kind).toReversed()
  const shown = async (id: string) => (await admin.get(`/bridges/${id}`)).body['online']
  const lastSeen = (id: string, at: Date) => api.db.update(bridges).set({ lastSeenAt: at }).where(is(id))
  const is = (id: string) => eq(bridges.id, id)

  test('is away when it has not asked for a while, is back when it asks, and each is told once', async () => {
    const one = await registerBridge(api, admin, 'Shed')
    expect(await shown(one.id)).toBe(false)
    await noticeBridges(api.db, new Date())
    expect(await events(one.id)).toEqual([])
    await one.config()
    expect(await shown(one.id)).toBe(true)
    await lastSeen(one.id, new Date(Date.now() - 10_000))
    await noticeBridges(api.db, new Date())
    expect(await events(one.id)).toEqual([])
    await lastSeen(one.id, new Date(Date.now() - 21_000))
    expect(await shown(one.id)).toBe(false)
    // Two servers look at the same time.
    await Promise.all([1, 2, 3].map(() => noticeBridges(api.db, new Date())))
    await noticeBridges(api.db, new Date())
    expect(await events(one.id)).toEqual(['bridge_offline'])
    await Promise.all([one.config(), one.config()])
    expect(await events(one.id)).toEqual(['bridge_offline', 'bridge_online'])
    const [item] = (await admin.get('/bridges?q=Shed')).body.items
    expect(item).toMatchObject({ id: one.id, online: true })
  })
})
