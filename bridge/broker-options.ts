import { readFileSync } from 'node:fs'
import type { IClientOptions } from 'mqtt'
import { SetupError } from '../api/contract/environment.ts'
import type { Config } from './config.ts'
import { nameOf } from './log.ts'

export type BrokerConfig = Pick<Config, 'MQTT_USERNAME' | 'MQTT_PASSWORD' | 'MQTT_CA' | 'MQTT_CERT' | 'MQTT_KEY'> & {
  MQTT_URL: string
}

const FILES = { ca: 'MQTT_CA', cert: 'MQTT_CERT', key: 'MQTT_KEY' } as const

const read = (name: (typeof FILES)[keyof typeof FILES], path: string): Buffer => {
  try {
    return readFileSync(path)
  } catch (error) {
    throw new SetupError(`${name} names a file that cannot be read (${nameOf(error)}).`)
  }
}

/**
 * What every connection to the broker has in common: who the bridge is, by a name or by a certificate, and whom it trusts.
 * Whatever the environment says, the broker's certificate is verified, by TLS 1.2 or later. Throws a SetupError where a file
 * is missing, or half of a pair.
 */
export const brokerOptions = (config: BrokerConfig): IClientOptions => {
  const { MQTT_URL, MQTT_USERNAME, MQTT_PASSWORD, MQTT_CERT, MQTT_KEY } = config
  if ((MQTT_CERT === undefined) !== (MQTT_KEY === undefined)) {
    throw new SetupError('MQTT_CERT and MQTT_KEY belong together: set both, or neither.')
  }
  if (MQTT_PASSWORD !== undefined && MQTT_USERNAME === undefined && new URL(MQTT_URL).username === '') {
    throw new SetupError('MQTT_PASSWORD is set without MQTT_USERNAME.')
  }
  const login = {
    ...(MQTT_USERNAME !== undefined && { username: MQTT_USERNAME }),
    ...(MQTT_PASSWORD !== undefined && { password: MQTT_PASSWORD }),
  }
  const isSecure = /^(mqtts|wss|ssl|tls):/.test(MQTT_URL)
  if (!isSecure) {
    const [name] = Object.values(FILES).filter((one) => config[one] !== undefined)
    if (name) throw new SetupError(`${name} is for an encrypted connection: MQTT_URL has to begin with mqtts: or wss:.`)
    return login
  }
  const files = Object.entries(FILES).flatMap(([option, name]) => {
    const path = config[name]
    return path === undefined ? [] : [[option, read(name, path)] as const]
  })
  const tls = { ...Object.fromEntries(files), rejectUnauthorized: true, minVersion: 'TLSv1.2' as const }
  // MQTT.js hands only some of them on to a WebSocket.
  return { ...login, ...tls, wsOptions: tls }
}
