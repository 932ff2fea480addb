import { beforeAll, describe, expect, test } from 'vitest'
import { startTestApi, type TestApi } from '../testing/api.ts'
import { type Caller, expectProblem, signIn } from '../testing/caller.ts'

// Readers, the schedules of their doors, and the rules that say who passes when.

const ABSENT = '0198c1a2-0000-7000-8000-000000000000'

let api: TestApi
let admin: Caller

let topics = 0
const newTopic = () => `readers/${++topics}`
const addReader = (fields: object = {}) => admin.post('/readers', { name: 'Front door', topic: newTopic(), ...fields })
const addSchedule = (windows: unknown = []) => admin.post('/schedules', { name: 'Office hours', windows })

beforeAll(async () => {
  api = await startTestApi()
  admin = await signIn(api, 'admin')
})

describe('a reader', () => {
  test('is a plain one with decimal numbers, and its door opens for 3 s and goes by a snapshot for a day, when nothing else is said', async () => {
    const topic = newTopic()
    const { status, body } = await addReader({ topic })
    expect({ status, body }).toEqual({
      status: 201,
      body: {
        id: body.id,
        name: 'Front door',
        profile: 'plain',
        topic,
        replyTopic: null,
        unit: null,
        settings: {},
        cardView: 'decimal',
        timezone: 'UTC',
        direction: 'none',
        enabled: true,
        openMs: 3_000,
        offline: 'snapshot',
        offlineHours: 24,
        pinScheduleId: null,
        pinAlone: false,
        keyGeneration: 0,
        doorId: null,
        brokerGeneration: 1,
        place: null,
      },
    })
  })

  test('is changed field by field: nothing falls back to what a new one would have', async () => {
    const door = { cardView: 'hex', timezone: 'Europe/Prague', direction: 'in', openMs: 0, replyTopic: newTopic() }
    const full = { ...door, offline: 'deny', offlineHours: 72 }
    const { body: before } = await addReader(full)
    expect(before).toMatchObject(full)
    const { body } = await admin.patch(`/readers/${before.id}`, { enabled: false })
    expect(body).toEqual({ ...before, enabled: false })
  })

  test.each(['/dilny/rfid/Tag', 'dilny/rfid/Tag', ' dilny', 'a//b', 'Straße/č'])(
    'may listen on %j, to the letter',
    async (topic) => {
      expect((await addReader({ topic })).body['topic']).toBe(topic)
    },
  )

  const TOPICS = [
    'a/+/b',
    'a/#',
    '+',
    '#',
    'a+',
    '$SYS/broker',
    '$share/all/a',
    'lintel/bridge/1/echo',
    'lintel/door/1/set',
    'x'.repeat(501),
  ]
  test.each(TOPICS)('may not use the topic %s', async (topic) => {
    const { body } = await addReader()
    for (const field of ['topic', 'replyTopic']) {
      expectProblem(await addReader({ [field]: topic }), 422, field)
      expectProblem(await admin.patch(`/readers/${body.id}`, { [field]: topic }), 422, field)
    }
  })

  test('has a topic of its own; a topic for answers may be shared', async () => {
    const [topic, replyTopic] = [newTopic(), newTopic()]
    expect((await addReader({ topic, replyTopic })).status).toBe(201)
    const refused = await addReader({ topic })
    expectProblem(refused, 409)
    expect(refused.body['detail']).toMatch(/topic/)
    const { body: other } = await addReader({ replyTopic })
    expectProblem(await admin.patch(`/readers/${other.id}`, { topic }), 409)
  })

  test('never gets its own answers as scans', async () => {
    const [topic, replyTopic] = [newTopic(), newTopic()]
    expectProblem(await addReader({ topic, replyTopic: topic }), 422, 'replyTopic')
    const path = `/readers/${(await addReader({ topic, replyTopic })).body.id}`
    expectProblem(await admin.patch(path, { replyTopic: topic }), 422, 'replyTopic')
    expectProblem(await admin.patch(path, { topic: replyTopic }), 422)
    expectProblem(await admin.patch(path, { topic: 'x', replyTopic: 'x' }), 422, 'replyTopic')
    expect((await admin.patch(path, { topic: replyTopic, replyTopic: topic })).status).toBe(200)
  })

  test('never gets the answers of another reader as scans', async () => {
    const [topic, replyTopic] = [newTopic(), newTopic()]
    await addReader({ name: 'Gate', topic, replyTopic })
    const refused = await addReader({ topic: replyTopic })
    expectProblem(refused, 409)
    expect(refused.body['detail']).toMatch(/Gate/)
    expectProblem(await addReader({ replyTopic: topic }), 409)
    const path = `/readers/${(await addReader()).body.id}`
    expectProblem(await admin.patch(path, { topic: replyTopic }), 409)
    expectProblem(await admin.patch(path, { replyTopic: topic }), 409)
  })

  test.each(['Europe/Prague', 'UTC', 'America/Argentina/Buenos_Aires', 'Etc/GMT+1'])(
    'may be in the time zone %s',
    async (timezone) => {
      expect((await addReader({ timezone })).body['timezone']).toBe(timezone)
    },
  )

  test.each(['Mars/Olympus', '+02:00', 'Z', 'UTC+2', '', 'Europe/Prague ', '../etc/passwd', null])(
    'may not be in the time zone %j',
    async (timezone) => {
      expectProblem(await addReader({ timezone }), 422, 'timezone')
    },
  )

  test.each<[string, object]>([
    ['stay shut while the API is away', { offline: 'deny' }],
    ['go by a snapshot for an hour', { offlineHours: 1 }],
    ['go by a snapshot for a year', { offline: 'snapshot', offlineHours: 8_760 }],
  ])('may %s, from the first and from later on', async (_, fields) => {
    const { body: added } = await addReader(fields)
    expect(added).toMatchObject({ offline: 'snapshot', offlineHours: 24, ...fields })
    const { body: before } = await addReader({ offline: 'deny', offlineHours: 7 })
    const { body: changed } = await admin.patch(`/readers/${before.id}`, fields)
    expect(changed).toEqual({ ...before, ...fields })
    expect((await admin.get(`/readers/${before.id}`)).body).toMatchObject(changed)
  })

  test.each([
    ['offline', 'grant'],
    ['offline', 'Snapshot'],
    ['offline', true],
    ['offline', null],
    ['offlineHours', 0],
    ['offlineHours', -1],
    ['offlineHours', 8_761],
    ['offlineHours', 1.5],
    ['offlineHours', '24'],
    ['offlineHours', null],
    ['offlineMinutes', 30],
  ])('may not have %s %j', async (field, value) => {
    const { body: before } = await addReader()
    expectProblem(await addReader({ [field]: value }), 422, field)
    expectProblem(await admin.patch(`/readers/${before.id}`, { [field]: value }), 422, field)
    expect((await admin.get(`/readers/${before.id}`)).body).toMatchObject(before)
  })

  test('is not deleted while a rule names it', async () => {
    const { body: reader } = await addReader()
    const { body: group } = await admin.post('/groups', { name: 'Staff' })
    const { body: rule } = await admin.post('/rules', { groupId: group.id, readerIds: [reader.id] })
    const refused = await admin.delete(`/readers/${reader.id}`)
    expectProblem(refused, 409)
    expect(refused.body['detail']).toMatch(/[Rr]ule/)
    await admin.delete(`/rules/${rule.id}`)
    expect((await admin.delete(`/readers/${reader.id}`)).status).toBe(204)
  })
})

describe('a schedule', () => {
  const day = { days: [1], from: '07:00', to: '17:30' }
  let some: string

  beforeAll(async () => {
    some = (await addSchedule()).body.id
  })

  test.each([
    ['none at all, and is then never open', []],
    ['a working day', [day]],
    ['a whole day', [{ days: [1, 2, 3, 4, 5, 6, 7], from: '00:00', to: '24:00' }]],
    ['a night', [{ days: [5], from: '22:00', to: '06:00' }]],
    ['a day that begins and ends at the same time', [{ days: [5], from: '08:00', to: '08:00' }]],
    ['two that overlap', [day, { days: [1, 2], from: '12:00', to: '20:00' }]],
    ['a hundred', Array.from({ length: 100 }, () => day)],
  ])('may have windows: %s', async (_, windows) => {
    const { body } = await addSchedule(windows)
    expect(body['windows']).toEqual(windows)
    expect((await admin.get(`/schedules/${body.id}`)).body['windows']).toEqual(windows)
  })

  test.each([
    ['without days', { ...day, days: [] }, 'windows.0.days'],
    ['on a day 0', { ...day, days: [0] }, 'windows.0.days.0'],
    ['on a day 8', { ...day, days: [1, 8] }, 'windows.0.days.1'],
    ['on half a day', { ...day, days: [1.5] }, 'windows.0.days.0'],
    ['on a day with a name', { ...day, days: ['Mon'] }, 'windows.0.days.0'],
    ['on the same day twice', { ...day, days: [1, 1] }, 'windows.0.days'],
    ['on eight days', { ...day, days: [1, 2, 3, 4, 5, 6, 7, 1] }, 'windows.0.days'],
    ['from 24:00', { ...day, from: '24:00' }, 'windows.0.from'],
    ['from 7:00', { ...day, from: '7:00' }, 'windows.0.from'],
    ['from 07:60', { ...day, from: '07:60' }, 'windows.0.from'],
    ['from 07:00:00', { ...day, from: '07:00:00' }, 'windows.0.from'],
    ['from a line break', { ...day, from: '07:00\n' }, 'windows.0.from'],
    ['to 24:01', { ...day, to: '24:01' }, 'windows.0.to'],
    ['to 5 pm', { ...day, to: '5 pm' }, 'windows.0.to'],
    ['to nothing', { ...day, to: null }, 'windows.0.to'],
    ['without an end', { days: [1], from: '07:00' }, 'windows.0.to'],
    ['with a time zone', { ...day, timezone: 'UTC' }, 'windows.0.timezone'],
    ['that is a list', [], 'windows.0.days'],
    ['that is a text', 'always', 'windows.0'],
  ])('may not have a window %s', async (_, window, path) => {
    expectProblem(await addSchedule([window]), 422, path)
    expectProblem(await admin.patch(`/schedules/${some}`, { windows: [day, window] }), 422, path.replace('0', '1'))
  })

  test('may not have 101 windows', async () => {
    expectProblem(await addSchedule(Array.from({ length: 101 }, () => day)), 422, 'windows')
  })

  test('is not deleted while a rule names it', async () => {
    const { body: schedule } = await addSchedule()
    const { body: group } = await admin.post('/groups', { name: 'Staff' })
    const readerIds = [(await addReader()).body.id]
    const { body: rule } = await admin.post('/rules', { groupId: group.id, readerIds, scheduleId: schedule.id })
    const refused = await admin.delete(`/schedules/${schedule.id}`)
    expectProblem(refused, 409)
    expect(refused.body['detail']).toMatch(/[Rr]ule/)
    await admin.patch(`/rules/${rule.id}`, { scheduleId: null })
    expect((await admin.delete(`/schedules/${schedule.id}`)).status).toBe(204)
  })
})

describe('a rule', () => {
  const ids = { group: '', first: '', second: '', schedule: '' }
  const addRule = (fields: object = {}) =>
    admin.post('/rules', { groupId: ids.group, readerIds: [ids.first], ...fields })

  beforeAll(async () => {
    ids.group = (await admin.post('/groups', { name: 'Staff' })).body.id
    ids.first = (await addReader()).body.id
    ids.second = (await addReader()).body.id
    ids.schedule = (await addSchedule()).body.id
  })

  test('without a schedule means always', async () => {
    const { body } = await addRule()
    expect(body).toEqual({ id: body.id, groupId: ids.group, readerIds: [ids.first], scheduleId: null })
  })

  test('names each reader once, however often it was said', async () => {
    const readerIds = [ids.second, ids.first, ids.second, ids.first.toUpperCase()]
    const { body } = await addRule({ readerIds })
    expect(body['readerIds']).toEqual([ids.first, ids.second].sort())
  })

  test('names what is missing, and is then not there at all', async () => {
    const before = (await admin.get('/rules')).body.items.length
    expectProblem(await addRule({ groupId: ABSENT }), 422, 'groupId')
    expectProblem(await addRule({ readerIds: [ids.first, ABSENT] }), 422, 'readerIds')
    expectProblem(await addRule({ scheduleId: ABSENT }), 422, 'scheduleId')
    expect((await admin.get('/rules')).body.items).toHaveLength(before)
  })

  test('is changed to other readers and keeps the rest', async () => {
    const { body: before } = await addRule({ scheduleId: ids.schedule })
    const path = `/rules/${before.id}`
    const change = (fields: object) => admin.patch(path, fields)
    expect((await change({ readerIds: [ids.second] })).body).toEqual({ ...before, readerIds: [ids.second] })
    expectProblem(await change({ readerIds: [ids.first, ABSENT] }), 422, 'readerIds')
    expectProblem(await change({ scheduleId: ABSENT, readerIds: [ids.first] }), 422, 'scheduleId')
    expect((await admin.get(path)).body).toEqual({ ...before, readerIds: [ids.second] })
    expect((await change({ scheduleId: null })).body).toMatchObject({ scheduleId: null, readerIds: [ids.second] })
  })

  test('is listed by group, reader and schedule', async () => {
    const { body: group } = await admin.post('/groups', { name: 'Guests' })
    const { body: reader } = await addReader()
    const { body: schedule } = await addSchedule()
    const { body: one } = await addRule({ groupId: group.id, readerIds: [ids.first, reader.id] })
    const { body: two } = await addRule({ groupId: group.id, scheduleId: schedule.id })
    const list = async (query: string) => (await admin.get(`/rules?${query}`)).body.items
    expect(await list(`groupId=${group.id}`)).toEqual([one, two])
    expect(await list(`readerId=${reader.id}`)).toEqual([one])
    expect(await list(`scheduleId=${schedule.id}`)).toEqual([two])
    expect(await list(`groupId=${group.id}&readerId=${reader.id}&scheduleId=${schedule.id}`)).toEqual([])
    expectProblem(await admin.get('/rules?readerId=front'), 422, 'readerId')
  })

  test('may name 500 readers and not one more', async () => {
    const readerIds = (count: number) => Array.from({ length: count }, () => crypto.randomUUID())
    expectProblem(await addRule({ readerIds: readerIds(501) }), 422, 'readerIds')
  })
})
