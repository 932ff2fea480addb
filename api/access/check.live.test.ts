import { eq } from 'drizzle-orm'
import { beforeAll, describe, expect, test } from 'vitest'
import { CALLS, open, SEALED } from '../contract/envelope.ts'
import { ANSWER_LIFE_MS, decisionOf, type Reason, type Scan } from '../contract/scan.ts'
import { events } from '../db/schema.ts'
import { startTestApi, type TestApi } from '../testing/api.ts'
import { type Caller, despiteReset, expectProblem, replyOf, signIn } from '../testing/caller.ts'
import { type Bridge, keyOf, registerBridge, scanOf } from '../testing/sealed.ts'

// The door's question. What is asked here is also asked of `explain`, which has to say the same.

const PAST = '2020-01-01T00:00:00Z'
const FUTURE = '2100-01-01T00:00:00Z'

let api: TestApi
let admin: Caller
let bridge: Bridge

/** Readers and groups that the rows below speak of. */
const at = { decimal: '', hex: '', disabled: '', closed: '' }
let staff: string

/** How long each of them opens, in milliseconds. */
const openMs: Record<string, number> = {}

let numbers = 0xd000

/** A person in groups with a card; gives what a decimal reader publishes of it. */
const carries = async ({ person = {}, card = {}, groups = [staff] }: Carries = {}) => {
  const number = (++numbers).toString(16).toUpperCase()
  const { body: added } = await admin.post('/people', { name: 'Ada', ...person })
  await admin.post('/cards', { personId: added.id, number, ...card })
  for (const group of groups) await admin.put(`/groups/${group}/people/${added.id}`)
  return String(numbers)
}
type Carries = { person?: object; card?: object; groups?: string[] }

const recorded = () => api.db.$count(events)

beforeAll(async () => {
  api = await startTestApi()
  admin = await signIn(api, 'admin')
  bridge = await registerBridge(api, admin)
  const reader = async (name: string, fields: object = {}) => {
    const { body } = await admin.post('/readers', { name, topic: `check/${name}`, ...fields })
    openMs[body.id] = Number(body['openMs'])
    return body.id
  }
  at.decimal = await reader('decimal', { openMs: 1_500 })
  at.hex = await reader('hex', { cardView: 'hex' })
  at.disabled = await reader('disabled', { enabled: false })
  at.closed = await reader('closed')
  const { body: never } = await admin.post('/schedules', { name: 'Never', windows: [] })
  staff = (await admin.post('/groups', { name: 'Staff' })).body.id
  await admin.post('/rules', { groupId: staff, readerIds: [at.decimal, at.hex, at.disabled] })
  await admin.post('/rules', { groupId: staff, readerIds: [at.closed], scheduleId: never.id })
})

describe('every reason is given, recorded and explained', () => {
  type Asked = Partial<Scan> & { card: string; readerId?: string }
  const dayAndNight = [{ days: [1, 2, 3, 4, 5, 6, 7], from: '00:00', to: '24:00' }]

  const ROWS: [Reason, string, () => Promise<Asked>][] = [
    [
      'late',
      'a scan of ten seconds ago',
      async () => ({ card: await carries(), at: new Date(Date.now() - 10_000).toISOString() }),
    ],
    ['unknown_reader', 'nobody knows it', async () => ({ card: await carries(), readerId: crypto.randomUUID() })],
    ['reader_disabled', 'of a disabled reader', async () => ({ card: await carries(), readerId: at.disabled })],
    ['unknown_card', 'a number that nobody has', async () => ({ card: '999999999' })],
    ['unknown_card', 'not a number at all', async () => ({ card: 'Ada' })],
    ['unknown_card', 'zero', async () => ({ card: '000' })],
    [
      'unknown_card',
      'a decimal card at a reader of hex',
      async () => {
        await carries({ card: { form: 'decimal', number: '77770001' } })
        return { card: '77770001', readerId: at.hex }
      },
    ],
    [
      'ambiguous_card',
      'two cards are the same number in decimal',
      async () => {
        await carries({ card: { number: 'DE0BA996' } })
        await carries({ card: { number: '00DE0BA996' } })
        return { card: '3725306262' }
      },
    ],
    ['granted', 'and one of these two where zeros count', async () => ({ card: 'DE0BA996', readerId: at.hex })],
    ['card_blocked', 'by its status', async () => ({ card: await carries({ card: { status: 'blocked' } }) })],
    ['card_lost', 'by its status', async () => ({ card: await carries({ card: { status: 'lost' } }) })],
    ['card_returned', 'by its status', async () => ({ card: await carries({ card: { status: 'returned' } }) })],
    ['card_not_yet_valid', 'until later', async () => ({ card: await carries({ card: { validFrom: FUTURE } }) })],
    ['card_expired', 'since long', async () => ({ card: await carries({ card: { validUntil: PAST } }) })],
    ['person_inactive', 'by hand', async () => ({ card: await carries({ person: { active: false } }) })],
    ['person_not_yet_valid', 'until later', async () => ({ card: await carries({ person: { validFrom: FUTURE } }) })],
    ['person_expired', 'since long', async () => ({ card: await carries({ person: { validUntil: PAST } }) })],
    ['no_rule', 'a person without a group', async () => ({ card: await carries({ groups: [] }) })],
    [
      'no_rule',
      'a group with a rule for another reader',
      async () => {
        const { body: guests } = await admin.post('/groups', { name: 'Guests' })
        await admin.post('/rules', { groupId: guests.id, readerIds: [at.hex] })
        return { card: await carries({ groups: [guests.id] }) }
      },
    ],
    ['outside_schedule', 'never open', async () => ({ card: await carries(), readerId: at.closed })],
    ['granted', 'always', async () => ({ card: await carries() })],
    ['granted', 'with zeros in front', async () => ({ card: `000${await carries()}` })],
    [
      'granted',
      'day and night, where another rule says never',
      async () => {
        const { body: schedule } = await admin.post('/schedules', { name: 'Always', windows: dayAndNight })
        const { body: guards } = await admin.post('/groups', { name: 'Guards' })
        await admin.post('/rules', { groupId: guards.id, readerIds: [at.closed], scheduleId: schedule.id })
        const card = await carries({ groups: [staff, guards.id] })
        return { card, readerId: at.closed }
      },
    ],
    [
      'granted',
      'within both validities',
      async () => {
        const valid = { validFrom: PAST, validUntil: FUTURE }
        return { card: await carries({ person: valid, card: valid }) }
      },
    ],
  ]

  test.each(ROWS)('%s: %s', async (reason, _, situation) => {
    const { card, readerId = at.decimal, ...more } = await situation()
    const decision = decisionOf(reason)

    const { body: explained } = await admin.get(`/explain?readerId=${readerId}&card=${card}`)
    // Only a scan can be late: at any instant of its own choice, the answer to the same question is another one.
    if (reason !== 'late') expect(explained).toMatchObject({ decision, reason })

    const scan = scanOf(readerId, card, more)
    const answer = await bridge.check(scan)
    const { body: event } = await admin.get(`/events/${scan.id}`)
    expect(event).toEqual({
      id: scan.id,
      at: scan.at,
      receivedAt: expect.any(String),
      readerId,
      cardNumber: card,
      cardId: (explained['card'] as { id: string } | null)?.id ?? null,
      personId: (explained['person'] as { id: string } | null)?.id ?? null,
      decision,
      reason,
      source: 'online',
      bridgeId: bridge.id,
      snapshot: null,
    })
    expect(answer).toEqual({
      scan: scan.id,
      decision,
      reason,
      openMs: decision === 'granted' ? openMs[readerId] : 0,
      expiresAt: new Date(Date.parse(String(event['receivedAt'])) + ANSWER_LIFE_MS).toISOString(),
    })
  })

  test('a reader of hex may write a card in any of the usual ways', async () => {
    await carries({ card: { number: 'DE0BA998' } })
    for (const card of ['de:0b:a9:98', 'DE-0B-A9-98', 'de0ba998', ' DE 0B A9 98 ', 'de.0b.a9.98']) {
      const { reason } = await bridge.check(scanOf(at.hex, card))
      expect({ card, reason }).toEqual({ card, reason: 'granted' })
    }
  })

  test('a card is looked up in the reader’s own view, never in another', async () => {
    await carries({ card: { number: '12345678' } })
    expect(await bridge.check(scanOf(at.hex, '12345678'))).toMatchObject({ reason: 'granted' })
    expect(await bridge.check(scanOf(at.decimal, '12345678'))).toMatchObject({ reason: 'unknown_card' })
    expect(await bridge.check(scanOf(at.decimal, String(0x12345678)))).toMatchObject({ reason: 'granted' })
    expect(await bridge.check(scanOf(at.hex, String(0x12345678)))).toMatchObject({ reason: 'unknown_card' })
  })

  test('what an administrator changes counts from the next scan on', async () => {
    await carries({ card: { number: 'AA0001' } })
    const reason = async () => (await bridge.check(scanOf(at.hex, 'AA0001'))).reason
    const [found] = (await admin.get('/cards?q=AA0001')).body.items
    expect(await reason()).toBe('granted')
    await admin.patch(`/cards/${found?.id}`, { status: 'blocked' })
    expect(await reason()).toBe('card_blocked')
    await admin.patch(`/cards/${found?.id}`, { status: 'active' })
    await admin.patch(`/people/${found?.['personId']}`, { active: false })
    expect(await reason()).toBe('person_inactive')
    await admin.patch(`/people/${found?.['personId']}`, { active: true })
    await admin.delete(`/groups/${staff}/people/${found?.['personId']}`)
    expect(await reason()).toBe('no_rule')
  })
})

describe('a scan', () => {
  test('that is asked again gets the first answer, even after the rules changed, and writes nothing', async () => {
    const { body: group } = await admin.post('/groups', { name: 'For a while' })
    const { body: rule } = await admin.post('/rules', { groupId: group.id, readerIds: [at.decimal] })
    const card = await carries({ groups: [group.id] })
    const scan = scanOf(at.decimal, card)
    const first = await bridge.check(scan)
    expect(first.reason).toBe('granted')

    await admin.delete(`/rules/${rule.id}`)
    const [before, { body: event }] = [await recorded(), await admin.get(`/events/${scan.id}`)]
    expect(await bridge.check(scan)).toEqual(first)
    expect(await bridge.check({ ...scan, id: scan.id.toUpperCase() })).toEqual(first)
    expect(await bridge.check({ ...scan, at: '2020-01-01T00:00:00Z', card: '1', readerId: at.disabled })).toEqual(first)
    expect(await recorded()).toBe(before)
    expect((await admin.get(`/events/${scan.id}`)).body).toEqual(event)
    expect(await bridge.check(scanOf(at.decimal, card))).toMatchObject({ reason: 'no_rule' })
  })

  test('that was denied stays denied when it is asked again', async () => {
    const card = await carries({ groups: [] })
    const scan = scanOf(at.decimal, card)
    const first = await bridge.check(scan)
    const { personId } = (await admin.get(`/events/${scan.id}`)).body
    await admin.put(`/groups/${staff}/people/${personId}`)
    expect(first.reason).toBe('no_rule')
    expect(await bridge.check(scan)).toEqual(first)
    expect(await bridge.check(scanOf(at.decimal, card))).toMatchObject({ reason: 'granted' })
  })

  test('that is asked twenty times at once is one record with one answer', async () => {
    const scan = scanOf(at.decimal, await carries())
    const before = await recorded()
    const answers = await Promise.all(Array.from({ length: 20 }, () => bridge.check(scan)))
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1)
    expect(answers[0]).toMatchObject({ scan: scan.id, reason: 'granted' })
    expect(await recorded()).toBe(before + 1)
  })

  test('beside seven others of the same card at once is recorded, each for itself', async () => {
    const card = await carries()
    const scans = Array.from({ length: 8 }, () => scanOf(at.decimal, card))
    const answers = await Promise.all(scans.map((scan) => bridge.check(scan)))
    expect(answers.map(({ scan, reason }) => [scan, reason])).toEqual(scans.map(({ id }) => [id, 'granted']))
    const rows = await api.db.select().from(events).where(eq(events.cardNumber, card))
    expect(rows.map(({ id }) => id).sort()).toEqual(scans.map(({ id }) => id).sort())
  })

  test.each<[string, 'granted' | 'denied', () => Promise<Partial<Scan> & { card: string }>]>([
    ['granted', 'granted', async () => ({ card: await carries({ card: { status: 'blocked' } }) })],
    ['denied', 'denied', async () => ({ card: await carries() })],
    [
      'granted ten seconds ago',
      'granted',
      async () => ({ card: await carries(), at: new Date(Date.now() - 10_000).toISOString() }),
    ],
    ['granted at a reader that is disabled', 'granted', async () => ({ card: await carries(), readerId: at.disabled })],
    ['granted to nobody who is known', 'granted', async () => ({ card: '99999998' })],
  ])('that its reader %s by itself is on record as that, and opens nothing', async (_, decided, situation) => {
    const { card, readerId = at.decimal, ...more } = await situation()
    const { body: explained } = await admin.get(`/explain?readerId=${readerId}&card=${card}`)
    const scan = scanOf(readerId, card, { decided, ...more })
    const answer = await bridge.check(scan)
    expect(answer).toMatchObject({ decision: 'denied', reason: `reader_${decided}`, openMs: 0 })
    expect((await admin.get(`/events/${scan.id}`)).body).toMatchObject({
      decision: decided,
      reason: `reader_${decided}`,
      source: 'reader',
      cardId: (explained['card'] as { id: string } | null)?.id ?? null,
      personId: (explained['person'] as { id: string } | null)?.id ?? null,
    })
    expect(await bridge.check(scan)).toEqual(answer)
  })

  test('may ask for the name, and gets it of nobody but whom it lets in', async () => {
    const named = async (message: Record<string, unknown>) => {
      const text = await (await bridge.ask(CALLS.check, message)).text()
      return (await open(text, CALLS.check.answer, await keyOf(bridge.key), new Date()))['name']
    }
    const want = ['name']
    const scan = scanOf(at.decimal, await carries({ person: { name: 'Žofie Nováková' } }))
    expect(await named({ scan, want })).toBe('Žofie Nováková')
    expect(await named({ scan, want })).toBe('Žofie Nováková')
    expect(await named({ scan })).toBeUndefined()
    expect(await named({ scan, want: [] })).toBeUndefined()
    expect(await named({ scan: scanOf(at.closed, scan.card), want })).toBeUndefined()
    expect(await named({ scan: scanOf(at.decimal, '99999999'), want })).toBeUndefined()
    expect(await named({ scan: scanOf(at.decimal, scan.card, { decided: 'granted' }), want })).toBeUndefined()
  })

  test('may bring a pin, which is never recorded', async () => {
    const scan = scanOf(at.decimal, await carries(), { pin: '8675309123' })
    expect(await bridge.check(scan)).toMatchObject({ reason: 'granted' })
    const rows = await api.db.execute(`select e::text from events e where id = '${scan.id}'`)
    expect(rows).toHaveLength(1)
    expect(JSON.stringify(rows)).not.toContain('8675309123')
  })

  test.each<[string, (scan: Scan) => Record<string, unknown>]>([
    ['a field beside the scan', (scan) => ({ scan, door: 1 })],
    ['a field more', (scan) => ({ scan: { ...scan, decision: 'granted' } })],
    ['no scan', () => ({})],
    ['a list', (scan) => ({ scan: [scan] })],
    ['no id', ({ id: _, ...scan }) => ({ scan })],
    ['an id that is none', (scan) => ({ scan: { ...scan, id: '1' } })],
    ['a reader that is no id', (scan) => ({ scan: { ...scan, readerId: 'front' } })],
    ['no card', ({ card: _, ...scan }) => ({ scan })],
    ['an empty card', (scan) => ({ scan: { ...scan, card: '  ' } })],
    ['a card that is a number', (scan) => ({ scan: { ...scan, card: 6159760 } })],
    ['a card with a NUL', (scan) => ({ scan: { ...scan, card: '1\0' } })],
    ['a card with half a surrogate pair', (scan) => ({ scan: { ...scan, card: '\ud800' } })],
    ['a card of 129 letters', (scan) => ({ scan: { ...scan, card: '1'.repeat(129) } })],
    ['no time', ({ at: _, ...scan }) => ({ scan })],
    ['a time that is none', (scan) => ({ scan: { ...scan, at: 'now' } })],
    ['a time without a zone', (scan) => ({ scan: { ...scan, at: '2020-01-01T00:00:00' } })],
    ['a day that no calendar has', (scan) => ({ scan: { ...scan, at: '2020-02-31T00:00:00Z' } })],
    ['a year that no calendar has', (scan) => ({ scan: { ...scan, at: '0000-01-01T00:00:00Z' } })],
    [
      'a zone that JavaScript cannot read, so that it is never late',
      (scan) => ({ scan: { ...scan, at: '2020-01-01T00:00:00+01' } }),
    ],
    ['a pin of letters', (scan) => ({ scan: { ...scan, pin: 'abcd' } })],
    ['a pin of 17 digits', (scan) => ({ scan: { ...scan, pin: '1'.repeat(17) } })],
  ])('with %s is refused and not recorded', async (_, spoil) => {
    const before = await recorded()
    expectProblem(await replyOf(await bridge.ask(CALLS.check, spoil(scanOf(at.decimal, '1')))), 422)
    expect(await recorded()).toBe(before)
  })

  test('names what is wrong with it', async () => {
    const message = { scan: { ...scanOf(at.decimal, '1'), card: '', at: 'now' } }
    const { body } = await replyOf(await bridge.ask(CALLS.check, message))
    expect([...new Set(body.errors.map(({ path }) => path))].sort()).toEqual(['scan.at', 'scan.card'])
  })

  test('of more than 16 KiB is a 413', async () => {
    const message = { scan: scanOf(at.decimal, '1'.repeat(17 * 1024)) }
    expectProblem(await replyOf(await despiteReset(() => bridge.ask(CALLS.check, message))), 413)
  })
})

describe('an answer', () => {
  test('is sealed for the bridge that asked, as an answer to this call and nothing else', async () => {
    const other = await registerBridge(api, admin)
    const response = await bridge.ask(CALLS.check, { scan: scanOf(at.decimal, '1') })
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toBe(SEALED)
    const sealed = await response.text()
    const [key, otherKey, now] = [await keyOf(bridge.key), await keyOf(other.key), new Date()]
    await expect(open(sealed, CALLS.check.answer, key, now)).resolves.toMatchObject({ reason: 'unknown_card' })
    await expect(open(sealed, CALLS.check.answer, otherKey, now)).rejects.toThrow()
    await expect(open(sealed, CALLS.check.ask, key, now)).rejects.toThrow()
    await expect(open(sealed, CALLS.config.answer, key, now)).rejects.toThrow()
  })
})
