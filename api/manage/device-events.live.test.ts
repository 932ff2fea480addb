import { beforeAll, describe, expect, test } from 'vitest'
import { deviceEvents } from '../db/schema.ts'
import { startTestApi, type TestApi } from '../testing/api.ts'
import { type Caller, expectProblem, signIn, walk } from '../testing/caller.ts'

// The record of what doors, readers and bridges did that was no scan.

let api: TestApi
let admin: Caller

const AT = ['2020-01-01T08:00:00.000Z', '2020-01-02T08:00:00.000Z', '2020-01-03T08:00:00.000Z'] as const
const [door, reader, bridge] = [crypto.randomUUID(), crypto.randomUUID(), crypto.randomUUID()] as const
const id = (n: number) => `0198c1a2-0000-7000-8000-00000000000${n}`
const numbers = (items: { id: string }[]) => items.map(({ id }) => Number(id.at(-1)))

beforeAll(async () => {
  api = await startTestApi()
  admin = await signIn(api, 'admin')
  const rows = [
    { id: id(1), at: AT[0], kind: 'door_opened', doorId: door, bridgeId: bridge },
    { id: id(2), at: AT[1], kind: 'door_forced', doorId: door, bridgeId: bridge },
    { id: id(3), at: AT[1], kind: 'exit_requested', doorId: door, readerId: reader, bridgeId: bridge },
    { id: id(4), at: AT[2], kind: 'bridge_offline', bridgeId: bridge, note: 'last seen then' },
  ] as const
  const receivedAt = new Date()
  await api.db.insert(deviceEvents).values(rows.map((row) => ({ ...row, at: new Date(row.at), receivedAt })))
})

test.each<[string, string, number[]]>([
  ['everything', '', [4, 3, 2, 1]],
  ['from a time on, and at it', `from=${AT[1]}`, [4, 3, 2]],
  ['before a time, and not at it', `to=${AT[1]}`, [1]],
  ['of a kind', 'kind=door_forced', [2]],
  ['of a door', `doorId=${door}`, [3, 2, 1]],
  ['of a reader', `readerId=${reader.toUpperCase()}`, [3]],
  ['of a bridge', `bridgeId=${bridge}`, [4, 3, 2, 1]],
  [
    'by all of these',
    `from=${AT[0]}&to=${AT[2]}&kind=exit_requested&doorId=${door}&readerId=${reader}&bridgeId=${bridge}`,
    [3],
  ],
  ['of what is not there', `doorId=${crypto.randomUUID()}`, []],
])('is shown newest first: %s', async (_, query, expected) => {
  expect(numbers((await admin.get(`/device-events?${query}`)).body.items)).toEqual(expected)
  expect(numbers((await walk(admin, `/device-events?${query}`, 2)).map((id) => ({ id })))).toEqual(expected)
})

test('is shown one by one', async () => {
  expect((await admin.get(`/device-events/${id(4)}`)).body).toMatchObject({
    id: id(4),
    at: AT[2],
    kind: 'bridge_offline',
    doorId: null,
    readerId: null,
    bridgeId: bridge,
    commandId: null,
    note: 'last seen then',
  })
  expectProblem(await admin.get(`/device-events/${crypto.randomUUID()}`), 404)
})

test.each([
  ['from=yesterday', 'from'],
  ['to=', 'to'],
  ['kind=door_melted', 'kind'],
  ['doorId=front', 'doorId'],
  ['readerId=front', 'readerId'],
  ['bridgeId=cellar', 'bridgeId'],
  ['q=ada', 'q'],
])('is not filtered by %s', async (query, path) => {
  expectProblem(await admin.get(`/device-events?${query}`), 422, path)
})

describe('nobody else sees it', () => {
  test('a member does not, and neither does who is not signed in', async () => {
    const member = await signIn(api, 'member')
    for (const path of ['/device-events', `/device-events/${id(1)}`]) {
      expectProblem(await member.get(path), 403)
      expectProblem(await api.stranger.get(path), 401)
    }
  })

  test('and nobody changes it', async () => {
    const owner = await signIn(api, 'owner')
    for (const path of ['/device-events', `/device-events/${id(1)}`]) {
      for (const method of ['POST', 'PUT', 'PATCH', 'DELETE'])
        expectProblem(await owner.send(method, path, { body: '{}' }), 404)
    }
    await expect(api.db.$client`delete from device_events`).rejects.toThrow()
    expect(numbers((await admin.get('/device-events')).body.items)).toEqual([4, 3, 2, 1])
  })
})
