import { eq } from 'drizzle-orm'
import { afterEach, beforeAll, describe, expect, inject, test } from 'vitest'
import { type Command, MOST_COMMANDS } from '../contract/commands.ts'
import { CALLS } from '../contract/envelope.ts'
import { commands } from '../db/schema.ts'
import { startTestApi, type TestApi } from '../testing/api.ts'
import { type Caller, expectProblem, replyOf, signIn } from '../testing/caller.ts'
import { type Bridge, bridgeWith, registerBridge } from '../testing/sealed.ts'

// What doors are told, on its way to the one bridge that does it; and what the bridge says of it.

let api: TestApi
let admin: Caller
let one: Bridge
let other: Bridge
let readerId = ''

beforeAll(async () => {
  api = await startTestApi()
  admin = await signIn(api, 'admin')
  one = await registerBridge(api, admin, 'One')
  other = await registerBridge(api, admin, 'Other')
  readerId = (await admin.post('/readers', { name: 'Gate', topic: 'gate/card' })).body.id
})
afterEach(() => api.db.delete(commands))

/** As somebody's request wrote it down, good for so long. */
const tell = async (lifeMs = 60_000, more: Partial<typeof commands.$inferInsert> = {}): Promise<string> => {
  const now = Date.now()
  const times = { createdAt: new Date(now), expiresAt: new Date(now + lifeMs) }
  const values = { action: 'open', readerId, actorKind: 'system', ...times, ...more } as const
  const [row] = await api.db.insert(commands).values(values).returning()
  return String(row?.id)
}
const row = async (id: string) => (await api.db.select().from(commands).where(eq(commands.id, id)))[0]
const version = async () => (await one.config()).version
const idsOf = (given: readonly Command[]) => given.map(({ id }) => id)

describe('a command', () => {
  test('is given to the bridge that asks, as it was written down, and is that bridge’s then', async () => {
    const id = await tell()
    const answer = await one.commands(0, await version())
    const expiresAt = (await row(id))?.expiresAt.toISOString()
    expect(answer.commands).toEqual([{ id, action: 'open', doorId: null, readerId, expiresAt }])
    expect(await row(id)).toMatchObject({ state: 'taken', bridgeId: one.id, settledAt: null })
  })

  test('is given once: no other bridge gets it, and no other question of the same one', async () => {
    const ids = await Promise.all(Array.from({ length: 20 }, () => tell()))
    const has = await version()
    const asked = [one, other, one, other, one].map((bridge) => bridge.commands(0, has))
    const given = (await Promise.all(asked)).flatMap(({ commands }) => idsOf(commands))
    expect(given.sort()).toEqual([...ids].sort())
    expect((await one.commands(0, has)).commands).toEqual([])
  })

  test('that comes while a bridge waits is given at once', async () => {
    const waiting = one.commands(20_000, await version())
    const id = await tell()
    expect(idsOf((await waiting).commands)).toEqual([id])
  })

  test.each([
    ['expired', () => tell(-1)],
    ['was given up', () => tell(60_000, { state: 'timed_out' })],
    ['was refused before it went out', () => tell(60_000, { state: 'refused', detail: 'locked_down' })],
    ['is done', () => tell(60_000, { state: 'delivered', detail: 'opened' })],
  ])('that %s is given to nobody', async (_, made) => {
    const id = await made()
    const before = await row(id)
    expect((await one.commands(0, await version())).commands).toEqual([])
    expect(await row(id)).toEqual(before)
  })

  test('comes with at most five hundred others, and the rest with the next answer', async () => {
    const at = new Date()
    const values = { action: 'open', readerId, actorKind: 'system', createdAt: at } as const
    const expiresAt = new Date(Date.now() + 60_000)
    const many = Array.from({ length: MOST_COMMANDS + 1 }, () => ({ ...values, expiresAt }))
    await api.db.insert(commands).values(many)
    const has = await version()
    expect((await one.commands(0, has)).commands).toHaveLength(MOST_COMMANDS)
    expect((await one.commands(0, has)).commands).toHaveLength(1)
  })
})

describe('a bridge that waits', () => {
  test('is told the version when its time is over, and nothing else', async () => {
    const has = await version()
    expect(await one.commands(0, has)).toMatchObject({ version: has, commands: [] })
    expect(await one.commands(400, has)).toMatchObject({ version: has, commands: [] })
  })

  test('is told at once that the site is another one than it knows, and when it becomes one', async () => {
    const has = await version()
    expect((await one.commands(20_000)).version).toBe(has)
    expect((await one.commands(20_000, 'older')).version).toBe(has)
    const waiting = one.commands(20_000, has)
    await admin.patch(`/readers/${readerId}`, { name: 'Another gate' })
    expect((await waiting).version).not.toBe(has)
  })

  test('is shown out as soon as its key is not good any more, and takes nothing with it', async () => {
    const gone = await registerBridge(api, admin, 'Gone')
    const asked = gone.ask(CALLS.commands, { waitMs: 20_000, version: await version() })
    await admin.delete(`/bridges/${gone.id}`)
    const id = await tell()
    expectProblem(await replyOf(await asked), 401)
    expect(await row(id)).toMatchObject({ state: 'waiting', bridgeId: null })
  })

  test.each([
    ['for longer than twenty seconds', { waitMs: 20_001 }],
    ['for a time before now', { waitMs: -1 }],
    ['for half a millisecond', { waitMs: 0.5 }],
    ['without saying how long', {}],
    ['with a version that is too long', { waitMs: 0, version: 'x'.repeat(65) }],
    ['with a field more', { waitMs: 0, doorId: crypto.randomUUID() }],
  ])('is refused %s', async (_, message) => {
    expectProblem(await replyOf(await one.ask(CALLS.commands, message)), 422)
  })

  test('that is not known is told nothing', async () => {
    const id = await tell()
    const stranger = bridgeWith(api, crypto.randomUUID(), one.key)
    expectProblem(await replyOf(await stranger.ask(CALLS.commands, { waitMs: 0 })), 401)
    expect(await row(id)).toMatchObject({ state: 'waiting' })
  })
})

describe('what became of a command', () => {
  const taken = async (bridge = one) => {
    const id = await tell()
    await bridge.commands(0, await version())
    return id
  }

  test('is on record as its bridge says, once: what is said again changes nothing', async () => {
    const id = await taken()
    expect(await one.outcomes([{ id, state: 'delivered', detail: 'opened' }])).toBe(1)
    const settled = await row(id)
    expect(settled).toMatchObject({ state: 'delivered', detail: 'opened', bridgeId: one.id })
    expect(settled?.settledAt).not.toBeNull()
    expect(await one.outcomes([{ id, state: 'refused', detail: 'expired' }])).toBe(0)
    expect(await row(id)).toEqual(settled)
  })

  test('is said for many at once; of one that is named twice the last word counts', async () => {
    const ids = await Promise.all([tell(), tell(), tell()])
    await one.commands(0, await version())
    const [first = ''] = ids
    const said = ids.map((id) => ({ id, state: 'delivered', detail: 'sent' }) as const)
    expect(await one.outcomes([{ id: first, state: 'refused', detail: 'broker_away' }, ...said])).toBe(3)
    for (const id of ids) expect(await row(id)).toMatchObject({ state: 'delivered', detail: 'sent' })
  })

  test('is nothing that another bridge could say, and nothing of a command that nobody took', async () => {
    const [hers, waiting] = [await taken(), await tell()]
    for (const id of [hers, waiting, crypto.randomUUID()]) {
      const before = await row(id)
      expect(await other.outcomes([{ id, state: 'delivered', detail: 'opened' }])).toBe(0)
      expect(await row(id)).toEqual(before)
    }
    const lost = await tell(60_000, { state: 'timed_out' })
    expect(await one.outcomes([{ id: lost, state: 'delivered', detail: 'opened' }])).toBe(0)
  })

  test('is not lost when it comes after the command was given up: that it opened is on record', async () => {
    const id = await taken()
    await api.db.update(commands).set({ state: 'timed_out', settledAt: new Date() }).where(eq(commands.id, id))
    expect(await one.outcomes([{ id, state: 'delivered', detail: 'opened' }])).toBe(1)
    expect(await row(id)).toMatchObject({ state: 'delivered', detail: 'opened' })
    expect(await one.outcomes([{ id, state: 'refused', detail: 'expired' }])).toBe(0)
  })

  const SOME = { id: crypto.randomUUID(), state: 'delivered', detail: 'sent' }
  test.each([
    ['no command at all', []],
    ['more than five hundred', Array.from({ length: 501 }, () => SOME)],
    ['a command without a name', [{ ...SOME, id: 'x' }]],
    ['a state that only the API knows', [{ ...SOME, state: 'timed_out' }]],
    ['a word that nobody knows', [{ ...SOME, detail: 'perhaps' }]],
    ['one thing more', [{ ...SOME, doorId: SOME.id }]],
  ])('is not %s', async (_, outcomes) => {
    expectProblem(await replyOf(await one.ask(CALLS.outcomes, { outcomes })), 422)
  })

  test('is not heard from a bridge that is not known', async () => {
    const id = await taken()
    const stranger = bridgeWith(api, crypto.randomUUID(), one.key)
    expectProblem(await replyOf(await stranger.ask(CALLS.outcomes, { outcomes: [{ ...SOME, id }] })), 401)
    expect(await row(id)).toMatchObject({ state: 'taken' })
  })
})

// The last of the file: from then on this process ends.
test.runIf(inject('runtime') === 'node')('a process that is about to end keeps no bridge waiting', async () => {
  const has = await version()
  const asked = one.ask(CALLS.commands, { waitMs: 20_000, version: has })
  api.closing.abort()
  const { status, headers } = await asked
  expect({ status, connection: headers.get('connection') }).toEqual({ status: 200, connection: 'close' })
})
