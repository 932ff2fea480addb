import { v7 } from 'uuid'
import { beforeAll, expect, test, vi } from 'vitest'
import { KNOWN_CARD, type Site, startSite } from './testing/site.ts'

let site: Site

beforeAll(async () => {
  site = await startSite()
})

const eventually = <T>(check: () => T | Promise<T>) => vi.waitFor(check, { timeout: 10_000, interval: 20 })
const quiet = (ms: number) => new Promise((done) => setTimeout(done, ms))

test('the bytes that the old readers send open the door, and the scan is on record with its reason', async () => {
  const door = await site.door()
  const heard = await site.hear(door.replyTopic)

  await site.mqtt.publishAsync(door.topic, KNOWN_CARD)

  await eventually(() => expect(heard).toEqual(['1']))
  expect(await site.events(door)).toMatchObject([
    { cardNumber: KNOWN_CARD, decision: 'granted', reason: 'granted', source: 'online', bridgeId: site.bridgeId },
  ])
})

test('an unknown card is answered 0 and is on record', async () => {
  const door = await site.door()
  const heard = await site.hear(door.replyTopic)

  await site.mqtt.publishAsync(door.topic, '424242', { qos: 1 })

  await eventually(() => expect(heard).toEqual(['0']))
  expect(await site.events(door)).toMatchObject([{ cardNumber: '424242', decision: 'denied', reason: 'unknown_card' }])
})

test('a hex reader is matched in any spelling', async () => {
  const { items } = await site.call('GET', '/people')
  await site.call('POST', '/cards', { personId: items[0]?.['id'], number: 'DE0BA996' })
  const door = await site.door({ cardView: 'hex' })
  const heard = await site.hear(door.replyTopic)

  await site.mqtt.publishAsync(door.topic, 'de-0b-a9-96\n')

  await eventually(() => expect(heard).toEqual(['1']))
})

test('a scan that the broker kept from before is no scan; it is counted, and the bridge goes on', async () => {
  const topic = `/${v7()}/kept`
  await site.mqtt.publishAsync(topic, KNOWN_CARD, { retain: true })
  const door = await site.door({ topic })
  const heard = await site.hear(door.replyTopic)

  await site.bridge.said(/"dropped",[^}]*"retained":\d/)
  await site.mqtt.publishAsync(topic, '', { retain: true })
  await site.mqtt.publishAsync(topic, '77')

  await eventually(() => expect(heard).toEqual(['0']))
  expect(await site.events(door)).toMatchObject([{ cardNumber: '77' }])
})

test.each([
  ['removal', 'a zero', '0'],
  ['removal', 'nothing', ''],
  ['removal', 'blanks', '  '],
  ['removal', 'zeros', '00-00-00-00'],
  ['not_a_card', 'hex at a decimal reader', '0073f04c'],
  ['not_a_card', 'JSON', `{"card":${KNOWN_CARD}}`],
  ['not_text', 'bytes', Buffer.from([0xff, 0xfe, 0x31])],
  ['not_text', 'a hundred thousand digits', '1'.repeat(100_000)],
])('%s: %s is no scan; it is counted, and the bridge goes on', async (reason, _name, payload) => {
  const door = await site.door()
  const heard = await site.hear(door.replyTopic)

  await site.mqtt.publishAsync(door.topic, payload)
  await site.bridge.said(new RegExp(`"dropped",[^}]*"${reason}":\\d`))
  await site.mqtt.publishAsync(door.topic, '77')

  await eventually(() => expect(heard).toEqual(['0']))
  expect(await site.events(door)).toMatchObject([{ cardNumber: '77' }])
})

test('topics are literal: the same one without its leading slash is another one', async () => {
  const door = await site.door()
  const heard = await site.hear(door.replyTopic)

  await site.mqtt.publishAsync(door.topic.slice(1), KNOWN_CARD)
  await site.mqtt.publishAsync(door.topic, '77')

  await eventually(() => expect(heard).toEqual(['0']))
})

test('the same card again within the hold time is answered again and recorded once, however it is spelled', async () => {
  const door = await site.door()
  const heard = await site.hear(door.replyTopic)

  for (const text of [KNOWN_CARD, `000${KNOWN_CARD}`, ` ${KNOWN_CARD} `]) await site.mqtt.publishAsync(door.topic, text)
  await eventually(() => expect(heard).toEqual(['1', '1', '1']))
  await quiet(2_300)
  await site.mqtt.publishAsync(door.topic, KNOWN_CARD)

  await eventually(() => expect(heard).toEqual(['1', '1', '1', '1']))
  expect(await site.events(door)).toHaveLength(1)
})

test('another card at the same reader, or the same card at another, is another scan', async () => {
  const door = await site.door()
  const other = await site.door()
  const heard = await site.hear(door.replyTopic)

  await site.mqtt.publishAsync(door.topic, KNOWN_CARD)
  await site.mqtt.publishAsync(door.topic, '78')
  await site.mqtt.publishAsync(other.topic, KNOWN_CARD)

  await eventually(() => expect(heard.sort()).toEqual(['0', '1']))
  await eventually(async () => expect(await site.events(other)).toHaveLength(1))
  expect(await site.events(door)).toHaveLength(2)
})

test('a reader that is moved is heard on its new topic and no more on the old one, within five seconds', async () => {
  const door = await site.door()
  const heard = await site.hear(door.replyTopic)
  const topic = `${door.topic}/new`

  await site.call('PATCH', `/readers/${door.id}`, { topic })

  await vi.waitFor(
    async () => {
      await site.mqtt.publishAsync(topic, KNOWN_CARD)
      expect(heard).toContain('1')
    },
    { timeout: 5_000, interval: 200 },
  )
  await site.mqtt.publishAsync(door.topic, '79')
  await site.mqtt.publishAsync(topic, '80')
  await eventually(() => expect(heard).toContain('0'))
  expect((await site.events(door)).map((event) => event['cardNumber'])).toEqual(['80', KNOWN_CARD])
})

test('a hundred scans at once are each answered and each recorded, once', async () => {
  const door = await site.door()
  const heard = await site.hear(door.replyTopic)

  const cards = Array.from({ length: 100 }, (_, i) => String(1_000 + i))
  await Promise.all(cards.map((card) => site.mqtt.publishAsync(door.topic, card)))

  await eventually(() => expect(heard).toHaveLength(100))
  const { items } = await site.call('GET', `/events?readerId=${door.id}&limit=500`)
  expect(items.map((event) => event['cardNumber']).sort()).toEqual(cards.sort())
})
