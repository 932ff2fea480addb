import { once } from 'node:events'
import { beforeAll, expect, test, vi } from 'vitest'
import { type Door, type Running, type Site, startSite } from './testing/site.ts'

// A lockdown outlives every process, and holds while nobody can be asked.

let site: Site
let door: Door
let heard: string[]

const PATIENCE = { timeout: 30_000, interval: 50 }

/** Cards of somebody, a new one for each scan: the same one again would be the same scan; and of somebody who is exempt. */
const [CARDS, GUARDS] = [
  ['801', '802', '803', '804', '805', '806'],
  ['901', '902'],
]

/** What the door is answered, and what is on record as soon as it can be. */
const scan = async (card = CARDS.shift() ?? '') => {
  const before = heard.length
  await site.mqtt.publishAsync(door.topic, card, { qos: 1 })
  await vi.waitFor(() => expect(heard.length).toBeGreaterThan(before), PATIENCE)
  return { card, answer: heard.at(-1) }
}
const expectRecorded = ({ card }: { card: string }, event: Record<string, unknown>) =>
  vi.waitFor(async () => {
    const found = (await site.events(door)).filter(({ cardNumber }) => cardNumber === card)
    expect(found).toMatchObject([event])
  }, PATIENCE)

const times = (text: RegExp) => site.bridge.log.join('').match(text)?.length ?? 0
/** Until the bridge has said so once more. */
const toldOf = async (text: RegExp, change: () => Promise<unknown>) => {
  const before = times(text)
  await change()
  await vi.waitFor(() => expect(times(text)).toBeGreaterThan(before), PATIENCE)
}
const SITE = /"event":"site"[^}]*"from":"api"/g

const kill = async ({ child }: Running) => {
  child.kill('SIGKILL')
  await once(child, 'exit')
}
const startBridge = async () => {
  site.startBridge()
  await site.bridge.said(/"listening"/)
}

beforeAll(async () => {
  site = await startSite(1)
  door = await site.door()
  heard = await site.hear(door.replyTopic)
  const [everybody] = (await site.call('GET', '/groups')).items
  for (const [name, numbers, exemptFromLockdown] of [
    ['Bob', CARDS, false],
    ['Guard', GUARDS, true],
  ] as const) {
    const { id } = await site.call('POST', '/people', { name, exemptFromLockdown })
    await site.call('PUT', `/groups/${everybody?.id}/people/${id}`)
    for (const number of numbers) await site.call('POST', '/cards', { personId: id, form: 'decimal', number })
  }
  const all = 1 + CARDS.length + GUARDS.length
  await site.bridge.said(new RegExp(`"event":"snapshot"[^}]*"cards":${all},"from":"api"`))
})

test('a lockdown is kept through the death of every process and the absence of the API, until it is ended', {
  timeout: 120_000,
}, async () => {
  expect(await scan()).toMatchObject({ answer: '1' })

  let lockdown = ''
  await toldOf(SITE, async () => {
    lockdown = (await site.call('POST', '/lockdowns', { kind: 'lockdown', reason: 'A drill' })).id
  })
  const online = await scan()
  expect(online.answer).toBe('0')
  await expectRecorded(online, { reason: 'lockdown', source: 'online' })

  await Promise.all([kill(site.api), kill(site.bridge)])
  await site.startApi()
  await startBridge()
  const restarted = await scan()
  expect(restarted.answer).toBe('0')
  await expectRecorded(restarted, { reason: 'lockdown' })

  site.toApi.cut()
  await kill(site.bridge)
  await startBridge()
  const [offline, exempt] = [await scan(), await scan(GUARDS[0])]
  expect([offline.answer, exempt.answer]).toEqual(['0', '1'])

  await toldOf(SITE, async () => {
    site.toApi.flow()
    await site.call('DELETE', `/lockdowns/${lockdown}`)
  })
  await expectRecorded(offline, { reason: 'lockdown', source: 'offline' })
  await expectRecorded(exempt, { reason: 'granted', source: 'offline' })
  expect(await scan()).toMatchObject({ answer: '1' })
  expect((await site.call('GET', `/lockdowns/${lockdown}`))['inForce']).toBe(false)

  site.toApi.cut()
  await kill(site.bridge)
  await startBridge()
  const released = await scan()
  expect(released.answer).toBe('1')
  site.toApi.flow()
  await expectRecorded(released, { reason: 'granted', source: 'offline' })
})
