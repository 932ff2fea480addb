import type { Env } from './processes.ts'

/**
 * A setting that somebody gets wrong, and the check of `npm run doctor` that has to find it. `env` is what the doctor reads
 * alone; with `api` the API runs with it too. An empty value takes a variable away.
 */
export type Break = {
  name: string
  expect: string
  env?: Env | ((api: Env) => Env)
  api?: Env
  /** A file of Mosquitto's, Caddy's or Postgres's, which reads it anew. */
  file?: { which: 'mosquitto' | 'caddy' | 'hba'; change: (text: string) => string }
  /** As the superuser of the database; `mend` takes it back. */
  sql?: string
  mend?: string
}

const WEAK_KEY = Buffer.from('0123456789abcdef0123456789abcdef').toString('base64')

export const BREAKS: readonly Break[] = [
  { name: 'NODE_ENV is not production', expect: 'environment', env: { NODE_ENV: 'development' } },
  { name: 'APP_KEY is typed, not drawn', expect: 'app-key', env: { APP_KEY: WEAK_KEY } },
  {
    name: 'APP_KEY is another one than the API has',
    expect: 'app-key-age',
    env: { APP_KEY: Buffer.from(Array.from({ length: 32 }, (_, i) => (i * 53 + 7) % 256)).toString('base64') },
  },
  {
    name: 'METRICS_TOKEN is easy to guess',
    expect: 'secrets',
    env: { METRICS_TOKEN: 'secret-secret-secret-secret-secret-secret' },
  },
  {
    name: 'ADMIN_PASSWORD is left where it was',
    expect: 'admin-password',
    env: { ADMIN_PASSWORD: 'correct horse battery staple' },
  },
  { name: 'PUBLIC_URL is not set', expect: 'public-url', env: { PUBLIC_URL: '' } },
  { name: 'TRUSTED_PROXIES is not set', expect: 'trusted-proxies', api: { TRUSTED_PROXIES: '' } },
  { name: 'TRUSTED_PROXIES is not set, and so HSTS is not said', expect: 'hsts', api: { TRUSTED_PROXIES: '' } },
  { name: 'rate limits are off', expect: 'rate-limit', api: { RATE_LIMIT_PER_MINUTE: '0' } },
  { name: 'a second factor is not required', expect: 'second-factor-required', api: { REQUIRE_MFA: 'false' } },
  { name: 'CORS lists an origin in the clear', expect: 'cors', api: { CORS_ORIGINS: 'http://doors.example.org' } },
  {
    name: 'the proxy lets any page call',
    expect: 'cors',
    file: { which: 'caddy', change: (text) => `${text}\nheader +Access-Control-Allow-Origin *\n` },
  },
  {
    name: 'the proxy takes headers away',
    expect: 'headers',
    file: { which: 'caddy', change: (text) => `${text}\nheader {\n\tdefer\n\t-Content-Security-Policy\n}\n` },
  },
  {
    name: 'the proxy lets caches keep answers',
    expect: 'cache',
    file: { which: 'caddy', change: (text) => `${text}\nheader {\n\tdefer\n\tCache-Control "public, max-age=60"\n}\n` },
  },
  {
    name: 'the proxy says what it is',
    expect: 'server-name',
    file: { which: 'caddy', change: (text) => `${text}\nheader {\n\tdefer\n\tX-Powered-By PHP/5.3.1\n}\n` },
  },
  {
    name: 'the connection to the database verifies nothing',
    expect: 'database-tls',
    env: ({ DATABASE_URL = '' }) => ({ DATABASE_URL: DATABASE_URL.replace('verify-full', 'require') }),
  },
  {
    name: 'the database lets anybody in',
    expect: 'database-password',
    file: { which: 'hba', change: (text) => text.replace('scram-sha-256', 'trust') },
  },
  {
    name: 'the role may change the record',
    expect: 'database-record',
    sql: 'grant update, delete on audit to lintel_app',
    mend: 'revoke update, delete on audit from lintel_app',
  },
  {
    name: 'the role is a superuser',
    expect: 'database-role',
    sql: 'alter role lintel_app superuser',
    mend: 'alter role lintel_app nosuperuser',
  },
  {
    name: 'the role owns the tables',
    expect: 'database-role',
    sql: 'grant lintel_owner to lintel_app',
    mend: 'revoke lintel_owner from lintel_app',
  },
  {
    name: 'the broker lets anybody in',
    expect: 'broker-anonymous',
    file: { which: 'mosquitto', change: (text) => text.replace('allow_anonymous false', 'allow_anonymous true') },
  },
  {
    name: 'the broker has no rules',
    expect: 'broker-acl',
    file: { which: 'mosquitto', change: (text) => text.replace(/^acl_file .*$/m, '') },
  },
  {
    name: 'the bridge’s password at the broker is a wrong one',
    expect: 'broker',
    env: { MQTT_PASSWORD: 'Aq7kWm2Zp9Xc4Vb8Nn3LsD5f' },
  },
  {
    name: 'the connection to the broker is in the clear',
    expect: 'broker-tls',
    env: { MQTT_URL: 'mqtt://192.0.2.1:1883', MQTT_CA: '' },
  },
  {
    name: 'an audit row is edited by who may switch triggers off',
    expect: 'audit-chain',
    sql: "set session_replication_role = replica; update audit set action = action || '.x' where number = 2",
    mend: 'set session_replication_role = replica; update audit set action = left(action, -2) where number = 2',
  },
  {
    name: 'retention has not run',
    expect: 'retention',
    sql: "update upkeep set done_at = now() - interval '9 days' where task = 'retention'",
    mend: "update upkeep set done_at = now() where task = 'retention'",
  },
  {
    name: 'backups are old',
    expect: 'backup',
    sql: "update upkeep set done_at = now() - interval '9 days' where task = 'backup'",
    mend: "update upkeep set done_at = now() where task = 'backup'",
  },
  {
    name: 'no backup was tried for long',
    expect: 'backup-verified',
    sql: "update upkeep set done_at = now() - interval '90 days' where task = 'backup-verified'",
    mend: "update upkeep set done_at = now() where task = 'backup-verified'",
  },
  { name: 'backups are in the clear', expect: 'backup-encrypted', env: { BACKUP_RECIPIENT: '' } },
  {
    name: 'the bridge has another key',
    expect: 'bridge-key',
    env: { BRIDGE_KEY: 'AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8' },
  },
]
