import { eq, inArray } from 'drizzle-orm'
import { beforeAll, describe, expect, test } from 'vitest'
import { audit, commands, doors } from '../db/schema.ts'
import { type Reply, startTestApi, type TestApi } from '../testing/api.ts'
import { type Caller, expectProblem, signIn, walk } from '../testing/caller.ts'
import { type Bridge, registerBridge } from '../testing/sealed.ts'
import { accountOf } from '../testing/things.ts'

// What somebody tells doors to do, and what they are answered; on its way to the bridge it is seen in access/commands.

let api: TestApi
let admin: Caller
let operator: Caller
let bridge: Bridge
/** A door with a reader, and a reader that has none. */
let door = ''
let paired = ''
let alone = ''

const add = async (noun: string, fields: object): Promise<string> => {
  const { status, body } = await admin.post(`/${noun}`, fields)
  expect({ noun, status, body }).toMatchObject({ status: 201 })
  return body.id
}
let made = 0
const addDoor = () =>
  add('doors', { name: 'Door', profile: 'value-relay', settings: { command: `commands/door/${++made}` } })
const addReader = (fields: object = {}) =>
  add('readers', {
    name: 'Reader',
    topic: `commands/reader/${++made}`,
    replyTopic: `commands/reply/${made}`,
    ...fields,
  })

const fromNow = (ms: number) => new Date(Date.now() + ms).toISOString()
const HOUR = 3_600_000
const order = (fields: object, who = operator) => who.post('/commands', { action: 'open', ...fields })
const modeOf = async (id: string) =>
  (await api.db.select({ mode: doors.mode, modeUntil: doors.modeUntil }).from(doors).where(eq(doors.id, id)))[0]

/** What is answered when a bridge says so of each command that it is given. */
const carriedOut = async (
  asking: Promise<Reply>,
  outcome: { state: 'delivered' | 'refused'; detail: 'opened' | 'device_offline' | 'sent' },
): Promise<Reply> => {
  const answered = asking.then(() => true)
  for (;;) {
    const { commands } = await bridge.commands(0)
    if (commands.length > 0) await bridge.outcomes(commands.map(({ id }) => ({ id, ...outcome })))
    if (await Promise.race([answered, new Promise((go) => setTimeout(go, 100))])) return asking
  }
}
const SENT = { state: 'delivered', detail: 'sent' } as const

beforeAll(async () => {
  api = await startTestApi()
  admin = await signIn(api, 'admin')
  operator = await signIn(api, 'operator')
  bridge = await registerBridge(api, admin)
  door = await addDoor()
  paired = await addReader({ doorId: door })
  alone = await addReader()
})

describe('a command', () => {
  test('is answered with what its bridge says, and is on record with who, why and what came of it', async () => {
    const reply = await carriedOut(operator.post(`/doors/${door}/open`, { reason: '  A parcel ' }), {
      state: 'delivered',
      detail: 'opened',
    })
    const expected = {
      id: expect.any(String),
      action: 'open',
      doorId: door,
      readerId: null,
      reason: 'A parcel',
      until: null,
      state: 'delivered',
      detail: 'opened',
      createdAt: expect.any(String),
      expiresAt: expect.any(String),
      settledAt: expect.any(String),
      bridgeId: bridge.id,
      by: { kind: 'account', id: operator.id },
    }
    expect(reply).toMatchObject({ status: 201 })
    expect(reply.body).toEqual(expected)
    expect((await operator.get(`/commands/${reply.body.id}`)).body).toEqual(expected)
    const rows = await api.db.select().from(audit).where(eq(audit.action, 'commands.create'))
    expect(rows).toMatchObject([
      {
        actorId: operator.id,
        targetKind: 'door',
        targetId: door,
        before: null,
        after: { action: 'open', doorIds: [door], readerIds: [], reason: 'A parcel', ids: [reply.body.id] },
      },
    ])
  })

  test('opens what a reader without a door opens by itself', async () => {
    const reply = await carriedOut(operator.post(`/readers/${alone}/open`, {}), {
      state: 'refused',
      detail: 'device_offline',
    })
    expect(reply).toMatchObject({
      status: 201,
      body: { doorId: null, readerId: alone, state: 'refused', detail: 'device_offline' },
    })
  })

  test('for several is one for each, and one where somebody is named twice', async () => {
    const other = await addDoor()
    const { status, body } = await carriedOut(order({ doorIds: [door, other, door], readerIds: [alone, alone] }), SENT)
    expect({ status, items: body.items }).toMatchObject({ status: 201, items: [SENT, SENT, SENT] })
    expect(new Set(body.items.map(({ doorId, readerId }) => doorId ?? readerId))).toEqual(new Set([door, other, alone]))
  })

  test.each([
    ['hold', 'held', fromNow(HOUR)],
    ['hold', 'held', null],
    ['lock', 'locked', fromNow(HOUR)],
    ['release', 'scheduled', null],
  ])('to %s makes the door %s for as long as is said', async (action, mode, until) => {
    const { body } = await carriedOut(order({ action, doorIds: [door], until }), SENT)
    expect(body.items).toMatchObject([{ action, until, ...SENT }])
    expect(await modeOf(door)).toEqual({ mode, modeUntil: until === null ? null : new Date(until) })
    expect((await admin.get(`/doors/${door}`)).body).toMatchObject({ mode, modeUntil: until })
  })

  test('of which nobody says anything has timed out; what was ordered stands, and no bridge gets it any more', async () => {
    const [missed, held] = [await addDoor(), await addDoor()]
    const replies = await Promise.all([
      operator.post(`/doors/${missed}/open`, {}),
      order({ action: 'hold', doorIds: [held] }),
    ])
    const lost = { state: 'timed_out', detail: null, bridgeId: null, settledAt: expect.any(String) }
    expect(replies).toMatchObject([
      { status: 201, body: lost },
      { status: 201, body: { items: [lost] } },
    ])
    expect(await modeOf(held)).toEqual({ mode: 'held', modeUntil: null })
    expect((await bridge.commands(0)).commands).toEqual([])
  })
})

describe('during a lockdown', () => {
  const during = async (fields: object, work: () => Promise<void>) => {
    const { body } = await operator.post('/lockdowns', { kind: 'lockdown', reason: 'A drill', ...fields })
    await work()
    expect((await operator.delete(`/lockdowns/${body.id}`)).status).toBe(204)
  }
  const refused = { state: 'refused', detail: 'locked_down', bridgeId: null }

  test('nothing is opened or held open, also not afterwards; and what is elsewhere is', () =>
    during({ readerIds: [paired] }, async () => {
      const [elsewhere, before] = [await addDoor(), await modeOf(door)]
      for (const action of ['open', 'hold']) {
        const { body } = await order({ action, doorIds: [door] })
        expect(body.items).toMatchObject([refused])
      }
      expect(await modeOf(door)).toEqual(before)
      const { body } = await carriedOut(order({ doorIds: [door, elsewhere], readerIds: [alone] }), SENT)
      expect(body.items.map(({ doorId, state }) => [doorId, state])).toEqual([
        [door, 'refused'],
        [elsewhere, 'delivered'],
        [null, 'delivered'],
      ])
    }))

  test('everywhere no door is opened, and no reader', () =>
    during({}, async () => {
      const { body } = await order({ doorIds: [door], readerIds: [alone] })
      expect(body.items).toMatchObject([refused, refused])
    }))

  test('a door can be locked', () =>
    during({ readerIds: [paired] }, async () => {
      const { body } = await carriedOut(order({ action: 'lock', doorIds: [door] }), SENT)
      expect(body.items).toMatchObject([SENT])
      expect(await modeOf(door)).toMatchObject({ mode: 'locked' })
    }))

  test('who has to get out comes first', () =>
    during({}, async () => {
      const { body: evacuation } = await operator.post('/lockdowns', { kind: 'evacuation', reason: 'Fire' })
      const { body } = await carriedOut(order({ doorIds: [door] }), SENT)
      expect(body.items).toMatchObject([SENT])
      await operator.delete(`/lockdowns/${evacuation.id}`)
    }))
})

describe('nothing is told to any door', () => {
  const soon = fromNow(HOUR)
  const some = (most: number) => Array.from({ length: most }, () => crypto.randomUUID())
  test.each<[string, () => object, string]>([
    ['where none is named', () => ({}), 'doorIds'],
    ['that does not exist', () => ({ doorIds: [door, crypto.randomUUID()] }), 'doorIds.1'],
    ['of a reader that does not exist', () => ({ readerIds: [crypto.randomUUID()] }), 'readerIds.0'],
    ['through a reader that has one', () => ({ readerIds: [alone, paired] }), 'readerIds.1'],
    ['which is a reader, but to open', () => ({ action: 'hold', readerIds: [alone] }), 'readerIds'],
    ['until just now', () => ({ action: 'hold', doorIds: [door], until: fromNow(-1_000) }), 'until'],
    ['until some day', () => ({ action: 'hold', doorIds: [door], until: 'tomorrow' }), 'until'],
    ['to open until later', () => ({ doorIds: [door], until: soon }), 'until'],
    ['to be released until later', () => ({ action: 'release', doorIds: [door], until: soon }), 'until'],
    ['that it does not know', () => ({ action: 'explode', doorIds: [door] }), 'action'],
    ['for too long a reason', () => ({ doorIds: [door], reason: 'x'.repeat(201) }), 'reason'],
    ['of more than 500', () => ({ doorIds: some(501) }), 'doorIds'],
    ['of more than 500 readers', () => ({ readerIds: some(501) }), 'readerIds'],
    ['in the name of somebody else', () => ({ doorIds: [door], by: { kind: 'system' } }), 'by'],
  ])('%s', async (_, fields, path) => {
    const [before, written] = [await modeOf(door), await api.db.$count(commands)]
    expectProblem(await order(fields(), admin), 422, path)
    expect([await modeOf(door), await api.db.$count(commands)]).toEqual([before, written])
  })

  test('through the address of a reader that has one, or that is not there', async () => {
    expectProblem(await admin.post(`/readers/${paired}/open`, {}), 422, 'id')
    expectProblem(await admin.post(`/doors/${door}/open`, { until: soon }), 422, 'until')
    for (const noun of ['doors', 'readers']) {
      expectProblem(await admin.post(`/${noun}/${crypto.randomUUID()}/open`, {}), 404)
    }
  })

  test('by auditors, members and strangers', async () => {
    const written = await api.db.$count(commands)
    const member = await accountOf(api, 'member', await add('people', { name: 'Ada' }))
    for (const who of [await accountOf(api, 'auditor'), member]) {
      expectProblem(await order({ doorIds: [door] }, who), 403)
      expectProblem(await who.post(`/doors/${door}/open`, {}), 403)
      expectProblem(await who.post(`/readers/${alone}/open`, {}), 403)
    }
    expectProblem(await api.stranger.post('/commands', { action: 'open', doorIds: [door] }), 401)
    expectProblem(await api.stranger.post(`/doors/${door}/open`, {}), 401)
    expect(await api.db.$count(commands)).toBe(written)
  })

  test('more than sixty times at once by one caller, who is told when again; others may meanwhile', async () => {
    const hurried = await signIn(api, 'operator')
    const unknown = crypto.randomUUID()
    const replies: Reply[] = []
    // What is wrong counts as well: so nobody has to wait for a door here.
    do replies.push(await order({ doorIds: [unknown] }, hurried))
    while (replies.at(-1)?.status === 422 && replies.length < 200)
    const last = replies.at(-1)
    expect(replies.length).toBeGreaterThan(60)
    if (!last) throw new Error('nothing was asked')
    expectProblem(last, 429)
    expect(Number(last.headers.get('retry-after'))).toBeGreaterThan(0)
    expectProblem(await hurried.post(`/doors/${door}/open`, {}), 429)
    expectProblem(await order({ doorIds: [unknown] }, await signIn(api, 'operator')), 422)
  })
})

describe('the list', () => {
  const mine: string[] = []
  let at = ''
  beforeAll(async () => {
    at = await addDoor()
    const told = { action: 'open', doorId: at, actorKind: 'system' } as const
    for (const n of [1, 2, 3, 4, 5]) {
      const createdAt = new Date(Date.UTC(2020, 0, n))
      const state = n === 1 ? 'refused' : 'delivered'
      const [row] = await api.db
        .insert(commands)
        .values({ ...told, state, createdAt, expiresAt: createdAt })
        .returning()
      mine.unshift(String(row?.id))
    }
  })
  const listed = async (query: string) =>
    (await admin.get(`/commands?limit=500&${query}`)).body.items.map(({ id }) => id)

  test('is newest first, page by page', async () => {
    const all = await walk(admin, '/commands', 3)
    expect(all.slice(-5)).toEqual(mine)
    expect(all).toHaveLength(await api.db.$count(commands))
    expect(await walk(admin, `/commands?doorId=${at}`, 2)).toEqual(mine)
  })

  test('is by door, reader, state and time, `from` inclusive and `to` exclusive', async () => {
    expect(await listed(`doorId=${at}&state=refused`)).toEqual(mine.slice(-1))
    expect(await listed(`doorId=${at}&from=2020-01-02T00:00:00Z&to=2020-01-04T00:00:00Z`)).toEqual(mine.slice(2, 4))
    const ofReader = await listed(`readerId=${alone}`)
    const rows = await api.db.select().from(commands).where(inArray(commands.id, ofReader))
    expect(new Set(rows.map(({ readerId }) => readerId))).toEqual(new Set([alone]))
  })

  test.each(['state=lost', 'doorId=1', 'from=yesterday', 'until=2020-01-01T00:00:00Z'])(
    'is not by %s',
    async (query) => {
      expectProblem(await admin.get(`/commands?${query}`), 422, query.split('=')[0])
    },
  )
})
