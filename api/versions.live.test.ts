import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Aedes } from 'aedes'
import { connectAsync, type MqttClient } from 'mqtt'
import postgres, { type Sql } from 'postgres'
import { v7 } from 'uuid'
import { beforeAll, describe, expect, test, vi } from 'vitest'
import { verifyChain } from './audit/verify.ts'
import { APP_KEY, type Client, overHttp, type Reply } from './testing/api.ts'
import { freshDatabase } from './testing/database.ts'
import { whenFileEnds } from './testing/endings.ts'
import { previousVersion } from './testing/previous.ts'
import { type ApiProcess, startApiProcess, startProcess } from './testing/processes.ts'
import { bridgeWith, handedOver, registerBridge, scanOf } from './testing/sealed.ts'

// While an upgrade is rolled out, the version before the newest migration and this one run side by side on one database,
// which is migrated already. Each has to be good for what the other writes.

type Version = ApiProcess & { folder: string }
const versions = {} as { old: Version; present: Version }
let url: string
let sql: Sql

beforeAll(async () => {
  const folder = await previousVersion()
  const database = await freshDatabase()
  url = database.url
  sql = postgres(url, { max: 1, onnotice: () => {} })
  whenFileEnds(async () => {
    await sql.end()
    await database.close()
  })
  versions.old = { ...(await startApiProcess(url, {}, folder)), folder }
  versions.present = { ...(await startApiProcess(url, { DRAIN_SECONDS: '1' })), folder: process.cwd() }
})

const PAIRS = [
  ['old', 'present'],
  ['present', 'old'],
] as const

/** What both versions know of a thing, as the one has it and as the other has it. */
const alike = ({ body: one }: Reply, { body: other }: Reply): void => {
  const both = (of: Record<string, unknown>, by: Record<string, unknown>) =>
    Object.fromEntries(Object.entries(of).filter(([name]) => name in by))
  expect(Object.keys(both(one, other))).toContain('id')
  expect(both(other, one)).toEqual(both(one, other))
}

let made = 0

/** One of each, through the front door of one version: a card that may pass a reader, and what there is besides. */
const makeAt = async (owner: Client) => {
  const name = `Thing ${++made}`
  const add = async (noun: string, fields: object) => {
    const reply = await owner.post(`/${noun}`, fields)
    expect({ noun, ...reply }).toMatchObject({ status: 201 })
    return { noun, path: `/${noun}/${reply.body.id}`, id: reply.body.id }
  }
  const number = `0498C1A2B3C4${(made + 16).toString(16).toUpperCase()}`
  const everyDay = [{ days: [1, 2, 3, 4, 5, 6, 7], from: '00:00', to: '24:00' }]
  const topics = { topic: `${v7()}/tag`, replyTopic: `${v7()}/open` }
  const person = await add('people', { name })
  const group = await add('groups', { name })
  const reader = await add('readers', { name, ...topics, cardView: 'hex' })
  const schedule = await add('schedules', { name, windows: everyDay })
  const card = await add('cards', { personId: person.id, number })
  const settings = { command: `${v7()}/open` }
  const door = await add('doors', { name, profile: 'value-relay', settings })
  const rule = await add('rules', { groupId: group.id, readerIds: [reader.id], scheduleId: schedule.id })
  expect((await owner.put(`${group.path}/people/${person.id}`)).status).toBe(204)
  return { all: [person, group, reader, schedule, card, door, rule], person, reader, topics, number }
}

const eventsOf = async ({ owner }: Version, readerId: string) => (await owner.get(`/events?readerId=${readerId}`)).body

test('both are ready', async () => {
  for (const { fetch } of Object.values(versions)) expect((await fetch('/ready')).status).toBe(200)
})

describe.each(PAIRS)('of the %s and the %s version', (one, another) => {
  test('who signed in at the first is signed in at the other, and goes on there', async () => {
    const { token, refreshToken } = versions[one]
    const there = versions[another]
    expect((await overHttp(there.fetch, token).get('/me')).status).toBe(200)
    const { status, body } = await overHttp(there.fetch).post('/login/refresh', { refresh_token: refreshToken })
    expect(status).toBe(200)
    expect((await overHttp(versions[one].fetch, String(body['access_token'])).get('/me')).status).toBe(200)
  })

  test('what the first makes the other shows, changes and decides by', async () => {
    const [here, there] = [versions[one], versions[another]]
    const { all, person, reader, number } = await makeAt(here.owner)
    for (const { path } of all) alike(await here.owner.get(path), await there.owner.get(path))

    expect((await there.owner.patch(person.path, { name: 'Changed' })).body['name']).toBe('Changed')
    expect((await here.owner.get(person.path)).body['name']).toBe('Changed')

    const bridge = await registerBridge(here, here.owner)
    const [atHere, atThere] = [bridge, bridgeWith(there, bridge.id, bridge.key)]
    const scan = scanOf(reader.id, number)
    const answer = await atThere.check(scan)
    expect(answer).toMatchObject({ decision: 'granted', reason: 'granted' })
    expect(await atHere.check(scan)).toEqual(answer)
    expect(await atHere.check(scanOf(reader.id, number))).toMatchObject({ reason: 'granted' })
    expect(await atThere.check(scanOf(reader.id, 'DEADBEEF'))).toMatchObject({ reason: 'unknown_card' })
    for (const asked of [atHere, atThere]) {
      expect(await asked.handOver([handedOver(reader.id, number)])).toBe(1)
      expect((await asked.config()).readers?.map(({ id }) => id)).toContain(reader.id)
      expect((await asked.pages()).length).toBeGreaterThan(0)
    }
    const [seenHere, seenThere] = [await eventsOf(here, reader.id), await eventsOf(there, reader.id)]
    expect(seenHere.items.map(({ reason }) => reason).sort()).toEqual(
      ['granted', 'granted', 'unavailable', 'unavailable', 'unknown_card'].sort(),
    )
    expect(seenThere.items.map(({ id }) => id)).toEqual(seenHere.items.map(({ id }) => id))
  })

  test('a bridge of the first is told and answered by the other', async () => {
    const [here, there] = [versions[one], versions[another]]
    const { number, topics } = await makeAt(there.owner)
    const { id, key } = await registerBridge(there, there.owner)
    const broker = await aBroker()
    const dataDir = await mkdtemp(join(tmpdir(), 'lintel-versions-'))
    whenFileEnds(() => rm(dataDir, { recursive: true, force: true }))
    const env = { API_URL: there.url, MQTT_URL: broker.url, BRIDGE_ID: id, BRIDGE_KEY: key, DATA_DIR: dataDir }
    const bridge = startProcess('bridge/main.ts', env, here.folder)
    const heard: string[] = []
    broker.client.on('message', (_, payload) => heard.push(payload.toString()))
    await broker.client.subscribeAsync(topics.replyTopic)
    await bridge.says(/"listening"/)
    await broker.client.publishAsync(topics.topic, number)
    await vi.waitFor(() => expect(heard).toEqual(['1']), { timeout: 10_000, interval: 20 })
    bridge.child.kill('SIGTERM')
    expect((await bridge.ends()).code).toBe(0)
  })
})

const aBroker = async (): Promise<{ url: string; client: MqttClient }> => {
  const aedes = await Aedes.createBroker()
  const server = createServer({ noDelay: true }, aedes.handle).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const at = `mqtt://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`
  const client = await connectAsync(at, { protocolVersion: 4 })
  whenFileEnds(async () => {
    await client.endAsync(true)
    await new Promise<void>((done) => aedes.close(done))
    server.close()
  })
  return { url: at, client }
}

type Parameter = { in: string; required?: boolean }
type Document = { paths: Record<string, { get?: { parameters?: Parameter[] } }> }

test('whatever the old one lists it can still list, and so can the present one', async () => {
  const { paths }: Document = await (await versions.old.fetch('/openapi.json')).json()
  const lists = Object.entries(paths)
    .filter(([path, { get }]) => get && path.startsWith('/api/v1/') && !/\{|\/stream$/.test(path))
    .filter(([, { get }]) => !get?.parameters?.some(({ required }) => required))
    .map(([path]) => path.slice('/api/v1'.length))
  expect(lists.length).toBeGreaterThan(15)
  for (const path of lists) {
    for (const { owner } of Object.values(versions)) {
      expect({ path, status: (await owner.get(path)).status }).toEqual({ path, status: 200 })
    }
  }
})

test('the audit log that both write is whole to each of them', async () => {
  const { rows, findings } = await verifyChain(sql)
  expect({ enough: rows > 30, findings }).toEqual({ enough: true, findings: [] })
  const env = { APP_KEY, DATABASE_URL: url }
  const verified = await startProcess('api/audit/verify-main.ts', env, versions.old.folder).ends()
  expect(verified).toMatchObject({ code: 0 })
})

test('neither has met an error, and both end in good order: the present one once it has drained', async () => {
  for (const { text } of Object.values(versions)) {
    expect(
      text()
        .split('\n')
        .filter((line) => /"level":"(error|warn)"/.test(line)),
    ).toEqual([])
  }
  versions.old.child.kill('SIGTERM')
  expect((await versions.old.ends()).code).toBe(0)
  const told = performance.now()
  versions.present.child.kill('SIGTERM')
  expect((await versions.present.ends()).code).toBe(0)
  expect(performance.now() - told).toBeGreaterThan(1_000)
})
