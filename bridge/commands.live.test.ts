import { once } from 'node:events'
import { beforeAll, expect, test, vi } from 'vitest'
import { sealingKey } from '../api/contract/envelope.ts'
import { askForCommands } from './ask.ts'
import { apiClock } from './clock.ts'
import { replayOf } from './testing/replay.ts'
import { type Running, type Site, startSite } from './testing/site.ts'

// What doors are told through the API, until it is at the broker, and back; on processes as in production.

let site: Site
const heard: { topic: string; payload: string; retain: boolean }[] = []

const eventually = <T>(check: () => T | Promise<T>) => vi.waitFor(check, { timeout: 30_000, interval: 20 })
const at = (name: string) => heard.filter(({ topic }) => topic === `${name}/relay`).map(({ payload }) => payload)

/** Orders stand in the site: whoever carries one out has seen these doors. */
const seen = async (doorIds: string[]) => {
  const { items } = await site.call('POST', '/commands', { action: 'release', doorIds })
  expect(items.filter(({ state }) => state !== 'delivered')).toEqual([])
}
/** A relay that is heard as `<name>/relay`, and that the bridge knows. */
const door = async (name: string): Promise<string> => {
  const settings = { command: `${name}/relay`, hold: 'hold', release: 'release' }
  const { id } = await site.call('POST', '/doors', { name, profile: 'value-relay', settings })
  await seen([id])
  return id
}
const told = async (action: string, id: string) =>
  (await site.call('POST', '/commands', { action, doorIds: [id], reason: 'A test' })).items[0]
const opened = (id: string) => site.call('POST', `/doors/${id}/open`, { reason: 'A parcel' })
const modeOf = async (id: string) => (await site.call('GET', `/doors/${id}`))['mode']
const delivered = { state: 'delivered', detail: 'sent', bridgeId: expect.any(String) }

const end = async ({ child }: Running, signal: 'SIGKILL' | 'SIGTERM') => {
  const ended = once(child, 'exit')
  child.kill(signal)
  return (await ended)[0]
}

beforeAll(async () => {
  site = await startSite(0)
  site.mqtt.on('message', (topic, payload, { retain }) => heard.push({ topic, payload: payload.toString(), retain }))
  await site.mqtt.subscribeAsync('+/relay', { qos: 1 })
})

test('a door is opened, and whoever asked is told so', async () => {
  const id = await door('one')
  expect(await opened(id)).toMatchObject({ ...delivered, action: 'open', doorId: id, reason: 'A parcel' })
  await eventually(() => expect(heard).toEqual([{ topic: 'one/relay', payload: '1', retain: false }]))
})

test('a reader that has no door opens by its own answer', async () => {
  const replyTopic = 'reader/relay'
  const { id } = await site.call('POST', '/readers', { name: 'Reader', topic: 'reader/card', replyTopic })
  await door('beside')
  expect(await site.call('POST', `/readers/${id}/open`, {})).toMatchObject({ ...delivered, readerId: id })
  await eventually(() => expect(at('reader')).toEqual(['1']))
})

test('a door is held open, locked and released', async () => {
  const id = await door('held')
  expect(await told('hold', id)).toMatchObject(delivered)
  expect(await modeOf(id)).toBe('held')
  await eventually(() => expect(at('held')).toEqual(['hold']))
  expect(await told('lock', id)).toMatchObject(delivered)
  expect(await modeOf(id)).toBe('locked')
  await eventually(() => expect(at('held')).toEqual(['hold', 'release']))
  expect(await told('release', id)).toMatchObject(delivered)
  expect(await modeOf(id)).toBe('scheduled')
  expect(await opened(id)).toMatchObject(delivered)
  await eventually(() => expect(at('held')).toEqual(['hold', 'release', '1']))
})

test('a lockdown lets go what is held open, and nobody opens it meanwhile', async () => {
  const id = await door('guarded')
  await told('hold', id)
  await eventually(() => expect(at('guarded')).toEqual(['hold']))
  const before = performance.now()
  const lockdown = await site.call('POST', '/lockdowns', { kind: 'lockdown', reason: 'A drill' })
  await eventually(() => expect(at('guarded')).toEqual(['hold', 'release']))
  console.info(`a lockdown was at the relay after ${Math.round(performance.now() - before)} ms`)
  expect(await opened(id)).toMatchObject({ state: 'refused', detail: 'locked_down', bridgeId: null })
  expect(at('guarded')).toEqual(['hold', 'release'])
  await site.call('DELETE', `/lockdowns/${lockdown.id}`)
  await eventually(() => expect(at('guarded')).toEqual(['hold', 'release', 'hold']))
  await told('release', id)
})

test('five hundred doors are opened by one request', { timeout: 120_000 }, async () => {
  const rows = await site.sql<{ id: string }[]>`
    insert into doors (id, name, profile, settings, timezone, open_ms, held_open_ms, pre_alarm_ms)
    select gen_random_uuid(), 'Many ' || n, 'value-relay', json_build_object('command', 'many' || n || '/relay'), 'UTC',
      3000, 30000, 10000 from generate_series(1, 500) n returning id`
  const doorIds = rows.map(({ id }) => id)
  await seen(doorIds)
  const before = performance.now()
  const { items } = await site.call('POST', '/commands', { action: 'open', doorIds })
  console.info(`500 doors were delivered after ${Math.round(performance.now() - before)} ms`)
  expect(items.filter(({ state }) => state === 'delivered')).toHaveLength(500)
  const many = () => heard.filter(({ topic }) => topic.startsWith('many'))
  await eventually(() => expect(new Set(many().map(({ topic }) => topic)).size).toBe(500))
  expect(many()).toHaveLength(500)
})

test('a command that is handed out again opens nothing', async () => {
  const command = await opened(await door('again'))
  await site.sql`update commands set state = 'waiting', expires_at = now() + interval '1 minute' where id = ${command.id}`
  await site.bridge.said(new RegExp(`"command_again","command":"${command.id}"`))
  await opened(await door('later'))
  expect(at('again')).toEqual(['1'])
})

test('an answer that is said again opens nothing', { timeout: 90_000 }, async () => {
  const between = await replayOf(site.apiUrl)
  const id = await door('replayed')
  await end(site.bridge, 'SIGKILL')
  await site.startBridge({ API_URL: between.url }).said(/"listening"/)
  expect(await opened(id)).toMatchObject(delivered)
  const again = between.again(2)
  // Another site: so that the question that waits is answered, and the next one is asked.
  await site.call('PATCH', `/doors/${id}`, { name: 'Another' })
  await again
  await opened(await door('afterwards'))
  expect(at('replayed')).toEqual(['1'])
  await end(site.bridge, 'SIGKILL')
  await site.startBridge().said(/"listening"/)
})

test('while the bridge is away nothing is opened, and nothing of it when the bridge is back; orders stand', {
  timeout: 60_000,
}, async () => {
  const [id, held] = [await door('missed'), await door('ordered')]
  await end(site.bridge, 'SIGKILL')
  const lost = { state: 'timed_out', detail: null, bridgeId: null }
  expect(await Promise.all([opened(id), told('hold', held)])).toMatchObject([lost, lost])
  await site.startBridge().said(/"listening"/)
  await eventually(() => expect(at('ordered')).toEqual(['hold']))
  await seen([id])
  expect(at('missed')).toEqual([])
})

test('neither bridge nor API waits for a question about commands when it is told to end', async () => {
  const { id, key } = await site.call('POST', '/bridges', { name: 'Second' })
  const second = { url: site.apiUrl, id, key: sealingKey(Buffer.from(key, 'base64')), clock: apiClock() }
  const ask = (waitMs: number, version?: string) =>
    askForCommands(second, version, waitMs, new AbortController().signal)
  expect(await end(site.bridge, 'SIGTERM')).toBe(0)
  const { version } = await ask(0)
  const waiting = ask(20_000, version)
  await site.call('GET', '/bridges')
  expect(await end(site.api, 'SIGTERM')).toBe(0)
  // Else its connection would have been cut.
  expect(await waiting).toMatchObject({ version, commands: [] })
})
