import { describe, expect, test } from 'vitest'
import { hashed } from '../broker/mosquitto.ts'
import * as bridges from './bridges.ts'
import * as broker from './broker.ts'
import { caching } from './caching.ts'
import * as database from './database.ts'
import * as people from './people.ts'
import * as upkeep from './upkeep.ts'
import * as versions from './versions.ts'

const NOW = new Date('2026-11-25T12:00:00Z')
const ago = (days: number) => new Date(NOW.getTime() - days * 86_400_000)

const URL_TO = 'postgres://lintel_app:x@db.example:5432/lintel?sslmode='
const ROLE: database.RoleFound = {
  name: 'lintel_app',
  superuser: false,
  createdb: false,
  createrole: false,
  bypassrls: false,
  replication: false,
  owner: false,
  mayChange: [],
  mayNotCall: [],
  mayNotUse: [],
}
const [password, plain] = [
  (wrongPassword: string) => database.stranger({ wrongPassword, inTheClear: '28000' }, false)[0],
  (inTheClear: string) => database.stranger({ wrongPassword: '28P01', inTheClear }, false)[1],
]

describe('of the database', () => {
  test.each([
    ['TLS that is verified', 'ok', database.tls({ url: `${URL_TO}verify-full`, ssl: true, version: 'TLSv1.3' })],
    ['TLS with whoever', 'fault', database.tls({ url: `${URL_TO}require`, ssl: true, version: 'TLSv1.3' })],
    ['no TLS', 'fault', database.tls({ url: `${URL_TO}verify-full`, ssl: false, version: null })],
    ['no TLS on this machine', 'ok', database.tls({ url: 'postgres://a:b@127.0.0.1/x', ssl: false, version: null })],
    ['a password that counts', 'ok', password('28P01')],
    ['a password that does not', 'fault', password('in')],
    ['a password that nobody asked for', 'warning', password('CONNECT_TIMEOUT')],
    ['nobody without TLS', 'ok', plain('28000')],
    ['passwords without TLS', 'warning', plain('28P01')],
    ['a role of the least rights', 'ok', database.role(ROLE)],
    ['the owner', 'fault', database.role({ ...ROLE, owner: true })],
    ['a superuser', 'fault', database.role({ ...ROLE, superuser: true })],
    ['who makes databases', 'fault', database.role({ ...ROLE, createdb: true })],
    ['who makes roles', 'fault', database.role({ ...ROLE, createrole: true })],
    ['a record that is safe', 'ok', database.record(ROLE)],
    ['a record that is not', 'fault', database.record({ ...ROLE, mayChange: ['update audit'] })],
    ['rights enough', 'ok', database.needed(ROLE)],
    ['a function that is closed', 'fault', database.needed({ ...ROLE, mayNotCall: ['remove_events()'] })],
    ['a table that is closed', 'fault', database.needed({ ...ROLE, mayNotUse: ['alerts'] })],
    ['migrated', 'ok', database.migrations(true)],
    ['not migrated', 'fault', database.migrations(false)],
    ['Postgres 17', 'ok', database.version(170_005, NOW)],
    ['Postgres 14, at its end', 'warning', database.version(140_020, NOW)],
    ['Postgres 13', 'fault', database.version(130_010, NOW)],
    ['room', 'ok', database.connections({ most: 100, reserved: 3, used: 16 })],
    ['little room', 'warning', database.connections({ most: 40, reserved: 3, used: 30 })],
    ['no room for one process', 'fault', database.connections({ most: 15, reserved: 3, used: 1 })],
    ['a statement that ends', 'ok', database.statementTimeout(5_000, true)],
    ['a statement that does not', 'fault', database.statementTimeout(0, true)],
    ['a statement on Node', 'ok', database.statementTimeout(0, false)],
  ])('%s: %s', (_, state, line) => {
    expect(line).toMatchObject({ state })
    expect(line?.mend === undefined).toBe(state === 'ok')
  })
})

const KEY = { id: 'k', createdAt: ago(5), expiresAt: ago(-30), lastUsedAt: ago(1) }

describe('of who may come in', () => {
  test.each([
    ['a second factor for all', 'ok', people.factorRequired(true)],
    ['a second factor for nobody', 'fault', people.factorRequired(false)],
    ['admins with one', 'ok', people.factor([], true)],
    ['admins without one, who must have one', 'warning', people.factor(['a'], true)],
    ['admins without one', 'fault', people.factor(['a'], false)],
    ['an owner', 'ok', people.owners(['a'])],
    ['no owner', 'fault', people.owners([])],
    ['many owners', 'warning', people.owners(['a', 'b', 'c', 'd'])],
    ['accounts in use', 'ok', people.unused([])],
    ['accounts of who is gone', 'warning', people.unused(['a'])],
    ['keys in use', 'ok', people.apiKeys([KEY], NOW)],
    ['a key for ever', 'warning', people.apiKeys([{ ...KEY, expiresAt: null }], NOW)],
    ['a key that nobody uses', 'warning', people.apiKeys([{ ...KEY, lastUsedAt: ago(91) }], NOW)],
    ['a key that nobody ever used', 'warning', people.apiKeys([{ ...KEY, createdAt: ago(91), lastUsedAt: null }], NOW)],
    ['a key that is over', 'ok', people.apiKeys([{ ...KEY, expiresAt: ago(1), lastUsedAt: ago(200) }], NOW)],
    ['new keys of bridges', 'ok', people.bridgeKeys([{ id: 'b', since: ago(300) }], NOW)],
    ['old keys of bridges', 'warning', people.bridgeKeys([{ id: 'b', since: ago(400) }], NOW)],
    ['the key of a bridge', 'ok', people.ownBridgeKey('current')],
    ['no bridge here', 'ok', people.ownBridgeKey('unset')],
    ['the key from before', 'warning', people.ownBridgeKey('previous')],
    ['the key of another', 'fault', people.ownBridgeKey('wrong')],
  ])('%s: %s', (_, state, line) => {
    expect(line).toMatchObject({ state })
    expect(line.mend === undefined).toBe(state === 'ok')
  })
})

const done = (days: number, error: string | null = null) => ({ doneAt: ago(days), error, detail: {} })
const FINDING = { kind: 'edited' as const, from: 7, to: 7, detail: 'Row 7 was edited.' }

describe('of what is done by itself', () => {
  test.each([
    ['a backup of yesterday', 'ok', upkeep.duty('backup', done(1), NOW)],
    ['a backup of last week', 'fault', upkeep.duty('backup', done(7), NOW)],
    ['no backup', 'fault', upkeep.duty('backup', undefined, NOW)],
    ['a backup that failed since', 'warning', upkeep.duty('backup', done(1, 'disk full'), NOW)],
    ['a backup that never came about', 'fault', upkeep.duty('backup', { doneAt: null, error: 'x', detail: {} }, NOW)],
    ['a restore of last month', 'ok', upkeep.duty('backup-verified', done(30), NOW)],
    ['a restore of long ago', 'fault', upkeep.duty('backup-verified', done(36), NOW)],
    ['what is too old is gone', 'ok', upkeep.duty('retention', done(1), NOW)],
    ['what is too old is not gone', 'fault', upkeep.duty('retention', done(3), NOW)],
    ['the record is watched', 'ok', upkeep.duty('watch', done(0), NOW)],
    ['the record is not watched', 'fault', upkeep.duty('watch', done(0.1), NOW)],
    ['backups for one', 'ok', upkeep.encrypted('age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p')],
    ['backups for all', 'fault', upkeep.encrypted(undefined)],
    ['a whole audit log', 'ok', upkeep.auditChain({ rows: 9, findings: [], found: 0 })],
    ['an edited audit log', 'fault', upkeep.auditChain({ rows: 9, findings: [FINDING], found: 1 })],
    ['a long audit log', 'warning', upkeep.auditChain(undefined)],
  ])('%s: %s', (_, state, line) => {
    expect(line).toMatchObject({ state })
    expect(line.mend === undefined).toBe(state === 'ok')
  })
})

const NEVER = { hears: undefined, isHeard: undefined }
const NOW_FILES = { acl: '# x\nuser a\n', accounts: [{ username: 'a', password: 'p' }] }
const passwords = `a:${hashed('p')}\nmine:x\n`

describe('of the broker', () => {
  test.each([
    ['a bridge that is let in', 'ok', broker.reached('in')],
    ['a bridge that is not', 'fault', broker.reached('refused')],
    ['no broker', 'fault', broker.reached('unreachable')],
    ['no account', 'warning', broker.reached(undefined)],
    ['TLS', 'ok', broker.tls({ secure: true, local: false, takesOld: false })],
    ['old TLS', 'fault', broker.tls({ secure: true, local: false, takesOld: true })],
    ['no TLS', 'fault', broker.tls({ secure: false, local: false, takesOld: false })],
    ['no TLS on this machine', 'ok', broker.tls({ secure: false, local: true, takesOld: false })],
    ['nobody without an account', 'ok', broker.anonymous('refused', NEVER)],
    ['anybody', 'fault', broker.anonymous('in', { hears: true, isHeard: true })],
    ['anybody, who can do nothing', 'fault', broker.anonymous('in', { hears: false, isHeard: false })],
    ['passwords that count', 'ok', broker.wrongPassword(['refused', 'refused'])],
    ['names that are made up', 'fault', broker.wrongPassword(['refused', 'in'])],
    ['rules', 'ok', broker.acl({ allowed: true, forbidden: false })],
    ['no rules', 'fault', broker.acl({ allowed: true, forbidden: true })],
    ['silence', 'warning', broker.acl({ allowed: false, forbidden: false })],
    ['no port without TLS', 'ok', broker.plain('unreachable', 1883)],
    ['a port without TLS', 'fault', broker.plain('refused', 1883)],
    ['a port without TLS for all', 'fault', broker.plain('in', 1883)],
    ['files of now', 'ok', broker.files({ acl: NOW_FILES.acl, passwords }, NOW_FILES, false)],
    [
      'files of now, and more',
      'ok',
      broker.files({ acl: `${NOW_FILES.acl}\nuser mine\n`, passwords }, NOW_FILES, false),
    ],
    ['rules from before', 'fault', broker.files({ acl: '# x\nuser b\n', passwords }, NOW_FILES, false)],
    [
      'a password from before',
      'fault',
      broker.files({ acl: NOW_FILES.acl, passwords: `a:${hashed('q')}` }, NOW_FILES, false),
    ],
    ['a device without a password', 'fault', broker.files({ acl: NOW_FILES.acl, passwords: '' }, NOW_FILES, false)],
    ['no files', 'warning', broker.files({ acl: undefined, passwords: undefined }, NOW_FILES, false)],
    ['a broker that asks', 'ok', broker.files({ acl: undefined, passwords: undefined }, NOW_FILES, true)],
  ])('%s: %s', (_, state, line) => {
    expect(line).toMatchObject({ state })
    expect(line.mend === undefined).toBe(state === 'ok')
  })
})

const METRICS = `# HELP lintel_bridge_spool_events x
lintel_bridge_spool_events 0
lintel_bridge_spool_events_total 7
lintel_bridge_snapshot_age_seconds 12.5
lintel_bridge_broker_connected 1
lintel_bridge_api_up{at="x"} 1
`
const ofItself = (from: RegExp, to: string) =>
  bridges.ofItself(METRICS.replace(from, to), true).map(({ state }) => state)

describe('of a bridge', () => {
  test.each([
    ['all well', ['ok', 'ok', 'ok'], ofItself(/^/, '')],
    ['some that wait', ['warning', 'ok', 'ok'], ofItself(/spool_events 0/, 'spool_events 3')],
    ['many that wait', ['fault', 'ok', 'ok'], ofItself(/spool_events 0/, 'spool_events 300')],
    ['an old snapshot', ['ok', 'warning', 'ok'], ofItself(/12.5/, '7200')],
    ['a snapshot of yesterday', ['ok', 'fault', 'ok'], ofItself(/12.5/, '90000')],
    ['no snapshot', ['ok', 'fault', 'ok'], ofItself(/12.5/, '+Inf')],
    ['no broker', ['ok', 'ok', 'fault'], ofItself(/connected 1/, 'connected 0')],
    ['no API', ['ok', 'ok', 'fault'], ofItself(/\} 1/, '} 0')],
    ['an older bridge', ['ok', 'warning', 'ok'], ofItself(/.*snapshot.*/, '')],
    ['no answer', ['fault', 'fault', 'fault'], bridges.ofItself(undefined, true).map(({ state }) => state)],
    ['no port', ['warning', 'warning', 'warning'], bridges.ofItself(undefined, false).map(({ state }) => state)],
  ])('%s: %o', (_, states, found) => {
    expect(found).toEqual(states)
  })

  test.each([
    ['that asks', 'ok', [{ id: 'a', lastSeenAt: NOW }]],
    [
      'that does not',
      'fault',
      [
        { id: 'a', lastSeenAt: NOW },
        { id: 'b', lastSeenAt: ago(1) },
      ],
    ],
    ['that never did', 'fault', [{ id: 'a', lastSeenAt: null }]],
    ['that is not there', 'fault', []],
  ])('%s: %s', (_, state, all) => {
    expect(bridges.bridges(all, NOW)).toMatchObject({ check: 'bridges', state })
  })
})

const audit = (vulnerabilities: Record<string, number>) =>
  JSON.stringify({
    metadata: { vulnerabilities: { info: 0, low: 0, moderate: 0, high: 0, critical: 0, ...vulnerabilities } },
  })

describe('of versions and caches', () => {
  test.each([
    ['Node 24', 'ok', versions.node('v24.21.0', NOW)],
    ['Node 20, at its end', 'warning', versions.node('v20.19.0', NOW)],
    ['a Node between two', 'warning', versions.node('v23.1.0', NOW)],
    ['Node 18', 'fault', versions.node('v18.0.0', NOW)],
    ['no holes', 'ok', versions.dependencies(audit({}))],
    ['small holes', 'warning', versions.dependencies(audit({ moderate: 2 }))],
    ['grave holes', 'fault', versions.dependencies(audit({ high: 1 }))],
    ['nobody who knows', 'warning', versions.dependencies('{"message":"405 Method Not Allowed"}')],
    ['no npm', 'warning', versions.dependencies(undefined)],
    ['what is read at once', 'ok', caching({ name: 'a' }, { name: 'b' }, 'a', 'b')],
    ['what was kept', 'fault', caching({ name: 'a' }, { name: 'a' }, 'a', 'b')],
    ['what is not read', 'warning', caching({ status: 401 }, { status: 401 }, 'a', 'b')],
    ['what is of another database', 'warning', caching({ name: 'x' }, { name: 'x' }, 'a', 'b')],
  ])('%s: %s', (_, state, line) => {
    expect(line).toMatchObject({ state })
    expect(line.mend === undefined).toBe(state === 'ok')
  })
})
