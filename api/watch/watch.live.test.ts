import { sql } from 'drizzle-orm'
import { beforeAll, describe, expect, test } from 'vitest'
import { CALLS } from '../contract/envelope.ts'
import { accounts, alerts, deviceEvents } from '../db/schema.ts'
import { PASSWORD_HASH, startTestApi, type TestApi } from '../testing/api.ts'
import { type Caller, expectProblem, send, signIn } from '../testing/caller.ts'
import { type Bridge, handedOver, registerBridge, scanOf } from '../testing/sealed.ts'
import { done, failed } from '../upkeep.ts'

// What is recorded is looked through, by the jobs of each runtime, and what somebody should look at becomes an alert, once.

let api: TestApi
let owner: Caller
let bridge: Bridge

type Alert = { id: string; kind: string; about: string; since: string; detail: Record<string, unknown> }
const list = async (query = '') => (await owner.get(`/alerts?limit=500${query}`)).body.items as unknown as Alert[]

/** What is raised by a look after this was done. */
const raisedBy = async (work: () => Promise<unknown>): Promise<Alert[]> => {
  const before = new Set((await list()).map(({ id }) => id))
  await work()
  await api.look()
  return (await list()).filter(({ id }) => !before.has(id))
}

let made = 0
const next = () => String(++made).padStart(4, '0')
const addReader = async (place: string | null = null) => {
  const { status, body } = await owner.post('/readers', { name: 'R', topic: `watch/${next()}`, cardView: 'hex', place })
  expect({ status, body }).toMatchObject({ status: 201 })
  return body.id
}
const tryCards = (readerId: string, cards: readonly string[]) =>
  Promise.all(cards.map((card) => bridge.check(scanOf(readerId, card))))
const unknown = () => Array.from({ length: 5 }, () => `CE${next()}`)

/** As a bridge reports it. */
const happen = async (kind: string, more: object = {}) => {
  const event = { id: crypto.randomUUID(), at: new Date().toISOString(), kind, ...more }
  const answer = await bridge.ask(CALLS.deviceEvents, { events: [event], seen: [] })
  expect(answer.status).toBe(200)
  return event
}

beforeAll(async () => {
  api = await startTestApi()
  owner = await signIn(api, 'owner')
  bridge = await registerBridge(api, owner)
  await happen('door_forced', { readerId: crypto.randomUUID() })
  await api.look()
})

test('what was recorded before anybody looked is no news', async () => {
  await api.look()
  expect(await list()).toEqual([])
})

describe('an alert is raised', () => {
  test('for five unknown cards at one reader, once, though it goes on', async () => {
    const readerId = await addReader()
    const found = await raisedBy(() => tryCards(readerId, unknown()))
    const detail = { readerId, cards: 5, scans: 5 }
    expect(found).toMatchObject([{ kind: 'unknown_cards', about: readerId, detail }])
    expect(await raisedBy(() => tryCards(readerId, unknown()))).toEqual([])
    expect((await owner.get(`/alerts/${found[0]?.id}`)).body).toEqual(found[0])
  })

  test('for five of which some were looked at before', async () => {
    const readerId = await addReader()
    const cards = unknown()
    expect(await raisedBy(() => tryCards(readerId, cards.slice(0, 3)))).toEqual([])
    expect(await raisedBy(() => tryCards(readerId, cards.slice(3)))).toMatchObject([{ about: readerId }])
  })

  test('for a card at readers in two places within a minute, also when that is heard of a day later', async () => {
    const [brno, prague, nowhere] = [await addReader('Brno'), await addReader('Prague'), await addReader()]
    const personId = (await owner.post('/people', { name: 'Ada' })).body.id
    const number = `CA${next()}`
    const cardId = (await owner.post('/cards', { personId, number })).body.id
    const at = (seconds: number) => new Date(Date.now() - 86_400_000 + seconds * 1_000).toISOString()
    const seen = (readerId: string, seconds: number) =>
      handedOver(readerId, number, { at: at(seconds), reason: 'no_rule', cardId, personId })
    expect(await raisedBy(() => bridge.handOver([seen(brno, 0), seen(nowhere, 5)]))).toEqual([])
    const events = [seen(prague, 50)]
    const found = await raisedBy(() => bridge.handOver(events))
    expect(found).toMatchObject([{ kind: 'far_readers', about: personId, detail: { readerIds: [brno, prague] } }])
    expect(JSON.stringify(found)).not.toContain(number)
  })

  test.each([
    ['door_forced', 'door_forced'],
    ['door_held_open', 'door_held_open'],
    ['tampered', 'tamper'],
    ['reader_offline', 'reader_offline'],
  ])('when a device says %s', async (kind, alert) => {
    const readerId = await addReader()
    let event = { id: '', at: '' }
    const found = await raisedBy(async () => {
      event = await happen(kind, { readerId })
    })
    const detail = { doorId: null, readerId, bridgeId: bridge.id, deviceEventId: event.id }
    expect(found).toMatchObject([{ kind: alert, about: readerId, since: event.at, detail }])
  })

  test('for what is numbered before something that was looked at already: it was committed later', async () => {
    const top = async () => {
      const [row] = await api.db.select({ top: sql<string>`max(number)` }).from(deviceEvents)
      return Number(row?.top)
    }
    const insert = (number: number, kind: string, readerId: string) =>
      api.db.execute(sql`insert into device_events (id, at, received_at, kind, reader_id, number) overriding system value
        values (gen_random_uuid(), now(), now(), ${kind}, ${readerId}::uuid, ${number})`)
    const [first, readerId] = [await top(), crypto.randomUUID()]
    expect(await raisedBy(() => insert(first + 3, 'door_opened', readerId))).toEqual([])
    expect(await raisedBy(() => insert(first + 2, 'door_forced', readerId))).toMatchObject([{ about: readerId }])
    await api.db.execute(sql`alter table device_events alter column number restart with ${sql.raw(String(first + 10))}`)
  })

  test('for ten failed sign-ins from one address', async () => {
    const address = '203.0.113.9'
    const emails = Array.from({ length: 10 }, () => `watched-${next()}@example.org`)
    const rows = emails.map((email) => ({ email, role: 'member' as const, passwordHash: PASSWORD_HASH }))
    await api.db.insert(accounts).values(rows)
    const headers = { 'cf-connecting-ip': address }
    const found = await raisedBy(async () => {
      for (const email of emails) {
        const body = JSON.stringify({ email, password: 'wrong' })
        expectProblem(await send(api, 'POST', '/login', { body, headers }), 401)
      }
    })
    expect(found).toMatchObject([{ kind: 'failed_sign_ins', about: address, detail: { address, failures: 10 } }])
  })

  test('for upkeep that was tried in vain, and not again for the same try', async () => {
    const found = await raisedBy(() => failed(api.db, 'backup', new Date(), 'The disk is full.'))
    expect(found).toMatchObject([{ kind: 'upkeep_failed', about: 'backup', detail: { task: 'backup', failed: true } }])
    expect(await raisedBy(async () => {})).toEqual([])
    await done(api.db, 'backup', new Date())
    const long = new Date(Date.now() - 3 * 86_400_000)
    const late = await raisedBy(() => done(api.db, 'retention', long))
    expect(late).toMatchObject([{ about: 'retention', detail: { failed: false, doneAt: long.toISOString() } }])
    await done(api.db, 'retention', new Date())
  })

  test('once, however many look at the same time', async () => {
    const readerIds = [await addReader(), await addReader()]
    const before = (await list()).length
    for (const readerId of readerIds) await happen('door_forced', { readerId })
    await Promise.all([1, 2, 3, 4].map(() => api.look()))
    await api.look()
    const found = (await list()).slice(0, -before || undefined)
    expect(found.map(({ about }) => about).sort()).toEqual(readerIds.toSorted())
  })
})

describe('the list', () => {
  test('is newest first, and filtered by kind and time', async () => {
    const all = await list()
    expect(all.length).toBeGreaterThan(3)
    const kinds = await list('&kind=tamper')
    expect(kinds).toEqual(all.filter(({ kind }) => kind === 'tamper'))
    const at = new Date(Date.parse((await api.db.select().from(alerts))[0]?.at.toISOString() ?? '') + 1).toISOString()
    expect([...(await list(`&from=${at}`)), ...(await list(`&to=${at}`))]).toEqual(all)
  })

  test.each([
    ['kind=fire', 'kind'],
    ['from=yesterday', 'from'],
    ['cursor=x', 'cursor'],
  ])('refuses ?%s', async (query, path) => {
    expectProblem(await owner.get(`/alerts?${query}`), 422, path)
  })
})
