import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { brokerOptions } from './broker-options.ts'

// How the bridge shows the broker who it is, and whom it trusts.

const FILE = fileURLToPath(import.meta.url)
const certificate = (name: string) => fileURLToPath(new URL(`testing/certificates/${name}`, import.meta.url))
const [CA, CERT, KEY] = ['ca.pem', 'client.pem', 'client.key'].map(certificate) as [string, string, string]
const SECURE = { MQTT_URL: 'mqtts://broker.example.org' }

test('a name and a password are given to any broker', () => {
  const login = { MQTT_USERNAME: 'bridge', MQTT_PASSWORD: 'secret' }
  expect(brokerOptions({ MQTT_URL: 'mqtt://127.0.0.1', ...login })).toEqual({ username: 'bridge', password: 'secret' })
})

test.each(['mqtts:', 'wss:', 'ssl:', 'tls:'])('a broker at %s is verified, by TLS 1.2 at least', (protocol) => {
  const options = brokerOptions({ MQTT_URL: `${protocol}//broker.example.org`, MQTT_CA: CA })
  const tls = { rejectUnauthorized: true, minVersion: 'TLSv1.2', ca: expect.any(Buffer) }
  expect(options).toMatchObject({ ...tls, wsOptions: tls })
})

test.each([
  [
    'a file that is not there',
    { ...SECURE, MQTT_CA: '/nowhere/ca.pem' },
    'MQTT_CA names a file that cannot be read (ENOENT).',
  ],
  [
    'a file that is no certificate of an authority',
    { ...SECURE, MQTT_CA: FILE },
    'MQTT_CA names a file that is not a certificate in PEM.',
  ],
  [
    'a key for a certificate',
    { ...SECURE, MQTT_CERT: KEY, MQTT_KEY: KEY },
    'MQTT_CERT names a file that is not a certificate in PEM.',
  ],
  [
    'a certificate for a key',
    { ...SECURE, MQTT_CERT: CERT, MQTT_KEY: CERT },
    'MQTT_KEY names a file that is not a private key in PEM without a passphrase.',
  ],
  [
    'the key of another certificate',
    { ...SECURE, MQTT_CERT: CERT, MQTT_KEY: certificate('server.key') },
    'MQTT_KEY is not the key of the certificate in MQTT_CERT.',
  ],
  ['a certificate without its key', { ...SECURE, MQTT_CERT: FILE }, /MQTT_CERT and MQTT_KEY belong together/],
  ['a key without its certificate', { ...SECURE, MQTT_KEY: FILE }, /MQTT_CERT and MQTT_KEY belong together/],
  ['a certificate for a connection that is not encrypted', { MQTT_URL: 'mqtt://a', MQTT_CA: FILE }, /mqtts: or wss:/],
  [
    'a password of nobody',
    { MQTT_URL: 'mqtt://a', MQTT_PASSWORD: 'secret' },
    /^MQTT_PASSWORD is set without MQTT_USERNAME.$/,
  ],
])('%s is refused with a sentence', (_, config, sentence) => {
  expect(() => brokerOptions(config)).toThrow(sentence)
})
