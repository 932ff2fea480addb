import { existsSync, readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { join } from 'node:path'
import * as v from 'valibot'
import { readEnvironment, SetupError } from '../api/contract/environment.ts'

const Config = v.object({
  API_URL: v.pipe(v.string(), v.url(), v.regex(/^https?:/)),
  BRIDGE_ID: v.pipe(v.string(), v.uuid(), v.toLowerCase()),
  BRIDGE_KEY: v.pipe(
    v.string(),
    v.regex(/^[\w-]{43}$/),
    v.transform((text) => Uint8Array.from(Buffer.from(text, 'base64url'))),
  ),
  MQTT_URL: v.pipe(v.string(), v.url(), v.regex(/^(mqtts?|wss?|tcp|ssl|tls):/)),
  MQTT_USERNAME: v.optional(v.string()),
  MQTT_PASSWORD: v.optional(v.string()),
  MQTT_CA: v.optional(v.string()),
  MQTT_CERT: v.optional(v.string()),
  MQTT_KEY: v.optional(v.string()),
  BRIDGE_GROUP: v.optional(v.pipe(v.string(), v.regex(/^[\w-]{1,32}$/))),
  WATCH: v.optional(v.picklist(['on', 'off']), 'on'),
  HOME_ASSISTANT: v.optional(v.pipe(v.string(), v.maxLength(64), v.regex(/^[\w-]+(\/[\w-]+)*$/))),
  DATA_DIR: v.optional(v.string(), '.data'),
  BRIDGE_PORT: v.optional(
    v.pipe(v.string(), v.regex(/^\d{1,5}$/), v.transform(Number), v.minValue(0), v.maxValue(65_535)),
  ),
  BRIDGE_HOST: v.optional(v.pipe(v.string(), v.regex(/^[\w.:-]+$/)), '127.0.0.1'),
  METRICS_TOKEN: v.optional(v.pipe(v.string(), v.minLength(32), v.maxLength(4_000), v.regex(/^[\x21-\x7e]+$/))),
  LOG_LEVEL: v.optional(v.picklist(['debug', 'info', 'warn', 'error', 'silent']), 'info'),
})
export type Config = v.InferOutput<typeof Config>

const HINTS = {
  API_URL: 'where the API listens, such as http://127.0.0.1:8080',
  BRIDGE_ID: 'the id that POST /api/v1/bridges answered',
  BRIDGE_KEY: 'the key that POST /api/v1/bridges answered, once',
  MQTT_URL: 'the broker, such as mqtt://127.0.0.1:1883',
  BRIDGE_GROUP: 'a name of letters and digits, the same for all bridges that share the readers of one broker',
  WATCH: 'on, or off: unknown readers are not noticed then',
  HOME_ASSISTANT: "the prefix of Home Assistant's MQTT discovery, which is homeassistant unless it was changed there",
  BRIDGE_PORT: 'the port at which the bridge says how it is, such as 9464',
  BRIDGE_HOST: 'the address that it says so on, such as 127.0.0.1 or 0.0.0.0',
  METRICS_TOKEN: '32 letters or more without spaces; make one with: openssl rand -base64 32',
  LOG_LEVEL: 'debug, info, warn, error or silent',
}

/** The environment, and for what it lacks the file that `npm start` leaves in DATA_DIR. */
export const readConfig = (env: Record<string, unknown>): Config => {
  const set = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''))
  const config = readEnvironment(Config, HINTS, { ...provisioned(String(set['DATA_DIR'] ?? '.data')), ...set })
  const { BRIDGE_PORT, BRIDGE_HOST, METRICS_TOKEN } = config
  if (BRIDGE_PORT !== undefined && METRICS_TOKEN === undefined && !isLoopback(BRIDGE_HOST)) {
    throw new SetupError(`METRICS_TOKEN is not set, and others reach BRIDGE_HOST: ${HINTS.METRICS_TOKEN}.`)
  }
  return config
}

const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))

const provisioned = (dataDir: string): Record<string, unknown> => {
  const file = join(dataDir, 'bridge.json')
  if (!existsSync(file)) return {}
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    throw new SetupError(`${file} cannot be read. Delete it and run npm start, which writes it anew.`)
  }
}
