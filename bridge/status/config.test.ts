import { expect, test } from 'vitest'
import { readConfig } from '../config.ts'

const SET = {
  API_URL: 'http://127.0.0.1:8080',
  BRIDGE_ID: '018f4dcd-1111-7000-8000-000000000001',
  BRIDGE_KEY: 'k'.repeat(43),
  MQTT_URL: 'mqtt://127.0.0.1:1883',
}

test.each(['0.0.0.0', '::', '192.168.1.5', 'bridge.example.org', '127.evil.example.org'])(
  'a bridge that says at %s how it is does not start without a token',
  (BRIDGE_HOST) => {
    expect(() => readConfig({ ...SET, BRIDGE_PORT: '9464', BRIDGE_HOST })).toThrow(/METRICS_TOKEN/)
    expect(readConfig({ ...SET, BRIDGE_PORT: '9464', BRIDGE_HOST, METRICS_TOKEN: 't'.repeat(32) })).toMatchObject({
      BRIDGE_HOST,
    })
    expect(readConfig({ ...SET, BRIDGE_HOST }).BRIDGE_PORT).toBeUndefined()
  },
)

test.each(['127.0.0.1', '127.0.0.2', '::1', 'localhost'])(
  'to this machine alone, at %s, none is needed',
  (BRIDGE_HOST) => {
    expect(readConfig({ ...SET, BRIDGE_PORT: '9464', BRIDGE_HOST })).toMatchObject({ BRIDGE_PORT: 9464 })
  },
)

test('a short token is no token', () => {
  expect(() => readConfig({ ...SET, METRICS_TOKEN: 'short' })).toThrow(/METRICS_TOKEN is not usable/)
})
