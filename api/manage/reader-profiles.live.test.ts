import { beforeAll, describe, expect, test } from 'vitest'
import { PROFILES } from '../contract/profiles.ts'
import { audit } from '../db/schema.ts'
import { startTestApi, type TestApi } from '../testing/api.ts'
import { type Caller, expectProblem, signIn } from '../testing/caller.ts'

// What a reader's profile has a say in when the reader is saved.

let api: TestApi
let admin: Caller

let made = 0
const next = () => ++made
const add = (fields: object) => admin.post('/readers', { name: `Reader ${next()}`, ...fields })
const plain = (fields: object = {}) => add({ topic: `site/${next()}`, ...fields })
const tasmota = (fields: object = {}) => add({ profile: 'tasmota', topic: `tele/door${next()}/SENSOR`, ...fields })
const sharing = (topic: string, unit: string | null, fields: object = {}) =>
  add({ profile: 'uhppoted', topic, unit, ...fields })

beforeAll(async () => {
  api = await startTestApi()
  admin = await signIn(api, 'admin')
})

describe('a new reader', () => {
  test('has the first view of its profile, and opens by a PIN alone where nothing else can be typed', async () => {
    expect((await tasmota()).body).toMatchObject({ cardView: 'hex', pinAlone: false, settings: {}, unit: null })
    const { body } = await add({ profile: 'z2m-keypad', topic: `zigbee2mqtt/keypad${next()}` })
    expect(body).toMatchObject({ cardView: 'text', pinAlone: true, settings: {} })
    const { body: other } = await add({ profile: 'z2m-keypad', topic: `zigbee2mqtt/keypad${next()}`, pinAlone: false })
    expect(other['pinAlone']).toBe(false)
  })

  test('keeps what was said, and nothing that was not', async () => {
    const { body: schedule } = await admin.post('/schedules', { name: 'Nights', windows: [] })
    const said = { settings: { relay: 2, pulse: false }, cardView: 'w26', pinScheduleId: schedule.id, pinAlone: true }
    const { body } = await tasmota(said)
    expect(body).toMatchObject(said)
    expect((await admin.get(`/readers/${body.id}`)).body).toMatchObject(body)
    const { body: changed } = await admin.patch(`/readers/${body.id}`, { settings: { relay: 3 }, pinScheduleId: null })
    expect(changed).toEqual({ ...body, settings: { relay: 3 }, pinScheduleId: null })
  })

  test('is told everything that its profile has against it, at once', async () => {
    const { body, ...reply } = await tasmota({
      topic: 'door',
      cardView: 'hex-unpadded',
      unit: '1',
      settings: { relay: 'two', pulse: 1, colour: 'red' },
    })
    expectProblem({ body, ...reply }, 422)
    expect(body.errors.map(({ path }) => path).sort()).toEqual([
      'cardView',
      'settings.colour',
      'settings.pulse',
      'settings.relay',
      'topic',
      'unit',
    ])
    for (const { message } of body.errors) expect(message).toMatch(/\w+ \w+/)
  })

  test.each<[string, object, string]>([
    ['of a profile that nobody knows', { profile: 'karty' }, 'profile'],
    ['with a setting that it has not', { settings: { relay: 1 } }, 'settings.relay'],
    ['with settings in a list', { settings: [1] }, 'settings.0'],
    ['with a setting that is no value', { settings: { relay: null } }, 'settings.relay'],
    ['with a setting without end', { settings: { relay: 'x'.repeat(501) } }, 'settings.relay'],
    ['with a setting of a long name', { settings: { ['x'.repeat(65)]: 1 } }, `settings.${'x'.repeat(65)}`],
    [
      'with 31 settings',
      { settings: Object.fromEntries(Array.from({ length: 31 }, (_, i) => [`s${i}`, 1])) },
      'settings',
    ],
    ['with a unit', { unit: '1' }, 'unit'],
    ['with a unit that is empty', { unit: '' }, 'unit'],
    ['that opens by a PIN, without a keypad', { pinAlone: true }, 'pinAlone'],
    ['with a key', { keyGeneration: 1 }, 'keyGeneration'],
  ])('is refused %s', async (_, fields, path) => {
    expectProblem(await plain(fields), 422, path)
  })

  test('needs the settings that its profile cannot do without', async () => {
    const { body, ...reply } = await add({ profile: 'json', topic: `json/${next()}` })
    expectProblem({ body, ...reply }, 422, 'settings.cardAt')
  })

  test('may not ask for a PIN by a schedule that is not there, nor at a door without a keypad', async () => {
    expectProblem(await tasmota({ pinScheduleId: crypto.randomUUID() }), 422, 'pinScheduleId')
    const { body: schedule } = await admin.post('/schedules', { name: 'Nights', windows: [] })
    expectProblem(await plain({ pinScheduleId: schedule.id }), 422, 'pinScheduleId')
  })
})

describe('a changed reader', () => {
  test('is looked at as a whole: another profile does not keep the settings of the old one', async () => {
    const { body: before } = await tasmota({ settings: { relay: 2 }, cardView: 'w26', pinAlone: true })
    const refused = await admin.patch(`/readers/${before.id}`, { profile: 'plain' })
    expectProblem(refused, 422)
    expect(refused.body.errors.map(({ path }) => path).sort()).toEqual(['pinAlone', 'settings.relay'])
    const change = { profile: 'plain', settings: {}, pinAlone: false }
    expect((await admin.patch(`/readers/${before.id}`, change)).body).toEqual({ ...before, ...change })
    expectProblem(await admin.patch(`/readers/${before.id}`, { profile: 'fabomatic' }), 422, 'topic')
  })

  test('is on record once, and not at all when it is refused', async () => {
    const { body: reader } = await tasmota()
    const rows = async () => (await api.db.select().from(audit)).filter(({ targetId }) => targetId === reader.id)
    await admin.patch(`/readers/${reader.id}`, { settings: { relay: 2 } })
    await admin.patch(`/readers/${reader.id}`, { settings: { relay: 'x' } })
    expect((await rows()).map(({ action }) => action)).toEqual(['readers.create', 'readers.update'])
  })

  test('a schedule by which PINs are asked for is not deleted', async () => {
    const { body: schedule } = await admin.post('/schedules', { name: 'Nights', windows: [] })
    const { body: reader } = await tasmota({ pinScheduleId: schedule.id })
    const refused = await admin.delete(`/schedules/${schedule.id}`)
    expectProblem(refused, 409)
    expect(refused.body['detail']).toMatch(/PIN/)
    await admin.patch(`/readers/${reader.id}`, { pinScheduleId: null })
    expect((await admin.delete(`/schedules/${schedule.id}`)).status).toBe(204)
  })
})

describe('readers that share a topic', () => {
  test('have a unit each', async () => {
    const topic = `a${next()}/events/live`
    expect((await sharing(topic, '1')).status).toBe(201)
    const { status, body: second } = await sharing(topic, '2')
    expect(status).toBe(201)
    expectProblem(await sharing(topic, '2'), 409)
    expectProblem(await admin.patch(`/readers/${second.id}`, { unit: '1' }), 409)
    expectProblem(await admin.patch(`/readers/${second.id}`, { unit: null }), 409)
    const refused = await sharing(topic, null)
    expectProblem(refused, 409)
    expect(refused.body['detail']).toMatch(/unit/)
    expect((await admin.patch(`/readers/${second.id}`, { unit: '3' })).status).toBe(200)
  })

  test('are not joined by one with a unit, while one has none', async () => {
    const topic = `a${next()}/events/live`
    const { body: only } = await sharing(topic, null)
    expectProblem(await sharing(topic, '1'), 409)
    expect((await admin.patch(`/readers/${only.id}`, { unit: '2' })).status).toBe(200)
    expect((await sharing(topic, '1')).status).toBe(201)
  })

  test('are of one profile', async () => {
    const topic = `a${next()}/send`
    const first = { profile: 'esp-rfid-v1.3', topic, unit: '1' }
    expect((await add(first)).status).toBe(201)
    const refused = await add({ ...first, profile: 'esp-rfid-v2', unit: '2' })
    expectProblem(refused, 409)
    expect(refused.body['detail']).toMatch(/profile/)
  })
})

describe('nothing that is published for a reader is read as a scan', () => {
  test('of a topic that the profile makes of another', async () => {
    const device = `door${next()}`
    expect((await tasmota({ name: 'Gate', topic: `tele/${device}/SENSOR` })).status).toBe(201)
    const refused = await plain({ topic: `cmnd/${device}/POWER1` })
    expectProblem(refused, 409)
    expect(refused.body['detail']).toMatch(/Gate/)
  })

  test('the other way round, and from a later change', async () => {
    const device = `door${next()}`
    await plain({ topic: `cmnd/${device}/POWER2` })
    expect((await tasmota({ topic: `tele/${device}/SENSOR` })).status).toBe(201)
    expectProblem(await tasmota({ topic: `tele/${device}x/SENSOR`, replyTopic: 'x', settings: { relay: 9999 } }), 422)
    const { body } = await admin.get(`/readers?q=${device}`)
    const id = body.items.find(({ profile }) => profile === 'tasmota')?.id
    expectProblem(await admin.patch(`/readers/${id}`, { settings: { relay: 2 } }), 409)
  })

  test('on a topic that a setting names', async () => {
    const [topic, pinTopic] = [`node${next()}/rfid/Tag`, `node${next()}/pin/Tag`]
    const espeasy = { profile: 'espeasy', topic }
    expectProblem(await add({ ...espeasy, replyTopic: pinTopic, settings: { pinTopic } }), 422)
    expect((await add({ ...espeasy, settings: { pinTopic } })).status).toBe(201)
    expectProblem(await plain({ replyTopic: pinTopic }), 409)
    expectProblem(await plain({ topic: pinTopic }), 409)
  })

  test('and a reader that is wrong already can still be switched off', async () => {
    const { body } = await plain()
    await api.db.$client`update readers set profile = 'of old' where id = ${body.id}`
    expect((await admin.patch(`/readers/${body.id}`, { enabled: false })).body['enabled']).toBe(false)
    expectProblem(await admin.patch(`/readers/${body.id}`, { topic: 'elsewhere' }), 422, 'profile')
  })
})

test('the profiles are listed with what a form has to know of each', async () => {
  const { status, body } = await admin.get('/profiles')
  expect(status).toBe(200)
  expect(body['items']).toMatchObject(PROFILES.map(({ name, views, unit, keypad }) => ({ name, views, unit, keypad })))
  const [first] = body.items
  expect(Object.keys(first ?? {}).sort()).toEqual(
    ['decides', 'keypad', 'name', 'refuses', 'settings', 'title', 'topics', 'unit', 'views'].sort(),
  )
})
