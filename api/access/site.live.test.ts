import { eq } from 'drizzle-orm'
import { base64url, SignJWT } from 'jose'
import { beforeAll, describe, expect, test } from 'vitest'
import { CALLS, type Call, open, seal } from '../contract/envelope.ts'
import { bridges, doors as doorsTable, events, readers } from '../db/schema.ts'
import { startTestApi, type TestApi } from '../testing/api.ts'
import { type Caller, despiteReset, expectProblem, replyOf, signIn } from '../testing/caller.ts'
import { type Bridge, bridgeWith, handedOver, keyOf, post, registerBridge, scanOf } from '../testing/sealed.ts'

// What a bridge may know of its site, and the keys by which the API knows a bridge.

let api: TestApi
let admin: Caller
let bridge: Bridge

beforeAll(async () => {
  api = await startTestApi()
  admin = await signIn(api, 'admin')
  bridge = await registerBridge(api, admin)
  const reader = { profile: 'plain', cardView: 'hex', timezone: 'UTC', openMs: 0 } as const
  const values = { ...reader, name: 'Shed', topic: 'shed/card', settings: { accessList: true } }
  const [row] = await api.db.insert(readers).values(values).returning()
  listed = String(row?.id)
})

const SOMEWHERE = '0198c1a2-0000-7000-8000-000000000000'

type Name = keyof typeof CALLS

/** Where a reader is that is told its access list. */
let listed = ''

const messages: Record<Name, () => Record<string, unknown>> = {
  check: () => ({ scan: scanOf(SOMEWHERE, '1') }),
  config: () => ({}),
  snapshot: () => ({}),
  events: () => ({ events: [handedOver(SOMEWHERE, '1')] }),
  seen: () => ({
    seen: [{ profile: 'plain', topic: 'a/b', at: new Date().toISOString(), messages: 1 }],
  }),
  accessList: () => ({ readerId: listed }),
  commands: () => ({ waitMs: 0 }),
  outcomes: () => ({ outcomes: [{ id: SOMEWHERE, state: 'refused', detail: 'expired' }] }),
  deviceEvents: () => ({ events: [], seen: [] }),
}
const NAMES = Object.keys(messages) as (keyof typeof messages)[]
const asks = (who: Bridge) => Promise.all(NAMES.map((name) => who.ask(CALLS[name], messages[name]())))
/** What all of the calls answer, when it is the same for all. */
const status = async (who: Bridge) => {
  const all = (await asks(who)).map((response) => response.status)
  return new Set(all).size === 1 ? all[0] : all
}

describe('the configuration of a site', () => {
  const SHOWN = ['id', 'name', 'profile', 'topic', 'replyTopic', 'cardView', 'offline', 'offlineHours'] as const
  const shown = (reader: Record<string, unknown>) => ({
    ...Object.fromEntries(SHOWN.map((field) => [field, reader[field]])),
    holdMs: 3_000,
  })
  const addReader = async (topic: string, fields: object = {}) =>
    (await admin.post('/readers', { name: 'Front door', topic, ...fields })).body

  test('is every reader, as a bridge needs to know it', async () => {
    const first = await addReader('/dilny/rfid/Tag', { replyTopic: '/dilny/open' })
    const second = await addReader('dilny/rfid/Tag', {
      cardView: 'hex',
      enabled: false,
      offline: 'deny',
      offlineHours: 8_760,
    })
    const { readers, now, version } = await bridge.config()
    // The third is the one that is told its access list.
    expect(readers).toHaveLength(3)
    expect(readers).toEqual(expect.arrayContaining([first, second].map((one) => expect.objectContaining(shown(one)))))
    expect(version).not.toBe('')
    expect(new Date(now).toISOString()).toBe(now)
  })

  test('is not repeated to a bridge that has it, and is to one that has another', async () => {
    const { version } = await bridge.config()
    const again = await bridge.config(version)
    expect(again).toEqual({ version, now: expect.any(String), snapshot: expect.any(String) })
    expect((await bridge.config('older')).readers).toBeDefined()
  })

  test('gets another version with every change to a reader, and with nothing else', async () => {
    const versions = [(await bridge.config()).version]
    const changed = async () => {
      const { version, readers } = await bridge.config(versions.at(-1))
      versions.push(version)
      return readers
    }
    const { id } = await addReader('site/1')
    expect((await changed())?.map((reader) => reader.id)).toContain(id)
    await admin.patch(`/readers/${id}`, { topic: 'site/2' })
    expect((await changed())?.find((reader) => reader.id === id)?.topic).toBe('site/2')
    await admin.patch(`/readers/${id}`, { topic: 'site/1' })
    expect((await changed())?.find((reader) => reader.id === id)?.topic).toBe('site/1')
    await admin.patch(`/readers/${id}`, { offline: 'deny', offlineHours: 1 })
    expect((await changed())?.find((reader) => reader.id === id)).toMatchObject({ offline: 'deny', offlineHours: 1 })

    await admin.post('/people', { name: 'Ada' })
    await admin.post('/groups', { name: 'Staff' })
    expect(await changed()).toBeUndefined()

    await admin.delete(`/readers/${id}`)
    expect((await changed())?.map((reader) => reader.id)).not.toContain(id)
    const unchanged = versions.map((version, i) => version === versions[i - 1])
    expect(unchanged).toEqual([false, false, false, false, false, true, false])
  })

  describe('with its doors', () => {
    const add = async (noun: string, fields: object): Promise<string> => {
      const { status, body } = await admin.post(`/${noun}`, fields)
      expect({ noun, status, body }).toMatchObject({ status: 201 })
      return body.id
    }
    const drill = (kind: 'lockdown' | 'evacuation', fields: object = {}) =>
      add('lockdowns', { kind, reason: 'A drill', ...fields })
    const end = (id: string) => admin.delete(`/lockdowns/${id}`)
    const HOUR = 3_600_000
    const fromNow = (ms: number) => new Date(Date.now() + ms).toISOString()
    const windows = [{ days: [1], from: '07:00', to: '17:30' }]
    const ids = { gate: '', lift: '', gateIn: '', gateOut: '', other: '', day: '', night: '' }

    /** Of every reader and door of these tests: what is in force there. */
    const inForce = async (kind: 'lockdown' | 'evacuation') => {
      const { readers: all = [], doors = [] } = await bridge.config()
      const found = Object.entries(ids).map(([name, id]) => [name, [...all, ...doors].find((one) => one.id === id)])
      return Object.fromEntries(
        found.flatMap(([name, one]) => (typeof one === 'object' && one[kind] ? [[name, one[kind].until]] : [])),
      )
    }

    beforeAll(async () => {
      ids.day = await add('schedules', { name: 'Day', windows })
      ids.night = await add('schedules', { name: 'Night', windows: [] })
      const profile = 'value-relay'
      ids.gate = await add('doors', { name: 'Gate', profile, settings: { command: 'gate' }, holdScheduleId: ids.day })
      ids.lift = await add('doors', { name: 'Lift', profile, settings: { command: 'lift' } })
      ids.gateIn = (await addReader('gate/in', { doorId: ids.gate })).id
      ids.gateOut = (await addReader('gate/out', { doorId: ids.gate })).id
      ids.other = (await addReader('gate/other')).id
    })

    test('has every door as a bridge needs to know it, and each reader’s', async () => {
      await api.db.update(doorsTable).set({ mode: 'held', modeUntil: new Date('2030-01-01T00:00:00Z') })
      const { readers: all = [], doors = [] } = await bridge.config()
      expect(doors.toSorted((a, b) => (a.name < b.name ? -1 : 1))).toEqual([
        {
          id: ids.gate,
          name: 'Gate',
          profile: 'value-relay',
          settings: { command: 'gate' },
          timezone: 'UTC',
          openMs: 3_000,
          heldOpenMs: 30_000,
          preAlarmMs: 10_000,
          hold: windows,
          mode: 'held',
          modeUntil: '2030-01-01T00:00:00.000Z',
          lockdown: null,
          evacuation: null,
          homeAssistant: 'off',
        },
        expect.objectContaining({ id: ids.lift, hold: null }),
      ])
      const doorOf = (id: string) => all.find((reader) => reader.id === id)?.doorId
      expect([doorOf(ids.gateIn), doorOf(ids.gateOut), doorOf(ids.other)]).toEqual([ids.gate, ids.gate, null])
    })

    test.each(['lockdown', 'evacuation'] as const)(
      'tells of a %s where it is, at the doors there, and at whatever else opens these',
      async (kind) => {
        const other = kind === 'lockdown' ? 'evacuation' : 'lockdown'
        const everywhere = await drill(kind)
        expect(await inForce(kind)).toEqual({ gate: null, lift: null, gateIn: null, gateOut: null, other: null })
        expect(await inForce(other)).toEqual({})
        await end(everywhere)
        expect(await inForce(kind)).toEqual({})

        const until = fromNow(HOUR)
        const some = await drill(kind, { readerIds: [ids.gateIn, ids.other], until })
        expect(await inForce(kind)).toEqual({ gate: until, gateIn: until, gateOut: until, other: until })
        await end(some)
      },
    )

    test('tells of several only the one that lasts longest', async () => {
      const [soon, later] = [fromNow(HOUR), fromNow(2 * HOUR)]
      const all = [
        await drill('lockdown', { readerIds: [ids.gateIn], until: soon }),
        await drill('lockdown', { readerIds: [ids.gateOut], until: later }),
        await drill('lockdown', { readerIds: [ids.gateIn], until: soon }),
      ]
      expect(await inForce('lockdown')).toEqual({ gate: later, gateIn: later, gateOut: later })
      all.push(await drill('lockdown', { readerIds: [ids.gateIn] }))
      expect(await inForce('lockdown')).toEqual({ gate: null, gateIn: null, gateOut: null })
      for (const id of all) await end(id)
    })

    const CHANGES: [string, () => Promise<unknown>][] = [
      ['a door that is added', async () => add('doors', { name: 'One', profile: 'nuki', settings: { device: 'n/1' } })],
      ['a door that is renamed', () => admin.patch(`/doors/${ids.lift}`, { name: 'Elevator' })],
      ['a door that opens for longer', () => admin.patch(`/doors/${ids.lift}`, { openMs: 9_000 })],
      ['a door that gets a schedule', () => admin.patch(`/doors/${ids.lift}`, { holdScheduleId: ids.day })],
      ['a door that loses it', () => admin.patch(`/doors/${ids.lift}`, { holdScheduleId: null })],
      ['a door in another mode', () => api.db.update(doorsTable).set({ mode: 'locked' })],
      ['a schedule that holds a door open', () => admin.patch(`/schedules/${ids.day}`, { windows: [] })],
      ['a reader that opens another door', () => admin.patch(`/readers/${ids.other}`, { doorId: ids.lift })],
      ['a lockdown', async () => drilled.push(await drill('lockdown'))],
      ['a lockdown of one reader', async () => drilled.push(await drill('lockdown', { readerIds: [ids.gateIn] }))],
      ['an evacuation', async () => drilled.push(await drill('evacuation', { readerIds: [ids.gateIn] }))],
      ['a reader that is deleted from a lockdown', () => admin.delete(`/readers/${ids.gateIn}`)],
      ['the end of a lockdown', () => end(drilled[0] ?? '')],
      ['the end of an evacuation', () => end(drilled[2] ?? '')],
    ]
    const drilled: string[] = []
    test.each(CHANGES)('has another version after %s', async (_, change) => {
      const before = (await bridge.config()).version
      await change()
      const after = (await bridge.config()).version
      expect(after).not.toBe(before)
      expect((await bridge.config()).version).toBe(after)
    })

    test.each<[string, () => Promise<unknown>]>([
      ['a schedule that holds no door open', () => admin.patch(`/schedules/${ids.night}`, { windows })],
      ['a lockdown that was over before', () => end(drilled[0] ?? '')],
      ['a rule', async () => admin.delete(`/rules/${await rule()}`)],
      ['somebody who is exempt', async () => add('people', { name: 'Guard', exemptFromLockdown: true })],
      ['a scan', () => bridge.check(scanOf(ids.other, '1'))],
      ['a schedule that is deleted', () => admin.delete(`/schedules/${ids.night}`)],
    ])('has the same version after %s', async (_, change) => {
      const before = (await bridge.config()).version
      await change()
      expect((await bridge.config()).version).toBe(before)
    })
    const rule = async () => add('rules', { groupId: await add('groups', { name: 'Staff' }), readerIds: [ids.other] })
  })

  test('is the same version for every bridge', async () => {
    const other = await registerBridge(api, admin)
    expect((await other.config()).version).toBe((await bridge.config()).version)
  })

  test('shows when a bridge last asked for it', async () => {
    const fresh = await registerBridge(api, admin)
    const seen = async () => (await admin.get(`/bridges/${fresh.id}`)).body['lastSeenAt']
    expect(await seen()).toBeNull()
    const { now } = await fresh.config()
    expect(Math.abs(Date.parse(String(await seen())) - Date.parse(now))).toBeLessThan(10_000)
  })

  test('carries the mark of its question, so that no other answer can pass for it', async () => {
    for (const [call, message] of [
      [CALLS.config, {}],
      [CALLS.snapshot, {}],
      [CALLS.events, { events: [handedOver(crypto.randomUUID(), '1')] }],
    ] as const) {
      const answer = await (await bridge.ask(call, { ...message, nonce: 'this very question' })).text()
      expect(await open(answer, call.answer, await keyOf(bridge.key), new Date())).toMatchObject({
        nonce: 'this very question',
      })
    }
  })

  test.each([
    ['a field more', { version: 'x', site: 1 }],
    ['a version that is a number', { version: 1 }],
    ['a version that is too long', { version: 'x'.repeat(65) }],
  ])('is not given for %s', async (_, message) => {
    expectProblem(await replyOf(await bridge.ask(CALLS.config, message)), 422)
  })
})

describe('the key of a bridge', () => {
  test('is 32 bytes, and shown only when the bridge is registered and when it is rotated', async () => {
    const { status, body } = await admin.post('/bridges', { name: 'Attic' })
    expect({ status, body }).toEqual({
      status: 201,
      body: { id: body.id, name: 'Attic', lastSeenAt: null, key: expect.stringMatching(/^[\w-]{43}$/) },
    })
    const path = `/bridges/${body.id}`
    const rotated = await admin.post(`${path}/rotate`)
    expect(rotated.body).toEqual({ ...body, key: expect.stringMatching(/^[\w-]{43}$/) })
    expect(rotated.body['key']).not.toBe(body['key'])

    const { key: _, ...withoutKey } = body
    expect((await admin.get(path)).body).toEqual({ ...withoutKey, online: false })
    expect((await admin.patch(path, { name: 'Attic' })).body).toEqual(withoutKey)
    expect((await admin.get('/bridges?q=attic')).body.items).toEqual([{ ...withoutKey, online: false }])
    const row = JSON.stringify(await api.db.select().from(bridges).where(eq(bridges.id, body.id)))
    for (const key of [body['key'], rotated.body['key']]) expect(row).not.toContain(String(key))
  })

  const rotate = async (old: Bridge, body?: object) =>
    bridgeWith(api, old.id, String((await admin.post(`/bridges/${old.id}/rotate`, body)).body['key']))
  const passes = async (who: Bridge) => expect(await status(who)).toBe(200)
  const isNobody = async (who: Bridge) => expect(await status(who)).toBe(401)

  test('is good beside the new one for a while after it was rotated, in turns too, and then no more', async () => {
    const old = await registerBridge(api, admin)
    await passes(old)
    const fresh = await rotate(old)
    for (const who of [old, fresh, old, fresh]) await passes(who)

    await api.db.update(bridges).set({ previousUntil: new Date() }).where(eq(bridges.id, old.id))
    await isNobody(old)
    await passes(fresh)
    await isNobody(old)
  })

  test('ends at once when it is told to, and when another one follows', async () => {
    const stolen = await registerBridge(api, admin)
    await passes(stolen)
    const second = await rotate(stolen, { keepMinutes: 0 })
    await isNobody(stolen)
    const third = await rotate(second)
    await isNobody(stolen)
    await passes(second)
    await rotate(third)
    await isNobody(second)
    await passes(third)
  })

  test.each([
    { keepMinutes: -1 },
    { keepMinutes: 10_081 },
    { keepMinutes: 1.5 },
    { keepMinutes: '60' },
    { minutes: 1 },
  ])('is not kept for %j', async (body) =>
    expectProblem(await admin.post(`/bridges/${bridge.id}/rotate`, body), 422, Object.keys(body)[0]),
  )

  test('is refused at once when the bridge was deleted', async () => {
    const gone = await registerBridge(api, admin)
    expect(await status(gone)).toBe(200)
    const before = await api.db.$count(events)
    expect((await admin.delete(`/bridges/${gone.id}`)).status).toBe(204)
    expect(await status(gone)).toBe(401)
    expect(await api.db.$count(events)).toBe(before)
  })

  test('is not changed by a new name', async () => {
    const renamed = await registerBridge(api, admin)
    await admin.patch(`/bridges/${renamed.id}`, { name: 'Renamed' })
    expect(await status(renamed)).toBe(200)
  })
})

describe('a message', () => {
  type Made = { aud?: string | undefined; kid?: unknown; alg?: string; key?: string; age?: number; claims?: object }

  /** What a bridge would send, but for what the row says. */
  const make = async (name: Name, { aud, kid, alg = 'HS256', key, age = 0, claims }: Made = {}) => {
    const iat = Math.floor(Date.now() / 1000) - age
    const payload = {
      ...messages[name](),
      aud: aud ?? CALLS[name].ask,
      iat,
      exp: iat + 30,
      jti: crypto.randomUUID(),
      ...claims,
    }
    const header = { alg, kid: kid === undefined ? bridge.id : kid } as { alg: string }
    return new SignJWT(payload).setProtectedHeader(header).sign(base64url.decode(key ?? bridge.key))
  }
  const refused = async (call: Call, sealed: string) => {
    const response = await post(api, call, sealed)
    return { status: response.status, type: response.headers.get('content-type'), body: await response.text() }
  }
  const unsigned = async (name: Name, alg: string) => {
    const [, payload] = (await make(name)).split('.')
    return `${base64url.encode(JSON.stringify({ alg, kid: bridge.id }))}.${payload}.`
  }

  test.each(NAMES)('to %s that is made as below is good, so what refuses the others is their fault', async (name) => {
    expect((await post(api, CALLS[name], await make(name))).status).toBe(200)
    expect((await post(api, CALLS[name], await make(name, { age: 15 }))).status).toBe(200)
  })

  let unknown: Awaited<ReturnType<typeof refused>>

  beforeAll(async () => {
    unknown = await refused(CALLS.check, await make('check', { kid: crypto.randomUUID() }))
    expect(unknown).toMatchObject({ status: 401, type: 'application/problem+json' })
  })

  const ROWS: [string, (name: Name) => Promise<string>][] = [
    ['of a bridge that is unknown', (name) => make(name, { kid: crypto.randomUUID() })],
    [
      'of a bridge that is unknown, with an id that is nobody’s',
      (name) => make(name, { kid: SOMEWHERE.replaceAll(/[1-9a-f]/g, '0') }),
    ],
    ['of nobody', (name) => make(name, { kid: null })],
    ['of a number', (name) => make(name, { kid: 1 })],
    ['of a name that is very long', (name) => make(name, { kid: 'x'.repeat(4_000) })],
    ['of a name with SQL', (name) => make(name, { kid: "' or true --" })],
    ['sealed with another key', (name) => make(name, { key: base64url.encode(new Uint8Array(32).fill(7)) })],
    ['sealed with another bridge’s key', async (name) => make(name, { key: (await registerBridge(api, admin)).key })],
    ['with a broken seal', async (name) => (await make(name)).replace(/.{8}$/, 'AAAAAAAA')],
    ['without a seal', async (name) => (await make(name)).replace(/[^.]+$/, '')],
    ['of the algorithm none', (name) => unsigned(name, 'none')],
    ['of another algorithm', (name) => make(name, { alg: 'HS512' })],
    ['31 s old', (name) => make(name, { age: 31 })],
    ['31 s old that would be good for a year', (name) => make(name, { age: 31, claims: { exp: 4_102_444_800 } })],
    ['from the future', (name) => make(name, { age: -31 })],
    ['without a time', (name) => make(name, { claims: { iat: undefined } })],
    ['without an end', (name) => make(name, { claims: { exp: undefined } })],
    ['without an id', (name) => make(name, { claims: { jti: undefined } })],
    ['for nobody', (name) => make(name, { claims: { aud: undefined } })],
    ['for the answer', (name) => make(name, { aud: CALLS[name].answer })],
    ['that is not sealed', async (name) => JSON.stringify(messages[name]())],
    ['that is empty', async () => ''],
    ['of two parts', async (name) => (await make(name)).split('.').slice(0, 2).join('.')],
  ]
  const FOR_OTHERS = NAMES.flatMap((name) =>
    NAMES.filter((other) => other !== name)
      .flatMap((other) => [CALLS[other].ask, CALLS[other].answer])
      .map((aud) => [`for ${aud}`, name, () => make(name, { aud })] as const),
  )
  const MADE = [
    ...ROWS.flatMap(([what, made]) => NAMES.map((name) => [what, name, () => made(name)] as const)),
    ...FOR_OTHERS,
  ]
  test.each(MADE)('%s is refused by %s in the same words as any other', async (_, name, made) => {
    const [recorded, seen] = [await api.db.$count(events), await api.db.select().from(bridges)]
    expect(await refused(CALLS[name], await made())).toEqual(unknown)
    expect(await api.db.$count(events)).toBe(recorded)
    const known = new Set(seen.map(({ id }) => id))
    expect((await api.db.select().from(bridges)).filter(({ id }) => known.has(id))).toEqual(seen)
  })

  test('says the same in the same way for every 401', async () => {
    const reply = await replyOf(await post(api, CALLS.check, await make('check', { kid: crypto.randomUUID() })))
    expectProblem(reply, 401)
    expect(reply.body['detail']).not.toContain(bridge.id)
  })

  test('may name its bridge in capital letters', async () => {
    expect((await post(api, CALLS.config, await make('config', { kid: bridge.id.toUpperCase() }))).status).toBe(200)
  })

  test('needs no token of an account, and one is of no use', async () => {
    const sealed = await seal({}, CALLS.config.ask, SOMEWHERE, await keyOf(bridge.key), new Date())
    const headers = { authorization: `Bearer ${admin.token}` }
    expect((await api.fetch(CALLS.config.path, { method: 'POST', headers, body: sealed })).status).toBe(401)
  })

  const LARGE: readonly Name[] = ['events', 'seen', 'deviceEvents', 'outcomes']
  const LIMITS: [Name, number][] = NAMES.map((name) => [name, LARGE.includes(name) ? 256 : 16])
  test.each(LIMITS)('to %s may have %i KiB, and one byte more is a 413', async (name, limit) => {
    const sized = (bytes: number) => despiteReset(() => post(api, CALLS[name], 'x'.repeat(bytes)))
    expectProblem(await replyOf(await sized(limit * 1024)), 401)
    expectProblem(await replyOf(await sized(limit * 1024 + 1)), 413)
  })

  test.each(['GET', 'PUT', 'DELETE'])('is only ever posted: not %s', async (method) => {
    for (const name of NAMES) expectProblem(await replyOf(await api.fetch(CALLS[name].path, { method })), 404)
  })
})
