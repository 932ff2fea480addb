import { expect, test } from 'vitest'
import { hashesOfPin, isObvious, randomPin } from './pins.ts'

const [one, other] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)]

test.each(['0000', '1111', '99999999', '1234', '4321', '01234567', '7890', '0987', '2109', '8901'])(
  '%s is what anybody would try first',
  (pin) => expect(isObvious(pin)).toBe(true),
)

test.each(['0427', '1212', '1235', '2580', '1998', '123321', '112233', '1357'])('%s is not', (pin) =>
  expect(isObvious(pin)).toBe(false),
)

test('a PIN by chance has six digits, none of them a zero in front, and is not an obvious one', () => {
  const pins = Array.from({ length: 2_000 }, randomPin)
  expect(pins.filter((pin) => !/^[1-9]\d{5}$/.test(pin) || isObvious(pin))).toEqual([])
  expect(new Set(pins).size).toBeGreaterThan(1_950)
})

test('a PIN is kept as a hash that only the holder of the key can make', async () => {
  const [hash, ...more] = await hashesOfPin({ APP_KEY: one, APP_KEY_PREVIOUS: undefined }, '0427')
  expect({ hash, more }).toEqual({ hash: expect.stringMatching(/^[\w-]{43}$/), more: [] })
  const [same] = await hashesOfPin({ APP_KEY: one, APP_KEY_PREVIOUS: undefined }, '0427')
  const [underOther] = await hashesOfPin({ APP_KEY: other, APP_KEY_PREVIOUS: undefined }, '0427')
  const [ofOther] = await hashesOfPin({ APP_KEY: one, APP_KEY_PREVIOUS: undefined }, '427')
  expect(same).toBe(hash)
  expect(new Set([hash, underOther, ofOther]).size).toBe(3)
})

test('while APP_KEY is replaced a PIN has the hash of the new key, and then that of the old', async () => {
  const [before] = await hashesOfPin({ APP_KEY: one, APP_KEY_PREVIOUS: undefined }, '0427')
  const [now] = await hashesOfPin({ APP_KEY: other, APP_KEY_PREVIOUS: undefined }, '0427')
  expect(await hashesOfPin({ APP_KEY: other, APP_KEY_PREVIOUS: one }, '0427')).toEqual([now, before])
})
