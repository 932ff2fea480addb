import { eq } from 'drizzle-orm'
import * as v from 'valibot'
import { beforeAll, describe, expect, inject, onTestFinished, test, vi } from 'vitest'
import { Proxies } from '../client-address.ts'
import { readConfig } from '../config.ts'
import { accounts, deviceEvents, events, sessions } from '../db/schema.ts'
import { bcrypt } from '../login/bcrypt.ts'
import { noMetrics } from '../metrics.ts'
import { asset, listen as serve } from '../node.ts'
import { APP_KEY, startTestApi, type TestApi } from '../testing/api.ts'
import { type Caller, expectProblem, send, signIn } from '../testing/caller.ts'
import { type Bridge, handedOver, registerBridge, scanOf } from '../testing/sealed.ts'
import { accountOf } from '../testing/things.ts'
import { byFetch } from '../webhooks/fetch.ts'

// The live feed: what is recorded reaches who listens, once, in the list's own shape, whatever its time says.

let api: TestApi
let admin: Caller
let bridge: Bridge
let reader: string
let other: string
let person: string

beforeAll(async () => {
  api = await startTestApi()
  admin = await signIn(api, 'admin')
  bridge = await registerBridge(api, admin)
  const add = async (name: string) =>
    (await admin.post('/readers', { name, topic: `stream/${name}`, cardView: 'hex' })).body.id
  ;[reader, other] = [await add('Front door'), await add('Gate')]
  person = (await admin.post('/people', { name: 'Ada' })).body.id
  await admin.post('/cards', { personId: person, number: 'DE0BA996' })
})

const open = async (path: string, { token = admin.token, last }: { token?: string; last?: string } = {}) => {
  const leaving = new AbortController()
  const response = await api.fetch(`/api/v1${path}`, {
    headers: { authorization: `Bearer ${token}`, ...(last !== undefined && { 'last-event-id': last }) },
    signal: leaving.signal,
  })
  return response
}

type Heard = { id: string; data: Record<string, unknown> }

/** As a browser's EventSource would read it, with all that was said. */
const listen = async (path: string, options: Parameters<typeof open>[1] = {}) => {
  const response = await open(path, options)
  expect(response.status).toBe(200)
  const reader = response.body?.getReader()
  if (!reader) throw new Error('there is no body')
  const heard: Heard[] = []
  let text = ''
  let lastEventId = ''
  let over = false
  const read = async () => {
    const decoder = new TextDecoder()
    let rest = ''
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      const said = decoder.decode(part.value, { stream: true })
      text += said
      const blocks = `${rest}${said}`.split('\n\n')
      rest = blocks.pop() ?? ''
      for (const block of blocks) {
        const fields = block
          .split('\n')
          .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)])
        const field = (name: string) => fields.find(([known]) => known === name)?.[1]
        lastEventId = field('id') ?? lastEventId
        const data = field('data')
        if (data !== undefined) heard.push({ id: lastEventId, data: JSON.parse(data) })
      }
    }
    over = true
  }
  const reading = read()
  reading.catch(() => {})
  const leave = async () => {
    await reader.cancel()
  }
  onTestFinished(leave)
  return {
    headers: response.headers,
    heard,
    ids: () => heard.map(({ id }) => id),
    get text() {
      return text
    },
    get lastEventId() {
      return lastEventId
    },
    get over() {
      return over
    },
    leave,
  }
}

const eventually = (check: () => unknown) => vi.waitFor(check, { timeout: 15_000, interval: 50 })

const scan = async (card = 'CA01', more: Parameters<typeof scanOf>[2] = {}, at = reader) =>
  (await bridge.check(scanOf(at, card, more))).scan

/** A row as some other node would write it. */
const row = (more: Partial<typeof events.$inferInsert> = {}): typeof events.$inferInsert => ({
  id: crypto.randomUUID(),
  at: new Date(),
  receivedAt: new Date(),
  readerId: reader,
  cardNumber: 'CA02',
  decision: 'denied',
  reason: 'unknown_card',
  source: 'online',
  bridgeId: bridge.id,
  openMs: 0,
  ...more,
})

describe('a stream of events', () => {
  test('tells what is recorded, each once, in order, as the list shows it', async () => {
    const before = await scan()
    const stream = await listen('/events/stream')
    const [first, second] = [await scan('DE0BA996'), await scan('CA01')]
    await eventually(() => expect(stream.ids()).toEqual([first, second]))
    const { items } = (await admin.get('/events?limit=2')).body
    expect(stream.heard.map(({ data }) => data)).toEqual(expect.arrayContaining(items))
    expect(stream.text).toMatch(/^retry: 2000\n/)
    expect(stream.text).toContain(`id: ${first}\ndata: {`)
    expect(stream.ids()).not.toContain(before)
  })

  test('has the headers that keep caches and proxies off, and those of every answer', async () => {
    const { headers } = await listen('/events/stream')
    expect(headers.get('content-type')).toBe('text/event-stream')
    expect(headers.get('cache-control')).toBe('no-store')
    expect(headers.get('x-accel-buffering')).toBe('no')
    expect(headers.get('x-content-type-options')).toBe('nosniff')
    expect(headers.get('content-security-policy')).toContain("default-src 'self'")
    expect(headers.get('content-encoding')).toBeNull()
  })

  test('goes by the filters of the list', async () => {
    const soon = new Date(Date.now() + 500).toISOString()
    const streams = {
      reader: await listen(`/events/stream?readerId=${other}`),
      person: await listen(`/events/stream?personId=${person}`),
      reason: await listen('/events/stream?reason=unknown_card'),
      decision: await listen('/events/stream?decision=granted'),
      from: await listen(`/events/stream?from=${soon}`),
      to: await listen(`/events/stream?to=${soon}`),
    }
    const old = new Date(Date.now() - 60_000).toISOString()
    const [unknown, known, gate, late] = [
      await scan('CA01'),
      await scan('DE0BA996'),
      await scan('CA01', {}, other),
      await scan('CA01', { at: old }),
    ]
    await eventually(() => {
      expect(streams.reader.ids()).toEqual([gate])
      expect(streams.person.ids()).toEqual([known])
      expect(streams.reason.ids()).toEqual([unknown, gate])
      expect(streams.from.ids()).toEqual([unknown, known, gate])
      expect(streams.to.ids()).toEqual([late])
    })
    expect(streams.decision.ids()).toEqual([])
  })

  test('shows a member what is theirs and nothing else, also after a break', async () => {
    const start = await scan()
    const mine = await scan('DE0BA996')
    const member = await accountOf(api, 'member', person)
    const nobody = await accountOf(api, 'member')
    const live = await listen('/events/stream', member)
    const since = await listen('/events/stream', { ...member, last: mine })
    const foreign = await listen('/events/stream', { ...member, last: start })
    const none = await listen('/events/stream', nobody)
    const all = await listen('/events/stream')
    const theirs = await scan('CA01')
    const next = await scan('DE0BA996')
    await eventually(() => {
      expect(all.ids()).toEqual([theirs, next])
      for (const stream of [live, since, foreign]) expect(stream.ids()).toEqual([next])
    })
    expect(foreign.text).toContain('is not known here')
    expect(none.heard).toEqual([])
    expect(none.text).not.toContain('id:')
    for (const { text } of [live, since, foreign]) expect(text).not.toContain(theirs)
  })

  test('goes on after the last one that somebody had, with what was recorded since, and then with what is', async () => {
    const had = await scan()
    const missed = [await scan('DE0BA996'), await scan(), await scan()]
    const byHeader = await listen('/events/stream', { last: had })
    const byQuery = await listen(`/events/stream?lastEventId=${had}&personId=${person}`)
    const now = await scan('DE0BA996')
    await eventually(() => {
      expect(byHeader.ids()).toEqual([...missed, now])
      expect(byQuery.ids()).toEqual([missed[0], now])
    })
    await byHeader.leave()
    const between = await scan()
    const again = await listen('/events/stream', { last: byHeader.lastEventId })
    await eventually(() => expect(again.ids()).toEqual([between]))
  })

  test('goes on after a long time too, page by page', async () => {
    const had = await scan()
    const missed = Array.from({ length: 4_500 }, () => row())
    for (let i = 0; i < missed.length; i += 1_500) await api.db.insert(events).values(missed.slice(i, i + 1_500))
    const stream = await listen('/events/stream', { last: had })
    await eventually(() => expect(stream.heard).toHaveLength(4_500))
    expect(stream.ids()).toEqual(missed.map(({ id }) => id))
  })

  test.each(['0198c1a2-0000-7000-8000-00000000000a', 'nonsense', '1'])(
    'begins now after an id that is not known (%s), and says so',
    async (last) => {
      await scan()
      const stream = await listen('/events/stream', { last })
      await eventually(() => expect(stream.text).toMatch(/^: .*not known here/m))
      const now = await scan()
      await eventually(() => expect(stream.ids()).toEqual([now]))
    },
  )

  test('names where to go on from before anything happened, so that nothing is lost between two streams', async () => {
    const newest = await scan()
    const stream = await listen('/events/stream')
    await eventually(() => expect(stream.lastEventId).toBe(newest))
    await stream.leave()
    const missed = await scan()
    const again = await listen('/events/stream', { last: stream.lastEventId })
    await eventually(() => expect(again.ids()).toEqual([missed]))
  })

  test('tells what a bridge hands over late, however old it is', async () => {
    const stream = await listen('/events/stream')
    const now = await scan()
    const late = handedOver(reader, 'CA01', { at: '2020-01-01T08:00:00.000Z' })
    await bridge.handOver([late])
    await eventually(() => expect(stream.ids()).toEqual([now, late.id]))
    const again = await listen('/events/stream', { last: now })
    await eventually(() => expect(again.ids()).toEqual([late.id]))
  })

  test('tells an event once: a scan that is asked again, or handed over again, is no other', async () => {
    const stream = await listen('/events/stream')
    const asked = scanOf(reader, 'CA01')
    for (let i = 0; i < 3; i++) await bridge.check(asked)
    await bridge.handOver([handedOver(reader, 'CA01', { id: asked.id })])
    const last = await scan()
    await eventually(() => expect(stream.ids()).toEqual([asked.id, last]))
  })

  // The embedded database does one thing after the other, so only a real server has two transactions under way.
  test.skipIf('files' in inject('template'))(
    'tells both of two events that are committed the other way round, also to somebody who was away meanwhile',
    async () => {
      await scan()
      const stream = await listen('/events/stream')
      const first = row()
      let commit = () => {}
      const under = new Promise<void>((resolve) => {
        commit = resolve
      })
      let begun = () => {}
      const inserted = new Promise<void>((resolve) => {
        begun = resolve
      })
      const slow = api.db.transaction(async (tx) => {
        await tx.insert(events).values(first)
        begun()
        await under
      })
      await inserted
      const second = await scan()
      await eventually(() => expect(stream.ids()).toEqual([second]))
      // Whoever leaves now is to come back to where nothing is missing: here, or earlier while others of this Postgres are at work.
      await eventually(() => expect(stream.lastEventId).not.toBe(second))
      const last = stream.lastEventId
      const newcomer = await listen('/events/stream')
      commit()
      await slow
      await eventually(() => {
        expect(stream.ids()).toEqual([second, first.id])
        expect(newcomer.ids()).toEqual([first.id])
        expect(stream.lastEventId).toBe(second)
      })
      const away = await listen('/events/stream', { last })
      await eventually(() => expect(away.ids().slice(-2)).toEqual([first.id, second]))
    },
  )
})

describe('a stream ends', () => {
  const ends = (stream: { over: boolean }) => vi.waitUntil(() => stream.over, { timeout: 60_000, interval: 100 })

  test('when its session ends, its role changes or its account is disabled', { timeout: 90_000 }, async () => {
    const [out, demoted, disabled] = [
      await signIn(api, 'auditor'),
      await signIn(api, 'auditor'),
      await signIn(api, 'auditor'),
    ]
    const stays = await listen('/events/stream')
    const streams = [
      await listen('/events/stream', out),
      await listen('/events/stream', demoted),
      await listen('/events/stream', disabled),
    ]
    await api.db.delete(sessions).where(eq(sessions.accountId, out.id))
    await api.db.update(accounts).set({ role: 'operator' }).where(eq(accounts.id, demoted.id))
    await api.db.update(accounts).set({ disabled: true }).where(eq(accounts.id, disabled.id))
    await Promise.all(streams.map(ends))
    expect(stays.over).toBe(false)
    expect(stays.text).toContain('\n\n:\n\n')
  })

  test('for the eleventh time before it begins, until another one has ended', async () => {
    const auditor = await signIn(api, 'auditor')
    const ten = await Promise.all(Array.from({ length: 10 }, () => listen('/events/stream', auditor)))
    const refused = await send(api, 'GET', '/device-events/stream', auditor)
    expectProblem(refused, 429)
    expect(refused.headers.get('retry-after')).toBe('10')
    // workerd does not say that a client has gone (cloudflare/workerd#6832): there a place is free when nobody has read for a while.
    if (inject('runtime') === 'workerd') return
    await ten[0]?.leave()
    await eventually(async () => expect((await send(api, 'GET', '/events/stream', auditor)).status).toBe(200))
  })
})

describe.runIf(inject('runtime') === 'node')('a stream over a socket', () => {
  /** Served as in production, with a database handle of its own: what it asks can be counted. */
  const served = async () => {
    const db: TestApi['db'] = Object.create(api.db)
    const asked = vi.spyOn(db, 'execute')
    const closing = new AbortController()
    const platform = {
      config: readConfig({ APP_KEY }, { production: false }),
      db,
      doorDb: db,
      password: bcrypt,
      mail: undefined,
      send: byFetch,
      later: (work: () => Promise<unknown>) => void setImmediate(() => void work()),
      asset,
      now: () => new Date(),
      log: () => {},
      metrics: noMetrics,
      draining: closing.signal,
      closing: closing.signal,
      address: null,
      https: false,
    }
    const { server, url } = await serve(platform, { PORT: 0, HOST: '127.0.0.1', TRUSTED_PROXIES: v.parse(Proxies, '') })
    onTestFinished(() => {
      closing.abort()
      server.close()
    })
    const from = async (path: string) => {
      const leaving = new AbortController()
      const response = await fetch(`${url}/api/v1${path}`, {
        headers: { authorization: `Bearer ${admin.token}` },
        signal: leaving.signal,
      })
      return { response, leave: () => leaving.abort() }
    }
    return { server, closing, asked, from }
  }

  test('ends at once when the process is told to end, so that nobody has to be waited for', async () => {
    const { server, closing, from } = await served()
    const streams = await Promise.all([from('/events/stream'), from('/device-events/stream')])
    const texts = streams.map(({ response }) => response.text())
    closing.abort()
    for (const text of await Promise.all(texts)) expect(text).toMatch(/^retry: 2000\n/)
    // Its sockets are idle then, and the server has nothing left to let finish.
    const closed = new Promise((done) => server.close(done))
    if ('closeIdleConnections' in server) server.closeIdleConnections()
    await closed
  })

  test('that its client leaves frees its place, and nobody asks the database for it any more', async () => {
    const { asked, from } = await served()
    const ten = await Promise.all(Array.from({ length: 10 }, () => from('/events/stream')))
    expect(ten.map(({ response }) => response.status)).toEqual(ten.map(() => 200))
    expect((await from('/events/stream')).response.status).toBe(429)
    ten[0]?.leave()
    const again = await vi.waitUntil(
      async () => {
        const one = await from('/events/stream')
        return one.response.status === 200 && one
      },
      { timeout: 15_000, interval: 50 },
    )
    const before = asked.mock.calls.length
    await eventually(() => expect(asked.mock.calls.length).toBeGreaterThan(before + 1))
    for (const { leave } of [again, ...ten]) leave()
    await eventually(async () => {
      const before = asked.mock.calls.length
      await new Promise((resolve) => setTimeout(resolve, 1_000))
      expect(asked.mock.calls.length).toBe(before)
    })
  })
})

describe('a stream of device events', () => {
  test('tells what devices do, by its filters, and goes on after a break', async () => {
    const device = async (more: Partial<typeof deviceEvents.$inferInsert> = {}) => {
      const at = new Date()
      const made = {
        id: crypto.randomUUID(),
        at,
        receivedAt: at,
        kind: 'reader_online',
        readerId: reader,
        ...more,
      } as const
      await api.db.insert(deviceEvents).values(made)
      return made
    }
    const had = await device()
    const streams = {
      all: await listen('/device-events/stream'),
      kind: await listen('/device-events/stream?kind=door_forced'),
      bridge: await listen(`/device-events/stream?bridgeId=${bridge.id}`),
    }
    const forced = await device({ kind: 'door_forced', note: 'Nobody was let in' })
    const lost = await device({ kind: 'broker_lost', bridgeId: bridge.id, readerId: null })
    await eventually(() => {
      expect(streams.all.ids()).toEqual([forced.id, lost.id])
      expect(streams.kind.ids()).toEqual([forced.id])
      expect(streams.bridge.ids()).toEqual([lost.id])
    })
    const time = forced.at.toISOString()
    const nothing = { doorId: null, bridgeId: null, commandId: null }
    expect(streams.kind.heard[0]?.data).toEqual({ ...forced, ...nothing, at: time, receivedAt: time })
    const again = await listen('/device-events/stream', { last: had.id })
    await eventually(() => expect(again.ids()).toEqual([forced.id, lost.id]))
  })
})

describe('refuses', () => {
  test.each([
    ['/events/stream?readerId=1', 'readerId'],
    ['/events/stream?from=yesterday', 'from'],
    ['/events/stream?decision=maybe', 'decision'],
    ['/events/stream?lastEventId=1', 'lastEventId'],
    ['/events/stream?limit=5', 'limit'],
    ['/device-events/stream?kind=unknown', 'kind'],
    ['/device-events/stream?doorId=1', 'doorId'],
    ['/device-events/stream?personId=1', 'personId'],
  ])('%s', async (path, field) => expectProblem(await admin.get(path), 422, field))

  test.each(['/events/stream', '/device-events/stream'])('%s to whoever is not signed in', async (path) =>
    expectProblem(await send(api, 'GET', path), 401),
  )

  test('device events to a member', async () =>
    expectProblem(await (await signIn(api, 'member')).get('/device-events/stream'), 403))
})
