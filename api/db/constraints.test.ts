import { is } from 'drizzle-orm'
import { toSnakeCase } from 'drizzle-orm/casing'
import { getTableConfig, PgTable } from 'drizzle-orm/pg-core'
import { expect, test } from 'vitest'
import { sentences } from './constraints.ts'
import * as schema from './schema.ts'

type Kind = 'unique' | 'foreign' | 'check'

/** Every constraint that could refuse a row, under the name that the database gives it. */
const constraints: Record<string, Kind> = Object.fromEntries(
  Object.values(schema)
    .filter((value) => is(value, PgTable))
    .flatMap((table): [string, Kind][] => {
      const { columns, uniqueConstraints, indexes, foreignKeys, checks } = getTableConfig(table)
      return [
        ...columns
          .filter(({ isUnique }) => isUnique)
          .map(({ uniqueName }): [string, Kind] => [uniqueName ?? '', 'unique']),
        ...uniqueConstraints.map((constraint): [string, Kind] => [constraint.getName() ?? '', 'unique']),
        ...indexes
          .filter(({ config }) => config.unique)
          .map(({ config }): [string, Kind] => [config.name ?? '', 'unique']),
        ...foreignKeys.map((key): [string, Kind] => [toSnakeCase(key.getName()), 'foreign']),
        ...checks.map(({ name }): [string, Kind] => [name, 'check']),
      ]
    }),
)

/** Those that no request can break, and why. */
const UNBREAKABLE: Record<string, string> = {
  alerts_kind: 'written by us',
  alerts_once: 'written by us, on conflict not at all',
  accounts_email_lower: 'the body’s schema puts e-mails into lower case',
  accounts_role: 'a picklist in the body’s schema',
  accounts_totp: 'the two are written together',
  api_keys_hash: 'hashes of random keys of our own',
  api_keys_role: 'a picklist in the body’s schema',
  audit_actor_kind: 'written by us',
  card_keys_card_id_cards_id_fk: 'keys are written with their card, in one transaction',
  card_keys_view: 'the views are ours, not the caller’s',
  cards_status: 'a picklist in the body’s schema',
  commands_action: 'a picklist in the body’s schema',
  commands_actor_kind: 'written by us',
  commands_state: 'written by us',
  commands_target: 'the path says whether it is a door or a reader',
  commands_door_id_doors_id_fk: 'of a door that is locked',
  commands_reader_id_readers_id_fk: 'of a reader that is locked',
  device_events_number: 'numbered by the database',
  device_events_kind_known: 'a picklist in the message’s schema',
  door_states_door_id_doors_id_fk: 'of doors that are there, read in the same statement',
  doors_alarms: 'ranges in the body’s schema',
  doors_home_assistant: 'a picklist in the body’s schema',
  doors_mode: 'a picklist in the body’s schema',
  doors_open_ms: 'a range in the body’s schema',
  enrolments_state: 'written by us',
  events_decision: 'decided by us, from the reason',
  events_number: 'numbered by the database',
  events_reason: 'decided by us',
  events_source: 'written by us',
  lockdown_readers_lockdown_id_lockdowns_id_fk: 'written with their lockdown, in one transaction',
  lockdowns_kind: 'a picklist in the body’s schema',
  lockdowns_until: 'a time in the future, by the clock that dates it',
  mail_tokens_account_id_accounts_id_fk: 'a token is of an account that is locked, or was just added',
  mail_tokens_purpose: 'written by us',
  pins_person_id_people_id_fk: 'set with the person locked',
  recovery_codes_account_id_accounts_id_fk: 'codes are of the account that is signed in, and locked',
  refresh_tokens_session_id_sessions_id_fk: 'a token is of a session that was just added, or is locked',
  reader_states_reader_id_readers_id_fk: 'of readers that are there, read in the same statement',
  readers_card_view: 'a picklist in the body’s schema',
  readers_direction: 'a picklist in the body’s schema',
  readers_offline: 'a picklist in the body’s schema',
  readers_offline_hours: 'a range in the body’s schema',
  readers_open_ms: 'a range in the body’s schema',
  rule_readers_rule_id_rules_id_fk: 'written with their rule, or with the rule locked, in one transaction',
  schedules_windows: 'a list in the body’s schema',
  seen_readers_device: 'written by us, on conflict into the row that is there',
  upkeep_task: 'written by us',
  webhook_deliveries_alert_id_alerts_id_fk: 'written with their alert, in one transaction',
  webhook_deliveries_state: 'written by us',
  webhook_deliveries_webhook_id_webhooks_id_fk: 'of webhooks that are locked',
  sessions_account_id_accounts_id_fk: 'a session is of the account that just signed in',
}

const names = Object.keys(constraints).sort()

test('every constraint that a caller can break has its sentence', () => {
  expect(names.filter((name) => !(name in UNBREAKABLE)).sort()).toEqual(Object.keys(sentences).sort())
})

test('no sentence and no exception speaks of a constraint that does not exist', () => {
  expect([...Object.keys(sentences), ...Object.keys(UNBREAKABLE)].filter((name) => !(name in constraints))).toEqual([])
})

test('every constraint has a name of its own, of the kind that Postgres would not cut', () => {
  expect(names.filter((name) => name === '' || name.length > 63)).toEqual([])
})

test.each(Object.entries(sentences))(
  '%s names a field and says what is wrong with it',
  (_, { path, detail, inUse }) => {
    expect(path).toMatch(/^[a-z][A-Za-z]*$/)
    expect(detail).toMatch(/\w/)
    if (inUse !== undefined) expect(inUse).toMatch(/\.$/)
  },
)

test('what is still in use cannot be deleted without a sentence', () => {
  const kept = Object.values(schema)
    .filter((value) => is(value, PgTable))
    .flatMap((table) => getTableConfig(table).foreignKeys)
    .filter(({ onDelete }) => onDelete !== 'cascade')
    .map((key) => toSnakeCase(key.getName()))
  expect(kept.filter((name) => sentences[name]?.inUse === undefined)).toEqual([])
})
