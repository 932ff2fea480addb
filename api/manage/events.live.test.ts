import { beforeAll, describe, expect, test } from 'vitest'
import { startTestApi, type TestApi } from '../testing/api.ts'
import { type Caller, expectProblem, signIn, walk } from '../testing/caller.ts'
import { type Bridge, registerBridge, scanOf } from '../testing/sealed.ts'

// The record of every scan, and what would be recorded: `explain`. That both say the same, check.live.test.ts proves.

let api: TestApi
let admin: Caller
let bridge: Bridge
let reader: string
let other: string
let person: string
let group: string

beforeAll(async () => {
  api = await startTestApi()
  admin = await signIn(api, 'admin')
  bridge = await registerBridge(api, admin)
  const addReader = async (name: string, fields: object) =>
    (await admin.post('/readers', { name, topic: `events/${name}`, cardView: 'hex', ...fields })).body.id
  reader = await addReader('Front door', { timezone: 'Europe/Prague' })
  other = await addReader('Gate', { cardView: 'decimal' })
  person = (await admin.post('/people', { name: 'Ada' })).body.id
  group = (await admin.post('/groups', { name: 'Staff' })).body.id
  await admin.post('/cards', { personId: person, number: 'DE0BA996' })
  await admin.put(`/groups/${group}/people/${person}`)
  await admin.post('/rules', { groupId: group, readerIds: [reader] })
})

describe('the record', () => {
  const AT = ['2020-01-01T08:00:00.000Z', '2020-01-02T08:00:00.000Z', '2020-01-03T08:00:00.000Z'] as const
  /** Ids by what they are called in the rows below. */
  const ids: Record<string, string> = {}
  const named = (list: { id: string }[]) =>
    list.map(({ id }) => Object.entries(ids).find(([, known]) => known === id)?.[0] ?? id)

  beforeAll(async () => {
    const scans = {
      first: scanOf(reader, 'DE0BA996', { at: AT[0] }),
      second: scanOf(reader, 'DE0BA997', { at: AT[1], id: '0198c1a2-0000-7000-8000-00000000000a' }),
      secondToo: scanOf(other, '3725306262', { at: AT[1], id: '0198c1a2-0000-7000-8000-00000000000b' }),
      third: scanOf(other, '1', { at: AT[2] }),
      unknown: scanOf(other, '2', { at: new Date(Date.now() + 1_000).toISOString() }),
      granted: scanOf(reader, 'DE0BA996', { at: new Date(Date.now() + 2_000).toISOString() }),
    }
    for (const [name, scan] of Object.entries(scans)) {
      ids[name] = scan.id
      await bridge.check(scan)
    }
  })

  const ALL = ['granted', 'unknown', 'third', 'secondToo', 'second', 'first']

  test.each<[string, () => string, string[]]>([
    ['everything', () => '', ALL],
    ['from a time on, and at it', () => `from=${AT[1]}`, ['granted', 'unknown', 'third', 'secondToo', 'second']],
    ['before a time, and not at it', () => `to=${AT[1]}`, ['first']],
    ['between two times', () => `from=${AT[1]}&to=${AT[2]}`, ['secondToo', 'second']],
    ['between a time and itself', () => `from=${AT[1]}&to=${AT[1]}`, []],
    ['between two times the wrong way round', () => `from=${AT[2]}&to=${AT[0]}`, []],
    ['in a zone of the caller’s', () => `to=2020-01-02T09:00:00%2B01:00`, ['first']],
    ['at a reader', () => `readerId=${reader}`, ['granted', 'second', 'first']],
    ['at a reader in capital letters', () => `readerId=${reader.toUpperCase()}`, ['granted', 'second', 'first']],
    ['of a person', () => `personId=${person}`, ['granted', 'secondToo', 'first']],
    ['for a reason', () => 'reason=late', ['third', 'secondToo', 'second', 'first']],
    ['with a decision', () => 'decision=granted', ['granted']],
    ['with the other decision', () => 'decision=denied', ALL.slice(1)],
    [
      'by all of these',
      () => `personId=${person}&readerId=${other}&reason=late&decision=denied&from=${AT[0]}`,
      ['secondToo'],
    ],
    [
      'by a reason and its decision, at a reader',
      () => `readerId=${other}&reason=late&decision=denied`,
      ['third', 'secondToo'],
    ],
    ['by a reason that is of the other decision', () => 'reason=late&decision=granted', []],
    ['at a reader that is not there', () => `readerId=${crypto.randomUUID()}`, []],
  ])('is shown newest first: %s', async (_, query, expected) => {
    const { body } = await admin.get(`/events?${query()}`)
    expect(named(body.items)).toEqual(expected)
    expect(named((await walk(admin, `/events?${query()}`, 2)).map((id) => ({ id })))).toEqual(expected)
  })

  test('shows the scan as it was published, when it arrived and who said what', async () => {
    const { body } = await admin.get(`/events/${ids['secondToo']}`)
    expect(body).toMatchObject({
      at: AT[1],
      readerId: other,
      cardNumber: '3725306262',
      personId: person,
      decision: 'denied',
      reason: 'late',
      source: 'online',
      bridgeId: bridge.id,
    })
  })

  test('outlives the reader, the card and the person', async () => {
    const { body: added } = await admin.post('/people', { name: 'Guest' })
    const { body: card } = await admin.post('/cards', { personId: added.id, number: 'AA' })
    const { body: door } = await admin.post('/readers', { name: 'Side door', topic: 'events/side', cardView: 'hex' })
    const { scan } = await bridge.check(scanOf(door.id, 'AA'))
    const { body: before } = await admin.get(`/events/${scan}`)
    expect(before).toMatchObject({ readerId: door.id, cardId: card.id, personId: added.id })
    for (const path of [`/cards/${card.id}`, `/people/${added.id}`, `/readers/${door.id}`]) {
      expect((await admin.delete(path)).status).toBe(204)
    }
    expect((await admin.get(`/events/${scan}`)).body).toEqual(before)
  })

  test('loses no event between two pages, however close they are', async () => {
    // RFC 3339 allows fractions of any length.
    const { body: door } = await admin.post('/readers', { name: 'Turnstile', topic: 'events/turnstile' })
    const close = ['700', '400', '100'].map((micros) =>
      scanOf(door.id, '1', { at: `2020-02-01T08:00:00.000${micros}Z` }),
    )
    for (const scan of close) await bridge.check(scan)
    const whole = await walk(admin, `/events?readerId=${door.id}`, 500)
    expect([...whole].sort()).toEqual(close.map(({ id }) => id).sort())
    expect(await walk(admin, `/events?readerId=${door.id}`, 1)).toEqual(whole)
  })

  test.each([
    ['from=yesterday', 'from'],
    ['from=2020-01-01', 'from'],
    ['from=2020-01-01T08:00:00', 'from'],
    ['from=2020-02-31T00:00:00Z', 'from'],
    ['from=0000-01-01T00:00:00Z', 'from'],
    ['to=9999-12-31T23:59:59-23:59', 'to'],
    ['to=', 'to'],
    ['readerId=front', 'readerId'],
    ['personId=ada', 'personId'],
    ['reason=magic', 'reason'],
    ['decision=maybe', 'decision'],
    ['source=online', 'source'],
    ['q=ada', 'q'],
  ])('is not filtered by %s', async (query, path) => {
    expectProblem(await admin.get(`/events?${query}`), 422, path)
  })

  test('is changed by nobody: there is no way to write, change or delete an event', async () => {
    const owner = await signIn(api, 'owner')
    const before = (await admin.get('/events?limit=500')).body
    for (const path of ['/events', `/events/${ids['first']}`]) {
      for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
        expectProblem(await owner.send(method, path, { body: '{"reason":"granted"}' }), 404)
      }
    }
    expect((await admin.get('/events?limit=500')).body).toEqual(before)
  })
})

describe('explain', () => {
  const explain = async (query: string) => (await admin.get(`/explain?${query}`)).body

  test('names the card, the person, the clock on the wall and every rule', async () => {
    const [card] = (await admin.get('/cards?q=DE0BA996')).body.items
    const [rule] = (await admin.get(`/rules?groupId=${group}`)).body.items
    const { body: never } = await admin.post('/schedules', { name: 'Never', windows: [] })
    const { body: closed } = await admin.post('/rules', { groupId: group, readerIds: [reader], scheduleId: never.id })
    expect(await explain(`readerId=${reader}&card=de:0b:a9:96&at=2026-07-01T12:30:00%2B02:00`)).toEqual({
      decision: 'granted',
      reason: 'granted',
      at: '2026-07-01T10:30:00.000Z',
      clock: { day: 3, time: '12:30', timezone: 'Europe/Prague' },
      reader: { id: reader, name: 'Front door' },
      lockdown: null,
      card: { id: card?.id, number: 'DE0BA996', status: 'active' },
      person: { id: person, name: 'Ada' },
      matches: [card?.id],
      rules: [
        { id: rule?.id, groupId: group, scheduleId: null, open: true },
        { id: closed.id, groupId: group, scheduleId: never.id, open: false },
      ],
      pin: 'not asked',
      hints: [],
    })
    await admin.delete(`/rules/${closed.id}`)
  })

  test('answers for a reader that does not exist', async () => {
    const at = '2026-07-01T10:30:00.000Z'
    expect(await explain(`readerId=${crypto.randomUUID()}&card=DE0BA996&at=${at}`)).toEqual({
      decision: 'denied',
      reason: 'unknown_reader',
      at,
      clock: null,
      reader: null,
      lockdown: null,
      card: null,
      person: null,
      matches: [],
      rules: [],
      pin: 'not asked',
      hints: [],
    })
  })

  test('shows both cards when two match', async () => {
    const { body: first } = await admin.post('/cards', { personId: person, number: 'C0FFEE' })
    const { body: second } = await admin.post('/cards', { personId: person, number: '00C0FFEE' })
    const answer = await explain(`readerId=${other}&card=${0xc0ffee}`)
    expect(answer).toMatchObject({ decision: 'denied', reason: 'ambiguous_card', card: null, person: null })
    expect([...(answer['matches'] as string[])].sort()).toEqual([first.id, second.id].sort())
  })

  test('says of a card that opens nothing whose it is', async () => {
    const [card] = (await admin.get('/cards?q=DE0BA996')).body.items
    const answer = await explain(`readerId=${other}&card=3725306262`)
    expect(answer).toMatchObject({ reason: 'no_rule', card: { id: card?.id }, person: { id: person }, rules: [] })
  })

  describe('looks at the clock on the reader’s wall', () => {
    let card: string

    beforeAll(async () => {
      const windows = [
        { days: [7], from: '02:00', to: '03:00' },
        { days: [5], from: '22:00', to: '06:00' },
        { days: [3], from: '07:00', to: '17:30' },
      ]
      const { body: schedule } = await admin.post('/schedules', { name: 'Odd hours', windows })
      const { body: guests } = await admin.post('/groups', { name: 'Guests' })
      const { body: guest } = await admin.post('/people', { name: 'Grace' })
      await admin.post('/rules', { groupId: guests.id, readerIds: [reader], scheduleId: schedule.id })
      await admin.put(`/groups/${guests.id}/people/${guest.id}`)
      card = String((await admin.post('/cards', { personId: guest.id, number: 'BB' })).body['number'])
    })

    test.each([
      ['a minute before it opens in summer', '2026-07-01T04:59:59Z', '06:59', 'outside_schedule'],
      ['as it opens in summer', '2026-07-01T05:00:00Z', '07:00', 'granted'],
      ['a moment before it closes', '2026-07-01T15:29:59.999Z', '17:29', 'granted'],
      ['as it closes', '2026-07-01T15:30:00Z', '17:30', 'outside_schedule'],
      ['at the summer’s opening time in winter', '2026-01-07T05:00:00Z', '06:00', 'outside_schedule'],
      ['as it opens in winter', '2026-01-07T06:00:00Z', '07:00', 'granted'],
      ['in the evening of a night', '2026-07-03T20:00:00Z', '22:00', 'granted'],
      ['in the morning after a night', '2026-07-04T03:59:00Z', '05:59', 'granted'],
      ['at the end of a night', '2026-07-04T04:00:00Z', '06:00', 'outside_schedule'],
      ['in the morning before a night', '2026-07-03T02:00:00Z', '04:00', 'outside_schedule'],
      ['before the hour that autumn repeats', '2026-10-24T23:59:59Z', '01:59', 'outside_schedule'],
      ['in that hour', '2026-10-25T00:00:00Z', '02:00', 'granted'],
      ['in that hour again', '2026-10-25T01:00:00Z', '02:00', 'granted'],
      ['at the end of that hour', '2026-10-25T01:59:59Z', '02:59', 'granted'],
      ['after that hour', '2026-10-25T02:00:00Z', '03:00', 'outside_schedule'],
      ['before the hour that spring skips', '2026-03-29T00:59:59Z', '01:59', 'outside_schedule'],
      ['after that hour, which never was', '2026-03-29T01:00:00Z', '03:00', 'outside_schedule'],
    ])('%s', async (_, at, time, reason) => {
      expect(await explain(`readerId=${reader}&card=${card}&at=${at}`)).toMatchObject({ clock: { time }, reason })
    })
  })

  test.each(['card', 'person'] as const)(
    'knows when a %s is valid: at the first moment, not at the last',
    async (what) => {
      const validity = { validFrom: '2026-01-01T00:00:00Z', validUntil: '2026-02-01T00:00:00Z' }
      const { body: guest } = await admin.post('/people', { name: 'Guest', ...(what === 'person' && validity) })
      const number = what === 'card' ? 'CC01' : 'CC02'
      await admin.post('/cards', { personId: guest.id, number, ...(what === 'card' && validity) })
      await admin.put(`/groups/${group}/people/${guest.id}`)
      const reasonAt = async (at: string) => (await explain(`readerId=${reader}&card=${number}&at=${at}`))['reason']
      expect(await reasonAt('2025-12-31T23:59:59.999Z')).toBe(`${what}_not_yet_valid`)
      expect(await reasonAt('2026-01-01T00:00:00Z')).toBe('granted')
      expect(await reasonAt('2026-01-31T23:59:59.999Z')).toBe('granted')
      expect(await reasonAt('2026-02-01T00:00:00Z')).toBe(`${what}_expired`)
    },
  )

  test('records nothing', async () => {
    const before = (await admin.get('/events?limit=500')).body
    await explain(`readerId=${reader}&card=DE0BA996`)
    expect((await admin.get('/events?limit=500')).body).toEqual(before)
  })

  test.each([
    ['card=1', 'readerId'],
    ['readerId=front&card=1', 'readerId'],
    ['readerId=0198c1a2-0000-7000-8000-000000000000', 'card'],
    ['readerId=0198c1a2-0000-7000-8000-000000000000&card=', 'card'],
    ['readerId=0198c1a2-0000-7000-8000-000000000000&card=%00', 'card'],
    [`readerId=0198c1a2-0000-7000-8000-000000000000&card=${'1'.repeat(129)}`, 'card'],
    ['readerId=0198c1a2-0000-7000-8000-000000000000&card=1&at=noon', 'at'],
    ['readerId=0198c1a2-0000-7000-8000-000000000000&card=1&at=2026-02-31T00:00:00Z', 'at'],
    ['readerId=0198c1a2-0000-7000-8000-000000000000&card=1&pin=1', 'pin'],
  ])('refuses ?%s', async (query, path) => {
    expectProblem(await admin.get(`/explain?${query}`), 422, path)
  })
})
