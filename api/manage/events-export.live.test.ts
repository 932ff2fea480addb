import { parse } from 'csv-parse/sync'
import { desc, eq, sql } from 'drizzle-orm'
import { beforeAll, describe, expect, inject, onTestFinished, test, vi } from 'vitest'
import { audit, events } from '../db/schema.ts'
import { startTestApi, type TestApi } from '../testing/api.ts'
import { type Caller, expectProblem, signIn } from '../testing/caller.ts'
import { type Bridge, registerBridge, scanOf } from '../testing/sealed.ts'
import { accountOf, keyOf } from '../testing/things.ts'

// The record as a file: what the list shows, whole lines, as far as the caller may see, and on the audit log.

const MANY = 2_600
const NAME = '=1+1, "Ada"\nCountess'

let api: TestApi
let admin: Caller
let bridge: Bridge
let reader: string
let other: string
let person: string

const open = (query: string, token = admin.token) =>
  api.fetch(`/api/v1/events/export?${query}`, { headers: { authorization: `Bearer ${token}` } })

const read = async (query: string, token?: string): Promise<Record<string, string>[]> => {
  const response = await open(query, token)
  expect(response.status).toBe(200)
  return parse(await response.text(), { columns: true, record_delimiter: '\r\n' })
}
const idsOf = (lines: { id?: string }[]) => lines.map(({ id }) => id)

beforeAll(async () => {
  api = await startTestApi()
  admin = await signIn(api, 'admin')
  bridge = await registerBridge(api, admin)
  const add = async (name: string) =>
    (await admin.post('/readers', { name, topic: `export/${crypto.randomUUID()}`, cardView: 'hex' })).body.id
  ;[reader, other] = [await add('@Front door'), await add('Gate; side')]
  person = (await admin.post('/people', { name: 'Ada' })).body.id
  await api.db.execute(sql`update people set name = ${NAME} where id = ${person}`)
  await admin.post('/cards', { personId: person, number: 'DE0BA996' })
  // A thousand of the same millisecond, so that pages begin and end among them.
  await api.db.execute(sql`
    insert into events (id, at, received_at, reader_id, card_number, decision, reason, source, bridge_id, open_ms)
    select gen_random_uuid(), '2020-01-01T00:00:00Z'::timestamptz + (greatest(n, 1000) || ' seconds')::interval, now(),
      ${other}, '1', 'denied', 'unknown_card', 'online', ${bridge.id}, 0
    from generate_series(1, ${MANY}) n`)
  await bridge.check(scanOf(reader, 'DE0BA996'))
  await bridge.check(scanOf(reader, 'DE0BA997'))
})

describe('a file', () => {
  test('has a line for each event, with the names of now, and is no formula anywhere', async () => {
    const response = await open(`readerId=${reader}`)
    expect(response.headers.get('content-type')).toMatch(/^text\/csv; charset=utf-8/)
    expect(response.headers.get('content-disposition')).toMatch(/^attachment; filename="events-\d{4}-\d\d-\d\d\.csv"$/)
    expect(response.headers.get('cache-control')).toBe('no-store')
    const lines: Record<string, string>[] = parse(await response.text(), { columns: true, record_delimiter: '\r\n' })
    const { items } = (await admin.get(`/events?readerId=${reader}`)).body
    expect(lines.map(({ reader: _, person: __, ...line }) => line)).toEqual(
      items.map((item) => ({
        at: item['at'],
        received_at: item['receivedAt'],
        decision: item['decision'],
        reason: item['reason'],
        source: 'online',
        card_number: item['cardNumber'],
        reader_id: reader,
        person_id: item['personId'] ?? '',
        card_id: item['cardId'] ?? '',
        bridge_id: bridge.id,
        snapshot: '',
        id: item.id,
      })),
    )
    expect(lines).toMatchObject([
      { reader: "'@Front door", person: '', reason: 'unknown_card' },
      { reader: "'@Front door", person: `'${NAME}`, reason: 'no_rule' },
    ])
  })

  test('of several pages has each event once, in the order of the list; the next file goes on where it ended', async () => {
    const rows = await api.db.select({ id: events.id }).from(events).orderBy(desc(events.at), desc(events.id))
    const first = await read('limit=2300')
    const second = await read(`limit=2300&after=${first.at(-1)?.['id']}`)
    expect(idsOf(first)).toEqual(idsOf(rows.slice(0, 2_300)))
    expect(idsOf(second)).toEqual(idsOf(rows.slice(2_300)))
    expect(idsOf(await read('limit=1'))).toEqual(idsOf(rows.slice(0, 1)))
    expect(await read(`after=${rows.at(-1)?.id}`)).toEqual([])
  })

  test.each([
    () => 'from=2020-01-01T00:30:00Z&to=2020-01-01T00:40:00Z',
    () => `readerId=${reader}&decision=denied`,
    () => `personId=${person}`,
    () => 'reason=no_rule',
    () => 'decision=granted',
    () => `reason=unknown_card&from=2024-01-01T00:00:00Z`,
  ])('is filtered as the list is: %s', async (query) => {
    const { items } = (await admin.get(`/events?limit=500&${query()}`)).body
    const most = Math.max(items.length, 1)
    expect(idsOf(await read(`limit=${most}&${query()}`))).toEqual(idsOf(items))
  })

  test('is on the audit log, with what was asked for, before it is sent; a refused one is not', async () => {
    const rows = () => api.db.select().from(audit).where(eq(audit.action, 'events.export')).orderBy(audit.number)
    const before = (await rows()).length
    const { body } = await open(`personId=${person}&from=2020-01-01T00:00:00Z&limit=7`)
    await body?.cancel()
    await open('limit=0')
    await open(`after=${crypto.randomUUID()}`)
    expect((await rows()).slice(before)).toMatchObject([
      {
        actorId: admin.id,
        targetKind: 'person',
        targetId: person,
        after: { personId: person, from: '2020-01-01T00:00:00.000Z', limit: 7 },
      },
    ])
  })
})

describe('whoever asks', () => {
  test('for their own gets their own, by any filter, and no other’s to go on from', async () => {
    const { token } = await accountOf(api, 'member', person)
    const own = await read('', token)
    expect(own).toMatchObject([{ person: `'${NAME}`, person_id: person, reader: '', reader_id: reader }])
    expect(await read(`readerId=${other}`, token)).toEqual([])
    const [foreign] = await api.db.select().from(events).where(eq(events.readerId, other)).limit(1)
    expect((await open(`after=${foreign?.id}`, token)).status).toBe(422)
    expect((await open(`after=${own[0]?.['id']}`, token)).status).toBe(200)
  })

  test('with a key for events alone is told no names', async () => {
    const key = await keyOf(api, 'auditor', ['events:read'])
    expect(await read(`personId=${person}`, key)).toMatchObject([{ person: '', reader: '', person_id: person }])
    const both = await keyOf(api, 'auditor', ['events:read', 'readers:read'])
    expect(await read(`personId=${person}`, both)).toMatchObject([{ person: '', reader: "'@Front door" }])
  })

  test.each([
    ['limit=0', 'limit'],
    ['limit=100001', 'limit'],
    ['limit=1e3', 'limit'],
    ['after=last', 'after'],
    [`after=${crypto.randomUUID()}`, 'after'],
    ['from=yesterday', 'from'],
    ['reason=none', 'reason'],
    ['cursor=x', 'cursor'],
  ])('is refused ?%s', async (query, path) => {
    expectProblem(await admin.get(`/events/export?${query}`), 422, path)
  })

  // Workerd reads ahead: so short a file has gone out whole before the next is asked for.
  test.runIf(inject('runtime') === 'node')(
    'for a third at once is refused, until one of the two is given up',
    async () => {
      const { token } = await signIn(api, 'auditor')
      const [first, second] = [await open('', token), await open('', token)]
      onTestFinished(async () => {
        await second.body?.cancel()
      })
      const third = await open('', token)
      expect(third.status).toBe(429)
      expect(third.headers.get('retry-after')).toBe('10')
      await first.body?.cancel()
      await vi.waitFor(async () => expect(await read('limit=1', token)).toHaveLength(1), { timeout: 10_000 })
    },
  )
})

test.runIf(inject('runtime') === 'node')('a file breaks off, and does not end, when the process does', async () => {
  const body = (await open('')).body?.getReader()
  expect((await body?.read())?.done).toBe(false)
  api.closing.abort()
  await expect(body?.read()).rejects.toThrow('this process ends')
})
