import { gt } from 'drizzle-orm'
import { beforeAll, describe, expect, test } from 'vitest'
import { verifyChain } from '../../audit/verify.ts'
import { audit, cards, groupPeople, people } from '../../db/schema.ts'
import { type Reply, startTestApi, type TestApi } from '../../testing/api.ts'
import { type Caller, despiteReset, expectProblem, lengthOf, replyOf, signIn } from '../../testing/caller.ts'
import { registerBridge, scanOf } from '../../testing/sealed.ts'

// People and cards from a file: what plan.test.ts says of the plan, this says of the front door and of what is written.

let api: TestApi
let admin: Caller

type Sent = { dryRun?: string; type?: string; caller?: Caller; headers?: Record<string, string> }
const send = async (body: string | Uint8Array<ArrayBuffer>, sent: Sent = {}): Promise<Reply> => {
  const { dryRun, type = 'text/csv', caller = admin, headers } = sent
  const length = typeof body === 'string' ? lengthOf(body) : { 'content-length': String(body.length) }
  return replyOf(
    await api.fetch(`/api/v1/imports/people${dryRun === undefined ? '' : `?dryRun=${dryRun}`}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${caller.token}`, 'content-type': type, ...length, ...headers },
      body,
    }),
  )
}
const csv = (...rows: string[]) => rows.join('\r\n')

let made = 0
const next = () => `N${++made}`
const everything = async () => [
  await api.db.$count(people),
  await api.db.$count(cards),
  await api.db.$count(groupPeople),
  await api.db.$count(audit),
]
const lastAudit = async () => (await api.db.select().from(audit).orderBy(audit.number)).at(-1)
const auditSince = async (number: number) =>
  api.db.select().from(audit).where(gt(audit.number, number)).orderBy(audit.number)

beforeAll(async () => {
  api = await startTestApi()
  admin = await signIn(api, 'admin')
  for (const name of ['Staff', 'Night']) await admin.post('/groups', { name })
})

describe('an import', () => {
  test('adds people, their cards and their groups, and what it adds opens doors', async () => {
    const [one, two] = [next(), next()]
    const file = csv(
      '\ufeffName;Employee_Number;EMAIL;Groups;Card_Number;Card_Form;Card_Label;Valid_Until',
      `"Ada; Countess";${one};ADA@example.org;Staff|Night;DE0BA901;;"Blue ""fob""";2100-01-01T00:00:00Z`,
      `;${one};;;6159760;decimal;;`,
      `Bob;${two};;Staff;;;;`,
    )
    const { status, body } = await send(file)
    expect({ status, body }).toMatchObject({
      status: 200,
      body: {
        ...{ dryRun: false, rows: 3, unchanged: 0, errors: [], moreErrors: 0 },
        created: { people: 2, cards: 2, memberships: 3 },
        updated: { people: 0, cards: 0 },
        results: [
          { row: 2, result: 'created', personId: expect.any(String), cardId: expect.any(String) },
          { row: 3, result: 'created', personId: expect.any(String), cardId: expect.any(String) },
          { row: 4, result: 'created', personId: expect.any(String) },
        ],
      },
    })
    const [first, second] = body['results'] as { personId: string; cardId: string }[]
    expect(second?.personId).toBe(first?.personId)
    expect((await admin.get(`/people/${first?.personId}`)).body).toMatchObject({
      ...{ name: 'Ada; Countess', employeeNumber: one, email: 'ada@example.org', active: true },
      ...{ validFrom: null, validUntil: '2100-01-01T00:00:00.000Z' },
    })
    expect((await admin.get(`/cards/${first?.cardId}`)).body).toMatchObject({
      ...{ personId: first?.personId, number: 'DE0BA901', form: 'hex', label: 'Blue "fob"', status: 'active' },
    })

    const [group] = (await admin.get('/groups?q=Night')).body.items
    const reader = async (topic: string, cardView: string) =>
      (await admin.post('/readers', { name: topic, topic, cardView })).body.id
    const readers = [await reader('import/hex', 'hex'), await reader('import/decimal', 'decimal')]
    await admin.post('/rules', { groupId: group?.id, readerIds: readers })
    const bridge = await registerBridge(api, admin)
    expect(await bridge.check(scanOf(String(readers[0]), 'de:0b:a9:01'))).toMatchObject({ reason: 'granted' })
    expect(await bridge.check(scanOf(String(readers[1]), '0006159760'))).toMatchObject({ reason: 'granted' })
  })

  test('is one row of the audit log, with what was sent; what was there and is changed is a row each', async () => {
    const [there, fresh] = [next(), next()]
    await send(csv('name,employee_number', `Ada,${there}`))
    const before = Number((await lastAudit())?.number)
    const { body } = await send(
      csv(
        'name,employee_number,groups,card_number,card_form',
        `Ada Lovelace,${there},Staff,${made}00001,decimal`,
        `Bob,${fresh},Staff,${made}00002,decimal`,
      ),
    )
    expect(body).toMatchObject({ created: { people: 1, cards: 2, memberships: 2 }, updated: { people: 1, cards: 0 } })
    const [ada] = body['results'] as { personId: string; cardId: string }[]
    const rows = await auditSince(before)
    const by = { actorKind: 'account', actorId: admin.id }
    expect(rows).toMatchObject([
      {
        ...by,
        action: 'people.update',
        targetId: ada?.personId,
        before: { name: 'Ada' },
        after: { name: 'Ada Lovelace' },
      },
      { ...by, action: 'cards.create', targetId: ada?.cardId, before: null, after: { personId: ada?.personId } },
      { ...by, action: 'groups.people.add', after: { personId: ada?.personId, member: true } },
      {
        ...by,
        ...{ action: 'imports.people', targetKind: 'import', targetId: body.id, before: null },
        after: {
          rows: 2,
          created: body['created'],
          updated: body['updated'],
          sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
        },
      },
    ])
    expect((await verifyChain(api.db.$client)).findings).toEqual([])
  })

  test('of the same file again changes nothing', async () => {
    const file = csv(
      'name,employee_number,active,valid_from,groups,card_number,card_label,card_valid_until',
      `Ada,${next()},no,2026-01-31T09:00:00+01:00,Staff,${`CA000${made}`.slice(-6)},Fob,2100-01-01T00:00:00Z`,
    )
    expect((await send(file)).body).toMatchObject({ created: { people: 1, cards: 1, memberships: 1 } })
    const [peopleThere, cardsThere, members, rows] = await everything()
    expect((await send(file)).body).toMatchObject({
      ...{ created: { people: 0, cards: 0, memberships: 0 }, updated: { people: 0, cards: 0 } },
      ...{ unchanged: 1, results: [{ row: 2, result: 'unchanged' }] },
    })
    expect(await everything()).toEqual([peopleThere, cardsThere, members, Number(rows) + 1])
  })

  test('that is tried says the same, names nobody who is not there, and writes nothing at all', async () => {
    const there = next()
    await send(csv('name,employee_number', `Ada,${there}`))
    const file = csv('name,employee_number,groups', `Ada L.,${there},Staff`, `Bob,${next()},Staff`)
    const before = await everything()
    const { status, body } = await send(file, { dryRun: 'true' })
    expect({ status, body }).toMatchObject({
      status: 200,
      body: {
        ...{ id: null, dryRun: true, rows: 2, errors: [] },
        created: { people: 1, cards: 0, memberships: 2 },
        updated: { people: 1, cards: 0 },
      },
    })
    expect(body['results']).toEqual([
      { row: 2, result: 'updated', personId: expect.any(String) },
      { row: 3, result: 'created' },
    ])
    expect(await everything()).toEqual(before)
    const { id: _, dryRun: __, results: ___, ...same } = (await send(file, { dryRun: 'false' })).body
    expect(body).toMatchObject(same)
  })

  test('with a mistake anywhere writes nothing, and says in which rows; so does the dry run', async () => {
    const fine = Array.from({ length: 30 }, () => `Ada,${next()},,`)
    const file = csv('name,employee_number,email,groups', ...fine, `Bob,${next()},nowhere,`, `Eve,${next()},,Nobody`)
    const before = await everything()
    const refused = await send(file)
    expectProblem(refused, 422, 'rows.32.email')
    expect(refused.body.errors.map(({ path }) => path)).toEqual(['rows.32.email', 'rows.33.groups'])
    expect(refused.body['detail']).toMatch(/Nothing was imported: 2 mistakes in 2 rows/)
    const { status, body } = await send(file, { dryRun: 'true' })
    expect(status).toBe(200)
    expect(body.errors).toMatchObject([
      { row: 32, column: 'email' },
      { row: 33, column: 'groups', message: '“Nobody” is no group: add it first' },
    ])
    expect((body['results'] as { result: string }[]).filter(({ result }) => result === 'error')).toHaveLength(2)
    expect(await everything()).toEqual(before)
  })

  test('with a thousand mistakes names some, and says how many there are', async () => {
    const file = csv('name,email', ...Array.from({ length: 1_000 }, () => 'Ada,nowhere'))
    const refused = await send(file)
    expectProblem(refused, 422)
    expect(refused.body.errors).toHaveLength(20)
    expect(refused.body['detail']).toMatch(/1000 mistakes in 1000 rows/)
    const { body } = await send(file, { dryRun: 'true' })
    expect([body.errors.length, body['moreErrors']]).toEqual([200, 800])
  })

  test('beside another of the same people leaves one of each', async () => {
    const number = next()
    const file = csv('name,employee_number,card_number,card_form', `Ada,${number},${made}00077,decimal`)
    const replies = await Promise.all([send(file), send(file), send(file)])
    for (const { status } of replies) expect([200, 409]).toContain(status)
    expect(
      (await admin.get(`/people?q=${number}`)).body.items.filter((one) => one['employeeNumber'] === number),
    ).toHaveLength(1)
    expect((await admin.get(`/cards?q=${made}00077`)).body.items).toHaveLength(1)
  })
})

describe('an import is refused', () => {
  test.each(['operator', 'auditor', 'member'] as const)('to the role %s', async (role) => {
    expectProblem(await send('name\nAda', { caller: await signIn(api, role) }), 403)
  })

  test.each(['application/json', 'text/plain', 'text/csvx', 'multipart/form-data; boundary=x'])(
    'when it is called %s',
    async (type) => expectProblem(await send('name\nAda', { type }), 415),
  )

  test('when it is compressed', async () => {
    expectProblem(await send('name\nAda', { headers: { 'content-encoding': 'gzip' } }), 415)
  })

  test('when it is larger than 5 MiB; one that is not is read', async () => {
    const file = (size: number) => `name\n${'A'.repeat(size * 1024)}`
    expectProblem(await despiteReset(() => send(file(5 * 1024))), 413)
    expectProblem(await send(file(5 * 1024 - 1), { dryRun: 'false' }), 422, 'rows.2.name')
  })

  test.each<[string, string | Uint8Array<ArrayBuffer>, string]>([
    ['it is empty', '', 'header'],
    ['it has an unknown column', 'name,phone\nAda,1', 'header'],
    ['it is in another encoding', new Uint8Array([...new TextEncoder().encode('name\nAd'), 0xe1]), ''],
  ])('when %s', async (_, file, path) => {
    for (const dryRun of ['true', 'false']) expectProblem(await send(file, { dryRun }), 422, path)
  })

  test.each(['', 'yes', '1', 'true&dryRun=false'])('when it shall be a dry run of %j', async (dryRun) => {
    expectProblem(await send('name\nAda', { dryRun }), 422, 'dryRun')
  })
})
