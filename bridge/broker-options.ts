import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createSecureContext } from 'node:tls'
import type { IClientOptions } from 'mqtt'
import { SetupError } from '../api/contract/environment.ts'
import type { Config } from './config.ts'
import { nameOf } from './log.ts'

export type BrokerConfig = Pick<Config, 'MQTT_USERNAME' | 'MQTT_PASSWORD' | 'MQTT_CA' | 'MQTT_CERT' | 'MQTT_KEY'> & {
  MQTT_URL: string
}

const FILES = { ca: 'MQTT_CA', cert: 'MQTT_CERT', key: 'MQTT_KEY' } as const

type Name = (typeof FILES)[keyof typeof FILES]

/** What a file has to hold, in words, and what throws where it does not. */
const HOLDS: Record<Name, { what: string; check(pem: Buffer): unknown }> = {
  MQTT_CA: { what: 'a certificate in PEM', check: (pem) => new X509Certificate(pem) },
  MQTT_CERT: { what: 'a certificate in PEM', check: (pem) => new X509Certificate(pem) },
  MQTT_KEY: { what: 'a private key in PEM without a passphrase', check: createPrivateKey },
}

const read = (name: Name, path: string): Buffer => {
  let pem: Buffer
  try {
    pem = readFileSync(path)
  } catch (error) {
    throw new SetupError(`${name} names a file that cannot be read (${nameOf(error)}).`)
  }
  const { what, check } = HOLDS[name]
  try {
    // A certificate in DER is one to X509Certificate, and none to a connection.
    if (!pem.includes('-----BEGIN ')) throw new Error('no PEM')
    check(pem)
  } catch {
    throw new SetupError(`${name} names a file that is not ${what}.`)
  }
  return pem
}

/**
 * What every connection to the broker has in common: who the bridge is, by a name or by a certificate, and whom it trusts.
 * Whatever the environment says, the broker's certificate is verified, by TLS 1.2 or later. Throws a SetupError where a file
 * is missing, half of a pair, or not what it has to be.
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
  const pems = Object.fromEntries(files)
  try {
    createSecureContext(pems)
  } catch {
    throw new SetupError('MQTT_KEY is not the key of the certificate in MQTT_CERT.')
  }
  const tls = { ...pems, rejectUnauthorized: true, minVersion: 'TLSv1.2' as const }
  // MQTT.js hands only some of them on to a WebSocket.
  return { ...login, ...tls, wsOptions: tls }
}
