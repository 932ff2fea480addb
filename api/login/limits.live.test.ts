import { hash } from '@node-rs/bcrypt'
import { eq, sql } from 'drizzle-orm'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { accounts, attempts, sessions } from '../db/schema.ts'
import { tidy } from '../jobs.ts'
import { PASSWORD, type Reply, startTestApi, type TestApi } from '../testing/api.ts'
import { type Caller, expectProblem, send, signIn } from '../testing/caller.ts'

let api: TestApi
let owner: Caller
let cheap: string

const HOME = '192.0.2.1'
const ELSEWHERE = '198.51.100.7'

const from = (address: string, path: string, body: unknown): Promise<Reply> =>
  send(api, 'POST', path, { body: JSON.stringify(body), headers: { 'cf-connecting-ip': address } })
const login = (email: string, password = PASSWORD, address = HOME) => from(address, '/login', { email, password })

/** Wrong passwords cost bcrypt's time: instead of sending many, let them have been sent, just now. */
const failed = async (times: number, email: string, address = HOME) => {
  await login(email, 'wrong', address)
  await api.db.update(attempts).set({ count: times }).where(eq(attempts.count, 1))
}

/** Everything that was counted was counted so much earlier. */
const later = (seconds: number) =>
  api.db.update(attempts).set({
    since: sql`${attempts.since} - ${seconds} * interval '1 second'`,
    lastAt: sql`${attempts.lastAt} - ${seconds} * interval '1 second'`,
  })

const expectWait = (reply: Reply, least: number, most: number) => {
  expectProblem(reply, 429)
  const seconds = reply.headers.get('retry-after') ?? ''
  expect(seconds).toMatch(/^\d+$/)
  expect(Number(seconds)).toBeGreaterThanOrEqual(least)
  expect(Number(seconds)).toBeLessThanOrEqual(most)
  expect(reply.body['detail']).toContain(seconds)
}

/** Somebody whose password is checked in no time: cost 4. */
const somebody = async (): Promise<Caller> => {
  const caller = await signIn(api, 'owner')
  await api.db.update(accounts).set({ passwordHash: cheap }).where(eq(accounts.id, caller.id))
  return caller
}

beforeAll(async () => {
  api = await startTestApi()
  cheap = await hash(PASSWORD, { cost: 4 })
  owner = await somebody()
})

beforeEach(async () => {
  await api.db.delete(attempts)
  await api.db.update(sessions).set({ address: null })
})

describe('wrong passwords for one account from one address', () => {
  test('are free five times; then each makes the next attempt wait, twice as long', async () => {
    for (const _ of [1, 2, 3, 4, 5]) expectProblem(await login(owner.email, 'wrong'), 401)
    expectWait(await login(owner.email, 'wrong'), 1, 1)
    for (const seconds of [2, 4, 8]) {
      await later(seconds)
      expectProblem(await login(owner.email, 'wrong'), 401)
      expectWait(await login(owner.email, 'wrong'), seconds - 1, seconds)
    }
  })

  test('make an attempt wait 15 minutes at most, and are forgotten one by one', async () => {
    await failed(40, owner.email)
    await later(600)
    expectWait(await login(owner.email), 290, 300)
    await later(301)
    expect((await login(owner.email)).status).toBe(200)

    await failed(7, owner.email)
    await later(31 * 60)
    expectProblem(await login(owner.email, 'wrong'), 401)
    expectWait(await login(owner.email, 'wrong'), 1, 2)
  })

  test('make the right one wait too, and that does not make it longer', async () => {
    await failed(8, owner.email)
    for (const _ of [1, 2, 3]) expectWait(await login(owner.email), 1, 8)
    await later(8)
    expect((await login(owner.email)).status).toBe(200)
  })

  test('are all forgiven by the right one', async () => {
    for (const _ of [1, 2, 3, 4]) await login(owner.email, 'wrong')
    expect((await login(owner.email)).status).toBe(200)
    for (const _ of [1, 2, 3, 4]) expectProblem(await login(owner.email, 'wrong'), 401)
  })

  test('that come all at once tell no more than five that come one by one', async () => {
    // None of them is right: that would begin anew, whenever it came.
    const guesses = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l']
    const statuses = (await Promise.all(guesses.map((guess) => login(owner.email, guess)))).map(({ status }) => status)
    expect(statuses.filter((status) => status === 401).length).toBeLessThanOrEqual(5)
    expect(statuses.filter((status) => status === 429).length).toBeGreaterThanOrEqual(7)
    expectProblem(await login(owner.email, PASSWORD), 429)
    const counts = (await api.db.select().from(attempts)).map(({ count }) => count)
    expect(Math.max(...counts)).toBeGreaterThanOrEqual(11)
  })

  test('are answered the same whether anybody has that e-mail', async () => {
    const tries = async (email: string) => {
      const replies: Reply[] = []
      for (const _ of [1, 2, 3, 4, 5, 6]) replies.push(await login(email, 'wrong'))
      return replies.map(({ status, body, headers }) => ({ status, body, wait: headers.get('retry-after') }))
    }
    expect(await tries('nobody@example.org')).toEqual(await tries(owner.email))
  })

  test('do not make the same account wait elsewhere, before they are ten', async () => {
    await failed(9, owner.email)
    expect((await login(owner.email, PASSWORD, ELSEWHERE)).status).toBe(200)
  })
})

describe('wrong passwords for one account from many addresses', () => {
  const fromEverywhere = async () => {
    await failed(25, owner.email, '203.0.113.1')
    await later(1)
  }

  test('make it wait at a new address, but no longer than 30 s', async () => {
    await fromEverywhere()
    expectWait(await login(owner.email, PASSWORD, ELSEWHERE), 25, 30)
    await later(30)
    expect((await login(owner.email, PASSWORD, ELSEWHERE)).status).toBe(200)
  })

  test('do not hold up somebody where they are signed in already', async () => {
    await api.db.update(sessions).set({ address: HOME }).where(eq(sessions.accountId, owner.id))
    await fromEverywhere()
    expect((await login(owner.email, PASSWORD, HOME)).status).toBe(200)
  })
})

describe('wrong passwords from one address', () => {
  test('for ten accounts shut nobody out', async () => {
    for (let i = 0; i < 10; i += 1) expectProblem(await login((await somebody()).email, 'wrong'), 401)
    expect((await login(owner.email)).status).toBe(200)
  })

  test('for twenty accounts make everybody there wait, and nobody elsewhere', async () => {
    await failed(21, (await somebody()).email)
    expectWait(await login(owner.email), 1, 2)
    expect((await login(owner.email, PASSWORD, ELSEWHERE)).status).toBe(200)
    await later(2)
    expect((await login(owner.email)).status).toBe(200)
    expectProblem(await login((await somebody()).email, 'wrong'), 401)
    expectWait(await login(owner.email), 1, 4)
  })

  test('are one address for all of an IPv6 network', async () => {
    await failed(24, (await somebody()).email, '2001:db8:0:1::1')
    expectWait(await login(owner.email, PASSWORD, '2001:0db8::1:8000:0:0:9'), 1, 16)
    expect((await login(owner.email, PASSWORD, '2001:db8:0:2::1')).status).toBe(200)
  })
})

test('right passwords are never counted, however many come at once', async () => {
  const replies = await Promise.all(Array.from({ length: 25 }, () => login(owner.email)))
  expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([200]))
  expect(await api.db.select().from(attempts)).toEqual([])
})

test('wrong refresh tokens from one address are refused as such a hundred times, and then for their number', async () => {
  const refresh = (token: string) => from(HOME, '/login/refresh', { refresh_token: token })
  expectProblem(await refresh('wrong'), 401)
  await api.db.update(attempts).set({ count: 101 })
  expectWait(await refresh('wrong'), 1, 2)
  const { refreshToken } = await signIn(api, 'member')
  expect((await refresh(refreshToken)).status).toBe(200)
})

test('nothing in the table tells who tried', async () => {
  await login(owner.email, 'wrong')
  await login('nobody@example.org', 'wrong', ELSEWHERE)
  const rows = JSON.stringify(await api.db.select().from(attempts))
  for (const secret of [owner.email, owner.id, 'nobody', HOME, ELSEWHERE]) expect(rows).not.toContain(secret)
})

test('what was counted is forgotten by the daily job after a day, and not before', async () => {
  await login(owner.email, 'wrong')
  await later(23 * 3600)
  const forget = () => tidy({ db: api.db, now: () => new Date(), log: () => {} })
  await forget()
  expect(await api.db.$count(attempts)).toBe(3)
  await later(2 * 3600)
  await forget()
  expect(await api.db.$count(attempts)).toBe(0)
})

test('a disabled account is limited like any other', async () => {
  const { id, email } = await somebody()
  await api.db.update(accounts).set({ disabled: true }).where(eq(accounts.id, id))
  for (const _ of [1, 2, 3, 4, 5]) expectProblem(await login(email), 401)
  expectWait(await login(email), 1, 1)
})
