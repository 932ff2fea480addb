import { once } from 'node:events'
import { beforeAll, expect, test, vi } from 'vitest'
import { type Running, type Site, startSite } from './testing/site.ts'

// Several bridges at one broker. Shared subscriptions are MQTT 5: the embedded broker has none, Mosquitto has.

let site: Site

beforeAll(async () => {
  site = await startSite()
  site.bridge.child.kill('SIGTERM')
  await once(site.bridge.child, 'exit')
})

const eventually = <T>(check: () => T | Promise<T>) => vi.waitFor(check, { timeout: 20_000, interval: 50 })

const member = async (name: string): Promise<Running & { id: string }> => {
  const { id, key } = await site.call('POST', '/bridges', { name })
  return { ...site.startBridge({ BRIDGE_ID: id, BRIDGE_KEY: String(key), BRIDGE_GROUP: 'house' }), id }
}

if (process.env['TEST_MQTT_URL'] === undefined) {
  test('a bridge of a group says so when the broker has no shared subscriptions, and listens to nothing', async () => {
    const bridge = await member('One')
    await bridge.said(/"no_group".*BRIDGE_GROUP/)
    expect(bridge.log.join('')).not.toContain('"listening"')
  })
} else {
  test('the bridges of a group share the scans, none is decided twice, and when one dies the other goes on', async () => {
    const members = await Promise.all(['One', 'Two'].map(member))
    for (const bridge of members) await bridge.said(/"listening"/)
    const door = await site.door()
    const heard = await site.hear(door.replyTopic)
    const scan = async (from: number, count: number) => {
      const cards = Array.from({ length: count }, (_, i) => String(from + i))
      for (const card of cards) await site.mqtt.publishAsync(door.topic, card, { qos: 1 })
      return cards
    }
    const record = async () => (await site.call('GET', `/events?readerId=${door.id}&limit=500`)).items

    const shared = await scan(1_000, 40)
    await eventually(() => expect(heard).toHaveLength(40))
    expect((await record()).map(({ cardNumber }) => cardNumber).sort()).toEqual(shared)
    const deciders = new Set((await record()).map(({ bridgeId }) => bridgeId))
    expect([...deciders].sort()).toEqual(members.map(({ id }) => id).sort())

    const [dead, alive] = members
    const said = await site.hear(`lintel/bridge/${dead?.id}/status`)
    dead?.child.kill('SIGKILL')
    await eventually(() => expect(said.at(-1)).toBe('offline'))
    const alone = await scan(2_000, 20)
    await eventually(() => expect(heard).toHaveLength(60))
    const later = (await record()).filter(({ cardNumber }) => String(cardNumber) >= '2000')
    expect(later.map(({ cardNumber }) => cardNumber).sort()).toEqual(alone)
    expect(later.every(({ bridgeId, reason }) => bridgeId === alive?.id && reason === 'unknown_card')).toBe(true)
  })
}
