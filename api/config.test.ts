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

const HOOK = { APP_KEY, MAIL_HOOK_URL: 'https://mail.example.org/send', MAIL_FROM: 'doors@example.org' }

test.each<[string, Record<string, unknown>, RegExp]>([
  ['a hook without TLS', { ...HOOK, MAIL_HOOK_URL: 'http://mail.example.org/' }, /^MAIL_HOOK_URL is not usable/],
  ['a hook that is no web address', { ...HOOK, MAIL_HOOK_URL: 'file:///etc/passwd' }, /^MAIL_HOOK_URL is not usable/],
  ['a hook without a sender', { ...HOOK, MAIL_FROM: '' }, /^MAIL_FROM is not set/],
  ['SMTP without a sender', { APP_KEY, SMTP_URL: 'smtps://hunter2@mail.example.org' }, /^MAIL_FROM is not set/],
  ['a sender with a line more', { ...HOOK, MAIL_FROM: 'a@example.org\r\nBcc: b@example.org' }, /^MAIL_FROM is not us/],
  ['two senders', { ...HOOK, MAIL_FROM: 'a@example.org,b@example.org' }, /^MAIL_FROM is not usable/],
  ['links into nowhere', HOOK, /^PUBLIC_URL is not set/],
  ['links in the clear', { ...HOOK, PUBLIC_URL: 'http://doors.example.org' }, /^PUBLIC_URL is not usable/],
  ['links with a query', { ...HOOK, PUBLIC_URL: 'https://doors.example.org/?x=' }, /^PUBLIC_URL is not usable/],
  ['a token with a line more', { ...HOOK, MAIL_HOOK_TOKEN: 'hunter2\r\nX: y' }, /^MAIL_HOOK_TOKEN is not usable/],
])('%s stops the start with a sentence, and shows no value', (_, env, sentence) => {
  const read = () => readConfig(env, { production: true })
  expect(read).toThrow(sentence)
  expect(read).not.toThrow(/hunter2/)
})

test('mail works with a sender and an address for its links, and without any mail nothing is asked for', () => {
  const env = { ...HOOK, MAIL_FROM: 'Lintel <doors@example.org>', PUBLIC_URL: 'https://doors.example.org/lintel/' }
  expect(readConfig(env, { production: true })).toMatchObject({
    PUBLIC_URL: 'https://doors.example.org/lintel',
    MAIL_FROM: 'Lintel <doors@example.org>',
  })
  const local = { ...HOOK, MAIL_HOOK_URL: 'http://127.0.0.1:8025/' }
  expect(readConfig(local, { production: false }).MAIL_HOOK_URL).toBe('http://127.0.0.1:8025/')
  expect(readConfig({ APP_KEY }, { production: true }).MAIL_FROM).toBeUndefined()
})
