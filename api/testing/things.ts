import { expect } from 'vitest'
import { accounts, alerts, apiKeys, commands, deviceEvents, seenReaders, webhookDeliveries } from '../db/schema.ts'
import type { Role } from '../login/permissions.ts'
import { hashOf, KEY_PREFIX, newSecret } from '../login/tokens.ts'
import { PASSWORD_HASH, type TestApi } from './api.ts'
import { type Caller, newSession } from './caller.ts'
import type { Route } from './document.ts'
import { registerBridge, scanOf } from './sealed.ts'

let made = 0
/** Hex digits that nobody else has. */
const next = () => (++made + 0xa00000).toString(16).toUpperCase()

/** A person with a card and a scan on record, and what each is known by. */
export type Holder = { people: string; cards: string; events: string; name: string; number: string }

/** What is there for a route to find: an id for each noun, by the path's first step. */
export type Things = Record<string, string>

/** An account of this role, of this person, signed in. */
export const accountOf = async (api: TestApi, role: Role, personId: string | null = null): Promise<Caller> => {
  const email = `${role}-${crypto.randomUUID()}@example.org`
  const values = { email, role, personId, passwordHash: PASSWORD_HASH }
  const [account] = await api.db.insert(accounts).values(values).returning()
  if (!account) throw new Error('the account was not written')
  return newSession(api, account)
}

/** An API key, as a program would hold it. */
export const keyOf = async (api: TestApi, role: Role, scopes: string[] | null = null): Promise<string> => {
  const key = `${KEY_PREFIX}${newSecret()}`
  const values = { name: `Key ${next()}`, role, scopes, prefix: key.slice(0, 12), createdAt: new Date() }
  await api.db.insert(apiKeys).values({ ...values, hash: await hashOf(key) })
  return key
}

/** One of each, made through the front door by an owner, and one more of what belongs to a person for each holder. */
export const makeThings = async (api: TestApi, owner: Caller): Promise<{ things: Things; holders: Holder[] }> => {
  const add = async (noun: string, fields: object): Promise<string> => {
    const { status, body } = await owner.post(`/${noun}`, fields)
    expect({ noun, status, body }).toMatchObject({ status: 201 })
    return body.id
  }
  const bridge = await registerBridge(api, owner)
  const groups = await add('groups', { name: `Group ${next()}` })
  const readers = await add('readers', { name: `Reader ${next()}`, topic: `site/${next()}`, cardView: 'hex' })
  const settings = { command: `site/${next()}/open` }
  const doors = await add('doors', { name: `Door ${next()}`, profile: 'value-relay', settings })
  const lockdowns = await add('lockdowns', { kind: 'lockdown', readerIds: [readers], reason: 'A drill' })
  await owner.delete(`/lockdowns/${lockdowns}`)
  const schedules = await add('schedules', { name: `Schedule ${next()}`, windows: [] })
  const rules = await add('rules', { groupId: groups, readerIds: [readers] })

  const holder = async (name: string): Promise<Holder> => {
    const number = `CA${next()}`
    const people = await add('people', { name, email: `${number}@example.org`, employeeNumber: `N${number}` })
    const cards = await add('cards', { personId: people, number, label: `Card of ${name}` })
    const events = (await bridge.check(scanOf(readers, number))).scan
    return { people, cards, events, name, number }
  }
  const one = await holder(`Ada ${next()}`)
  const other = await holder(`Bob ${next()}`)
  const enrolments = await add('enrolments', { readerId: readers, personId: one.people })
  await owner.delete(`/enrolments/${enrolments}`)
  const stranger = (await bridge.check(scanOf(readers, `CC${next()}`))).scan
  expect(stranger).toBeTruthy()
  const [account] = await api.db
    .insert(accounts)
    .values({ email: `there-${next()}@example.org`.toLowerCase(), role: 'member', passwordHash: PASSWORD_HASH })
    .returning()
  await keyOf(api, 'member')
  const [key] = await api.db.select().from(apiKeys)
  const at = new Date()
  const [device] = await api.db
    .insert(seenReaders)
    .values({ profile: 'plain', topic: `seen/${next()}`, firstSeenAt: at, lastSeenAt: at, bridgeId: bridge.id })
    .returning()
  const [happened] = await api.db
    .insert(deviceEvents)
    .values({
      id: crypto.randomUUID(),
      at,
      receivedAt: at,
      kind: 'door_opened',
      readerId: readers,
      bridgeId: bridge.id,
    })
    .returning()
  const told = { action: 'open', readerId: readers, actorKind: 'system', state: 'timed_out' } as const
  const [command] = await api.db
    .insert(commands)
    .values({ ...told, createdAt: at, expiresAt: at })
    .returning()
  const about = { kind: 'door_forced', about: doors, since: at, detail: { doorId: doors } } as const
  const [alert] = await api.db
    .insert(alerts)
    .values({ at, ...about })
    .returning()
  const webhooks = await add('webhooks', { name: `Webhook ${next()}`, url: 'https://receiver.example.org/' })
  const sent = { webhookId: webhooks, alertId: String(alert?.id), body: '{}', state: 'dead' } as const
  const [delivery] = await api.db
    .insert(webhookDeliveries)
    .values({ ...sent, createdAt: at, nextAt: at, settledAt: at })
    .returning()
  const things = {
    webhooks,
    alerts: String(alert?.id),
    deliveries: String(delivery?.id),
    groups,
    readers,
    doors,
    lockdowns,
    schedules,
    rules,
    enrolments,
    bridges: bridge.id,
    people: one.people,
    cards: one.cards,
    events: one.events,
    accounts: String(account?.id),
    'api-keys': String(key?.id),
    commands: String(command?.id),
    'unknown-readers': String(device?.id),
    'device-events': String(happened?.id),
    audit: '1',
  }
  return { things, holders: [one, other] }
}

/** Which noun the id in a path is of: `/groups/{id}` of groups, `{personId}` of people. Undefined where it has none. */
export const nounOf = (path: string, parameter: string, things: Things): string | undefined => {
  const noun = parameter === 'id' ? path.split('/{id}')[0]?.split('/').at(-1) : NOUNS_OF[parameter]
  return noun !== undefined && noun in things ? noun : undefined
}
const NOUNS_OF: Record<string, string> = { personId: 'people', number: 'audit', deliveryId: 'deliveries' }

/** A route's path under /api/v1 or elsewhere, each id as `idOf` gives it. */
export const fill = ({ path }: Pick<Route, 'path'>, idOf: (parameter: string) => string): string =>
  path.replaceAll(/\{(\w+)\}/g, (_, parameter: string) => idOf(parameter))
