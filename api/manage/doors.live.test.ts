import { eq } from 'drizzle-orm'
import { beforeAll, describe, expect, test } from 'vitest'
import { DOORS } from '../contract/doors.ts'
import { audit } from '../db/schema.ts'
import { startTestApi, type TestApi } from '../testing/api.ts'
import { type Caller, expectProblem, signIn } from '../testing/caller.ts'

// Doors as they are saved: what their profiles have a say in, and that no topic has two meanings.

let api: TestApi
let admin: Caller

let made = 0
const next = () => ++made
const door = (settings: object, fields: object = {}) =>
  admin.post('/doors', { name: `Door ${next()}`, profile: 'value-relay', settings, ...fields })
const reader = (fields: object) => admin.post('/readers', { name: `Reader ${next()}`, ...fields })
const ok = ({ status, body }: { status: number; body: { id: string } & Record<string, unknown> }) => {
  expect({ status, body }).toMatchObject({ status: status === 200 ? 200 : 201 })
  return body
}

beforeAll(async () => {
  api = await startTestApi()
  admin = await signIn(api, 'admin')
})

test('a new door opens for 3 s, is held open by nobody and shown to nobody', async () => {
  const body = ok(await door({ command: 'new/open' }, { name: '  Gate ' }))
  expect(body).toMatchObject({
    name: 'Gate',
    profile: 'value-relay',
    settings: { command: 'new/open' },
    timezone: 'UTC',
    openMs: 3_000,
    heldOpenMs: 30_000,
    preAlarmMs: 10_000,
    holdScheduleId: null,
    mode: 'scheduled',
    modeUntil: null,
    homeAssistant: 'off',
    brokerGeneration: 1,
  })
  expect((await admin.get(`/doors/${body.id}`)).body).toMatchObject(body)
})

test('a change of a door replaces its settings as a whole, and is on record', async () => {
  const { id } = ok(await door({ command: 'changed/open', open: 'ON' }))
  const { body } = await admin.patch(`/doors/${id}`, { settings: { command: 'changed/open' }, heldOpenMs: 0 })
  expect(body).toMatchObject({ settings: { command: 'changed/open' }, heldOpenMs: 0, openMs: 3_000 })
  const rows = await api.db.select().from(audit).where(eq(audit.targetId, id)).orderBy(audit.number)
  expect(rows).toMatchObject([
    { action: 'doors.create', after: { settings: { command: 'changed/open', open: 'ON' } } },
    { action: 'doors.update', before: { heldOpenMs: 30_000 }, after: { heldOpenMs: 0 } },
  ])
})

test.each<[string, object, string]>([
  ['of a profile that nobody knows', { profile: 'baroque' }, 'profile'],
  ['of a profile of readers', { profile: 'json' }, 'profile'],
  ['without what its profile needs', { settings: {} }, 'settings.command'],
  ['with a setting that its profile has not', { settings: { command: 'a/b', relay: 1 } }, 'settings.relay'],
  ['with a topic of many', { settings: { command: 'a/#' } }, 'settings.command'],
  ['with a topic of the broker’s own', { settings: { command: '$SYS/a' } }, 'settings.command'],
  ['with a topic of the bridges’', { settings: { command: 'lintel/bridge/x/status' } }, 'settings'],
  ['that is told where it says its state', { settings: { command: 'a/b', state: 'a/b' } }, 'settings'],
  ['held open by no schedule', { holdScheduleId: crypto.randomUUID() }, 'holdScheduleId'],
  ['in no time zone', { timezone: 'Mars/Olympus' }, 'timezone'],
  ['in a mode of its own', { mode: 'held' }, 'mode'],
  ['that opens for an hour', { openMs: 3_600_000 }, 'openMs'],
])('there is no door %s, added or changed', async (_, change, path) => {
  expectProblem(await door({ command: 'bad/open' }, change), 422, path)
  const { id } = ok(await door({ command: `good/${next()}` }))
  expectProblem(await admin.patch(`/doors/${id}`, change), 422, path)
})

test('everything that its profile has against a door is said at once', async () => {
  const { body } = await door({ open: 1, on: '', colour: 'red' })
  expect(body.errors.map(({ path }) => path).sort()).toEqual([
    'settings.colour',
    'settings.command',
    'settings.on',
    'settings.open',
  ])
})

describe('a topic', () => {
  const refused = async (reply: ReturnType<Caller['post']>, name: string, topic: string) => {
    const answer = await reply
    expectProblem(answer, 409)
    expect(answer.body['detail']).toContain(name)
    expect(answer.body['detail']).toContain(topic)
  }

  test('where cards are heard is not one where a door is told to open', async () => {
    const heard = ok(await reader({ name: 'Front', topic: 'clash/1' }))
    await refused(door({ command: 'clash/1' }), 'Front', 'clash/1')
    const { id } = ok(await door({ command: 'clash/2' }, { name: 'Gate' }))
    await refused(admin.patch(`/doors/${id}`, { settings: { command: 'clash/1' } }), 'Front', 'clash/1')
    await refused(reader({ topic: 'clash/2' }), 'Gate', 'clash/2')
    await refused(admin.patch(`/readers/${heard.id}`, { topic: 'clash/2' }), 'Gate', 'clash/2')
    expect((await admin.patch(`/doors/${id}`, { settings: { command: 'clash/3' } })).status).toBe(200)
    expect((await admin.patch(`/readers/${heard.id}`, { topic: 'clash/2' })).status).toBe(200)
  })

  test('where a reader is answered is not one where a door says its state', async () => {
    const heard = ok(await reader({ name: 'Back', topic: 'clash/5', replyTopic: 'clash/5/answer' }))
    await refused(door({ command: 'clash/6', state: 'clash/5/answer' }), 'Back', 'clash/5/answer')
    ok(await door({ command: 'clash/6', state: 'clash/6/state' }, { name: 'Lift' }))
    await refused(admin.patch(`/readers/${heard.id}`, { replyTopic: 'clash/6/state' }), 'Lift', 'clash/6/state')
  })

  test('may be told by a reader’s answer and by a door, and by two doors', async () => {
    ok(await reader({ topic: 'clash/7', replyTopic: 'clash/7/open' }))
    ok(await door({ command: 'clash/7/open' }))
    ok(await door({ command: 'clash/7/open' }))
  })

  test('is made of a door’s settings, as they are unless they were said', async () => {
    const { id } = ok(await door({ device: 'shelly1-1' }, { profile: 'shelly-gen1' }))
    await refused(reader({ topic: 'shellies/shelly1-1/relay/0/command' }), 'Door', 'shellies/shelly1-1/relay/0/command')
    ok(await admin.patch(`/doors/${id}`, { settings: { device: 'shelly1-1', relay: 1 } }))
    ok(await reader({ topic: 'shellies/shelly1-1/relay/0/command' }))
  })

  test('clashes with nothing when a door gets another name or time', async () => {
    const { id } = ok(await door({ command: `clash/${next()}` }))
    expect((await admin.patch(`/doors/${id}`, { name: 'Renamed', openMs: 500 })).status).toBe(200)
  })
})

describe('a door that is in use', () => {
  test('is not deleted while a reader opens it', async () => {
    const { id } = ok(await door({ command: 'used/open' }))
    const { id: by } = ok(await reader({ topic: 'used/card', doorId: id }))
    const refused = await admin.delete(`/doors/${id}`)
    expectProblem(refused, 409)
    expect(refused.body['detail']).toMatch(/Readers/)
    expect((await admin.patch(`/readers/${by}`, { doorId: null })).status).toBe(200)
    expect((await admin.delete(`/doors/${id}`)).status).toBe(204)
    expectProblem(await admin.get(`/doors/${id}`), 404)
  })

  test('keeps the schedule that holds it open', async () => {
    const { body: schedule } = await admin.post('/schedules', { name: 'Day', windows: [] })
    const { id } = ok(await door({ command: 'held/open' }, { holdScheduleId: schedule.id }))
    expectProblem(await admin.delete(`/schedules/${schedule.id}`), 409)
    expect((await admin.patch(`/doors/${id}`, { holdScheduleId: null })).status).toBe(200)
    expect((await admin.delete(`/schedules/${schedule.id}`)).status).toBe(204)
  })

  test('exists', async () => {
    expectProblem(await reader({ topic: 'no/door', doorId: crypto.randomUUID() }), 422, 'doorId')
  })
})

test('the kinds of doors are told with their settings', async () => {
  const { body } = await admin.get('/door-profiles')
  expect(body.items).toEqual(DOORS.map(({ says: _, tells: __, own: ___, ...shown }) => shown))
})
