import { once } from 'node:events'
import { connectAsync } from 'mqtt'
import { beforeAll, expect, test, vi } from 'vitest'
import { type Site, startSite } from './testing/site.ts'

// A bridge with Home Assistant at the other end of its broker.

/** Of this file alone, where others use the same broker. */
const PREFIX = `home-${process.pid}`

let site: Site

const end = async () => {
  site.bridge.child.kill('SIGKILL')
  await once(site.bridge.child, 'exit')
}
const begin = async () => {
  site.startBridge({ HOME_ASSISTANT: PREFIX })
  await site.bridge.said(/"listening"/)
}
beforeAll(async () => {
  site = await startSite(0)
  await end()
  await begin()
})

const eventually = <T>(check: () => T | Promise<T>, timeout = 20_000) => vi.waitFor(check, { timeout, interval: 50 })
const said = async (topics: { config: string; state: string; relay: string }) => ({
  configs: await site.hear(topics.config),
  states: await site.hear(topics.state),
  opened: await site.hear(topics.relay),
})
const door = async () => {
  const relay = `${PREFIX}/${Math.random().toString(36).slice(2)}/relay`
  const { id } = await site.call('POST', '/doors', {
    name: 'Front door',
    profile: 'value-relay',
    settings: { command: relay },
    openMs: 500,
    homeAssistant: 'command',
  })
  const of = `lintel/door/${id}`
  const topics = { config: `${PREFIX}/device/lintel_${id}/config`, state: `${of}/state`, set: `${of}/set`, relay }
  return { id, ...topics, ...(await said(topics)) }
}

/** Kept by the broker, as somebody sees who comes now. */
const isKept = async (topic: string, payload: string | undefined) => {
  const { host, port } = site.mqtt.options
  const client = await connectAsync(`mqtt://${host}:${port}`, { protocolVersion: 4 })
  const first = new Promise((done) => client.once('message', (_, bytes, { retain }) => done([String(bytes), retain])))
  await client.subscribeAsync(topic)
  expect(await first).toEqual([payload, true])
  await client.endAsync(true)
}

/** A bridge that does not listen yet hears no order. */
const unlock = (set: string, opened: readonly string[]) =>
  eventually(async () => {
    await site.mqtt.publishAsync(set, 'UNLOCK')
    await eventually(() => expect(opened).toContain('1'), 2_000)
  })

test('a door is announced, opens by an order, and is taken back when it is set to off', async () => {
  const { id, config, set, state, configs, states, opened } = await door()
  const [announced = ''] = await eventually(() => {
    expect(states).toEqual(['LOCKED'])
    return configs
  })
  await isKept(config, announced)
  await isKept(state, 'LOCKED')
  const { dev, cmps } = JSON.parse(announced)
  expect(dev).toMatchObject({ name: 'Front door' })
  expect(cmps.lock).toMatchObject({ command_topic: set, state_topic: state })

  await unlock(set, opened)
  await eventually(() => expect(states.join()).toMatch(/UNLOCKED,LOCKED$/))
  expect(site.bridge.log.join('')).toMatch(/"event":"home_assistant_order".*"state":"delivered"/)

  await site.call('PATCH', `/doors/${id}`, { homeAssistant: 'off' })
  await eventually(() => expect([configs.at(-1), states.at(-1)]).toEqual(['', '']))
  opened.splice(0)
  await site.mqtt.publishAsync(set, 'UNLOCK')
  await expect(eventually(() => expect(opened).not.toEqual([]), 1_000)).rejects.toThrow()
})

test('an order that the broker kept opens nothing, and a door that was deleted meanwhile is taken back', async () => {
  const { id, set, configs, opened } = await door()
  await eventually(() => expect(configs).toHaveLength(1))
  await end()
  await site.mqtt.publishAsync(set, 'UNLOCK', { retain: true })
  await begin()
  await site.bridge.said(/"event":"home_assistant_ignored","retained":1/)
  expect(opened).toEqual([])

  await end()
  await site.call('DELETE', `/doors/${id}`)
  await begin()
  await eventually(() => expect(configs.at(-1)).toBe(''))
  await site.mqtt.publishAsync(set, '', { retain: true })
})
