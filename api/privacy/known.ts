import { and, asc, eq, gt, inArray, or, type SQL, sql } from 'drizzle-orm'
import {
  accounts,
  alerts,
  apiKeys,
  audit,
  cards,
  commands,
  enrolments,
  eventCorrections,
  type events,
  groupPeople,
  groups,
  lockdowns,
  type people,
  pins,
  ruleReaders,
  rules,
  sessions,
} from '../db/schema.ts'
import { columns as accountColumns } from '../manage/accounts.ts'
import { columns as sessionColumns } from '../manage/my-sessions.ts'
import type { Db } from '../platform.ts'
import type { Members } from './json-stream.ts'
import { scansOf, scansOfNobody } from './scans.ts'
import { isAbout, type Traces } from './traces.ts'

type Event = typeof events.$inferSelect

const PAGE = 500

/** Pages of rows in the order of their ids, or of the log. */
async function* pages<T>(read: (last: T | undefined, limit: number) => Promise<T[]>): AsyncGenerator<T[]> {
  let page: T[] = []
  do {
    page = await read(page.at(-1), PAGE)
    yield page
  } while (page.length === PAGE)
}

/** Each scan with what the record said of it before it was corrected. */
async function* withCorrections(db: Db, scans: AsyncIterable<Event[]>): AsyncGenerator<unknown[]> {
  for await (const page of scans) {
    const ids = page.map(({ id }) => id)
    const { eventId, at, before } = eventCorrections
    const found = await db.select({ eventId, at, before }).from(eventCorrections).where(inArray(eventId, ids))
    const of = Map.groupBy(found, (one) => one.eventId)
    yield page.map((event) => ({
      ...event,
      corrections: (of.get(event.id) ?? []).map(({ at, before }) => ({ at, before })),
    }))
  }
}

/** In one of these; never, where there are none. */
const among = (column: Parameters<typeof inArray>[0], ids: readonly string[]): SQL =>
  ids.length === 0 ? sql`false` : inArray(column, [...ids])

const auditPages = (db: Db, where: SQL | undefined) =>
  pages<typeof audit.$inferSelect>((last, limit) =>
    db
      .select()
      .from(audit)
      .where(and(where, last && gt(audit.number, last.number)))
      .orderBy(asc(audit.number))
      .limit(limit),
  )

/**
 * All that is known of a person, less the secrets: the hash of a PIN or a password, keys and tokens are nobody's to read.
 * What is short is read here, what may be long while it is written.
 */
export const knownOf = async (db: Db, person: typeof people.$inferSelect, traces: Traces): Promise<Members> => {
  const { id } = person
  const theirs = { cards: await db.select().from(cards).where(eq(cards.personId, id)).orderBy(cards.id) }
  const [pin = null] = await db.select({ setAt: pins.setAt }).from(pins).where(eq(pins.personId, id))
  const inGroups = await db
    .select({ id: groups.id, name: groups.name })
    .from(groups)
    .innerJoin(groupPeople, and(eq(groupPeople.groupId, groups.id), eq(groupPeople.personId, id)))
    .orderBy(groups.id)
  const groupIds = inGroups.map((group) => group.id)
  const { groupId, scheduleId } = rules
  const reaching = await db
    .select({ id: rules.id, groupId, scheduleId, readerIds: sql<string[]>`json_agg(${ruleReaders.readerId})` })
    .from(rules)
    .innerJoin(ruleReaders, eq(ruleReaders.ruleId, rules.id))
    .where(among(rules.groupId, groupIds))
    .groupBy(rules.id)
    .orderBy(rules.id)
  const { name, role, scopes, prefix, createdAt, expiresAt, lastUsedAt } = apiKeys
  const ids = [id, ...traces.cards, ...traces.accounts]
  const speaksOf = ids.map((one) => sql`${alerts.detail}::text like ${`%${one}%`}`)
  const byAccount = among(audit.actorId, traces.accounts)
  return {
    person,
    pin,
    cards: theirs.cards,
    groups: inGroups,
    rules: reaching,
    enrolments: await db.select().from(enrolments).where(eq(enrolments.personId, id)).orderBy(enrolments.id),
    accounts: await db.select(accountColumns).from(accounts).where(eq(accounts.personId, id)).orderBy(accounts.id),
    sessions: await db
      .select({ accountId: sessions.accountId, ...sessionColumns })
      .from(sessions)
      .where(among(sessions.accountId, traces.accounts))
      .orderBy(sessions.id),
    apiKeys: await db
      .select({ id: apiKeys.id, name, role, scopes, prefix, createdAt, expiresAt, lastUsedAt })
      .from(apiKeys)
      .where(among(apiKeys.createdBy, traces.accounts))
      .orderBy(apiKeys.id),
    lockdowns: await db
      .select()
      .from(lockdowns)
      .where(or(among(lockdowns.createdBy, traces.accounts), among(lockdowns.endedBy, traces.accounts)))
      .orderBy(lockdowns.id),
    alerts: await db
      .select()
      .from(alerts)
      .where(or(...ids.map((one) => sql`${alerts.about} like ${`%${one}%`}`), ...speaksOf))
      .orderBy(alerts.id),
    commands: pages<typeof commands.$inferSelect>((last, limit) =>
      db
        .select()
        .from(commands)
        .where(and(among(commands.actorId, traces.accounts), last && gt(commands.id, last.id)))
        .orderBy(asc(commands.id))
        .limit(limit),
    ),
    events: withCorrections(db, scansOf(db, id)),
    eventsBeforeKnown: withCorrections(db, scansOfNobody(db, theirs.cards)),
    audit: auditPages(db, or(isAbout(traces), byAccount)),
  }
}
