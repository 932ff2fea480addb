import { sql } from 'drizzle-orm'
import {
  type AnyPgColumn,
  bigint,
  boolean,
  check,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  text,
  timestamp,
  unique,
  uniqueIndex,
  uuid,
} from 'drizzle-orm/pg-core'
import { v7 } from 'uuid'
import { ALERTS } from '../contract/alerts.ts'
import { CARD_VIEWS, type CardNumber, FORMS } from '../contract/card-views.ts'
import { ACTIONS, COMMAND_STATES } from '../contract/commands.ts'
import { STATUSES } from '../contract/decide.ts'
import { ALARMS, CONTACTS, DEVICE_EVENTS } from '../contract/device-events.ts'
import { MODES } from '../contract/door-mode.ts'
import { DECISIONS, GRANTING, REASONS } from '../contract/scan.ts'
import { HOME_ASSISTANT, OFFLINE, type Settings } from '../contract/site.ts'
import type { Window } from '../contract/window.ts'

// Every table on one page. Column names are these keys in snake_case (drizzle's `casing`).

export const DIRECTIONS = ['in', 'out', 'none'] as const
export const ROLES = ['owner', 'admin', 'operator', 'auditor', 'member'] as const
/** Who decided: the API, a bridge while the API was away, or the reader itself. */
export const SOURCES = ['online', 'offline', 'reader'] as const
export const ENROLMENT_STATES = ['waiting', 'enrolled', 'refused', 'cancelled', 'expired'] as const
/** `lockdown`: no card opens but of who is exempt. `evacuation`: doors are opened, and kept open. */
export const LOCKDOWN_KINDS = ['lockdown', 'evacuation'] as const
export const MAIL_PURPOSES = ['invitation', 'reset'] as const
/** Who may be on the audit log as the one who acted: an account, an API key, nobody who is known, or Lintel itself. */
export const ACTORS = ['account', 'key', 'stranger', 'system'] as const

/** What Lintel does by itself: what is too old goes, the database is copied, a copy is tried, the record is looked through, and
 * it is noticed when APP_KEY has become another one. */
export const TASKS = ['retention', 'backup', 'backup-verified', 'watch', 'keys'] as const
export const DELIVERY_STATES = ['waiting', 'delivered', 'dead'] as const

/** Time-ordered (RFC 9562, version 7): new rows land at the end of every index. */
const id = () => uuid().primaryKey().$defaultFn(v7)
/** Milliseconds, as JavaScript has them: finer ones would fall between two pages of a list. */
const instant = () => timestamp({ withTimezone: true, precision: 3, mode: 'date' })
const oneOf = (name: string, column: AnyPgColumn, words: readonly string[]) =>
  check(name, sql`${column} in (${sql.raw(words.map((word) => `'${word}'`).join(', '))})`)

export const people = pgTable(
  'people',
  {
    id: id(),
    name: text().notNull(),
    email: text(),
    employeeNumber: text().unique('people_employee_number'),
    active: boolean().notNull().default(true),
    validFrom: instant(),
    validUntil: instant(),
    /** A lockdown does not keep this person out. */
    exemptFromLockdown: boolean().notNull().default(false),
    /** All that told who this was is gone; what is left is a pseudonym, so that the record goes on speaking of one person. */
    erasedAt: instant(),
  },
  (t) => [index('people_name').on(t.name, t.id), check('people_validity', sql`${t.validUntil} > ${t.validFrom}`)],
)

/**
 * A person's PIN as a keyed hash (access/pins.ts): without APP_KEY it tells nothing. Unique, since a PIN alone may say who
 * stands there. A table of its own, so that no answer and no row of the audit log about a person holds it.
 */
export const pins = pgTable('pins', {
  personId: uuid()
    .primaryKey()
    .references(() => people.id, { onDelete: 'cascade' }),
  hash: text().notNull().unique('pins_hash'),
  setAt: instant().notNull(),
})

export const cards = pgTable(
  'cards',
  {
    id: id(),
    personId: uuid()
      .notNull()
      .references(() => people.id),
    number: text().notNull(),
    form: text({ enum: FORMS }).notNull().default('hex'),
    label: text(),
    status: text({ enum: STATUSES }).notNull().default('active'),
    validFrom: instant(),
    validUntil: instant(),
  },
  (t) => [
    unique('cards_number').on(t.number, t.form),
    index('cards_person').on(t.personId),
    oneOf('cards_status', t.status, STATUSES),
    check(
      'cards_canonical',
      sql`(${t.form} = 'hex' and ${t.number} ~ '^([0-9A-F]{2}){1,32}$') or (${t.form} = 'decimal' and ${t.number} ~ '^[1-9][0-9]{0,77}$')`,
    ),
    check('cards_validity', sql`${t.validUntil} > ${t.validFrom}`),
  ],
)

/** Under which key a card is found in each view; written with the card, so that a look-up is one probe of this index. */
export const cardKeys = pgTable(
  'card_keys',
  {
    view: text({ enum: CARD_VIEWS }).notNull(),
    key: text().notNull(),
    cardId: uuid()
      .notNull()
      .references(() => cards.id, { onDelete: 'cascade' }),
  },
  (t) => [
    primaryKey({ columns: [t.view, t.key, t.cardId] }),
    index('card_keys_card').on(t.cardId),
    oneOf('card_keys_view', t.view, CARD_VIEWS),
  ],
)

export const groups = pgTable('groups', { id: id(), name: text().notNull() }, (t) => [
  index('groups_name').on(t.name, t.id),
])

export const groupPeople = pgTable(
  'group_people',
  {
    groupId: uuid()
      .notNull()
      .references(() => groups.id, { onDelete: 'cascade' }),
    personId: uuid()
      .notNull()
      .references(() => people.id, { onDelete: 'cascade' }),
  },
  (t) => [primaryKey({ columns: [t.personId, t.groupId] }), index('group_people_group').on(t.groupId, t.personId)],
)

export const schedules = pgTable(
  'schedules',
  { id: id(), name: text().notNull(), windows: jsonb().$type<Window[]>().notNull() },
  (t) => [
    index('schedules_name').on(t.name, t.id),
    check('schedules_windows', sql`jsonb_typeof(${t.windows}) = 'array'`),
  ],
)

/**
 * What opens: a relay or lock of a profile of its own, which any number of readers may open. A reader without one opens by
 * its own profile's answer. `holdScheduleId`: during this schedule it is held open. `mode` is what somebody ordered, until
 * `modeUntil` if that is set. An alarm is raised when it is open for longer than `heldOpenMs`, and a warning `preAlarmMs`
 * before; 0 is never.
 */
export const doors = pgTable(
  'doors',
  {
    id: id(),
    name: text().notNull(),
    /** A name of contract/doors.ts. No list here, as with readers. */
    profile: text().notNull(),
    settings: jsonb().$type<Settings>().notNull().default({}),
    timezone: text().notNull(),
    openMs: integer().notNull(),
    heldOpenMs: integer().notNull(),
    preAlarmMs: integer().notNull(),
    holdScheduleId: uuid().references(() => schedules.id),
    mode: text({ enum: MODES }).notNull().default('scheduled'),
    modeUntil: instant(),
    homeAssistant: text({ enum: HOME_ASSISTANT }).notNull().default('off'),
    /** Of the password that its device has at the broker (broker/accounts.ts). */
    brokerGeneration: integer().notNull().default(1),
  },
  (t) => [
    index('doors_name').on(t.name, t.id),
    index('doors_hold_schedule').on(t.holdScheduleId),
    oneOf('doors_mode', t.mode, MODES),
    oneOf('doors_home_assistant', t.homeAssistant, HOME_ASSISTANT),
    check('doors_open_ms', sql`${t.openMs} between 0 and 600000`),
    check('doors_alarms', sql`${t.heldOpenMs} between 0 and 86400000 and ${t.preAlarmMs} between 0 and 86400000`),
  ],
)

export const readers = pgTable(
  'readers',
  {
    id: id(),
    name: text().notNull(),
    /** A name of contract/profiles.ts. No list here: a new firmware is a new file, not a migration. */
    profile: text().notNull(),
    topic: text().notNull(),
    replyTopic: text(),
    /** What its messages call it where several devices share a topic. */
    unit: text(),
    settings: jsonb().$type<Settings>().notNull().default({}),
    cardView: text({ enum: CARD_VIEWS }).notNull(),
    timezone: text().notNull(),
    direction: text({ enum: DIRECTIONS }).notNull().default('none'),
    enabled: boolean().notNull().default(true),
    openMs: integer().notNull(),
    offline: text({ enum: OFFLINE }).notNull().default('snapshot'),
    offlineHours: integer().notNull().default(24),
    /** During this schedule a card opens only with its person's PIN. */
    pinScheduleId: uuid().references(() => schedules.id),
    /** A PIN alone may open, without a card. */
    pinAlone: boolean().notNull().default(false),
    /** Of the key that a reader with Lintel's own protocol signs with (access/reader-keys.ts); 0 and less is none. */
    keyGeneration: integer().notNull().default(0),
    /** What it opens. Null: what its own profile answers opens. */
    doorId: uuid().references(() => doors.id),
    /** Of the password that it has at the broker (broker/accounts.ts). */
    brokerGeneration: integer().notNull().default(1),
    /** The building or site where it stands, as people call it: nobody is in two of them within a minute. */
    place: text(),
  },
  (t) => [
    index('readers_name').on(t.name, t.id),
    index('readers_reply_topic').on(t.replyTopic),
    index('readers_pin_schedule').on(t.pinScheduleId),
    index('readers_door').on(t.doorId),
    uniqueIndex('readers_topic').on(t.topic, sql`coalesce(${t.unit}, '')`),
    oneOf('readers_card_view', t.cardView, CARD_VIEWS),
    oneOf('readers_direction', t.direction, DIRECTIONS),
    oneOf('readers_offline', t.offline, OFFLINE),
    check('readers_offline_hours', sql`${t.offlineHours} between 1 and 8760`),
    check('readers_open_ms', sql`${t.openMs} between 0 and 600000`),
    check('readers_no_echo', sql`${t.replyTopic} <> ${t.topic}`),
  ],
)

/**
 * "The next card at this reader belongs to this person", until `expiresAt`. One waits at a reader at a time. `cardId` is
 * the card that came; `note` says why one was refused.
 */
export const enrolments = pgTable(
  'enrolments',
  {
    id: id(),
    readerId: uuid()
      .notNull()
      .references(() => readers.id, { onDelete: 'cascade' }),
    personId: uuid()
      .notNull()
      .references(() => people.id, { onDelete: 'cascade' }),
    label: text(),
    state: text({ enum: ENROLMENT_STATES }).notNull().default('waiting'),
    createdAt: instant().notNull(),
    expiresAt: instant().notNull(),
    cardId: uuid(),
    note: text(),
  },
  (t) => [
    uniqueIndex('enrolments_waiting').on(t.readerId).where(sql`${t.state} = 'waiting'`),
    index('enrolments_created').on(t.createdAt, t.id),
    index('enrolments_reader').on(t.readerId),
    index('enrolments_person').on(t.personId),
    oneOf('enrolments_state', t.state, ENROLMENT_STATES),
  ],
)

/** Devices that speak a known profile and are no readers of this site: noticed by a bridge, never trusted. */
export const seenReaders = pgTable(
  'seen_readers',
  {
    id: id(),
    profile: text().notNull(),
    topic: text().notNull(),
    unit: text(),
    firstSeenAt: instant().notNull(),
    lastSeenAt: instant().notNull(),
    messages: integer().notNull().default(1),
    dismissed: boolean().notNull().default(false),
    bridgeId: uuid().notNull(),
  },
  (t) => [
    uniqueIndex('seen_readers_device').on(t.profile, t.topic, sql`coalesce(${t.unit}, '')`),
    index('seen_readers_last').on(t.lastSeenAt, t.id),
  ],
)

/**
 * Somebody shut doors to everybody, or opened them: those of some readers, or everywhere. In force from `createdAt` until
 * `until`, or until somebody ends it.
 */
export const lockdowns = pgTable(
  'lockdowns',
  {
    id: id(),
    kind: text({ enum: LOCKDOWN_KINDS }).notNull(),
    everywhere: boolean().notNull(),
    reason: text().notNull(),
    createdAt: instant().notNull(),
    createdBy: uuid(),
    until: instant(),
    endedAt: instant(),
    endedBy: uuid(),
  },
  (t) => [
    index('lockdowns_created').on(t.createdAt, t.id),
    index('lockdowns_in_force').on(t.kind).where(sql`${t.endedAt} is null`),
    oneOf('lockdowns_kind', t.kind, LOCKDOWN_KINDS),
    check('lockdowns_until', sql`${t.until} > ${t.createdAt}`),
  ],
)

export const lockdownReaders = pgTable(
  'lockdown_readers',
  {
    lockdownId: uuid()
      .notNull()
      .references(() => lockdowns.id, { onDelete: 'cascade' }),
    readerId: uuid()
      .notNull()
      .references(() => readers.id, { onDelete: 'cascade' }),
  },
  (t) => [primaryKey({ columns: [t.readerId, t.lockdownId] }), index('lockdown_readers_lockdown').on(t.lockdownId)],
)

/**
 * What somebody wants a door to do now, for a bridge to take: of a door, or of a reader that has none and opens by its own
 * answer. Not to be taken after `expiresAt`. `detail` is a word of contract/commands.ts.
 */
export const commands = pgTable(
  'commands',
  {
    id: id(),
    action: text({ enum: ACTIONS }).notNull(),
    doorId: uuid().references(() => doors.id, { onDelete: 'cascade' }),
    readerId: uuid().references(() => readers.id, { onDelete: 'cascade' }),
    reason: text(),
    /** Until when a door is to be held or locked; null is until it is released. */
    until: instant(),
    actorKind: text({ enum: ACTORS }).notNull(),
    actorId: uuid(),
    createdAt: instant().notNull(),
    expiresAt: instant().notNull(),
    state: text({ enum: COMMAND_STATES }).notNull().default('waiting'),
    detail: text(),
    bridgeId: uuid(),
    settledAt: instant(),
  },
  (t) => [
    index('commands_created').on(t.createdAt, t.id),
    index('commands_waiting').on(t.createdAt).where(sql`${t.state} = 'waiting'`),
    index('commands_door').on(t.doorId, t.createdAt),
    index('commands_reader').on(t.readerId, t.createdAt),
    oneOf('commands_action', t.action, ACTIONS),
    oneOf('commands_state', t.state, COMMAND_STATES),
    oneOf('commands_actor_kind', t.actorKind, ACTORS),
    check('commands_target', sql`(${t.doorId} is null) <> (${t.readerId} is null)`),
  ],
)

/** In the order in which rows were added. Of two transactions at once the later number may be seen first: manage/tail.ts. */
const inOrder = () => bigint({ mode: 'number' }).generatedAlwaysAsIdentity()

/** What doors, readers and bridges did that was no scan. Of a reader without a door `readerId` alone says whose door it was. Only ever added to. */
export const deviceEvents = pgTable(
  'device_events',
  {
    id: uuid().primaryKey(),
    at: instant().notNull(),
    receivedAt: instant().notNull(),
    kind: text({ enum: DEVICE_EVENTS }).notNull(),
    doorId: uuid(),
    readerId: uuid(),
    bridgeId: uuid(),
    commandId: uuid(),
    note: text(),
    number: inOrder(),
  },
  (t) => [
    uniqueIndex('device_events_number').on(t.number),
    index('device_events_at').on(t.at, t.id),
    index('device_events_door').on(t.doorId, t.at, t.id),
    index('device_events_reader').on(t.readerId, t.at, t.id),
    index('device_events_kind').on(t.kind, t.at, t.id),
    index('device_events_bridge').on(t.bridgeId, t.at, t.id),
    oneOf('device_events_kind_known', t.kind, DEVICE_EVENTS),
  ],
)

/** How a device was when it last said so; null where it never did. Apart from its row, so that this changes nothing of the site. */
const deviceState = () => ({
  online: boolean(),
  onlineSince: instant(),
  lastSeenAt: instant(),
  contact: text({ enum: CONTACTS }),
  contactSince: instant(),
  tampered: boolean(),
  alarm: text({ enum: ALARMS }),
})

export const doorStates = pgTable('door_states', {
  doorId: uuid()
    .primaryKey()
    .references(() => doors.id, { onDelete: 'cascade' }),
  ...deviceState(),
})

export const readerStates = pgTable('reader_states', {
  readerId: uuid()
    .primaryKey()
    .references(() => readers.id, { onDelete: 'cascade' }),
  ...deviceState(),
})

/**
 * What has to be done regularly, once each: when it was last tried and last done, and how that went. `detail` is for its own
 * next time, and for whoever asks how things are.
 */
export const upkeep = pgTable(
  'upkeep',
  {
    task: text({ enum: TASKS }).primaryKey(),
    triedAt: instant().notNull(),
    doneAt: instant(),
    error: text(),
    detail: jsonb().$type<Record<string, unknown>>().notNull().default({}),
  },
  (t) => [oneOf('upkeep_task', t.task, TASKS)],
)

/**
 * Something happened that somebody should look at. `about` says of whom or what, so that one burst is one alert: of a kind and
 * what it is about there is one in each `since`. Ids only, and never a card's number.
 */
export const alerts = pgTable(
  'alerts',
  {
    id: id(),
    at: instant().notNull(),
    kind: text({ enum: ALERTS }).notNull(),
    about: text().notNull(),
    since: instant().notNull(),
    detail: jsonb().$type<Record<string, unknown>>().notNull(),
  },
  (t) => [
    unique('alerts_once').on(t.kind, t.about, t.since),
    index('alerts_at').on(t.at, t.id),
    oneOf('alerts_kind', t.kind, ALERTS),
  ],
)

/** Where alerts are sent. `secret` signs what is sent and is encrypted (login/secrets.ts). No `kinds` means all. */
export const webhooks = pgTable(
  'webhooks',
  {
    id: id(),
    name: text().notNull(),
    url: text().notNull(),
    secret: text().notNull(),
    kinds: jsonb().$type<(typeof ALERTS)[number][]>(),
    enabled: boolean().notNull().default(true),
    createdAt: instant().notNull(),
  },
  (t) => [index('webhooks_name').on(t.name, t.id)],
)

/** One message for one webhook. `body` is the text that is signed. Waiting until `nextAt`; after too many tries it is dead. */
export const webhookDeliveries = pgTable(
  'webhook_deliveries',
  {
    id: id(),
    webhookId: uuid()
      .notNull()
      .references(() => webhooks.id, { onDelete: 'cascade' }),
    alertId: uuid().references(() => alerts.id, { onDelete: 'cascade' }),
    body: text().notNull(),
    state: text({ enum: DELIVERY_STATES }).notNull().default('waiting'),
    attempts: integer().notNull().default(0),
    createdAt: instant().notNull(),
    nextAt: instant().notNull(),
    /** Of the last try: the HTTP status, or why there was none. */
    status: integer(),
    error: text(),
    settledAt: instant(),
  },
  (t) => [
    index('webhook_deliveries_due').on(t.webhookId, t.nextAt).where(sql`${t.state} = 'waiting'`),
    index('webhook_deliveries_webhook').on(t.webhookId, t.createdAt, t.id),
    index('webhook_deliveries_alert').on(t.alertId),
    oneOf('webhook_deliveries_state', t.state, DELIVERY_STATES),
  ],
)

/** "This group may pass these readers during this schedule"; no schedule means always. */
export const rules = pgTable(
  'rules',
  {
    id: id(),
    groupId: uuid()
      .notNull()
      .references(() => groups.id),
    scheduleId: uuid().references(() => schedules.id),
  },
  (t) => [index('rules_group').on(t.groupId), index('rules_schedule').on(t.scheduleId)],
)

export const ruleReaders = pgTable(
  'rule_readers',
  {
    ruleId: uuid()
      .notNull()
      .references(() => rules.id, { onDelete: 'cascade' }),
    readerId: uuid()
      .notNull()
      .references(() => readers.id),
  },
  (t) => [primaryKey({ columns: [t.ruleId, t.readerId] }), index('rule_readers_reader').on(t.readerId)],
)

/** A bridge's key is derived from APP_KEY, its id and its generation; no key is stored. */
export const bridges = pgTable('bridges', {
  id: id(),
  name: text().notNull(),
  generation: integer().notNull().default(1),
  /** Until when the key of the generation before is good too, so that a bridge can be given its new one in peace. */
  previousUntil: instant(),
  lastSeenAt: instant(),
  /** Somebody noticed that it is away, and there is an event that says so. */
  away: boolean().notNull().default(false),
})

/**
 * A row for each statement that changed what a decision may look at, written by triggers (the migrations have them), so
 * that a bridge's snapshot can be told from the facts of now, whoever changed them. Their marks make the version: rows
 * are only ever added, no writer waits for another, a transaction that commits late still counts, and since marks come by
 * chance no version comes again with other facts, not even after a backup was restored and its ids are given out anew.
 */
export const siteChanges = pgTable('site_changes', {
  id: bigint({ mode: 'bigint' }).primaryKey().generatedAlwaysAsIdentity(),
  mark: uuid().notNull().defaultRandom(),
})

/**
 * The record. No foreign keys: it must outlive the rows it speaks of. `at` is when the scan arrived at the bridge,
 * `receivedAt` when the API decided, or was handed what a bridge had decided itself (`source` is offline, `snapshot` the
 * version of the facts it went by). `openMs` is kept because a repeated scan gets the first answer, whole. `answered` is
 * false where nobody knows what the door got. A trigger lets rows be added only, and corrected by the rules of hand-over.ts.
 */
export const events = pgTable(
  'events',
  {
    id: uuid().primaryKey(),
    at: instant().notNull(),
    receivedAt: instant().notNull(),
    readerId: uuid(),
    cardNumber: text().notNull(),
    cardId: uuid(),
    personId: uuid(),
    decision: text({ enum: DECISIONS }).notNull(),
    reason: text({ enum: REASONS }).notNull(),
    source: text({ enum: SOURCES }).notNull(),
    bridgeId: uuid().notNull(),
    openMs: integer().notNull(),
    snapshot: text(),
    answered: boolean().notNull().default(true),
    number: inOrder(),
  },
  (t) => [
    uniqueIndex('events_number').on(t.number),
    index('events_at').on(t.at, t.id),
    index('events_reader').on(t.readerId, t.at, t.id),
    index('events_person').on(t.personId, t.at, t.id),
    index('events_reason').on(t.reason, t.at, t.id),
    // What was denied at a reader, and why: without it a rare reason at a busy door is thousands of rows looked at. Only such
    // scans write to it.
    index('events_denied').on(t.readerId, t.at, t.id, t.reason).where(sql`${t.decision} = 'denied'`),
    oneOf('events_reason', t.reason, REASONS),
    oneOf('events_source', t.source, SOURCES),
    check(
      'events_decision',
      sql`${t.decision} = case when ${t.reason} in (${sql.raw(GRANTING.map((reason) => `'${reason}'`).join(', '))}) then 'granted' else 'denied' end`,
    ),
  ],
)

/** `passwordHash` is null while somebody who was invited has not chosen one. `totpSecret` is encrypted (login/secrets.ts). */
export const accounts = pgTable(
  'accounts',
  {
    id: id(),
    email: text().notNull().unique('accounts_email'),
    name: text(),
    role: text({ enum: ROLES }).notNull(),
    personId: uuid().references(() => people.id),
    disabled: boolean().notNull().default(false),
    passwordHash: text(),
    totp: boolean().notNull().default(false),
    totpSecret: text(),
    /** A secret that was given out and of which no code has come yet: it counts for nothing until then. Encrypted too. */
    totpNext: text(),
    /** The last time step (RFC 6238) that a code was taken of: a code is good once. */
    totpStep: integer(),
  },
  (t) => [
    oneOf('accounts_role', t.role, ROLES),
    check('accounts_email_lower', sql`${t.email} = lower(${t.email})`),
    check('accounts_totp', sql`not ${t.totp} or ${t.totpSecret} is not null`),
    index('accounts_person').on(t.personId),
  ],
)

const accountId = () =>
  uuid()
    .notNull()
    .references(() => accounts.id, { onDelete: 'cascade' })

/** Ten at a time, each good once, only as hashes. */
export const recoveryCodes = pgTable(
  'recovery_codes',
  { id: id(), accountId: accountId(), hash: text().notNull(), usedAt: instant() },
  (t) => [index('recovery_codes_account').on(t.accountId)],
)

/** What a mail carries to its reader, once: an invitation, or the means to choose a new password. Only hashes. */
export const mailTokens = pgTable(
  'mail_tokens',
  {
    hash: text().primaryKey(),
    accountId: accountId(),
    purpose: text({ enum: MAIL_PURPOSES }).notNull(),
    expiresAt: instant().notNull(),
  },
  (t) => [index('mail_tokens_account').on(t.accountId), oneOf('mail_tokens_purpose', t.purpose, MAIL_PURPOSES)],
)

/**
 * One sign-in. `usedAt` counts for the idle limit, `expiresAt` is the absolute one, `provenAt` is when the password or a
 * code was last given.
 */
export const sessions = pgTable(
  'sessions',
  {
    id: id(),
    accountId: accountId(),
    createdAt: instant().notNull(),
    usedAt: instant().notNull(),
    provenAt: instant().notNull(),
    expiresAt: instant().notNull(),
    address: text(),
    userAgent: text(),
  },
  (t) => [index('sessions_account').on(t.accountId), index('sessions_expires').on(t.expiresAt)],
)

/** The refresh tokens of a session, only as hashes. One that was exchanged stays, to be known if somebody uses it again. */
export const refreshTokens = pgTable(
  'refresh_tokens',
  {
    hash: text().primaryKey(),
    sessionId: uuid()
      .notNull()
      .references(() => sessions.id, { onDelete: 'cascade' }),
    exchangedAt: instant(),
  },
  (t) => [index('refresh_tokens_session').on(t.sessionId)],
)

/** A program's way in. The key itself is shown once; `prefix` is what people know it by. No scopes means all of the role's. */
export const apiKeys = pgTable(
  'api_keys',
  {
    id: id(),
    name: text().notNull(),
    role: text({ enum: ROLES }).notNull(),
    scopes: jsonb().$type<string[]>(),
    prefix: text().notNull(),
    hash: text().notNull().unique('api_keys_hash'),
    createdAt: instant().notNull(),
    createdBy: uuid(),
    expiresAt: instant(),
    lastUsedAt: instant(),
  },
  (t) => [index('api_keys_name').on(t.name, t.id), oneOf('api_keys_role', t.role, ROLES)],
)

/**
 * How often somebody has tried something lately, in Postgres so that all nodes know the same. `key` is a hash of what is
 * limited and whom (an account, an address); nothing in it can be read back.
 */
export const attempts = pgTable(
  'attempts',
  { key: text().primaryKey(), count: integer().notNull(), since: instant().notNull(), lastAt: instant().notNull() },
  (t) => [index('attempts_last').on(t.lastAt)],
)

/**
 * Who did what. Rows are only ever added: triggers of the migration refuse anything else, and chain each row to the one
 * before by `hash`, so that an edited, removed, inserted or swapped row is found (audit/verify.ts).
 */
export const audit = pgTable(
  'audit',
  {
    /** Without gaps, in the order of the chain. */
    number: bigint({ mode: 'number' }).primaryKey(),
    at: instant().notNull(),
    actorKind: text({ enum: ACTORS }).notNull(),
    actorId: uuid(),
    address: text(),
    action: text().notNull(),
    targetKind: text(),
    targetId: uuid(),
    before: jsonb(),
    after: jsonb(),
    previous: text().notNull(),
    hash: text().notNull(),
  },
  (t) => [
    index('audit_at').on(t.at, t.number),
    index('audit_actor').on(t.actorId, t.number),
    index('audit_target').on(t.targetId, t.number),
    index('audit_action').on(t.action, t.number),
    index('audit_target_kind').on(t.targetKind, t.number),
    oneOf('audit_actor_kind', t.actorKind, ACTORS),
  ],
)

/**
 * Persons who were erased while events may still name their cards: what is left to do (privacy/erase-events.ts). `cards` are
 * the numbers to look for, which stand nowhere else any more; the row goes when none is left.
 */
export const erasures = pgTable('erasures', {
  personId: uuid()
    .primaryKey()
    .references(() => people.id),
  cards: jsonb().$type<CardNumber[]>().notNull(),
})

/** What an event said before it was corrected by what the door really got; written by a trigger. */
export const eventCorrections = pgTable(
  'event_corrections',
  {
    id: bigint({ mode: 'bigint' }).primaryKey().generatedAlwaysAsIdentity(),
    eventId: uuid().notNull(),
    at: instant().notNull(),
    before: jsonb().notNull(),
  },
  (t) => [index('event_corrections_event').on(t.eventId)],
)
