import { sql } from 'drizzle-orm'
import { beforeAll, describe, expect, test } from 'vitest'
import { keysOfCard } from '../contract/card-views.ts'
import {
  cardKeys,
  cards,
  groupPeople,
  groups,
  people,
  readers,
  ruleReaders,
  rules,
  schedules,
  siteChanges,
} from '../db/schema.ts'
import { type Reply, startTestApi, type TestApi } from '../testing/api.ts'
import { type Caller, expectProblem, signIn } from '../testing/caller.ts'
import { type Bridge, handedOver, registerBridge, scanOf } from '../testing/sealed.ts'

// `snapshot` in the answer to a bridge that asks for its site: another one after each change that a decision may see.

let api: TestApi
let admin: Caller
let bridge: Bridge

beforeAll(async () => {
  api = await startTestApi()
  admin = await signIn(api, 'admin')
  bridge = await registerBridge(api, admin)
})

const version = async () => (await bridge.config()).snapshot
const run = (query: string) => api.db.execute(sql.raw(query))
const ok = async (reply: Promise<Reply>) => {
  const { status, body } = await reply
  expect({ body, good: status < 300 }).toEqual({ body, good: true })
}

let sites = 0
/** Somebody with a card, in a group that may pass a reader during a schedule: what the rows below change. */
const site = async () => {
  const n = ++sites
  const one = async <T extends { id: string }>(rows: Promise<T[]>) => (await rows)[0]?.id ?? ''
  const about = { name: 'One', profile: 'plain', cardView: 'decimal', timezone: 'UTC', openMs: 3_000 } as const
  const reader = await one(
    api.db
      .insert(readers)
      .values({ ...about, topic: `facts/${n}` })
      .returning(),
  )
  const other = await one(
    api.db
      .insert(readers)
      .values({ ...about, topic: `facts/${n}/other` })
      .returning(),
  )
  const group = await one(api.db.insert(groups).values({ name: 'One' }).returning())
  const schedule = await one(api.db.insert(schedules).values({ name: 'One', windows: [] }).returning())
  const rule = await one(api.db.insert(rules).values({ groupId: group, scheduleId: schedule }).returning())
  await api.db.insert(ruleReaders).values({ ruleId: rule, readerId: reader })
  const person = await one(api.db.insert(people).values({ name: 'One' }).returning())
  const guest = await one(api.db.insert(people).values({ name: 'One' }).returning())
  await api.db.insert(groupPeople).values({ groupId: group, personId: person })
  const number = `FACE${1_000 + n}`
  const card = await one(api.db.insert(cards).values({ personId: person, number }).returning())
  await api.db.insert(cardKeys).values(keysOfCard({ number, form: 'hex' }).map((key) => ({ ...key, cardId: card })))
  return { reader, other, group, schedule, rule, person, guest, card }
}
type Site = Awaited<ReturnType<typeof site>>

type Step = (site: Site) => Promise<unknown>
/** What is done, how, and what has to be done before. */
type Row = [what: string, change: Step, before?: Step]

const allDay = [{ days: [1], from: '00:00', to: '24:00' }]
const withoutRule: Step = ({ rule }) => ok(admin.delete(`/rules/${rule}`))

const CHANGES: Row[] = [
  ['a person is added', () => ok(admin.post('/people', { name: 'Ada' }))],
  ['a person is made inactive', ({ person }) => ok(admin.patch(`/people/${person}`, { active: false }))],
  [
    'a person is valid until some day',
    ({ person }) => ok(admin.patch(`/people/${person}`, { validUntil: '2030-01-01T00:00:00Z' })),
  ],
  [
    'a person is exempt from lockdowns',
    ({ person }) => ok(admin.patch(`/people/${person}`, { exemptFromLockdown: true })),
  ],
  ['a person is deleted', ({ guest }) => ok(admin.delete(`/people/${guest}`))],
  ['a card is added', ({ person }) => ok(admin.post('/cards', { personId: person, number: 'C0FFEE' }))],
  ['a card is blocked', ({ card }) => ok(admin.patch(`/cards/${card}`, { status: 'blocked' }))],
  [
    'a card is valid from some day',
    ({ card }) => ok(admin.patch(`/cards/${card}`, { validFrom: '2020-01-01T00:00:00Z' })),
  ],
  ['a card gets another number', ({ card }) => ok(admin.patch(`/cards/${card}`, { number: 'C0FFEE01' }))],
  ['a card is somebody else’s', ({ card, guest }) => ok(admin.patch(`/cards/${card}`, { personId: guest }))],
  ['a card is deleted', ({ card }) => ok(admin.delete(`/cards/${card}`))],
  ['a person is put into a group', ({ group, guest }) => ok(admin.put(`/groups/${group}/people/${guest}`))],
  ['a person is taken out of a group', ({ group, person }) => ok(admin.delete(`/groups/${group}/people/${person}`))],
  ['a group is deleted with who was in it', ({ group }) => ok(admin.delete(`/groups/${group}`)), withoutRule],
  ['a schedule is added', () => ok(admin.post('/schedules', { name: 'Day', windows: allDay }))],
  ['a schedule has other windows', ({ schedule }) => ok(admin.patch(`/schedules/${schedule}`, { windows: allDay }))],
  ['a schedule is deleted', ({ schedule }) => ok(admin.delete(`/schedules/${schedule}`)), withoutRule],
  ['a rule is added', ({ group, reader }) => ok(admin.post('/rules', { groupId: group, readerIds: [reader] }))],
  ['a rule means always', ({ rule }) => ok(admin.patch(`/rules/${rule}`, { scheduleId: null }))],
  ['a rule names another reader', ({ rule, other }) => ok(admin.patch(`/rules/${rule}`, { readerIds: [other] }))],
  ['a rule is deleted', withoutRule],
  ['a reader is added', () => ok(admin.post('/readers', { name: 'New', topic: 'facts/new' }))],
  ['a reader is disabled', ({ reader }) => ok(admin.patch(`/readers/${reader}`, { enabled: false }))],
  ['a reader is in another zone', ({ reader }) => ok(admin.patch(`/readers/${reader}`, { timezone: 'Asia/Tokyo' }))],
  ['a reader sees hex', ({ reader }) => ok(admin.patch(`/readers/${reader}`, { cardView: 'hex' }))],
  ['a reader is deleted', ({ other }) => ok(admin.delete(`/readers/${other}`))],
  ['SQL changes a person', ({ person }) => run(`update people set active = false where id = '${person}'`)],
  ['SQL changes a card', ({ card }) => run(`update cards set status = 'lost' where id = '${card}'`)],
  ['SQL adds a key', ({ card }) => run(`insert into card_keys values ('hex', 'AB', '${card}')`)],
  ['SQL changes a key', ({ card }) => run(`update card_keys set key = '7' where card_id = '${card}'`)],
  ['SQL deletes a key', ({ card }) => run(`delete from card_keys where card_id = '${card}'`)],
  [
    'SQL changes a membership',
    ({ person, guest }) => run(`update group_people set person_id = '${guest}' where person_id = '${person}'`),
  ],
  [
    'SQL changes a schedule',
    ({ schedule }) => run(`update schedules set windows = '${JSON.stringify(allDay)}' where id = '${schedule}'`),
  ],
  ['SQL changes a rule', ({ rule }) => run(`update rules set schedule_id = null where id = '${rule}'`)],
  [
    'SQL moves a rule to another reader',
    ({ rule, other }) => run(`update rule_readers set reader_id = '${other}' where rule_id = '${rule}'`),
  ],
  ['SQL changes a reader', ({ reader }) => run(`update readers set enabled = false where id = '${reader}'`)],
  ['SQL changes one row of many', ({ guest }) => run(`update people set active = id <> '${guest}'`)],
  [
    'SQL adds what is not there yet',
    ({ group, guest }) =>
      run(`insert into group_people (group_id, person_id)
      select '${group}', id from people where id = '${guest}' on conflict do nothing`),
  ],
  [
    'SQL overwrites a row that is there',
    ({ schedule }) =>
      run(`insert into schedules (id, name, windows) values ('${schedule}', 'One', '${JSON.stringify(allDay)}')
      on conflict (id) do update set windows = excluded.windows`),
  ],
  ['SQL empties the memberships', () => run('truncate group_people')],
  ['SQL empties the readers of rules', () => run('truncate rule_readers')],
  ['SQL empties the keys', () => run('truncate card_keys')],
]
test.each(CHANGES)('it is another one when %s', async (_, change, prepare?: Step) => {
  const one = await site()
  await prepare?.(one)
  const before = await version()
  await change(one)
  const after = await version()
  expect(after).not.toBe(before)
  expect(await version()).toBe(after)
})

const TABLES = [
  ...['people', 'cards', 'card_keys', 'group_people'],
  ...['schedules', 'rules', 'rule_readers', 'readers'],
]
/** A column of each, to be set to what it is. */
const columnOf = (table: string) =>
  ({ card_keys: 'key', group_people: 'group_id', rule_readers: 'rule_id' })[table] ?? 'id'

const NO_CHANGES: Row[] = [
  ['nothing', async () => {}],
  ...TABLES.flatMap((table): Row[] => [
    [
      `SQL that sets all ${table} to what they are`,
      () => run(`update ${table} set ${columnOf(table)} = ${columnOf(table)}`),
    ],
    [`SQL that changes no ${table}`, () => run(`update ${table} set ${columnOf(table)} = null where false`)],
    [`SQL that deletes no ${table}`, () => run(`delete from ${table} where false`)],
    [`SQL that adds no ${table}`, () => run(`insert into ${table} select * from ${table} on conflict do nothing`)],
  ]),
  ['a person who is patched to what they are', ({ person }) => ok(admin.patch(`/people/${person}`, { active: true }))],
  ['a card that is patched to what it is', ({ card }) => ok(admin.patch(`/cards/${card}`, { status: 'active' }))],
  [
    'a rule that is patched to what it is',
    ({ rule, reader }) => ok(admin.patch(`/rules/${rule}`, { readerIds: [reader] })),
  ],
  ['a reader that is patched to what it is', ({ reader }) => ok(admin.patch(`/readers/${reader}`, { enabled: true }))],
  ['a person who is put into a group again', ({ group, person }) => ok(admin.put(`/groups/${group}/people/${person}`))],
  ['a lockdown', () => ok(admin.post('/lockdowns', { kind: 'lockdown', reason: 'A drill' }))],
  [
    'a door that is added',
    () => ok(admin.post('/doors', { name: 'Gate', profile: 'value-relay', settings: { command: 'facts/open' } })),
  ],
  ['a group that is added', () => ok(admin.post('/groups', { name: 'Guests' }))],
  ['a group that is renamed', ({ group }) => ok(admin.patch(`/groups/${group}`, { name: 'Two' }))],
  ['an account', () => signIn(api, 'operator')],
  ['a bridge that is registered', () => registerBridge(api, admin)],
  ['a bridge that is renamed', () => ok(admin.patch(`/bridges/${bridge.id}`, { name: 'Attic' }))],
  [
    'a bridge that gets a new key',
    async () => ok(admin.post(`/bridges/${(await registerBridge(api, admin)).id}/rotate`)),
  ],
  ['a scan', ({ reader }) => bridge.check(scanOf(reader, '1'))],
  ['events that are handed over', ({ reader }) => bridge.handOver([handedOver(reader, '1')])],
  ['a snapshot that is read', () => bridge.pages()],
  [
    'a change that is refused',
    async ({ group }) =>
      expectProblem(await admin.post('/rules', { groupId: group, readerIds: [group] }), 422, 'readerIds'),
  ],
  [
    'a change that is taken back',
    async ({ person }) => {
      const undone = api.db.transaction(async (tx) => {
        await tx.execute(sql`update people set active = false where id = ${person}`)
        tx.rollback()
      })
      await expect(undone).rejects.toThrow()
    },
  ],
]
test.each(NO_CHANGES)('it is not changed by %s', async (_, change) => {
  const one = await site()
  const before = await version()
  await change(one)
  expect(await version()).toBe(before)
})

test('it is not changed by the same windows in other words', async () => {
  const { schedule } = await site()
  const write = (windows: string) => run(`update schedules set windows = '${windows}' where id = '${schedule}'`)
  await write('[{ "from": "07:00", "to": "08:00", "days": [1] }]')
  const before = await version()
  await write('[{"days":[1],"to":"08:00","from":"07:00"}]')
  expect(await version()).toBe(before)
})

test('it is told to a bridge that has the readers already, and is the same for every bridge', async () => {
  const other = await registerBridge(api, admin)
  const { version: readers, snapshot } = await bridge.config()
  expect(snapshot).toMatch(/\w/)
  expect(await bridge.config(readers)).toEqual({ version: readers, now: expect.any(String), snapshot })
  expect((await other.config()).snapshot).toBe(snapshot)
})

test('it is another one when a backup was restored and the same ids are given to other changes', async () => {
  const { person, guest } = await site()
  const [last] = await run('select max(id) as id from site_changes')
  await run(`update people set active = false where id = '${person}'`)
  const before = await version()

  await run(`update people set active = true where id = '${person}'`)
  await run(`delete from site_changes where id > ${last?.['id']}`)
  await run(`select setval(pg_get_serial_sequence('site_changes', 'id'), ${last?.['id']})`)
  await run(`update people set active = false where id = '${guest}'`)
  expect(await version()).not.toBe(before)
})

test('it counts a change that is committed after a later one', async () => {
  const [taken] = await run("select nextval(pg_get_serial_sequence('site_changes', 'id')) as id")
  await site()
  const before = await version()
  await run(`insert into site_changes (id) overriding system value values (${taken?.['id']})`)
  expect(await version()).not.toBe(before)
})

describe('the list of changes it is made from', () => {
  const length = () => api.db.$count(siteChanges)
  const lengthen = async (to: number) =>
    run(`insert into site_changes select from generate_series(1, ${to - (await length())})`)

  test('is kept while it has two thousand', async () => {
    await lengthen(2_000)
    const before = await version()
    expect(await version()).toBe(before)
    expect(await length()).toBe(2_000)
  })

  test('is forgotten when it has one more, and then the version is another one, once', async () => {
    await lengthen(2_001)
    const long = await version()
    expect(await length()).toBe(1)
    const short = await version()
    expect(short).not.toBe(long)
    expect(await version()).toBe(short)
  })

  test('goes on from there', async () => {
    const { person } = await site()
    const seen = new Set([await version()])
    for (const active of [false, true, false]) {
      await ok(admin.patch(`/people/${person}`, { active }))
      seen.add(await version())
    }
    expect(seen.size).toBe(4)
  })
})
