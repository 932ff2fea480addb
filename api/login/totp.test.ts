import { Secret } from 'otpauth'
import { expect, test } from 'vitest'
import { newTotpSecret, stepOf, uriOf } from './totp.ts'

const SECRET = Secret.fromLatin1('12345678901234567890').base32

// RFC 6238, appendix B, mode SHA1: the last six of eight digits.
test.each([
  [59, '287082'],
  [1_111_111_109, '081804'],
  [1_111_111_111, '050471'],
  [1_234_567_890, '005924'],
  [2_000_000_000, '279037'],
  [20_000_000_000, '353130'],
])('at second %i the code is %s, and one step before and after it too', (second, code) => {
  const step = Math.floor(second / 30)
  const at = (steps: number) => new Date((second + steps * 30) * 1000)
  expect([-2, -1, 0, 1, 2].map((steps) => stepOf(SECRET, code, at(steps)))).toEqual([
    undefined,
    step,
    step,
    step,
    undefined,
  ])
})

test.each(['', '28708', '2870820', '28708a', '94287082', '287 082 0', '０２８７０８'])('%j is no code', (code) => {
  expect(stepOf(SECRET, code, new Date(59_000))).toBeUndefined()
})

test('a secret has 160 bits, and each is another', () => {
  const secrets = Array.from({ length: 100 }, newTotpSecret)
  expect(new Set(secrets).size).toBe(100)
  for (const secret of secrets) expect(secret).toMatch(/^[A-Z2-7]{32}$/)
})

test('an app learns from the address whose codes these are and how they are made', () => {
  expect(uriOf(SECRET, 'ada+1@example.org')).toBe(
    `otpauth://totp/Lintel:ada%2B1%40example.org?issuer=Lintel&secret=${SECRET}&algorithm=SHA1&digits=6&period=30`,
  )
})
