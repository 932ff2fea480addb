import { eq, sql } from 'drizzle-orm'
import fc from 'fast-check'
import { beforeAll, describe, expect, inject, test } from 'vitest'
import { type CardView, keysOfCard } from '../contract/card-views.ts'
import { decide } from '../contract/decide.ts'
import { CALLS, open, SEALED } from '../contract/envelope.ts'
import type { Reason } from '../contract/scan.ts'
import { hashingKey, hashOfKey, type Snapshot, type SnapshotPage, snapshotOf } from '../contract/snapshot.ts'
import { cards, readers as readersTable } from '../db/schema.ts'
import { startTestApi, type TestApi } from '../testing/api.ts'
import { type Caller, expectProblem, replyOf, signIn } from '../testing/caller.ts'
import { type Bridge, keyOf, registerBridge, scanOf } from '../testing/sealed.ts'

// The facts of a site as a bridge takes them along, and that it decides by them as the API would.

let api: TestApi
let admin: Caller
let bridge: Bridge

beforeAll(async () => {
  api = await startTestApi()
  admin = await signIn(api, 'admin')
  bridge = await registerBridge(api, admin)
})

const add = async (noun: string, fields: object): Promise<string> => {
  const { status, body } = await admin.post(noun, {
    ...(noun !== '/rules' && noun !== '/cards' && { name: 'One' }),
    ...fields,
  })
  expect({ status, body }).toMatchObject({ status: 201 })
  return body.id
}
const put = (group: string, person: string) => admin.put(`/groups/${group}/people/${person}`)
const rowOf = (pages: SnapshotPage[], card: string) =>
  pages.flatMap(({ rows }) => rows).find((row) => row.card === card)
const snapshotFor = async (who: Bridge) => snapshotOf(await who.pages(), hashingKey(await keyOf(who.key)))
const reasonBy = (snapshot: Snapshot, readerId: string, card: string, at: Date) =>
  decide({ ...snapshot.facts(readerId, card).facts, late: false, pin: 'none' }, at)

describe('the facts of a site', () => {
  const hash = async (view: CardView, key: string) => hashOfKey(hashingKey(await keyOf(bridge.key)), view, key)
  const ids = { hex: '', off: '', staff: '', guests: '', person: '', card: '' }

  test('with nothing in it are one page', async () => {
    const { snapshot } = await bridge.config()
    expect(await bridge.page()).toEqual({
      version: snapshot,
      now: expect.any(String),
      site: { readers: [], groups: [], schedules: [], rules: [] },
      cards: 0,
      rows: [],
    })
  })

  test('are its readers, schedules and rules, and who carries which card', async () => {
    ids.hex = await add('/readers', { topic: 'snapshot/1', cardView: 'hex', timezone: 'Europe/Prague', openMs: 1_500 })
    ids.off = await add('/readers', { topic: 'snapshot/2', cardView: 'hex', enabled: false, offline: 'deny' })
    ids.staff = await add('/groups', {})
    const windows = [{ days: [5], from: '22:00', to: '06:00' }]
    const schedule = await add('/schedules', { windows })
    const always = await add('/rules', { groupId: ids.staff, readerIds: [ids.hex, ids.off] })
    const nights = await add('/rules', { groupId: ids.staff, readerIds: [ids.off], scheduleId: schedule })
    ids.person = await add('/people', { validFrom: '2026-01-01T01:00:00+01:00' })
    await put(ids.staff, ids.person)
    const validUntil = '2027-01-01T00:00:00.250Z'
    ids.card = await add('/cards', { personId: ids.person, number: 'DE0BA996', status: 'lost', validUntil })

    const { site, rows, ...page } = await bridge.page()
    expect(page).toEqual({ version: (await bridge.config()).snapshot, now: expect.any(String), cards: 1 })
    expect(site).toEqual({
      readers: expect.arrayContaining([
        { id: ids.hex, enabled: true, timezone: 'Europe/Prague', cardView: 'hex', openMs: 1_500, pin: null },
        { id: ids.off, enabled: false, timezone: 'UTC', cardView: 'hex', openMs: 3_000, pin: null },
      ]),
      groups: [ids.staff],
      schedules: [{ id: schedule, windows }],
      rules: expect.arrayContaining([
        { id: always, groupId: ids.staff, scheduleId: null, readerIds: expect.arrayContaining([ids.hex, ids.off]) },
        { id: nights, groupId: ids.staff, scheduleId: schedule, readerIds: [ids.off] },
      ]),
    })
    expect([site?.readers.length, site?.rules.length]).toEqual([2, 2])
    expect(rows).toEqual([
      {
        card: ids.card,
        status: 'lost',
        valid: [null, validUntil],
        person: ids.person,
        active: true,
        personValid: ['2026-01-01T00:00:00.000Z', null],
        groups: [0],
        keys: [await hash('hex', 'DE0BA996')],
      },
    ])
  })

  test('tell of no group that no rule names', async () => {
    ids.guests = await add('/groups', { name: 'Guests' })
    await put(ids.guests, ids.person)
    const quiet = await bridge.pages()
    expect(JSON.stringify(quiet)).not.toContain(ids.guests)
    expect(rowOf(quiet, ids.card)?.groups).toEqual([0])

    const rule = await add('/rules', { groupId: ids.guests, readerIds: [ids.hex] })
    const pages = await bridge.pages()
    expect(pages[0]?.site?.groups.toSorted()).toEqual([ids.staff, ids.guests].sort())
    expect(rowOf(pages, ids.card)?.groups.toSorted()).toEqual([0, 1])
    await admin.delete(`/rules/${rule}`)
    expect(JSON.stringify(await bridge.pages())).not.toContain(ids.guests)
  })

  test('know a card in the views that a reader has, and in no other', async () => {
    const legacy = await add('/cards', { personId: ids.person, number: '61597600', form: 'decimal' })
    const keys = async (card: string) => new Set(rowOf(await bridge.pages(), card)?.keys)
    expect([await keys(ids.card), await keys(legacy)]).toEqual([new Set([await hash('hex', 'DE0BA996')]), new Set()])

    const reader = await add('/readers', { topic: 'snapshot/3', cardView: 'decimal' })
    expect(await keys(ids.card)).toEqual(new Set([await hash('hex', 'DE0BA996'), await hash('decimal', '3725306262')]))
    expect(await keys(legacy)).toEqual(new Set([await hash('decimal', '61597600')]))
    await admin.delete(`/readers/${reader}`)
    await admin.delete(`/cards/${legacy}`)
    expect(await keys(ids.card)).toEqual(new Set([await hash('hex', 'DE0BA996')]))
  })

  test('are the same version to every bridge, but know cards by other hashes', async () => {
    const other = await registerBridge(api, admin)
    const [mine, theirs] = [await bridge.page(), await other.page()]
    expect(theirs.version).toBe(mine.version)
    expect(theirs.site).toEqual(mine.site)
    expect(theirs.rows.map(({ keys: _, ...row }) => row)).toEqual(mine.rows.map(({ keys: _, ...row }) => row))
    expect(theirs.rows[0]?.keys).not.toEqual(mine.rows[0]?.keys)
    expect((await snapshotFor(other)).facts(ids.hex, 'DE0BA996')).toEqual(
      (await snapshotFor(bridge)).facts(ids.hex, 'DE0BA996'),
    )
  })

  test('change their version with every change', async () => {
    const { version } = await bridge.page()
    expect((await bridge.page()).version).toBe(version)
    await admin.patch(`/cards/${ids.card}`, { status: 'active' })
    const changed = await bridge.page()
    expect(changed.version).not.toBe(version)
    expect(changed.version).toBe((await bridge.config()).snapshot)
    expect(rowOf([changed], ids.card)?.status).toBe('active')
  })

  test('are sealed for the bridge that asked, as an answer to this call', async () => {
    const other = await registerBridge(api, admin)
    const response = await bridge.ask(CALLS.snapshot, {})
    expect([response.status, response.headers.get('content-type')]).toEqual([200, SEALED])
    const sealed = await response.text()
    const [key, otherKey, now] = [await keyOf(bridge.key), await keyOf(other.key), new Date()]
    await expect(open(sealed, CALLS.snapshot.answer, key, now)).resolves.toHaveProperty('rows')
    await expect(open(sealed, CALLS.snapshot.answer, otherKey, now)).rejects.toThrow()
    await expect(open(sealed, CALLS.config.answer, key, now)).rejects.toThrow()
  })

  test.each([
    ['a card that is no id', { after: '1' }, 'after'],
    ['null', { after: null }, 'after'],
    ['a number of cards', { limit: 5 }, 'limit'],
  ])('are not told after %s', async (_, message, path) => {
    expectProblem(await replyOf(await bridge.ask(CALLS.snapshot, message)), 422, path)
  })
})

const FIRST = 0x04_00_00_00_00_00_00
const numberOf = (n: number) => BigInt(FIRST + n * 7_919)
const hexOf = (n: number) => numberOf(n).toString(16).padStart(14, '0').toUpperCase()

/** Cards from `from` to `to`, each with a person of its own; their ids come before all that the API makes. */
const addCards = (from: number, to: number) =>
  api.db.execute(sql`
    with made as (
      select n, ${FIRST} + n::bigint * 7919 as number,
        ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid as card,
        ('00000000-0000-7000-9000-' || lpad(to_hex(n), 12, '0'))::uuid as person
      from generate_series(${from}::int, ${to}::int) n
    ), p as (
      insert into people (id, name) select person, 'Person of ' || n from made
    ), c as (
      insert into cards (id, person_id, number) select card, person, lpad(upper(to_hex(number)), 14, '0') from made
    )
    insert into card_keys (view, key, card_id)
    select 'hex', lpad(upper(to_hex(number)), 14, '0'), card from made
    union all select 'decimal', number::text, card from made`)

describe('the pages of a site', () => {
  const sizes = (pages: SnapshotPage[]) => pages.map(({ rows }) => rows.length)
  let last: number

  beforeAll(async () => {
    for (const cardView of ['hex', 'decimal']) await add('/readers', { topic: `pages/${cardView}`, cardView })
    last = 1_000 - (await api.db.$count(cards))
    await addCards(1, last)
  })

  test('are one for a thousand cards', async () => {
    const pages = await bridge.pages()
    expect(sizes(pages)).toEqual([1_000])
    expect(pages[0]).toMatchObject({ cards: 1_000 })
  })

  test('are two for one card more, and only the first tells of the site', async () => {
    await addCards(last + 1, last + 1)
    const [first, second, ...more] = await bridge.pages()
    expect([first?.rows.length, second?.rows.length, more]).toEqual([1_000, 1, []])
    expect(first).toMatchObject({ cards: 1_001, site: expect.any(Object), next: first?.rows.at(-1)?.card })
    expect(second).toEqual({ version: first?.version, now: expect.any(String), rows: expect.any(Array) })
  })

  test('together have every card once, in order, and are of one version', async () => {
    await addCards(last + 2, last + 1_500)
    const pages = await bridge.pages()
    expect(sizes(pages)).toEqual([1_000, 1_000, 500])
    const told = pages.flatMap(({ rows }) => rows.map(({ card }) => card))
    const all = await api.db.select({ id: cards.id }).from(cards).orderBy(cards.id)
    expect(told).toEqual(all.map(({ id }) => id))
    const { snapshot } = await bridge.config()
    expect(pages.map(({ version }) => version)).toEqual([snapshot, snapshot, snapshot])
  })

  test('have no card number in them, in no view, nor any name', async () => {
    const pages = await bridge.pages()
    const text = JSON.stringify(pages)
    expect(pages.flatMap(({ rows }) => rows).length).toBeGreaterThan(2_000)
    for (let n = 1; n <= last + 1_500; n++) {
      const told = [hexOf(n), hexOf(n).toLowerCase(), String(numberOf(n))].filter((number) => text.includes(number))
      expect(told).toEqual([])
    }
    expect(text).not.toMatch(/Person of|Guests|snapshot\/1|DE0BA996|3725306262/i)
  })

  test('find each of these cards all the same', async () => {
    const snapshot = await snapshotFor(bridge)
    const { items } = (await admin.get('/readers?limit=500')).body
    const reader = (cardView: CardView) => String(items.find((one) => one['topic'] === `pages/${cardView}`)?.id)
    for (let n = 1; n <= last + 1_500; n += 37) {
      for (const [view, text] of [
        ['hex', hexOf(n)],
        ['decimal', String(numberOf(n))],
      ] as const) {
        const found = snapshot.facts(reader(view), text).facts.cards.map(({ person }) => person.id)
        expect(found).toEqual([`00000000-0000-7000-9000-${n.toString(16).padStart(12, '0')}`])
      }
    }
  })

  test('go on after a card that is gone, and end after the last', async () => {
    const [first] = await bridge.pages()
    const next = String(first?.next)
    const { rows: before } = await bridge.page(next)
    await admin.delete(`/cards/${next}`)
    const after = await bridge.page(next)
    expect(after.rows).toEqual(before)
    expect(after.version).not.toBe(first?.version)
    expect(await bridge.page('ffffffff-ffff-ffff-bfff-ffffffffffff')).toEqual({
      version: after.version,
      now: expect.any(String),
      rows: [],
    })
  })
})

describe('a bridge that decides by its snapshot', () => {
  const readers = { front: '', gate: '', lab: '', yard: '', disabled: '', shut: '' }
  const VIEWS: Record<keyof typeof readers, CardView> = {
    front: 'hex',
    gate: 'decimal',
    lab: 'hex',
    yard: 'decimal',
    disabled: 'hex',
    shut: 'decimal',
  }
  type Card = { number: string; form: 'hex' | 'decimal' }
  const known: Card[] = []
  let snapshot: Snapshot

  const JUNE = '2026-06-01T00:00:00.000Z'
  /** When something begins or ends, on some wall or in some validity. */
  const EDGES = [
    JUNE,
    '2026-03-29T01:00:00.000Z',
    '2026-10-25T00:00:00.000Z',
    '2026-10-25T01:00:00.000Z',
    '2026-07-03T20:00:00.000Z',
    '2026-07-04T04:00:00.000Z',
    '2026-07-01T05:00:00.000Z',
    '2026-07-01T11:00:00.000Z',
    '2026-07-05T10:00:00.000Z',
    '2026-12-31T23:00:00.000Z',
  ].map((text) => Date.parse(text))

  beforeAll(async () => {
    const days = [1, 2, 3, 4, 5]
    const week = [...days, 6, 7]
    const schedule = (...windows: object[]) => add('/schedules', { windows })
    const office = await schedule({ days, from: '07:00', to: '17:30' })
    const nights = await schedule({ days: [5], from: '22:00', to: '06:00' }, { days: [7], from: '23:00', to: '23:00' })
    const never = await schedule()
    const sundays = await schedule({ days: [7], from: '02:00', to: '03:00' })
    const allDay = await schedule({ days: week, from: '00:00', to: '24:00' })

    const reader = async (name: keyof typeof readers, timezone: string, fields: object = {}) => {
      readers[name] = await add('/readers', { topic: `door/${name}`, cardView: VIEWS[name], timezone, ...fields })
    }
    await reader('front', 'Europe/Prague', { openMs: 1_234 })
    await reader('gate', 'America/New_York')
    await reader('lab', 'Pacific/Kiritimati')
    await reader('yard', 'UTC')
    await reader('disabled', 'UTC', { enabled: false })
    await reader('shut', 'UTC')
    // Where a PIN is asked for, `explain` says so as it is of a scan without one.
    const asks = async (name: keyof typeof readers, pinScheduleId: string) =>
      api.db.update(readersTable).set({ pinScheduleId }).where(eq(readersTable.id, readers[name]))
    await asks('lab', nights)
    await asks('gate', sundays)
    await asks('yard', office)

    const [staff, guards] = [await add('/groups', {}), await add('/groups', {})]
    const [cleaners, guests] = [await add('/groups', {}), await add('/groups', {})]
    const rule = (groupId: string, scheduleId: string | null, ...names: (keyof typeof readers)[]) =>
      add('/rules', { groupId, scheduleId, readerIds: names.map((name) => readers[name]) })
    await rule(staff, null, 'front', 'disabled')
    await rule(staff, office, 'gate', 'lab')
    await rule(staff, never, 'yard')
    await rule(guards, nights, 'front', 'gate', 'lab')
    await rule(guards, allDay, 'yard')
    await rule(cleaners, sundays, 'front', 'gate')
    await rule(cleaners, never, 'lab')

    const card = async (personId: string, number: string, fields: object = {}, form: Card['form'] = 'hex') => {
      await add('/cards', { personId, number, form, ...fields })
      known.push({ number, form })
    }
    const PEOPLE: [object, string[]][] = [
      [{}, [staff]],
      [{}, [guards]],
      [{}, [cleaners, guests]],
      [{}, [cleaners, guards, staff]],
      [{}, [guests]],
      [{}, []],
      [{ active: false }, [staff]],
      [{ validFrom: JUNE }, [staff]],
      [{ validUntil: JUNE }, [guards, staff]],
      [{ validFrom: '2026-03-01T00:00:00Z', validUntil: JUNE }, [staff]],
    ]
    for (const [n, [fields, groups]] of PEOPLE.entries()) {
      const person = await add('/people', fields)
      for (const group of groups) await put(group, person)
      await card(person, `0A${10 + n}`)
      await card(person, `4B00423C${10 + n}`, n % 2 === 0 ? { validFrom: JUNE } : { validUntil: JUNE })
      await card(person, `615976${10 + n}`, {}, 'decimal')
      const status = ['blocked', 'lost', 'returned'][n % 3]
      await card(person, `C0FFEE${10 + n}`, { status })
      // Three that are one number in decimal, and two that are: of different people.
      if (n === 0) await card(person, 'FADEDBAD')
      if (n === 1) await card(person, '00FADEDBAD')
      if (n === 2) await card(person, '4208909229', {}, 'decimal')
      if (n === 3) await card(person, 'AB17')
      if (n === 4) await card(person, '43799', {}, 'decimal')
    }
    const pages = await bridge.pages()
    expect(pages.length).toBeGreaterThan(2)
    snapshot = snapshotOf(pages, hashingKey(await keyOf(bridge.key)))
  })

  const explain = async (readerId: string, card: string, at: Date) =>
    (await admin.get(`/explain?readerId=${readerId}&card=${encodeURIComponent(card)}&at=${at.toISOString()}`)).body

  const NAMES = Object.keys(readers) as (keyof typeof readers)[]
  const inView = (view: CardView, card: Card) => keysOfCard(card).find((found) => found.view === view)?.key

  test('comes to every reason that facts can lead to', () => {
    const reached = new Set<Reason>([reasonBy(snapshot, crypto.randomUUID(), '1', new Date())])
    for (const name of NAMES) {
      for (const text of ['1', ...known.map((card) => inView(VIEWS[name], card) ?? '2')]) {
        for (const at of EDGES) reached.add(reasonBy(snapshot, readers[name], text, new Date(at)))
      }
    }
    const expected: Reason[] = [
      ...(['unknown_reader', 'reader_disabled', 'unknown_card', 'ambiguous_card'] as const),
      ...(['card_blocked', 'card_lost', 'card_returned', 'card_not_yet_valid', 'card_expired'] as const),
      ...(['person_inactive', 'person_not_yet_valid', 'person_expired'] as const),
      ...(['no_rule', 'outside_schedule', 'pin_required', 'granted'] as const),
    ]
    expect([...reached].sort()).toEqual(expected.sort())
  })

  const spelled = (text: string, view: CardView, how: number) =>
    view === 'hex'
      ? ([text, text.toLowerCase(), ` ${text.replace(/..(?=.)/g, '$&:')} `, text.replace(/..(?=.)/g, '$&-')][how] ??
        text)
      : ([text, `0${text}`, ` ${text}\r\n`, `0000${text}`][how] ?? text)
  const year = { min: Date.parse('2026-01-01T00:00:00Z'), max: Date.parse('2026-12-31T23:59:59.999Z') }
  const instant = fc.oneof(
    fc.integer(year),
    fc.tuple(fc.constantFrom(...EDGES), fc.constantFrom(-60_000, -1, 0, 1, 60_000)).map(([edge, by]) => edge + by),
  )
  const question = fc.record({
    name: fc.oneof({ weight: 20, arbitrary: fc.constantFrom(...NAMES) }, fc.constant(undefined)),
    // A known card as the reader would see it, or another one's view of it, or no card at all.
    what: fc.oneof(
      { weight: 8, arbitrary: fc.record({ card: fc.nat(), how: fc.nat({ max: 3 }) }) },
      {
        weight: 1,
        arbitrary: fc.record({ card: fc.nat(), how: fc.nat({ max: 3 }), view: fc.constantFrom('hex', 'decimal') }),
      },
      { weight: 1, arbitrary: fc.constantFrom('Ada', '0', '999999999999', 'FFFF', '0x0A10', 'A10', '00:00') },
    ),
    ms: instant,
  })

  test('property: decides as the API would, whoever is where with whatever at any time, and by the same facts', async () => {
    await fc.assert(
      fc.asyncProperty(question, async ({ name, what, ms }) => {
        const readerId = name === undefined ? crypto.randomUUID() : readers[name]
        const own = name === undefined ? 'hex' : VIEWS[name]
        const textOf = ({ card, how, view = own }: { card: number; how: number; view?: string }) => {
          const carried = known[card % known.length] ?? { number: '1', form: 'hex' }
          const seen = view === 'hex' ? 'hex' : 'decimal'
          return spelled(inView(seen, carried) ?? carried.number, seen, how)
        }
        const text = typeof what === 'string' ? what : textOf(what)
        const at = new Date(ms)

        const { facts } = snapshot.facts(readerId, text)
        const online = await explain(readerId, text, at)
        expect({ text, reason: decide({ ...facts, late: false, pin: 'none' }, at) }).toEqual({
          text,
          reason: online['reason'],
        })

        // Of three cards that match, both see any two.
        const matches = online['matches'] as string[]
        expect(facts.cards).toHaveLength(matches.length)
        if (matches.length > 1) return
        expect(facts.cards.map(({ id }) => id)).toEqual(matches)
        expect(facts.cards.map(({ person }) => person.id)).toEqual(
          online['person'] ? [(online['person'] as { id: string }).id] : [],
        )
        expect(facts.rules.map(({ id }) => id).sort()).toEqual(
          (online['rules'] as { id: string }[]).map(({ id }) => id).sort(),
        )
      }),
      // On workerd each question opens a connection of its own.
      { numRuns: inject('runtime') === 'node' ? 100 : 25 },
    )
    // What follows needs no second page, and reads all there are each time.
    await api.db.execute(sql`delete from cards where id < '00000000-0000-7000-9000-000000000000'`)
    await api.db.execute(sql`delete from people where id < '00000000-0000-7000-a000-000000000000'`)
  })

  test('opens a door for as long as the API would', async () => {
    const answer = await bridge.check(scanOf(readers.front, '0A10'))
    expect(answer).toMatchObject({ reason: 'granted', openMs: 1_234 })
    expect(snapshot.facts(readers.front, '0A10').openMs).toBe(answer.openMs)
  })

  test.each([
    ['cards', 'valid_from', 'infinity'],
    ['cards', 'valid_from', '-infinity'],
    ['cards', 'valid_until', 'infinity'],
    ['cards', 'valid_until', '10000-01-01'],
    ['people', 'valid_from', '0044-03-15 BC'],
    ['people', 'valid_from', '10000-01-01'],
    ['people', 'valid_until', 'infinity'],
    ['people', 'valid_until', '-infinity'],
  ])('has a snapshot, and decides as the API would, where %s have a %s of %s', async (table, column, value) => {
    const name = sql.raw(`${table} set ${column}`)
    const where =
      table === 'cards' ? sql`number = '0A10'` : sql`id = (select person_id from cards where number = '0A10')`
    await api.db.execute(sql`update ${name} = ${value}::timestamptz where ${where}`)
    const now = new Date()
    expect(reasonBy(await snapshotFor(bridge), readers.front, '0A10', now)).toBe(
      (await explain(readers.front, '0A10', now))['reason'],
    )
    await api.db.execute(sql`update ${name} = null where ${where}`)
  })

  test.each([
    ['cards', 'valid_from', '0030-01-01', 'granted'],
    ['cards', 'valid_until', '0030-01-01', 'card_expired'],
    ['people', 'valid_from', '0049-12-31', 'granted'],
    ['people', 'valid_until', '0001-01-01', 'person_expired'],
    ['people', 'valid_until', '0044-03-15 BC', 'person_expired'],
    ['cards', 'valid_until', '9999-12-31', 'granted'],
  ])('and the API read years as Postgres means them: where %s have a %s of %s it is %s', async (...row) => {
    const [table, column, value, expected] = row
    const name = sql.raw(`${table} set ${column}`)
    const where =
      table === 'cards' ? sql`number = '0A10'` : sql`id = (select person_id from cards where number = '0A10')`
    await api.db.execute(sql`update ${name} = ${value}::timestamptz where ${where}`)
    const now = new Date()
    const online = (await explain(readers.front, '0A10', now))['reason']
    const offline = reasonBy(await snapshotFor(bridge), readers.front, '0A10', now)
    await api.db.execute(sql`update ${name} = null where ${where}`)
    expect({ online, offline }).toEqual({ online: expected, offline: expected })
  })
})

describe('a schedule that SQL wrote and nobody can read', () => {
  const days = [1, 2, 3, 4, 5, 6, 7]
  const ids = { only: '', also: '', schedule: '' }

  beforeAll(async () => {
    ids.only = await add('/readers', { topic: 'odd/only', cardView: 'hex' })
    ids.also = await add('/readers', { topic: 'odd/also', cardView: 'hex' })
    ids.schedule = await add('/schedules', { windows: [] })
    const group = await add('/groups', {})
    await add('/rules', { groupId: group, readerIds: [ids.only, ids.also], scheduleId: ids.schedule })
    await add('/rules', { groupId: group, readerIds: [ids.also] })
    const person = await add('/people', {})
    await put(group, person)
    await add('/cards', { personId: person, number: '0DD0' })
  })

  test('asks for a PIN at any time, where it says when one is asked for', async () => {
    const pinScheduleId = ids.schedule
    await api.db.execute(sql`update schedules set windows = '[null]' where id = ${pinScheduleId}`)
    await api.db.update(readersTable).set({ pinScheduleId }).where(eq(readersTable.id, ids.also))
    const now = new Date()
    const online = (await admin.get(`/explain?readerId=${ids.also}&card=0DD0&at=${now.toISOString()}`)).body
    expect(online).toMatchObject({ reason: 'pin_required', pin: 'asked' })
    expect(reasonBy(await snapshotFor(bridge), ids.also, '0DD0', now)).toBe('pin_required')
    expect((await bridge.check(scanOf(ids.also, '0DD0'))).reason).toBe('pin_required')
    await api.db.update(readersTable).set({ pinScheduleId: null }).where(eq(readersTable.id, ids.also))
  })

  test.each([
    ['null', [null]],
    ['a number', [7]],
    ['nothing in it', [{}]],
    ['no end', [{ days, from: '00:00' }]],
    ['an hour that is none', [{ days, from: '00:00', to: '25:00' }]],
    ['numbers for times', [{ days, from: 0, to: 24 }]],
    ['days as text', [{ days: '1234567', from: '00:00', to: '24:00' }]],
    ['an eighth day', [{ days: [...days, 8], from: '00:00', to: '24:00' }]],
    ['a word too many', [{ days, from: '00:00', to: '24:00', except: 'holidays' }]],
    ['a good window beside it', [{ days, from: '00:00', to: '24:00' }, { days: [] }]],
  ])('as there is %s, is never open, online nor by the snapshot, and everything else is', async (_, windows) => {
    await api.db.execute(
      sql`update schedules set windows = ${JSON.stringify(windows)}::jsonb where id = ${ids.schedule}`,
    )
    const snapshot = await snapshotFor(bridge)
    const now = new Date()
    for (const [readerId, expected] of [
      [ids.only, 'outside_schedule'],
      [ids.also, 'granted'],
    ] as const) {
      const { status, body } = await admin.get(`/explain?readerId=${readerId}&card=0DD0&at=${now.toISOString()}`)
      const online = { status, reason: body['reason'] }
      expect({ online, offline: reasonBy(snapshot, readerId, '0DD0', now) }).toEqual({
        online: { status: 200, reason: expected },
        offline: expected,
      })
      expect((await bridge.check(scanOf(readerId, '0DD0'))).reason).toBe(expected)
    }
  })
})
