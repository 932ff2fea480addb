import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { eq } from 'drizzle-orm'
import { Webhook } from 'standardwebhooks'
import { afterAll, beforeAll, describe, expect, inject, test, vi } from 'vitest'
import { CALLS } from '../contract/envelope.ts'
import { audit, webhookDeliveries as deliveries, webhooks } from '../db/schema.ts'
import { type Body, startTestApi, type TestApi } from '../testing/api.ts'
import { type Caller, expectProblem, signIn } from '../testing/caller.ts'
import { type Bridge, registerBridge } from '../testing/sealed.ts'
import { sender } from './send.ts'

/*
 * What is raised is sent, to a receiver on this machine, by the sender of production with another name server and another
 * idea of what is public. On workerd nobody can be told to trust this receiver; what decides when and what is sent is the
 * same code there, and watch/watch.live.test.ts runs it.
 */

const file = (name: string) => readFileSync(fileURLToPath(new URL(`../testing/certificates/${name}`, import.meta.url)))
const [cert, key] = [file('receiver.pem'), file('receiver.key')]

type Got = { path: string; headers: Record<string, string>; body: string; at: number }
const NOTHING: Got = { path: '', headers: {}, body: '', at: 0 }

describe.runIf(inject('runtime') === 'node')('a webhook', () => {
  let api: TestApi
  let owner: Caller
  let bridge: Bridge
  let origin: string
  let got: Got[] = []
  /** What is answered at a path, and when. */
  const answers = new Map<string, { status: number; when?: Promise<unknown> }>()

  const server = createServer({ cert, key }, async (request, response) => {
    const path = String(request.url)
    got.push({ path, headers: request.headers as Record<string, string>, body: await text(request), at: Date.now() })
    const { status, when } = answers.get(path) ?? { status: 204 }
    await when
    response.writeHead(status, { location: '/elsewhere' }).end('thanks')
  })

  beforeAll(async () => {
    await once(server.listen(0, '127.0.0.1'), 'listening')
    origin = `https://receiver.example.org:${(server.address() as AddressInfo).port}`
    const resolve = async () => [{ address: '127.0.0.1', family: 4 }]
    api = await startTestApi({}, { send: sender({ mayReach: () => true, resolve, ca: String(cert) }) })
    owner = await signIn(api, 'owner')
    bridge = await registerBridge(api, owner)
    await api.look()
  })
  afterAll(() => {
    server.closeAllConnections()
    server.close()
  })

  let made = 0
  /** One at a path of its own. */
  const add = async (fields: object = {}) => {
    made += 1
    const path = `/hook-${made}`
    const { status, body } = await owner.post('/webhooks', { name: path, url: `${origin}${path}`, ...fields })
    expect({ status, body }).toMatchObject({ status: 201 })
    const mine = () => got.filter((one) => one.path === path)
    const sent = async (query = '') => (await owner.get(`/webhooks/${body.id}/deliveries${query}`)).body.items
    return { id: body.id, path, secret: String(body['secret']), mine, sent, at: `/webhooks/${body.id}` }
  }
  const tamper = async () => {
    const event = { id: crypto.randomUUID(), at: new Date().toISOString(), kind: 'tampered' }
    await bridge.ask(CALLS.deviceEvents, { events: [{ ...event, readerId: crypto.randomUUID() }], seen: [] })
  }
  const dueNow = () =>
    api.db
      .update(deliveries)
      .set({ nextAt: new Date(0) })
      .where(eq(deliveries.state, 'waiting'))
  const eventually = (check: () => unknown) => vi.waitFor(check, { timeout: 10_000, interval: 20 })
  const remove = (hook: { at: string }) => owner.delete(hook.at)

  test('gets each alert that it wants, once, signed as any library verifies it', async () => {
    const all = await add()
    const some = await add({ kinds: ['tamper', 'door_forced'] })
    const others = await add({ kinds: ['door_forced'] })
    const off = await add({ enabled: false })
    await tamper()
    await api.look()
    await api.look()
    const [alert] = (await owner.get('/alerts')).body.items
    for (const hook of [all, some]) {
      expect(hook.mine()).toHaveLength(1)
      const { headers, body } = hook.mine()[0] ?? NOTHING
      expect(new Webhook(hook.secret).verify(body, headers)).toEqual({
        type: 'alert.tamper',
        timestamp: alert?.['at'],
        data: alert,
      })
      expect(headers).toMatchObject({ 'content-type': 'application/json', 'user-agent': 'Lintel' })
      const [sent] = await hook.sent()
      const how = { state: 'delivered', attempts: 1, status: 204, error: null, alertId: alert?.id }
      expect(sent).toMatchObject({ id: headers['webhook-id'], ...how })
    }
    expect([...others.mine(), ...off.mine(), ...(await others.sent()), ...(await off.sent())]).toEqual([])
    await Promise.all([all, some, others, off].map(remove))
  })

  test('that fails is tried again later and later, with the same id and a new time, and is given up at last', async () => {
    const hook = await add()
    answers.set(hook.path, { status: 500 })
    await tamper()
    await api.look()
    const [first] = await hook.sent('?state=waiting')
    expect(first).toMatchObject({ attempts: 1, status: 500, error: 'HTTP_500', settledAt: null })
    const wait = Date.parse(String(first?.['nextAt'])) - Date.now()
    expect(wait).toBeGreaterThan(0)
    expect(wait).toBeLessThanOrEqual(5_000)
    await api.look()
    expect(hook.mine()).toHaveLength(1)
    for (let tries = 2; tries <= 8; tries += 1) {
      await dueNow()
      await api.look()
      expect(hook.mine()).toHaveLength(tries)
    }
    expect(await hook.sent('?state=dead')).toMatchObject([{ id: first?.id, attempts: 8, error: 'HTTP_500' }])
    await dueNow()
    await api.look()
    expect(new Set(hook.mine().map(({ headers }) => headers['webhook-id']))).toEqual(new Set([first?.id]))
    expect(hook.mine()).toHaveLength(8)

    answers.delete(hook.path)
    expect((await owner.post(`${hook.at}/deliveries/${first?.id}/replay`)).status).toBe(202)
    await eventually(async () => expect((await hook.sent())[0]).toMatchObject({ state: 'delivered', attempts: 1 }))
    const { headers, body } = hook.mine().at(-1) ?? NOTHING
    expect(headers['webhook-id']).toBe(first?.id)
    expect(new Webhook(hook.secret).verify(body, headers)).toMatchObject({ type: 'alert.tamper' })
    await remove(hook)
  })

  test('that is slow holds up nobody else', async () => {
    const [slow, quick] = [await add(), await add()]
    let answer = (_: unknown) => {}
    const when = new Promise((done) => {
      answer = done
    })
    answers.set(slow.path, { status: 204, when })
    for (let i = 0; i < 5; i += 1) await tamper()
    const looking = api.look()
    // All five, while the slow one has answered nothing yet.
    await eventually(() => expect(quick.mine()).toHaveLength(5))
    answer(undefined)
    await looking
    expect(slow.mine().length).toBeGreaterThan(0)
    await Promise.all([slow, quick].map(remove))
  })

  test('gets each once, however many send at the same time', async () => {
    const hook = await add()
    for (let i = 0; i < 7; i += 1) await tamper()
    await Promise.all([1, 2, 3].map(() => api.look()))
    await api.look()
    expect(hook.mine()).toHaveLength(7)
    expect(new Set(hook.mine().map(({ headers }) => headers['webhook-id'])).size).toBe(7)
    await remove(hook)
  })

  test('that redirects is not followed', async () => {
    const hook = await add()
    answers.set(hook.path, { status: 308 })
    await tamper()
    await api.look()
    expect(await hook.sent()).toMatchObject([{ state: 'waiting', error: 'HTTP_308' }])
    expect(got.filter(({ path }) => path === '/elsewhere')).toEqual([])
    await remove(hook)
  })

  test('that says it is gone is turned off, on record, and what waited for it is given up', async () => {
    const hook = await add()
    answers.set(hook.path, { status: 500 })
    await tamper()
    await api.look()
    answers.set(hook.path, { status: 410 })
    await tamper()
    await api.look()
    expect((await owner.get(hook.at)).body).toMatchObject({ enabled: false })
    const states = (await hook.sent()).map(({ state, error }) => [state, error]).sort()
    expect(states).toEqual([
      ['dead', 'DISABLED'],
      ['dead', 'HTTP_410'],
    ])
    const rows = await api.db.select().from(audit).where(eq(audit.targetId, hook.id))
    expect(rows.at(-1)).toMatchObject({ action: 'webhooks.gone', actorKind: 'system', after: { enabled: false } })

    await tamper()
    await api.look()
    const [dead] = await hook.sent()
    expect(await hook.sent()).toHaveLength(2)
    expectProblem(await owner.post(`${hook.at}/test`), 409)
    expectProblem(await owner.post(`${hook.at}/deliveries/${dead?.id}/replay`), 409)
    await remove(hook)
  })

  test('is tested at once, and once', async () => {
    const hook = await add()
    const { status, body } = await owner.post(`${hook.at}/test`)
    expect({ status, body }).toMatchObject({ status: 202, body: { state: 'waiting', alertId: null } })
    await eventually(async () => expect((await hook.sent())[0]).toMatchObject({ id: body.id, state: 'delivered' }))
    const { headers, body: message } = hook.mine()[0] ?? NOTHING
    expect(new Webhook(hook.secret).verify(message, headers)).toMatchObject({
      type: 'test',
      data: { webhookId: hook.id },
    })
    answers.set(hook.path, { status: 500 })
    await owner.post(`${hook.at}/test`)
    await eventually(async () => expect((await hook.sent())[0]).toMatchObject({ state: 'dead', attempts: 1 }))
    await remove(hook)
  })

  test('has a secret that is shown once, is kept encrypted, and can be changed for another', async () => {
    const hook = await add()
    const shown = [(await owner.get(hook.at)).body, (await owner.get('/webhooks')).body] as Body[]
    expect(JSON.stringify(shown)).not.toContain('whsec_')
    const [row] = await api.db.select().from(webhooks).where(eq(webhooks.id, hook.id))
    expect(row?.secret).toMatch(/^v1\./)
    const { body } = await owner.post(`${hook.at}/rotate`)
    const secret = String(body['secret'])
    expect(secret).not.toBe(hook.secret)
    await owner.post(`${hook.at}/test`)
    await eventually(() => expect(hook.mine()).toHaveLength(1))
    const { headers, body: message } = hook.mine()[0] ?? NOTHING
    expect(new Webhook(secret).verify(message, headers)).toMatchObject({ type: 'test' })
    expect(() => new Webhook(hook.secret).verify(message, headers)).toThrow()
    expect(JSON.stringify(await api.db.select().from(audit))).not.toContain('whsec_')
    await remove(hook)
  })

  test('that waits is not sent again by hand, nor is what another one got', async () => {
    const [hook, other] = [await add(), await add()]
    answers.set(hook.path, { status: 500 })
    await tamper()
    await api.look()
    const [waiting] = await hook.sent()
    expectProblem(await owner.post(`${hook.at}/deliveries/${waiting?.id}/replay`), 409)
    expectProblem(await owner.post(`${other.at}/deliveries/${waiting?.id}/replay`), 404)
    expectProblem(await owner.get(`${hook.at}/deliveries?state=lost`), 422, 'state')
    await Promise.all([hook, other].map(remove))
    got = []
  })
})
