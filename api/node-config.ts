import * as v from 'valibot'
import { KeepDays, HINTS as OF_BACKUPS, Recipients } from './backup/config.ts'
import { Proxies } from './client-address.ts'
import { readConfig } from './config.ts'
import { readEnvironment, SetupError } from './contract/environment.ts'
import { isLocal } from './db/is-local.ts'
import { embeddedSecrets, openDataDir } from './embedded/secrets.ts'
import { LEAST_CHARACTERS, Typed } from './login/passwords.ts'
import { email } from './validate.ts'

const port = v.pipe(v.string(), v.regex(/^\d{1,5}$/), v.transform(Number), v.minValue(0), v.maxValue(65_535))

const NodeConfig = v.object({
  NODE_ENV: v.optional(v.string()),
  PORT: v.optional(port, '8080'),
  HOST: v.optional(v.string(), '127.0.0.1'),
  DATA_DIR: v.optional(v.string(), '.data'),
  DATABASE_URL: v.optional(v.pipe(v.string(), v.regex(/^postgres(ql)?:\/\//))),
  MQTT_URL: v.optional(v.pipe(v.string(), v.url())),
  MQTT_PORT: v.optional(port, '1883'),
  MQTT_HOST: v.optional(v.pipe(v.string(), v.regex(/^[\w.:-]+$/)), '127.0.0.1'),
  ADMIN_EMAIL: v.optional(email, 'admin@lintel.local'),
  ADMIN_PASSWORD: v.optional(Typed),
  SMTP_URL: v.optional(v.pipe(v.string(), v.regex(/^smtps?:\/\//), v.url())),
  TRUSTED_PROXIES: v.optional(Proxies, ''),
  BACKUP_DIR: v.optional(v.string()),
  BACKUP_RECIPIENT: v.optional(Recipients),
  BACKUP_KEEP_DAYS: v.optional(KeepDays, '30'),
  SCRATCH_DATABASE_URL: v.optional(v.pipe(v.string(), v.regex(/^postgres(ql)?:\/\//))),
  DRAIN_SECONDS: v.optional(v.pipe(v.string(), v.regex(/^\d{1,3}$/), v.transform(Number), v.maxValue(600)), '0'),
  LOG_LEVEL: v.optional(v.picklist(['debug', 'info', 'warn', 'error', 'silent']), 'info'),
})

const HINTS = {
  ...OF_BACKUPS,
  PORT: 'a port number',
  MQTT_PORT: 'a port number',
  MQTT_HOST: 'the address that the embedded broker listens on, such as 127.0.0.1 or 0.0.0.0',
  MQTT_URL: 'mqtt://host:1883 or mqtts://host:8883',
  ADMIN_EMAIL: 'an e-mail address',
  ADMIN_PASSWORD: 'at most 72 bytes, without NUL',
  SMTP_URL: 'smtps://user:password@host:465, or smtp://user:password@host:587',
  TRUSTED_PROXIES: 'addresses and networks separated by commas, such as 10.0.0.0/8',
  DRAIN_SECONDS: 'whole seconds from 0 to 600',
  LOG_LEVEL: 'debug, info, warn, error or silent',
}

/** Where a server that listens there is reached from this machine. */
export const addressOf = (host: string, port: number): string =>
  `http://${host.includes(':') ? `[${host}]` : host}:${port}`

/**
 * The environment of a Node process. On the embedded default a missing APP_KEY is made once and kept in DATA_DIR; with a
 * database of its own, or in production, nothing is made up: a missing or weak secret stops the start.
 */
export const readNodeConfig = (env: Record<string, unknown>) => {
  const node = readEnvironment(NodeConfig, HINTS, env)
  const production = node.NODE_ENV === 'production' || (node.DATABASE_URL !== undefined && !isLocal(node.DATABASE_URL))
  const mayMakeUp = node.DATABASE_URL === undefined && !production
  if (node.DATABASE_URL === undefined || node.MQTT_URL === undefined) openDataDir(node.DATA_DIR)
  const made = mayMakeUp && !env['APP_KEY'] ? embeddedSecrets(node.DATA_DIR) : {}
  const PUBLIC_URL = env['PUBLIC_URL'] || (production ? undefined : addressOf(node.HOST, node.PORT))
  const app = readConfig({ ...env, ...made, PUBLIC_URL }, { production })
  if (production && node.ADMIN_PASSWORD !== undefined && [...node.ADMIN_PASSWORD].length < LEAST_CHARACTERS) {
    throw new SetupError(
      `ADMIN_PASSWORD is too weak: at least ${LEAST_CHARACTERS} characters, such as openssl rand -base64 18 gives.`,
    )
  }
  return { ...node, production, app }
}
export type NodeConfig = ReturnType<typeof readNodeConfig>
