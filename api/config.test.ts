import { expect, test } from 'vitest'
import { readConfig } from './config.ts'
import { isLocal } from './db/is-local.ts'

const APP_KEY = Buffer.from(Array.from({ length: 32 }, (_, i) => (i * 37 + 11) % 256)).toString('base64')

test.each([
  [{}, true, true],
  [{}, false, false],
  [{ REQUIRE_MFA: '' }, true, true],
  [{ REQUIRE_MFA: 'true' }, false, true],
  [{ REQUIRE_MFA: 'false' }, true, false],
])('with %j, and production %s, a second factor is required: %s', (env, production, required) => {
  expect(readConfig({ APP_KEY, ...env }, { production }).REQUIRE_MFA).toBe(required)
})

test.each(['1', 'yes', 'TRUE', 'off'])('REQUIRE_MFA=%s stops the start', (REQUIRE_MFA) => {
  expect(() => readConfig({ APP_KEY, REQUIRE_MFA }, { production: false })).toThrow(
    'REQUIRE_MFA is not usable: true or false.',
  )
})

test.each([
  ['postgres://lintel:secret@127.0.0.1:5432/lintel', true],
  ['postgres://lintel:secret@localhost/lintel', true],
  ['postgres://lintel:secret@[::1]/lintel', true],
  ['postgres:///lintel', true],
  ['postgres://lintel:secret@127.example.org/lintel', false],
  ['postgres://lintel:secret@localhost.example.org/lintel', false],
  ['postgres://lintel:secret@db.example.org/127.0.0.1', false],
  ['not a URL', false],
])('%s is on this machine: %s', (url, local) => {
  expect(isLocal(url)).toBe(local)
})
