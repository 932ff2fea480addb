import { eq, sql } from 'drizzle-orm'
import { beforeAll, describe, expect, test } from 'vitest'
import { verifyChain } from '../audit/verify.ts'
import { accounts, alerts, audit, cards, erasures, events, people } from '../db/schema.ts'
import { APP_KEY, PASSWORD, startTestApi, type TestApi } from '../testing/api.ts'
import { type Caller, expectProblem, newSession, signIn } from '../testing/caller.ts'
import { type Bridge, handedOver, registerBridge, scanOf } from '../testing/sealed.ts'
import { accountOf, keyOf } from '../testing/things.ts'

// All that is known of a person, and that nothing is known of them any more.

let api: TestApi
let owner: Caller
let bridge: Bridge
let hex: string
let decimal: string

const NAME = 'Wilhelmine Unverwechselbar'
const EMAIL = 'wilhelmine@example.org'
const NUMBER = 'DE0BA996'
/** What of theirs must not be found: as it was typed, and their cards' numbers in the views of both readers. */
const THEIRS = [NAME, EMAIL, 'wu@example.com', 'Perso-4711', 'Wilhelmines Chip', 'Alter Chip', NUMBER, 'de-0b-a9-96']
THEIRS.push('3725306262', 'AB12CD34EF', '045E0AB2C34D80')

type Ada = { id: string; accountId: string; first: string; stray: string; ofCard: string }
let her: Ada

const add = async (path: string, fields: object): Promise<string> => {
  const { status, body } = await owner.post(path, fields)
  expect({ path, status, body }).toMatchObject({ status: 201 })
  return body.id
}

/** Somebody who has left a trace wherever there is one to leave. */
const makeHer = async (): Promise<Ada> => {
  const stray = (await bridge.check(scanOf(decimal, '3725306262'))).scan
  const ofCard = (await bridge.check(scanOf(hex, 'de-0b-a9-96'))).scan
  const id = await add('/people', { name: NAME, email: EMAIL, employeeNumber: 'Perso-4711' })
  await owner.patch(`/people/${id}`, { validUntil: '2099-01-01T00:00:00Z' })
  await add('/enrolments', { readerId: hex, personId: id, label: 'Wilhelmines Chip' })
  const first = (await bridge.check(scanOf(hex, NUMBER))).scan
  const old = await add('/cards', { personId: id, number: 'AB12CD34EF', label: 'Alter Chip' })
  await bridge.check(scanOf(hex, 'ab12cd34ef'))
  await owner.delete(`/cards/${old}`)
  await bridge.check(scanOf(hex, 'AB:12:CD:34:EF'))
  await add('/cards', { personId: id, number: '045E0AB2C34D80' })
  const tried = (await bridge.check(scanOf(hex, NUMBER))).scan
  await bridge.handOver([handedOver(hex, NUMBER, { id: tried, personId: id, reason: 'late' })])
  await owner.put(`/groups/${await add('/groups', { name: 'Pilots' })}/people/${id}`)
  await owner.send('PUT', `/people/${id}/pin`)
  const accountId = await add('/accounts', {
    email: 'wu@example.com',
    role: 'member',
    personId: id,
    password: PASSWORD,
  })
  const me = await newSession(api, { id: accountId, email: 'wu@example.com' })
  await me.patch('/me', { name: NAME })
  await api.db.insert(alerts).values({ at: new Date(), kind: 'far_readers', about: id, since: new Date(), detail: {} })
  const csv = `name,email,employee number,card number\n${NAME},${EMAIL},Perso-4711,${NUMBER}`
  await owner.send('POST', '/imports/people', { body: csv, type: 'text/csv' })
  return { id, accountId, first, stray, ofCard }
}

/** Every table as text, less how Postgres spells ids and times. */
const dump = async (): Promise<string> => {
  const tables = await api.db.execute<{ name: string }>(sql`
    select distinct table_name as name from information_schema.columns
    where table_schema = 'public' and data_type in ('text', 'jsonb', 'json', 'character varying')`)
  const texts = await Promise.all(
    tables.map(async ({ name }) => {
      const rows = await api.db.execute<{ text: string }>(sql`select t::text as text from ${sql.identifier(name)} t`)
      return rows.map(({ text }) => `${name} ${text}`).join('\n')
    }),
  )
  return texts.join('\n').toLowerCase()
}
const traces = async () => {
  const all = await dump()
  return THEIRS.filter((one) => all.includes(one.toLowerCase()))
}

const keys = () => [Buffer.from(APP_KEY, 'base64')]
const lastOf = async (action: string) =>
  (await api.db.select().from(audit).where(eq(audit.action, action)).orderBy(audit.number)).at(-1)

beforeAll(async () => {
  api = await startTestApi()
  owner = await signIn(api, 'owner')
  bridge = await registerBridge(api, owner)
  hex = await add('/readers', { name: 'Door', topic: 'door', cardView: 'hex' })
  decimal = await add('/readers', { name: 'Gate', topic: 'gate', cardView: 'decimal' })
  her = await makeHer()
})

describe('the export of a person', () => {
  test('has all that is known of them, and no secret', async () => {
    await api.db.execute(sql`
      insert into events (id, at, received_at, reader_id, card_number, person_id, decision, reason, source, bridge_id, open_ms)
      select gen_random_uuid(), now() - n * interval '1 minute', now(), ${hex}::uuid, ${NUMBER}, ${her.id}::uuid, 'granted',
        'granted', 'online', ${bridge.id}::uuid, 0 from generate_series(1, 2500) n`)
    const { status, headers, body } = await owner.get(`/people/${her.id}/export`)
    expect({ status, type: headers.get('content-type') }).toEqual({ status: 200, type: 'application/json' })
    expect(headers.get('content-disposition')).toContain(`person-${her.id}.json`)
    const {
      events: scans,
      eventsBeforeKnown,
      audit: rows,
      ...rest
    } = body as unknown as Record<string, { id: string }[]>
    expect(rest).toMatchObject({
      person: { id: her.id, name: NAME, email: EMAIL, employeeNumber: 'Perso-4711' },
      pin: { setAt: expect.any(String) },
      cards: [{ number: NUMBER, label: 'Wilhelmines Chip' }, { number: '045E0AB2C34D80' }],
      groups: [{ name: 'Pilots' }],
      enrolments: [{ state: 'enrolled' }],
      accounts: [{ id: her.accountId, email: 'wu@example.com' }],
      sessions: [{ accountId: her.accountId }],
      alerts: [{ kind: 'far_readers' }],
    })
    expect(new Set(scans?.map(({ id }) => id)).size).toBe(2_503)
    expect(scans?.find(({ id }) => id === her.first)).toMatchObject({ reason: 'enrolled', corrections: [] })
    expect(scans).toContainEqual(expect.objectContaining({ reason: 'late', corrections: [expect.any(Object)] }))
    expect(eventsBeforeKnown?.map(({ id }) => id).sort()).toEqual([her.stray, her.ofCard].sort())
    const actions = (rows as unknown as { action: string }[]).map(({ action }) => action)
    for (const action of ['people.create', 'cards.delete', 'enrolments.enrol', 'accounts.create', 'me.update']) {
      expect(actions).toContain(action)
    }
    expect(JSON.stringify(body)).not.toMatch(/\$2b\$|passwordHash|totpSecret|"(secret|token)"/i)
    expect(await lastOf('people.export')).toMatchObject({ actorId: owner.id, targetId: her.id, after: null })
  })

  test('is for owners and admins who have just proven who they are, and for no key', async () => {
    const path = `/people/${her.id}/export`
    expectProblem(await (await accountOf(api, 'operator')).get(path), 403)
    expectProblem(await api.stranger.get(path), 401)
    const headers = { authorization: `Bearer ${await keyOf(api, 'owner')}` }
    expect((await api.fetch(`/api/v1${path}`, { headers })).status).toBe(403)
    const late = await accountOf(api, 'admin')
    await api.db.execute(
      sql`update sessions set proven_at = now() - interval '1 hour' where account_id = ${late.id}::uuid`,
    )
    expect((await late.get(path)).body).toMatchObject({ status: 403, type: 'urn:lintel:problem:proof-required' })
    expect((await late.post(`/people/${her.id}/erase`)).status).toBe(403)
  })
})

describe('a person is not erased', () => {
  const erase = (caller: Caller, id: string) => caller.post(`/people/${id}/erase`)

  test('by somebody who may not delete their account', async () => {
    const admin = await accountOf(api, 'admin')
    const boss = await add('/people', { name: 'Boss' })
    await accountOf(api, 'owner', boss)
    expectProblem(await erase(admin, boss), 403)
    expect((await owner.get(`/people/${boss}`)).body).toMatchObject({ name: 'Boss', erasedAt: null })
  })

  test('whose account is one’s own', async () => {
    const me = await add('/people', { name: 'Me' })
    await api.db.update(accounts).set({ personId: me }).where(eq(accounts.id, owner.id))
    expect((await erase(owner, me)).body).toMatchObject({
      status: 409,
      detail: expect.stringMatching(/Your own account/),
    })
    await api.db.update(accounts).set({ personId: null }).where(eq(accounts.id, owner.id))
  })
})

describe('a person who is erased', () => {
  test('leaves none of their words anywhere, but each of their scans', async () => {
    expect(await traces()).toEqual(THEIRS)
    const before = await api.db.$count(events)
    const { status, body } = await owner.post(`/people/${her.id}/erase`)
    expect({ status, body }).toMatchObject({ status: 200, body: { person: { id: her.id, active: false } } })
    await expect.poll(() => api.db.$count(erasures), { timeout: 20_000 }).toBe(0)
    expect(await traces()).toEqual([])

    const [person] = await api.db.select().from(people).where(eq(people.id, her.id))
    expect(person).toMatchObject({ name: expect.stringMatching(/^Erased [0-9a-f]{8}$/), erasedAt: expect.any(Date) })
    expect(await api.db.$count(events)).toBe(before)
    const of = await api.db
      .select()
      .from(events)
      .where(eq(events.cardNumber, String(person?.name)))
    expect(of.filter(({ personId }) => personId === her.id)).toHaveLength(2_503)
    expect(of.filter(({ personId }) => personId === null)).toHaveLength(3)
    const unknown = (await owner.get('/unknown-cards')).body.items
    expect(unknown.map(({ cardNumber }) => cardNumber)).toEqual([])
  })

  test('can be told from an edit of the audit log, by its seal', async () => {
    const row = await lastOf('people.erase')
    expect(row).toMatchObject({ actorId: owner.id, targetId: her.id, after: { cards: 2, accounts: 1 } })
    expect(await verifyChain(api.db.$client, undefined, keys)).toMatchObject({ found: 0 })
    expect((await verifyChain(api.db.$client)).found).toBeGreaterThan(5)
  })

  test('gets in nowhere: neither at a door nor at the API', async () => {
    expect(await bridge.check(scanOf(hex, '045E0AB2C34D80'))).toMatchObject({ reason: 'unknown_card' })
    expect(JSON.stringify(await bridge.pages())).not.toMatch(/045E0AB2C34D80|DE0BA996/)
    expectProblem(await owner.get(`/accounts/${her.accountId}`), 404)
    expectProblem(await api.stranger.post('/login', { email: 'wu@example.com', password: PASSWORD }), 401)
    expect(await api.db.$count(cards, eq(cards.personId, her.id))).toBe(0)
  })

  test('stays erased, whatever somebody tries', async () => {
    const personId = her.id
    const groupId = await add('/groups', { name: 'Divers' })
    const email = 'again@example.org'
    const tries = [
      () => owner.patch(`/people/${personId}`, { name: NAME }),
      () => owner.patch(`/people/${personId}`, { active: true }),
      () => owner.post('/cards', { personId, number: 'AA' }),
      () => owner.put(`/groups/${groupId}/people/${personId}`),
      () => owner.send('PUT', `/people/${personId}/pin`),
      () => owner.post('/enrolments', { readerId: hex, personId }),
      () => owner.post('/accounts', { email, role: 'member', personId, password: PASSWORD }),
      () => owner.post(`/people/${personId}/erase`),
    ]
    for (const one of tries) {
      const reply = await one()
      expectProblem(reply, 409)
      expect(reply.body['detail']).toMatch(/erased/)
    }
    const card = await add('/cards', { personId: await add('/people', { name: 'Bob' }), number: 'BB' })
    expectProblem(await owner.patch(`/cards/${card}`, { personId }), 409)
  })

  test('is erased also from what a bridge hands over later, and from what was not finished', async () => {
    await bridge.handOver([handedOver(hex, 'CC11CC22', { personId: her.id })])
    const lost = (await bridge.check(scanOf(hex, 'dd:33:dd:44'))).scan
    await api.db.insert(erasures).values({ personId: her.id, cards: [{ number: 'DD33DD44', form: 'hex' }] })
    expectProblem(await owner.delete(`/people/${her.id}`), 409)
    await api.daily()
    expect(await api.db.$count(erasures)).toBe(0)
    expect(await dump()).not.toMatch(/cc11cc22|dd:33:dd:44/)
    expect((await owner.get(`/events/${lost}`)).body).toMatchObject({ cardNumber: expect.stringMatching(/^Erased /) })
  })
})
