import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DOORS } from '../contract/doors.ts'
import { PROFILES } from '../contract/profiles.ts'
import { isPassword, passwordOf, usernameOf } from './accounts.ts'
import { hashed } from './mosquitto.ts'
import { may, mayBeCalled, type Rules, rulesOf, type Site } from './rules.ts'
import { covers, meet } from './topics.ts'

const NOW = new Date('2026-01-31T08:00:00Z')
const idOf = (n: number) => `00000000-0000-7000-8000-${n.toString(16).padStart(12, '0')}`

let made = 0
const reader = (fields: Partial<Site['readers'][number]>): Site['readers'][number] => ({
  id: idOf(++made),
  name: `Reader ${made}`,
  profile: 'plain',
  topic: `scan/${made}`,
  replyTopic: null,
  unit: null,
  settings: {},
  brokerGeneration: 1,
  ...fields,
})
const door = (fields: Partial<Site['doors'][number]>): Site['doors'][number] => ({
  id: idOf(++made),
  name: `Door ${made}`,
  profile: 'value-relay',
  settings: { command: `door/${made}` },
  brokerGeneration: 1,
  ...fields,
})
const bridge = (fields: Partial<Site['bridges'][number]> = {}): Site['bridges'][number] => ({
  id: idOf(++made),
  name: 'Bridge',
  generation: 1,
  previousUntil: null,
  ...fields,
})
const site = (fields: Partial<Site>): Site => ({ readers: [], doors: [], bridges: [], ...fields })
const accountOf = (rules: Rules, kind: 'reader' | 'door' | 'bridge', { id }: { id: string }) => {
  const account = rules.accounts.get(usernameOf(kind, id))
  if (!account) throw new Error('there is no such account')
  return account
}

describe('a firmware’s own namespace', () => {
  test('is its device’s, with every reader and door that is told in it', () => {
    const [one, two] = ['/dilny/rfid/Tag', '/dilny/rfid2/Tag'].map((topic) => reader({ profile: 'espeasy', topic }))
    const relay = door({ settings: { command: '/dilny/GPIO/12', state: '/dilny/relay/State' } })
    const rules = rulesOf(site({ readers: [one, two].flatMap((r) => r ?? []), doors: [relay] }), NOW)
    const account = accountOf(rules, 'door', relay)
    expect(account.publish).toEqual(accountOf(rules, 'reader', one ?? relay).publish)
    expect(may(rules, account.username, 'subscribe', '/dilny/#')).toBe(true)
    expect(may(rules, account.username, 'publish', '/dilny/rfid2/Tag')).toBe(true)
    expect(may(rules, account.username, 'publish', '/dilny/GPIO/12')).toBe(false)
  })

  test('ends where another reader says its cards: then the wildcard is left out, with the reason', () => {
    const unit = reader({ profile: 'espeasy', topic: '/dilny/rfid/Tag' })
    const other = reader({ topic: '/dilny/vrata' })
    const rules = rulesOf(site({ readers: [unit, other] }), NOW)
    const { username, refused } = accountOf(rules, 'reader', unit)
    expect(refused).toEqual([
      { action: 'subscribe', topic: '/dilny/#', reason: 'Another device says its cards or PINs there.' },
    ])
    expect(may(rules, username, 'subscribe', '/dilny/#')).toBe(false)
    expect(may(rules, username, 'subscribe', '/dilny/cmd')).toBe(true)
  })

  test('is no way to a relay of its own that another device has', () => {
    const unit = reader({ profile: 'tasmota', topic: 'tele/a/SENSOR' })
    const relay = door({ profile: 'shelly-gen2', settings: { device: 'cmnd/a', short: true } })
    const rules = rulesOf(site({ readers: [unit], doors: [relay] }), NOW)
    expect(accountOf(rules, 'reader', unit).refused).toMatchObject([{ topic: 'cmnd/a/#' }])
    expect(accountOf(rules, 'door', relay).publish).not.toContain('tele/a/SENSOR')
  })
})

/** A reader and a door of one firmware: their profiles, topics and settings, what the device subscribes to, and what opens it. */
const ONE_DEVICE: [string, Partial<Site['readers'][number]>, Partial<Site['doors'][number]>, string, string][] = [
  ['espeasy', { topic: '/dilny/rfid/Tag' }, { settings: { node: '/dilny', gpio: 12 } }, '/dilny/#', '/dilny/cmd'],
  ['tasmota', { topic: 'tele/door1/SENSOR' }, { settings: { device: 'door1' } }, 'cmnd/door1/#', 'cmnd/door1/POWER1'],
  [
    'esphome',
    { topic: 'hall/card', settings: { prefix: 'hall' } },
    { settings: { prefix: 'hall', lock: 'strike' } },
    'hall/+/+/command',
    'hall/lock/strike/command',
  ],
  [
    'z2m-lock',
    { topic: 'zigbee2mqtt/front' },
    { settings: { topic: 'zigbee2mqtt/front' } },
    'zigbee2mqtt/#',
    'zigbee2mqtt/front/set',
  ],
  [
    'esp-rfid-v2',
    { topic: '/rfid/send', unit: 'hall' },
    { settings: { base: '/rfid', unit: 'hall' } },
    '/rfid/cmd',
    '/rfid/cmd',
  ],
  [
    'homekey-esp32',
    { topic: '4c11ae/homekey/auth' },
    { settings: { client: '4c11ae' } },
    '4c11ae/homekit/+',
    '4c11ae/homekit/set_target_state',
  ],
]

test.each(ONE_DEVICE)(
  'a device of %s that reads and opens has one set of rights',
  (profile, reads, opens, own, told) => {
    const [one, other] = [reader({ profile, ...reads }), door({ profile, ...opens })]
    const rules = rulesOf(site({ readers: [one], doors: [other] }), NOW)
    const [asReader, asDoor] = [accountOf(rules, 'reader', one), accountOf(rules, 'door', other)]
    expect(asDoor.publish).toEqual(asReader.publish)
    expect(asDoor.subscribe).toEqual(asReader.subscribe)
    for (const { username } of [asReader, asDoor]) {
      expect(may(rules, username, 'subscribe', own)).toBe(true)
      expect(may(rules, username, 'publish', one.topic)).toBe(true)
      expect(may(rules, username, 'publish', told)).toBe(false)
    }
  },
)

describe('what somebody set up', () => {
  test.each([
    ['lintel/bridge/x/echo', 'It is for bridges alone.'],
    ['homeassistant/lock/a/config', 'It is for bridges alone.'],
  ])('where bridges speak (%s) gives a device no right there', (topic, reason) => {
    const contact = reader({ profile: 'espeasy', topic: '/a/b/Tag', settings: { contactTopic: topic } })
    const rules = rulesOf(site({ readers: [contact], bridges: [bridge()] }), NOW)
    const { username, refused } = accountOf(rules, 'reader', contact)
    expect(refused).toContainEqual({ action: 'publish', topic, reason })
    expect(may(rules, username, 'publish', topic)).toBe(false)
  })

  test('as the state of a door that another one is told to open by does not let the first one open it', () => {
    const gate = door({ settings: { command: 'gate/open' } })
    const liar = door({ settings: { command: 'other/open', state: 'gate/open' } })
    const rules = rulesOf(site({ doors: [gate, liar] }), NOW)
    expect(may(rules, usernameOf('door', liar.id), 'publish', 'gate/open')).toBe(false)
  })

  test('as a contact that is another reader’s cards does not let it say them', () => {
    const victim = reader({ topic: 'cards' })
    const liar = reader({ profile: 'espeasy', topic: '/a/b/Tag', settings: { contactTopic: 'cards' } })
    const rules = rulesOf(site({ readers: [victim, liar] }), NOW)
    expect(may(rules, usernameOf('reader', liar.id), 'publish', 'cards')).toBe(false)
    expect(may(rules, usernameOf('reader', victim.id), 'publish', 'cards')).toBe(true)
  })
})

test('a bridge may share what it hears with others, tells every door, and lets nothing be kept there', () => {
  const gate = door({ settings: { command: 'gate/open' } })
  const terminal = reader({ profile: 'vf-access', topic: 'access_device/v2/event/access_online' })
  const [one, two] = [bridge(), bridge()]
  const rules = rulesOf(site({ readers: [terminal], doors: [gate], bridges: [one, two] }), NOW)
  const name = usernameOf('bridge', one.id)
  const publish = (topic: string, retain = false) => may(rules, name, 'publish', topic, { retain })
  expect([publish('gate/open'), publish('gate/open', true)]).toEqual([true, false])
  const reply = 'access_device/v2/event/e472/access_online_reply'
  expect([publish(reply), publish(reply, true), publish('access_device/v2/event/+/access_online_reply')]).toEqual([
    true,
    false,
    false,
  ])
  expect([publish(`lintel/bridge/${one.id}/status`, true), publish(`lintel/bridge/${two.id}/status`)]).toEqual([
    true,
    false,
  ])
  const subscribe = (filter: string) => may(rules, name, 'subscribe', filter)
  expect(['#', '$share/lintel-house/gate/+', '$SYS/#', '$share/x/$SYS/#', 'a/#/b'].map(subscribe)).toEqual([
    true,
    true,
    false,
    false,
    false,
  ])
  expect(may(rules, usernameOf('door', gate.id), 'subscribe', '$share/x/gate/open')).toBe(false)
})

test('a client id that begins as a bridge’s does is for that bridge', () => {
  const [one, two] = [bridge(), bridge()]
  const rules = rulesOf(site({ bridges: [one, two] }), NOW)
  const account = accountOf(rules, 'bridge', one)
  // It has more than one connection.
  const own = [`lintel-${one.id}`, `lintel-${one.id}-watch`, `lintel-${one.id}-home-assistant`, 'mqttjs_1']
  const others = [`lintel-${two.id}`, `lintel-${two.id}-watch`, 'lintel-', `lintel-${one.id}x`]
  expect(own.filter((id) => mayBeCalled(account, id))).toEqual(own)
  expect(others.filter((id) => mayBeCalled(account, id))).toEqual([])
})

test('two ids that end alike are nobody’s account', () => {
  const one = reader({})
  const rules = rulesOf(site({ readers: [one, reader({ id: one.id.replace('7000', '7001') })] }), NOW)
  expect(rules.accounts.size).toBe(0)
})

describe('a password', () => {
  const [KEY, BEFORE] = [1, 2].map((n) => Uint8Array.from({ length: 32 }, (_, i) => i * n)) as [Uint8Array, Uint8Array]
  const holder = { kind: 'bridge' as const, id: idOf(7), generations: [3, 2] }

  test('is short enough for small firmwares, and another one for each kind, id and generation', async () => {
    const all = await Promise.all([
      passwordOf(KEY, 'bridge', idOf(7), 3),
      passwordOf(KEY, 'bridge', idOf(7), 2),
      passwordOf(KEY, 'reader', idOf(7), 3),
      passwordOf(KEY, 'bridge', idOf(8), 3),
      passwordOf(BEFORE, 'bridge', idOf(7), 3),
    ])
    for (const password of all) expect(password).toMatch(/^[\w-]{24}$/)
    expect(new Set(all).size).toBe(all.length)
    expect(usernameOf('reader', idOf(0xabc)).length).toBeLessThanOrEqual(24)
  })

  test('is good for the generations that are, under the key of before too, and for nobody who is not there', async () => {
    const good = (given: string, of: typeof holder | undefined = holder) => isPassword([KEY, BEFORE], of, given)
    for (const [key, generation] of [
      [KEY, 3],
      [KEY, 2],
      [BEFORE, 3],
    ] as const) {
      expect(await good(await passwordOf(key, 'bridge', idOf(7), generation))).toBe(true)
    }
    const now = await passwordOf(KEY, 'bridge', idOf(7), 3)
    const nobodys = await passwordOf(KEY, 'reader', idOf(0), 0)
    const bad = [
      await passwordOf(KEY, 'bridge', idOf(7), 1),
      '',
      `${now}A`,
      now.slice(1),
      `${now}\0`,
      nobodys,
      'A'.repeat(9_000),
    ]
    for (const given of bad) expect(await good(given)).toBe(false)
    expect(await isPassword([KEY], undefined, nobodys)).toBe(false)
  })

  test('is written as Mosquitto writes it', () => {
    // mosquitto_passwd 2.0 made this line, of the password `lintel`.
    const [, , , salt = '', hash = ''] = KNOWN.split('$')
    expect(hashed('lintel', Buffer.from(salt, 'base64'))).toBe(KNOWN)
    expect(hash).toHaveLength(88)
  })
})

const KNOWN =
  '$7$101$jcE69bD9Hu0JJcuS$5SdFVlvnPLTt0U6JT/nH86X92tkUhRdmvS+3YA/OiXQ/o/mtNvygLlr3MOkuL/52sOIka5u/yZ/mPa8CuqYpfQ=='

/** Any site that the API would take, and some that it would not. */
const level = fc.constantFrom('a', 'b', 'tele', 'cmnd', 'rfid', 'zigbee2mqtt')
const topic = fc.array(level, { minLength: 1, maxLength: 3 }).map((levels) => levels.join('/'))
const settings = (known: Record<string, { kind: string; choices?: string[] }>) =>
  fc.record(
    Object.fromEntries(
      Object.entries(known).map(([name, { kind, choices = [] }]) => [
        name,
        kind === 'number'
          ? fc.integer({ min: 0, max: 3 })
          : kind === 'boolean'
            ? fc.boolean()
            : kind === 'choice'
              ? fc.constantFrom(...choices)
              : kind === 'level'
                ? level
                : topic,
      ]),
    ),
    { requiredKeys: [] },
  )
const topicLike = (template: string) =>
  topic.map((text) =>
    template.replaceAll(/\{\w+(\.\.\.|\/)?\}/g, (_, many) =>
      many === '/' ? `${text}/` : many ? text : (text.split('/')[0] ?? 'a'),
    ),
  )
const anyReader = fc.constantFrom(...PROFILES).chain(({ name, topics, unit, settings: known }) =>
  fc.record({
    profile: fc.constant(name),
    topic: topicLike(topics[0] ?? ''),
    replyTopic: fc.option(topic),
    unit: unit ? fc.option(level) : fc.constant(null),
    settings: settings(known),
  }),
)
const anyDoor = fc
  .constantFrom(...DOORS)
  .chain(({ name, settings: known }) => fc.record({ profile: fc.constant(name), settings: settings(known) }))

test('property: whatever is set up, no device may speak where a door is told anything, nor hear another one’s cards', () => {
  fc.assert(
    fc.property(fc.array(anyReader, { maxLength: 6 }), fc.array(anyDoor, { maxLength: 3 }), (some, more) => {
      const one = bridge()
      const [readers, doors] = [
        some.map((fields) => reader(fields as object)),
        more.map((fields) => door(fields as object)),
      ]
      const rules = rulesOf(site({ readers, doors, bridges: [one] }), NOW)
      const told = [...rules.told.topics, ...rules.told.filters]
      const reserved = ['lintel/bridge/#', 'lintel/door/#', 'homeassistant/#']
      for (const { kind, username, publish, subscribe } of rules.accounts.values()) {
        if (kind === 'bridge') continue
        for (const right of publish) {
          expect({ right, told: told.filter((where) => meet(right, where)) }).toEqual({ right, told: [] })
        }
        for (const right of [...publish, ...subscribe]) {
          expect({ right, meets: reserved.filter((where) => meet(right, where)) }).toEqual({ right, meets: [] })
          expect(right.startsWith('$') || covers(right, 'somewhere/else')).toBe(false)
        }
        for (const filter of ['#', '+/#', '$SYS/#', '+']) {
          if (may(rules, username, 'subscribe', filter)) throw new Error(`${username} may hear ${filter}`)
        }
      }
      // Whoever has a topic of its own is heard there by nobody else, wildcard or not.
      for (const victim of readers.filter(({ profile }) => profile === 'plain')) {
        for (const { kind, id, username } of rules.accounts.values()) {
          if (kind === 'bridge' || id === victim.id) continue
          expect({ username, hears: may(rules, username, 'subscribe', victim.topic) }).toEqual({
            username,
            hears: false,
          })
        }
      }
    }),
    { numRuns: 150 },
  )
})
