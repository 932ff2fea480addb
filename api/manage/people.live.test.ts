import { beforeAll, describe, expect, test } from 'vitest'
import { startTestApi, type TestApi } from '../testing/api.ts'
import { type Caller, expectProblem, signIn } from '../testing/caller.ts'
import { type Bridge, registerBridge, scanOf } from '../testing/sealed.ts'

// People, the cards they carry and the groups they are in.

const ABSENT = '0198c1a2-0000-7000-8000-000000000000'

let api: TestApi
let admin: Caller
let bridge: Bridge
let hexReader: string
let decimalReader: string

const addPerson = async (name = 'Ada Lovelace', more: object = {}) =>
  (await admin.post('/people', { name, ...more })).body.id
const addCard = async (fields: object, personId?: string) =>
  admin.post('/cards', { personId: personId ?? (await addPerson()), ...fields })
const addGroup = async (name = 'Staff') => (await admin.post('/groups', { name })).body.id

beforeAll(async () => {
  api = await startTestApi()
  admin = await signIn(api, 'admin')
  bridge = await registerBridge(api, admin)
  const addReader = async (cardView: string) =>
    (await admin.post('/readers', { name: cardView, topic: `people/${cardView}`, cardView })).body.id
  hexReader = await addReader('hex')
  decimalReader = await addReader('decimal')
})

describe('a person', () => {
  test('is added as it was meant: trimmed, the e-mail in lower case, active and without an end', async () => {
    const { body } = await admin.post('/people', { name: '  Ada Lovelace ', email: ' Ada@Example.org ' })
    expect(body).toEqual({
      id: body.id,
      name: 'Ada Lovelace',
      email: 'ada@example.org',
      employeeNumber: null,
      active: true,
      validFrom: null,
      validUntil: null,
      exemptFromLockdown: false,
      erasedAt: null,
    })
  })

  test('is exempt from lockdowns only when it was said', async () => {
    const { body } = await admin.post('/people', { name: 'Guard', exemptFromLockdown: true })
    expect(body).toMatchObject({ exemptFromLockdown: true })
    expect((await admin.patch(`/people/${body.id}`, { active: false })).body).toMatchObject({
      exemptFromLockdown: true,
    })
    expect((await admin.patch(`/people/${body.id}`, { exemptFromLockdown: false })).body).toMatchObject({
      exemptFromLockdown: false,
    })
  })

  test('keeps what a change does not name, and loses what it names as null', async () => {
    const before = (await admin.post('/people', { name: 'Grace', email: 'grace@example.org', employeeNumber: 'G-1' }))
      .body
    const change = { active: false, email: null, validUntil: '2030-01-01T00:00:00+01:00' }
    const { body } = await admin.patch(`/people/${before.id}`, change)
    expect(body).toEqual({ ...before, active: false, email: null, validUntil: '2029-12-31T23:00:00.000Z' })
  })

  test('has an employee number of its own', async () => {
    const first = await addPerson('First', { employeeNumber: '0042' })
    const second = await addPerson('Second', { employeeNumber: '42' })
    expectProblem(await admin.post('/people', { name: 'Third', employeeNumber: '0042' }), 409)
    expectProblem(await admin.patch(`/people/${second}`, { employeeNumber: '0042' }), 409)
    expect((await admin.patch(`/people/${first}`, { employeeNumber: '0042' })).status).toBe(200)
    expect((await admin.patch(`/people/${first}`, { employeeNumber: null })).status).toBe(200)
    expect((await admin.patch(`/people/${second}`, { employeeNumber: '0042' })).status).toBe(200)
  })

  test('may share a name and an e-mail address', async () => {
    const twin = { name: 'Twin', email: 'twins@example.org' }
    expect((await admin.post('/people', twin)).status).toBe(201)
    expect((await admin.post('/people', twin)).status).toBe(201)
  })

  test('is not deleted while there is a card', async () => {
    const id = await addPerson()
    const { body: card } = await addCard({ number: 'AA01' }, id)
    const refused = await admin.delete(`/people/${id}`)
    expectProblem(refused, 409)
    expect(refused.body['detail']).toMatch(/cards/)
    expect((await admin.get(`/people/${id}`)).status).toBe(200)
    await admin.delete(`/cards/${card.id}`)
    expect((await admin.delete(`/people/${id}`)).status).toBe(204)
  })

  test('is found by a card number, however that is written', async () => {
    const id = await addPerson('Holder of a card')
    await addCard({ number: 'DE0BA997' }, id)
    await addCard({ number: '6159761', form: 'decimal' }, id)
    const find = async (q: string) => (await admin.get(`/people?q=${q}`)).body.items.map((person) => person.id)
    for (const q of ['DE0BA997', 'de:0b:a9:97', 'de-0b-a9-97', '6159761', '0006159761']) {
      expect({ q, found: await find(q) }).toEqual({ q, found: [id] })
    }
    expect(await find('DE0BA9')).toEqual([])
  })
})

describe('a validity', () => {
  const JAN = '2026-01-01T00:00:00.000Z'
  const FEB = '2026-02-01T00:00:00.000Z'
  const add = { people: (fields: object) => admin.post('/people', { name: 'Guest', ...fields }), cards: addCard }
  const numbers = (noun: 'people' | 'cards', i: number) => (noun === 'cards' ? { number: `BB0${i}` } : {})

  test.each(['people', 'cards'] as const)(
    'of %s ends after it begins, also when only one of them changes',
    async (noun) => {
      expectProblem(await add[noun]({ ...numbers(noun, 1), validFrom: FEB, validUntil: JAN }), 422, 'validUntil')
      expectProblem(await add[noun]({ ...numbers(noun, 1), validFrom: JAN, validUntil: JAN }), 422, 'validUntil')

      const { status, body } = await add[noun]({ ...numbers(noun, 1), validFrom: JAN, validUntil: FEB })
      expect({ status, body }).toMatchObject({ status: 201, body: { validFrom: JAN, validUntil: FEB } })
      const path = `/${noun}/${body.id}`
      expectProblem(await admin.patch(path, { validUntil: JAN }), 422, 'validUntil')
      expectProblem(await admin.patch(path, { validFrom: FEB }), 422, 'validUntil')
      expect((await admin.get(path)).body).toEqual(body)
      expect((await admin.patch(path, { validUntil: null })).body).toEqual({ ...body, validUntil: null })
      expect((await admin.patch(path, { validFrom: FEB })).status).toBe(200)
    },
  )
})

describe('the number of a card', () => {
  test.each([
    ['hex', 'de-0b-a9-96', 'DE0BA996'],
    ['hex', '04:5e:0a:b2:c3:4d:80', '045E0AB2C34D80'],
    ['hex', ' 00 0a ', '000A'],
    ['decimal', '0006159760', '6159760'],
    ['decimal', '9'.repeat(78), '9'.repeat(78)],
  ])('in %s is kept in its one spelling: %s', async (form, number, expected) => {
    const { body } = await addCard({ form, number })
    expect(body).toMatchObject({ form, number: expected, status: 'active', label: null })
    await admin.delete(`/cards/${body.id}`)
  })

  test.each([
    ['hex', 'DE0'],
    ['hex', '0000'],
    ['hex', 'DE0BA99G'],
    ['hex', '--'],
    ['hex', 'AB'.repeat(33)],
    ['decimal', '0'],
    ['decimal', '12A4'],
    ['decimal', '-1'],
    ['decimal', '1.5'],
    ['decimal', '12 34'],
    ['decimal', '9'.repeat(79)],
  ])('in %s is not %s', async (form, number) => {
    expectProblem(await addCard({ form, number }), 422, 'number')
  })

  test('is hex when nothing else is said, so an odd number of digits is refused rather than guessed', async () => {
    expectProblem(await addCard({ number: '6159760' }), 422, 'number')
  })

  test('is in use once, however it is written', async () => {
    const { body: first } = await addCard({ number: 'CAFE01' })
    const { body: second } = await addCard({ number: 'CAFE02' })
    const refused = await addCard({ number: 'ca:fe:01' })
    expectProblem(refused, 409)
    expect(refused.body['detail']).toMatch(/card number/)
    expectProblem(await admin.patch(`/cards/${second.id}`, { number: 'ca-fe-01' }), 409)
    expect((await admin.patch(`/cards/${first.id}`, { number: 'ca fe 01' })).status).toBe(200)
  })

  test('may have the digits of a card of the other form', async () => {
    expect((await addCard({ form: 'hex', number: '12345678' })).status).toBe(201)
    expect((await addCard({ form: 'decimal', number: '12345678' })).status).toBe(201)
    expectProblem(await addCard({ form: 'decimal', number: '012345678' }), 409)
  })

  test('may change its form only when it is a number of the new form', async () => {
    const { body: card } = await addCard({ number: 'BEEF' })
    expectProblem(await admin.patch(`/cards/${card.id}`, { form: 'decimal' }), 422, 'number')
    const { body: changed } = await admin.patch(`/cards/${card.id}`, { form: 'decimal', number: '0048879' })
    expect(changed).toEqual({ ...card, form: 'decimal', number: '48879' })
  })
})

describe('a card', () => {
  const may = async (...readerIds: string[]) => {
    const personId = await addPerson()
    const groupId = await addGroup()
    await admin.put(`/groups/${groupId}/people/${personId}`)
    await admin.post('/rules', { groupId, readerIds })
    return personId
  }
  const reasonOf = async (reader: string, card: string) => (await bridge.check(scanOf(reader, card))).reason

  test('opens by its new number and no longer by the old one, in every view', async () => {
    const personId = await may(hexReader, decimalReader)
    const { body: card } = await addCard({ number: '0A01' }, personId)
    expect(await reasonOf(hexReader, '0a01')).toBe('granted')
    expect(await reasonOf(decimalReader, '2561')).toBe('granted')

    await admin.patch(`/cards/${card.id}`, { number: '0A02' })
    expect(await reasonOf(hexReader, '0a01')).toBe('unknown_card')
    expect(await reasonOf(decimalReader, '2561')).toBe('unknown_card')
    expect(await reasonOf(hexReader, '0a02')).toBe('granted')
    expect(await reasonOf(decimalReader, '2562')).toBe('granted')

    await admin.patch(`/cards/${card.id}`, { form: 'decimal', number: '2563' })
    expect(await reasonOf(hexReader, '0a03')).toBe('unknown_card')
    expect(await reasonOf(decimalReader, '2563')).toBe('granted')
  })

  test('opens nothing once it is deleted, and its scans stay on record', async () => {
    const personId = await may(hexReader)
    const { body: card } = await addCard({ number: '0B01' }, personId)
    const { scan, reason } = await bridge.check(scanOf(hexReader, '0B01'))
    expect(reason).toBe('granted')
    expect((await admin.delete(`/cards/${card.id}`)).status).toBe(204)
    expect(await reasonOf(hexReader, '0B01')).toBe('unknown_card')
    expect((await admin.get(`/events/${scan}`)).body).toMatchObject({ cardId: card.id, personId, reason: 'granted' })
    expect((await addCard({ number: '0B01' })).status).toBe(201)
  })

  test('given to somebody else opens what that person may pass', async () => {
    const { body: card } = await addCard({ number: '0C01' })
    expect(await reasonOf(hexReader, '0C01')).toBe('no_rule')
    await admin.patch(`/cards/${card.id}`, { personId: await may(hexReader) })
    expect(await reasonOf(hexReader, '0C01')).toBe('granted')
  })

  test('is listed by person and by status, and found by number, label and holder', async () => {
    const personId = await addPerson('Zoe Searched')
    const { body: first } = await addCard({ number: 'F00D01', label: 'Spare' }, personId)
    const { body: second } = await addCard({ number: '0777', form: 'decimal', status: 'lost' }, personId)
    const list = async (query: string) => (await admin.get(`/cards?${query}`)).body.items.map((card) => card.id)
    expect((await list(`personId=${personId}`)).sort()).toEqual([first.id, second.id].sort())
    expect(await list(`personId=${personId}&status=lost`)).toEqual([second.id])
    expect(await list(`personId=${personId}&status=blocked`)).toEqual([])
    expect(await list('q=f0:0d:01')).toEqual([first.id])
    expect(await list('q=00D0')).toEqual([first.id])
    expect(await list('q=000777')).toEqual([second.id])
    expect(await list('q=spare')).toEqual([first.id])
    expect((await list('q=zoe')).sort()).toEqual([first.id, second.id].sort())
    expectProblem(await admin.get('/cards?status=eaten'), 422, 'status')
    expectProblem(await admin.get('/cards?personId=Zoe'), 422, 'personId')
  })
})

describe('a group', () => {
  test('takes a person in and lets the person out again', async () => {
    const [groupId, personId] = [await addGroup(), await addPerson('Member')]
    const path = `/groups/${groupId}/people/${personId}`
    expect((await admin.put(path)).status).toBe(204)
    expect((await admin.put(path)).status).toBe(204)
    const { body } = await admin.get(`/groups/${groupId}/people`)
    expect(body.items).toEqual([(await admin.get(`/people/${personId}`)).body])
    expect((await admin.get(`/groups?personId=${personId}`)).body.items.map(({ id }) => id)).toEqual([groupId])

    expect((await admin.delete(path)).status).toBe(204)
    expectProblem(await admin.delete(path), 404)
    expect((await admin.get(`/groups/${groupId}/people`)).body.items).toEqual([])
    expect((await admin.get(`/groups?personId=${personId}`)).body.items).toEqual([])
  })

  test('and its people have to be there', async () => {
    const [groupId, personId] = [await addGroup(), await addPerson()]
    expectProblem(await admin.put(`/groups/${groupId}/people/${ABSENT}`), 404)
    expectProblem(await admin.put(`/groups/${ABSENT}/people/${personId}`), 404)
    expectProblem(await admin.get(`/groups/${ABSENT}/people`), 404)
    expectProblem(await admin.put(`/groups/${groupId}/people/ada`), 422, 'personId')
  })

  test('shows its people by name', async () => {
    const groupId = await addGroup()
    for (const name of ['Charlie', 'Alice', 'Bob'])
      await admin.put(`/groups/${groupId}/people/${await addPerson(name)}`)
    const { items } = (await admin.get(`/groups/${groupId}/people`)).body
    expect(items.map(({ name }) => name)).toEqual(['Alice', 'Bob', 'Charlie'])
  })

  test('loses a person who is deleted', async () => {
    const [groupId, personId] = [await addGroup(), await addPerson()]
    await admin.put(`/groups/${groupId}/people/${personId}`)
    expect((await admin.delete(`/people/${personId}`)).status).toBe(204)
    expect((await admin.get(`/groups/${groupId}/people`)).body.items).toEqual([])
  })

  test('is not deleted while a rule names it; with people only it is', async () => {
    const [groupId, personId] = [await addGroup(), await addPerson()]
    await admin.put(`/groups/${groupId}/people/${personId}`)
    const { body: rule } = await admin.post('/rules', { groupId, readerIds: [hexReader] })
    const refused = await admin.delete(`/groups/${groupId}`)
    expectProblem(refused, 409)
    expect(refused.body['detail']).toMatch(/[Rr]ule/)
    await admin.delete(`/rules/${rule.id}`)
    expect((await admin.delete(`/groups/${groupId}`)).status).toBe(204)
    expect((await admin.get(`/people/${personId}`)).status).toBe(200)
  })
})
