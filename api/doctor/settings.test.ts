import { describe, expect, test } from 'vitest'
import { SetupError } from '../contract/environment.ts'
import { forTrial } from './line.ts'
import * as settings from './settings.ts'

const NOW = new Date('2026-06-15T12:00:00Z')
const ago = (days: number) => new Date(NOW.getTime() - days * 86_400_000)
const RANDOM = Uint8Array.from({ length: 32 }, (_, i) => (i * 91 + 5) % 256)
const GOOD = 'b1f0c47d9e3a5826b1f0c47d9e3a5826'

const KEY: settings.KeyFound = { here: 'a', there: 'a', since: ago(10), previous: false, behind: 0 }

describe('of the settings', () => {
  test.each([
    ['production', 'ok', settings.productionMode({ NODE_ENV: 'production' })],
    ['another mode', 'fault', settings.productionMode({ NODE_ENV: 'development' })],
    ['no mode', 'fault', settings.productionMode({})],
    ['an API that starts', 'ok', settings.configuration(() => undefined)],
    [
      'an API that does not',
      'fault',
      settings.configuration(() => {
        throw new SetupError('APP_KEY is not set.')
      }),
    ],
    ['a key of chance', 'ok', settings.appKey(RANDOM, true)],
    ['a short key', 'fault', settings.appKey(RANDOM.slice(0, 31), true)],
    [
      'a key of few bytes',
      'fault',
      settings.appKey(
        RANDOM.map((byte) => byte % 9),
        true,
      ),
    ],
    ['a sentence as a key', 'fault', settings.appKey(Buffer.from('change me, i am 32 bytes long!!!!!'), true)],
    ['no key', 'fault', settings.appKey(settings.bytesOf(undefined), true)],
    ['what is no base64', 'fault', settings.appKey(settings.bytesOf('??'), true)],
    [
      'good secrets',
      'ok',
      settings.secrets({ METRICS_TOKEN: GOOD, DATABASE_URL: `postgres://lintel:${GOOD}@db/lintel` }),
    ],
    ['a short token', 'fault', settings.secrets({ METRICS_TOKEN: GOOD.slice(1) })],
    ['a token of one letter', 'fault', settings.secrets({ BROKER_TOKEN: 'x'.repeat(40) })],
    ['a placeholder', 'fault', settings.secrets({ DATABASE_URL: 'postgres://lintel:change-me@127.0.0.1:5432/lintel' })],
    ['the password of the broker', 'fault', settings.secrets({ MQTT_URL: 'mqtts://bridge:bridge@broker' })],
    ['no .env', 'ok', settings.envFile([])],
    ['a .env of its owner', 'ok', settings.envFile([{ path: '.env', mode: 0o100600 }])],
    ['a .env for the group', 'fault', settings.envFile([{ path: '.env', mode: 0o100640 }])],
    [
      'a .env for all',
      'fault',
      settings.envFile([
        { path: 'a', mode: 0o600 },
        { path: '.env', mode: 0o100604 },
      ]),
    ],
    ['no git', 'ok', settings.envInGit(undefined)],
    ['git that ignores .env', 'ok', settings.envInGit({ tracked: false, ignored: true })],
    ['git that would take .env', 'warning', settings.envInGit({ tracked: false, ignored: false })],
    ['git that has .env', 'fault', settings.envInGit({ tracked: true, ignored: true })],
    ['a key of ten days', 'ok', settings.keyAge(KEY, NOW)],
    ['a key of nearly a year', 'warning', settings.keyAge({ ...KEY, since: ago(340) }, NOW)],
    ['a key of more than a year', 'fault', settings.keyAge({ ...KEY, since: ago(366) }, NOW)],
    ['a key that nobody has seen', 'warning', settings.keyAge({ ...KEY, there: undefined, since: undefined }, NOW)],
    ['another key than the API’s', 'fault', settings.keyAge({ ...KEY, there: 'b' }, NOW)],
    ['no key from before', 'ok', settings.previousKey(KEY, NOW)],
    ['a key that is being replaced', 'warning', settings.previousKey({ ...KEY, previous: true, behind: 3 }, NOW)],
    ['one that was replaced', 'warning', settings.previousKey({ ...KEY, previous: true }, NOW)],
    ['one that was long ago', 'fault', settings.previousKey({ ...KEY, previous: true, since: ago(31) }, NOW)],
    ['secrets that no key opens', 'fault', settings.previousKey({ ...KEY, behind: 1 }, NOW)],
    ['no first password', 'ok', settings.adminPassword({ set: false, opens: undefined })],
    ['one that opens nothing', 'warning', settings.adminPassword({ set: true, opens: false })],
    ['one that opens', 'fault', settings.adminPassword({ set: true, opens: true })],
  ])('%s: %s', (_, state, line) => {
    expect(line).toMatchObject({ state })
    expect(line.mend === undefined).toBe(state === 'ok')
  })

  test('no secret is in what is said', () => {
    const env = { METRICS_TOKEN: 'tiny-token', DATABASE_URL: 'postgres://lintel:hush-hush@db/lintel' }
    expect(JSON.stringify(settings.secrets(env))).not.toMatch(/tiny-token|hush-hush/)
  })
})

test('what only production needs is a warning where somebody tries Lintel, and all else stays as it is', () => {
  const lines = [settings.productionMode({}), settings.secrets({ METRICS_TOKEN: 'x' }), settings.envFile([])]
  expect(forTrial(lines).map(({ state }) => state)).toEqual(['warning', 'fault', 'ok'])
})
