import { eq, sql } from 'drizzle-orm'
import { beforeAll, describe, expect, test } from 'vitest'
import { audit, lockdowns } from '../db/schema.ts'
import { startTestApi, type TestApi } from '../testing/api.ts'
import { type Caller, expectProblem, signIn, walk } from '../testing/caller.ts'
import { type Bridge, registerBridge, scanOf } from '../testing/sealed.ts'
import { accountOf } from '../testing/things.ts'

// Lockdowns and evacuations: who may pass meanwhile, and what is on record of them.

let api: TestApi
let admin: Caller
let operator: Caller
let bridge: Bridge
let group: string
const readers: string[] = []
const [ADA, GUARD, NOBODY] = ['ADA0', '60A8', '0B0D']
const ids = { ada: '', guard: '' }

const add = async (noun: string, fields: object): Promise<string> => {
  const { status, body } = await admin.post(`/${noun}`, fields)
  expect({ noun, status, body }).toMatchObject({ status: 201 })
  return body.id
}
const reader = async (fields: object = {}) => {
  const id = await add('readers', { name: 'Door', topic: `lockdown/${readers.length}`, cardView: 'hex', ...fields })
  await add('rules', { groupId: group, readerIds: [id] })
  readers.push(id)
  return id
}
const begin = async (fields: object = {}) => {
  const { status, body } = await operator.post('/lockdowns', { kind: 'lockdown', reason: 'A drill', ...fields })
  expect({ status, body }).toMatchObject({ status: 201 })
  return body
}
const end = async (id: string) => expect((await operator.delete(`/lockdowns/${id}`)).status).toBe(204)
const reasonAt = async (readerId: string | undefined, card = ADA) =>
  (await bridge.check(scanOf(String(readerId), card))).reason
const during = async (fields: object, work: (id: string) => Promise<unknown>) => {
  const { id } = await begin(fields)
  try {
    await work(id)
  } finally {
    await end(id)
  }
}
const fromNow = (ms: number) => new Date(Date.now() + ms).toISOString()
const HOUR = 3_600_000

beforeAll(async () => {
  api = await startTestApi()
  admin = await signIn(api, 'admin')
  operator = await signIn(api, 'operator')
  bridge = await registerBridge(api, admin)
  group = await add('groups', { name: 'Staff' })
  ids.ada = await add('people', { name: 'Ada' })
  ids.guard = await add('people', { name: 'Guard', exemptFromLockdown: true })
  for (const [personId, number] of [
    [ids.ada, ADA],
    [ids.guard, GUARD],
  ]) {
    await add('cards', { personId, number })
    await admin.put(`/groups/${group}/people/${personId}`)
  }
  await reader()
  await reader()
})

describe('a lockdown', () => {
  test('everywhere keeps out everybody but who is exempt, until it is ended', async () => {
    expect(await reasonAt(readers[0])).toBe('granted')
    const { id } = await begin()
    for (const at of readers) {
      expect([await reasonAt(at), await reasonAt(at, GUARD), await reasonAt(at, NOBODY)]).toEqual([
        'lockdown',
        'granted',
        'lockdown',
      ])
    }
    await end(id)
    for (const at of readers) expect(await reasonAt(at)).toBe('granted')
    expect(await reasonAt(readers[0], NOBODY)).toBe('unknown_card')
  })

  test('of some readers leaves the others as they are', () =>
    during({ readerIds: [readers[1]] }, async () => {
      expect([await reasonAt(readers[0]), await reasonAt(readers[1])]).toEqual(['granted', 'lockdown'])
    }))

  test('of one reader of a door is one of the others too', async () => {
    const door = { name: 'Gate', profile: 'value-relay', settings: { command: 'lockdown/gate' } }
    const doorId = await add('doors', door)
    const at = async (id: string | null) => {
      for (const one of readers) expect((await admin.patch(`/readers/${one}`, { doorId: id })).status).toBe(200)
    }
    await at(doorId)
    await during({ readerIds: [readers[1]] }, async () => {
      expect([await reasonAt(readers[0]), await reasonAt(readers[1])]).toEqual(['lockdown', 'lockdown'])
      expect(await reasonAt(readers[0], GUARD)).toBe('granted')
    })
    await at(null)
  })

  test('goes on while another one does', async () => {
    const [first, second] = [await begin(), await begin({ readerIds: [readers[0]], until: fromNow(HOUR) })]
    await end(first.id)
    expect([await reasonAt(readers[0]), await reasonAt(readers[1])]).toEqual(['lockdown', 'granted'])
    await end(second.id)
    expect(await reasonAt(readers[0])).toBe('granted')
  })

  test('does not open to who is exempt and has no right to pass', () =>
    during({}, async () => {
      await admin.patch(`/people/${ids.guard}`, { active: false })
      expect(await reasonAt(readers[0], GUARD)).toBe('person_inactive')
      await admin.patch(`/people/${ids.guard}`, { active: true })
      const elsewhere = await add('readers', { name: 'Elsewhere', topic: 'lockdown/elsewhere', cardView: 'hex' })
      expect(await reasonAt(elsewhere, GUARD)).toBe('no_rule')
    }))

  test('is over at its end by itself, and says so', async () => {
    const { id } = await begin({ until: fromNow(HOUR) })
    expect(await reasonAt(readers[0])).toBe('lockdown')
    const until = new Date(Date.now() - 1_000)
    const createdAt = new Date(Date.now() - HOUR)
    await api.db.update(lockdowns).set({ createdAt, until }).where(eq(lockdowns.id, id))
    expect(await reasonAt(readers[0])).toBe('granted')
    const over = { inForce: false, until: until.toISOString(), endedAt: until.toISOString(), endedBy: null }
    expect((await admin.get(`/lockdowns/${id}`)).body).toMatchObject(over)
    expectProblem(await operator.delete(`/lockdowns/${id}`), 409)

    await during({ kind: 'evacuation' }, async () => {
      const [row] = await api.db.select().from(lockdowns).where(eq(lockdowns.id, id))
      expect(row).toMatchObject({ endedAt: until, endedBy: null })
      expect((await admin.get(`/lockdowns/${id}`)).body).toMatchObject(over)
    })
  })

  test('enrols nobody’s card meanwhile, and does when it is over', async () => {
    const at = await reader()
    const enrolment = await add('enrolments', { readerId: at, personId: ids.ada })
    await during({ readerIds: [at] }, async () => expect(await reasonAt(at, 'FACE')).toBe('lockdown'))
    expect((await admin.get(`/enrolments/${enrolment}`)).body).toMatchObject({ state: 'waiting' })
    expect(await reasonAt(at, 'FACE')).toBe('enrolled')
  })

  test('lets in by a PIN alone who is exempt, and nobody else', async () => {
    const at = await reader({ profile: 'z2m-keypad', topic: 'zigbee2mqtt/keypad', cardView: 'text' })
    const pinOf = async (id: string) => {
      const { status, body } = await admin.send('PUT', `/people/${id}/pin`, { body: '{}' })
      expect(status).toBe(200)
      return String(body['pin'])
    }
    const pins = { ada: await pinOf(ids.ada), guard: await pinOf(ids.guard) }
    const typed = async (pin: string) => (await bridge.check(scanOf(at, 'PIN', { pin }))).reason
    expect(await typed(pins.ada)).toBe('granted')
    await during({ readerIds: [at] }, async () => {
      expect([await typed(pins.ada), await typed(pins.guard)]).toEqual(['lockdown', 'granted'])
    })
  })

  test('is told by explain, for the instant that is asked about', async () => {
    const until = fromNow(HOUR)
    const explain = async (card: string, at: string) =>
      (await admin.get(`/explain?readerId=${readers[0]}&card=${card}&at=${at}`)).body
    await during({ until }, async () => {
      expect(await explain(ADA, fromNow(0))).toMatchObject({ reason: 'lockdown', lockdown: { until } })
      expect(await explain(GUARD, fromNow(0))).toMatchObject({ reason: 'granted', lockdown: { until } })
      expect(await explain(ADA, until)).toMatchObject({ reason: 'granted', lockdown: null })
    })
  })

  test('without an end that SQL has written goes on', async () => {
    await during({ until: fromNow(HOUR) }, async (id) => {
      await api.db.execute(sql`update lockdowns set until = 'infinity' where id = ${id}`)
      expect(await reasonAt(readers[0])).toBe('lockdown')
      const { readers: told } = await bridge.config()
      expect(told?.[0]?.lockdown).toEqual({ until: null })
    })
  })
})

test('an evacuation changes no decision', () =>
  during({ kind: 'evacuation' }, async () => expect(await reasonAt(readers[0])).toBe('granted')))

test('a reader that has a door opens it for as long as the door says', async () => {
  const door = await add('doors', {
    name: 'Gate',
    profile: 'value-relay',
    settings: { command: 'gate/open' },
    openMs: 700,
  })
  const at = await reader({ doorId: door, openMs: 5_000 })
  expect(await bridge.check(scanOf(at, ADA))).toMatchObject({ reason: 'granted', openMs: 700 })
  const pages = await bridge.pages()
  expect(pages[0]?.site?.readers.find(({ id }) => id === at)).toMatchObject({ openMs: 700 })
  expect((await bridge.config()).readers?.find(({ id }) => id === at)).toMatchObject({ openMs: 700, doorId: door })
  await admin.patch(`/readers/${at}`, { doorId: null })
  expect(await bridge.check(scanOf(at, ADA))).toMatchObject({ openMs: 5_000 })
})

describe('on record', () => {
  test('is who began and who ended it, where, and why', async () => {
    const until = fromNow(HOUR)
    const lockdown = await begin({ readerIds: [readers[1], readers[0], readers[1]], reason: '  Smoke  ', until })
    const inForce = {
      id: lockdown.id,
      kind: 'lockdown',
      everywhere: false,
      readerIds: readers.slice(0, 2).sort(),
      reason: 'Smoke',
      createdAt: expect.any(String),
      createdBy: operator.id,
      until,
      endedAt: null,
      endedBy: null,
      inForce: true,
    }
    expect(lockdown).toEqual(inForce)
    expect((await admin.get(`/lockdowns/${lockdown.id}`)).body).toEqual(inForce)
    const other = await signIn(api, 'admin')
    expect((await other.delete(`/lockdowns/${lockdown.id}`)).status).toBe(204)
    const over = { ...inForce, endedAt: expect.any(String), endedBy: other.id, inForce: false }
    expect((await admin.get(`/lockdowns/${lockdown.id}`)).body).toEqual(over)
    expectProblem(await other.delete(`/lockdowns/${lockdown.id}`), 409)

    const rows = await api.db.select().from(audit).where(eq(audit.targetId, lockdown.id)).orderBy(audit.number)
    expect(rows).toMatchObject([
      { action: 'lockdowns.create', actorId: operator.id, before: null, after: inForce },
      { action: 'lockdowns.end', actorId: other.id, before: inForce, after: over },
    ])
  })

  test('is what is everywhere as that, without readers', async () => {
    const lockdown = await begin({ kind: 'evacuation' })
    expect(lockdown).toMatchObject({ kind: 'evacuation', everywhere: true, readerIds: [], until: null })
    await end(lockdown.id)
  })

  test('is no reader that was deleted meanwhile', async () => {
    const gone = await add('readers', { name: 'Gone', topic: 'lockdown/gone' })
    await during({ readerIds: [gone, readers[0]] }, async (id) => {
      expect((await admin.delete(`/readers/${gone}`)).status).toBe(204)
      expect((await admin.get(`/lockdowns/${id}`)).body).toMatchObject({ everywhere: false, readerIds: [readers[0]] })
    })
  })

  test('is listed newest first, by kind and by whether it is in force', async () => {
    const [one, two] = [await begin(), await begin({ kind: 'evacuation' })]
    const listed = async (query: string) => (await admin.get(`/lockdowns${query}`)).body.items.map(({ id }) => id)
    expect((await listed('')).slice(0, 2)).toEqual([two.id, one.id])
    expect(await listed('?inForce=true')).toEqual([two.id, one.id])
    expect(await listed('?inForce=true&kind=lockdown')).toEqual([one.id])
    expect(await listed('?inForce=false')).toEqual((await listed('')).slice(2))
    expect(await walk(admin, '/lockdowns?kind=lockdown', 2)).toEqual(await listed('?kind=lockdown&limit=500'))
    await end(one.id)
    await end(two.id)
    expect(await listed('?inForce=true')).toEqual([])
  })

  test.each(['inForce=yes', 'inForce=', 'kind=fire', 'readerId=1'])('is not listed by %s', async (query) => {
    expectProblem(await admin.get(`/lockdowns?${query}`), 422, query.split('=')[0])
  })
})

describe('nothing is shut or opened', () => {
  test.each<[string, object, string]>([
    ['without a kind', { kind: undefined }, 'kind'],
    ['of another kind', { kind: 'fire' }, 'kind'],
    ['without a reason', { reason: undefined }, 'reason'],
    ['for no reason', { reason: ' ' }, 'reason'],
    ['for a reason that is too long', { reason: 'x'.repeat(201) }, 'reason'],
    ['at no reader', { readerIds: [] }, 'readerIds'],
    ['at what is no reader', { readerIds: ['door'] }, 'readerIds.0'],
    ['at a reader that does not exist', { readerIds: [crypto.randomUUID()] }, 'readerIds'],
    ['at more than 500 readers', { readerIds: Array.from({ length: 501 }, () => crypto.randomUUID()) }, 'readerIds'],
    ['until just now', { until: new Date(Date.now() - 1_000).toISOString() }, 'until'],
    ['until some day', { until: 'tomorrow' }, 'until'],
    ['in the name of somebody else', { createdBy: crypto.randomUUID() }, 'createdBy'],
  ])('%s', async (_, change, path) => {
    const before = await api.db.$count(lockdowns)
    const body = { kind: 'lockdown', reason: 'A drill', ...change }
    expectProblem(await operator.post('/lockdowns', body), 422, path)
    expect(await api.db.$count(lockdowns)).toBe(before)
  })

  test('by auditors, members and strangers; and none of them ends it', async () => {
    await during({ readerIds: [readers[0]] }, async (id) => {
      for (const who of [await accountOf(api, 'auditor'), await accountOf(api, 'member', ids.ada)]) {
        expectProblem(await who.post('/lockdowns', { kind: 'lockdown', reason: 'x' }), 403)
        expectProblem(await who.delete(`/lockdowns/${id}`), 403)
      }
      expectProblem(await api.stranger.post('/lockdowns', { kind: 'evacuation', reason: 'x' }), 401)
      expectProblem(await api.stranger.delete(`/lockdowns/${id}`), 401)
      expect(await reasonAt(readers[0])).toBe('lockdown')
    })
  })

  test('twice by ending what nobody began', async () => {
    expectProblem(await operator.delete(`/lockdowns/${crypto.randomUUID()}`), 404)
  })
})
