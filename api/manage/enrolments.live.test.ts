import { eq } from 'drizzle-orm'
import { beforeAll, describe, expect, test } from 'vitest'
import type { CardView } from '../contract/card-views.ts'
import { accounts, audit, cards, enrolments, events } from '../db/schema.ts'
import { startTestApi, type TestApi } from '../testing/api.ts'
import { type Caller, expectProblem, signIn } from '../testing/caller.ts'
import { type Bridge, handedOver, registerBridge, scanOf } from '../testing/sealed.ts'
import { accountOf } from '../testing/things.ts'

// "The next card at this reader belongs to this person", and the cards that nobody knows.

let api: TestApi
let admin: Caller
let operator: Caller
let bridge: Bridge
let person: string

let made = 0
const newReader = async (cardView: CardView = 'hex', more: object = {}) =>
  (await admin.post('/readers', { name: 'Desk', topic: `enrol/${++made}`, cardView, ...more })).body.id
const newPerson = async () => (await admin.post('/people', { name: 'Ada' })).body.id
/** Bytes that nobody has yet. */
const newNumber = () => (0xde000000 + ++made).toString(16).toUpperCase()

const begin = async (readerId: string, more: object = {}) => {
  const { status, body } = await operator.post('/enrolments', { readerId, personId: person, ...more })
  expect({ status, body }).toMatchObject({ status: 201 })
  return body
}
const stateOf = async (id: string) => (await operator.get(`/enrolments/${id}`)).body
const cardsOf = async (personId: string) => (await admin.get(`/cards?personId=${personId}`)).body.items
/** As if its time had run out. */
const runOut = (id: string) =>
  api.db
    .update(enrolments)
    .set({ expiresAt: new Date(Date.now() - 1_000) })
    .where(eq(enrolments.id, id))

beforeAll(async () => {
  api = await startTestApi()
  admin = await signIn(api, 'admin')
  operator = await signIn(api, 'operator')
  bridge = await registerBridge(api, admin)
  person = await newPerson()
})

describe('an enrolment', () => {
  test('gives the next card that nobody has to the person, opens nothing, and is on record', async () => {
    const readerId = await newReader()
    const number = newNumber()
    const begun = await begin(readerId, { label: 'Blue fob', seconds: 600 })
    expect(begun).toMatchObject({ readerId, personId: person, label: 'Blue fob', state: 'waiting', cardId: null })
    const { createdAt, expiresAt } = begun
    expect(Date.parse(String(expiresAt)) - Date.parse(String(createdAt))).toBe(600_000)

    const scan = scanOf(readerId, number.toLowerCase())
    const answer = await bridge.check(scan)
    expect(answer).toMatchObject({ decision: 'denied', reason: 'enrolled', openMs: 0 })

    const done = await stateOf(begun.id)
    expect(done).toEqual({ ...begun, state: 'enrolled', cardId: expect.any(String) })
    const card = (await admin.get(`/cards/${done['cardId']}`)).body
    expect(card).toMatchObject({ personId: person, number, form: 'hex', label: 'Blue fob', status: 'active' })
    expect((await admin.get(`/events/${scan.id}`)).body).toMatchObject({
      ...{ reason: 'enrolled', decision: 'denied', source: 'online', cardNumber: number.toLowerCase() },
      ...{ cardId: card.id, personId: person, readerId, bridgeId: bridge.id },
    })
    const [row] = await api.db.select().from(audit).where(eq(audit.targetId, card.id))
    expect(row).toMatchObject({
      ...{ action: 'enrolments.enrol', actorKind: 'account', actorId: operator.id, address: null, targetKind: 'card' },
      ...{ before: null, after: { id: card.id, personId: person, number } },
    })
    expect(await bridge.check(scanOf(readerId, number))).toMatchObject({ reason: 'no_rule' })
    expect(await bridge.check(scanOf(readerId, newNumber()))).toMatchObject({ reason: 'unknown_card' })
  })

  test.each<[CardView, string, string, string]>([
    ['decimal', '0006159760', 'decimal', '6159760'],
    ['hex-reversed', '96a90bde', 'hex', 'DE0BA996'],
    ['w26', '066,15381', 'decimal', '4340757'],
    ['text', '111213', 'decimal', '111213'],
  ])('at a reader of %s: %s becomes the card %s %s, and is known from then on', async (view, text, form, number) => {
    const readerId = await newReader(view)
    const { id } = await begin(readerId)
    expect(await bridge.check(scanOf(readerId, text))).toMatchObject({ reason: 'enrolled' })
    const { cardId } = await stateOf(id)
    expect((await admin.get(`/cards/${cardId}`)).body).toMatchObject({ form, number })
    expect(await bridge.check(scanOf(readerId, text))).toMatchObject({ reason: 'no_rule' })
  })

  test.each<[CardView, string, RegExp]>([
    ['hex-unpadded', 'dea9', /only a part/],
    ['hex', '08AABBCC', /random/],
    ['text', 'Ada', /card view/],
  ])('at a reader of %s is refused with a note for %s, and nothing is written', async (view, text, why) => {
    const readerId = await newReader(view)
    const { id } = await begin(readerId)
    expect(await bridge.check(scanOf(readerId, text))).toMatchObject({ reason: 'unknown_card' })
    expect(await stateOf(id)).toMatchObject({ state: 'refused', note: expect.stringMatching(why), cardId: null })
    expect(await bridge.check(scanOf(readerId, text))).toMatchObject({ reason: 'unknown_card' })
  })

  test('goes on waiting when a card is shown that belongs to somebody, and says so', async () => {
    const readerId = await newReader()
    const number = newNumber()
    await admin.post('/cards', { personId: await newPerson(), number })
    const { id } = await begin(readerId)
    expect(await bridge.check(scanOf(readerId, number))).toMatchObject({ reason: 'no_rule' })
    const waiting = { state: 'waiting', cardId: null, note: expect.stringMatching(/belongs to somebody already/) }
    expect(await stateOf(id)).toMatchObject(waiting)
    expect((await operator.get(`/enrolments?readerId=${readerId}`)).body.items).toMatchObject([waiting])
    expect(await bridge.check(scanOf(readerId, newNumber()))).toMatchObject({ reason: 'enrolled' })
    expect(await stateOf(id)).toMatchObject({ state: 'enrolled', note: null })
  })

  test('takes one card when two come at once, and the other stays nobody’s', async () => {
    const [readerId, owner] = [await newReader(), await newPerson()]
    const { id } = await begin(readerId, { personId: owner })
    const scans = Array.from({ length: 4 }, () => scanOf(readerId, newNumber()))
    const answers = await Promise.all(scans.map((scan) => bridge.check(scan)))
    const reasons = answers.map(({ reason }) => reason).sort()
    expect(reasons).toEqual(['enrolled', 'unknown_card', 'unknown_card', 'unknown_card'])
    const [card, ...more] = await cardsOf(owner)
    expect(more).toEqual([])
    expect(await stateOf(id)).toMatchObject({ state: 'enrolled', cardId: card?.id })
  })

  test('takes the same scan once, however often it is asked and whatever waits by then', async () => {
    const [readerId, owner] = [await newReader(), await newPerson()]
    await begin(readerId, { personId: owner })
    const scan = scanOf(readerId, newNumber())
    const answers = await Promise.all(Array.from({ length: 8 }, () => bridge.check(scan)))
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1)
    expect(answers[0]).toMatchObject({ reason: 'enrolled' })
    const [card] = await cardsOf(owner)
    await admin.delete(`/cards/${card?.id}`)

    const { id } = await begin(readerId, { personId: owner })
    expect(await bridge.check(scan)).toEqual(answers[0])
    const earlier = scanOf(readerId, newNumber())
    await bridge.handOver([handedOver(readerId, earlier.card, { id: earlier.id })])
    expect(await bridge.check(earlier)).toMatchObject({ reason: 'unavailable' })
    expect(await cardsOf(owner)).toEqual([])
    expect(await stateOf(id)).toMatchObject({ state: 'waiting' })
  })

  test('of two readers that are shown one card at once, one takes it and the other goes on', async () => {
    const readers = [await newReader(), await newReader()]
    const begun = await Promise.all(readers.map((readerId) => begin(readerId)))
    const number = newNumber()
    await Promise.all(readers.map((readerId) => bridge.check(scanOf(readerId, number))))
    const states = await Promise.all(begun.map(async ({ id }) => (await stateOf(id))['state']))
    expect(states.sort()).toEqual(['enrolled', 'waiting'])
    expect(await api.db.select().from(cards).where(eq(cards.number, number))).toHaveLength(1)
  })

  test('has its reader for itself: a second one is refused until the first is over', async () => {
    const readerId = await newReader()
    const first = await begin(readerId)
    const again = () => operator.post('/enrolments', { readerId, personId: person })
    const refused = await again()
    expectProblem(refused, 409)
    expect(refused.body['detail']).toContain(first['expiresAt'])
    const other = await begin(await newReader())

    expect((await operator.delete(`/enrolments/${first.id}`)).status).toBe(204)
    expect(await stateOf(first.id)).toEqual({ ...first, state: 'cancelled' })
    expectProblem(await operator.delete(`/enrolments/${first.id}`), 409)
    expect(await bridge.check(scanOf(readerId, newNumber()))).toMatchObject({ reason: 'unknown_card' })

    const at = await Promise.all([again(), again(), again()])
    expect(at.map(({ status }) => status).sort()).toEqual([201, 409, 409])
    expect(await stateOf(other.id)).toMatchObject({ state: 'waiting' })
  })

  test('whose time is over takes nothing, says so, and is in nobody’s way', async () => {
    const readerId = await newReader()
    const { id } = await begin(readerId)
    await runOut(id)
    expect(await bridge.check(scanOf(readerId, newNumber()))).toMatchObject({ reason: 'unknown_card' })
    expect(await stateOf(id)).toMatchObject({ state: 'expired' })
    expectProblem(await operator.delete(`/enrolments/${id}`), 409)
    const next = await begin(readerId)
    const listed = async (state: string) =>
      (await operator.get(`/enrolments?readerId=${readerId}&state=${state}`)).body.items.map((one) => one.id)
    expect([await listed('expired'), await listed('waiting'), await listed('enrolled')]).toEqual([[id], [next.id], []])
    expect((await operator.get(`/enrolments?personId=${person}`)).body.items[0]).toEqual(next)
  })

  test('waits for nothing that is late', async () => {
    const readerId = await newReader()
    await begin(readerId)
    const at = new Date(Date.now() - 10_000).toISOString()
    expect(await bridge.check(scanOf(readerId, newNumber(), { at }))).toMatchObject({ reason: 'late' })
  })

  test('takes what a reader has turned away by itself, and never what it has let in', async () => {
    const readerId = await newReader()
    const { id } = await begin(readerId)
    const letIn = await bridge.check(scanOf(readerId, newNumber(), { decided: 'granted' }))
    expect([letIn.reason, (await stateOf(id))['state']]).not.toContain('enrolled')
    const turnedAway = scanOf(readerId, newNumber(), { decided: 'denied' })
    expect(await bridge.check(turnedAway)).toMatchObject({ reason: 'enrolled', openMs: 0 })
    expect((await admin.get(`/events/${turnedAway.id}`)).body).toMatchObject({ reason: 'enrolled', source: 'reader' })
  })

  test('goes with its reader and its person', async () => {
    const [readerId, owner] = [await newReader(), await newPerson()]
    const one = await begin(readerId)
    const other = await begin(await newReader(), { personId: owner })
    await Promise.all([admin.delete(`/readers/${readerId}`), admin.delete(`/people/${owner}`)])
    for (const { id } of [one, other]) expectProblem(await operator.get(`/enrolments/${id}`), 404)
  })

  test.each<[string, () => Promise<object>, string]>([
    ['a reader that is not there', async () => ({ readerId: crypto.randomUUID() }), 'readerId'],
    [
      'a reader that is switched off',
      async () => ({ readerId: await newReader('hex', { enabled: false }) }),
      'readerId',
    ],
    ['a person who is not there', async () => ({ personId: crypto.randomUUID() }), 'personId'],
    ['nine seconds', async () => ({ seconds: 9 }), 'seconds'],
    ['more than ten minutes', async () => ({ seconds: 601 }), 'seconds'],
    ['half a second', async () => ({ seconds: 10.5 }), 'seconds'],
    ['an empty label', async () => ({ label: ' ' }), 'label'],
  ])('is refused for %s', async (_, more, path) => {
    const body = { readerId: await newReader(), personId: person, ...(await more()) }
    expectProblem(await operator.post('/enrolments', body), 422, path)
  })

  test('does not let operators give themselves a card', async () => {
    const [readerId, own] = [await newReader(), await newPerson()]
    const desk = await accountOf(api, 'operator', own)
    expectProblem(await desk.post('/enrolments', { readerId, personId: own }), 403)
    expect((await desk.post('/enrolments', { readerId, personId: person })).status).toBe(201)
    await api.db.update(accounts).set({ role: 'admin' }).where(eq(accounts.id, desk.id))
    expect((await desk.post('/enrolments', { readerId: await newReader(), personId: own })).status).toBe(201)
  })
})

describe('unknown cards', () => {
  const list = async (query: string) => (await operator.get(`/unknown-cards?${query}`)).body
  const anHourAgo = Date.now() - 3_600_000
  const at = (seconds: number) => new Date(anHourAgo + seconds * 1_000)
  /** As if they had been shown then. */
  const shown = async (readerId: string, cardNumber: string, ...times: Date[]) => {
    const fixed = { decision: 'denied', reason: 'unknown_card', source: 'online', openMs: 0 } as const
    await api.db.insert(events).values(
      times.map((time) => ({
        ...{ ...fixed, readerId, cardNumber, bridgeId: bridge.id },
        ...{ id: crypto.randomUUID(), at: time, receivedAt: time },
      })),
    )
  }

  test('are listed once per reader, with when they were seen and how often, newest first', async () => {
    const [one, other] = [await newReader('decimal'), await newReader('decimal')]
    await shown(one, '500001', at(1), at(9), at(5))
    await shown(other, '500001', at(7))
    await shown(one, '500002', at(3))
    const found = (await list('limit=500')).items.filter(({ readerId }) => [one, other].includes(String(readerId)))
    const seen = (cardNumber: string, readerId: string, first: number, last: number, times: number) => ({
      ...{ cardNumber, readerId, times, hints: [] },
      firstSeenAt: at(first).toISOString(),
      lastSeenAt: at(last).toISOString(),
    })
    expect(found).toEqual([seen('500001', one, 1, 9, 3), seen('500001', other, 7, 7, 1), seen('500002', one, 3, 3, 1)])
    expect((await list(`readerId=${other}`)).items).toHaveLength(1)
    expect((await operator.get('/unknown-cards?readerId=x')).status).toBe(422)
  })

  test('are no longer listed once somebody has them, in the reader’s own view', async () => {
    const [decimal, hex] = [await newReader('decimal'), await newReader('hex')]
    await shown(decimal, '3000000001', at(1))
    await shown(hex, 'B2D05E01', at(1))
    await shown(hex, '3000000001', at(1))
    const numbers = async (readerId: string) =>
      (await list(`readerId=${readerId}`)).items.map((one) => one['cardNumber'])
    expect([await numbers(decimal), (await numbers(hex)).sort()]).toEqual([['3000000001'], ['3000000001', 'B2D05E01']])
    await admin.post('/cards', { personId: person, number: 'B2D05E01' })
    expect([await numbers(decimal), await numbers(hex)]).toEqual([[], ['3000000001']])
    const [hinted] = (await list(`readerId=${hex}`)).items
    expect(hinted?.['hints']).toMatchObject([{ view: 'decimal', sentence: expect.stringMatching(/would match if/) }])
  })

  test('are given page by page, each once, also where many were seen at the same moment', async () => {
    const readerId = await newReader('decimal')
    const numbers = Array.from({ length: 7 }, (_, i) => `70000${i}`)
    await Promise.all(numbers.map((number, i) => shown(readerId, number, at(i < 4 ? 1 : i))))
    await admin.post('/cards', { personId: person, number: '700005', form: 'decimal' })
    const pages: unknown[] = []
    let cursor = ''
    do {
      const page = await list(`readerId=${readerId}&limit=2${cursor}`)
      pages.push(...page.items.map((one) => one['cardNumber']))
      cursor = page.nextCursor === null ? '' : `&cursor=${page.nextCursor}`
    } while (cursor !== '')
    const all = (await list(`readerId=${readerId}`)).items.map((one) => one['cardNumber'])
    expect(pages).toEqual(all)
    expect([...all].sort()).toEqual(numbers.filter((number) => number !== '700005'))
    expectProblem(await operator.get('/unknown-cards?cursor=rubbish'), 422, 'cursor')
  })

  test('are forgotten after a month, and with their reader', async () => {
    const [one, other] = [await newReader('decimal'), await newReader('decimal')]
    await shown(one, '800001', new Date(Date.now() - 31 * 86_400_000))
    await shown(other, '800002', at(1))
    await admin.delete(`/readers/${other}`)
    const found = (await list('limit=500')).items.map((one) => one['cardNumber'])
    expect(found).not.toContain('800001')
    expect(found).not.toContain('800002')
  })

  test('are an index’s newest rows, and no more of the record is read', async () => {
    const plan = await api.db.transaction(async (tx) => {
      await tx.execute('set local enable_seqscan = off')
      return tx.execute(`explain select reader_id, card_number, at from events
        where reason = 'unknown_card' and at >= now() - interval '30 days' order by at desc, id desc limit 10000`)
    })
    const text = plan.map((row) => String(row['QUERY PLAN'])).join('\n')
    expect(text).toMatch(/Index Scan Backward using events_reason/)
    expect(text).not.toMatch(/Sort/)
  })
})
