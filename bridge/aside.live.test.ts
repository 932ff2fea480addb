import { beforeAll, expect, test, vi } from 'vitest'
import { KNOWN_CARD, type Site, startSite } from './testing/site.ts'

// What a bridge does beside its scans, through a broker: it notices devices, and tells readers whom to let in.

let site: Site

beforeAll(async () => {
  // What the tests of others publish meanwhile would be noticed too.
  site = await startSite(0, { aloneAtBroker: true })
})

const eventually = <T>(check: () => T | Promise<T>) => vi.waitFor(check, { timeout: 15_000, interval: 100 })
const say = (topic: string, message: object) => site.mqtt.publishAsync(topic, JSON.stringify(message))
const scan = (uid: string, hostname: string) => ({ type: 'access', uid, access: 'Denied', isKnown: 'false', hostname })

test('a device that nobody has set up is listed, and its card is nowhere', async () => {
  await site.bridge.said(/"listening"/)
  await say('east/send', scan('de0ba996', 'new-one'))
  const item = await eventually(async () => {
    const { items } = await site.call('GET', '/unknown-readers')
    expect(items).toMatchObject([{ profile: 'esp-rfid-v2', topic: 'east/send', unit: 'new-one' }])
    return items[0]
  })
  expect(JSON.stringify(item)).not.toContain('de0ba996')
  expect(site.bridge.log.join('')).not.toMatch(/de0ba996/i)
  expect((await site.call('GET', '/events?limit=500')).items).toEqual([])
})

test('a reader that decides by itself is told whom to let in, and to forget a card that is blocked', async () => {
  const heard = await site.hear('west/cmd')
  const told = () => heard.map((text) => JSON.parse(text) as Record<string, unknown>)
  await site.door({
    topic: 'west/send',
    profile: 'esp-rfid-v2',
    cardView: 'decimal',
    replyTopic: null,
    settings: { accessList: true },
  })
  const beat = () => say('west/send', { type: 'heartbeat', ip: '192.168.1.50', hostname: 'west' })
  const about = { doorip: '192.168.1.50', uid: KNOWN_CARD }
  await eventually(async () => {
    await beat()
    expect(told()).toContainEqual(expect.objectContaining({ cmd: 'adduser', ...about, acctype: '1' }))
  })
  const { items } = await site.call('GET', '/cards')
  await site.call('PATCH', `/cards/${items[0]?.id}`, { status: 'blocked' })
  await eventually(() => expect(told()).toContainEqual({ cmd: 'deletuid', ...about }))
  expect(site.bridge.log.join('')).not.toContain(KNOWN_CARD)
})
