import { describe, expect, test } from 'vitest'
import { objection } from './blocklist.ts'
import { LONG, SHORT } from './common-passwords.ts'

const ada = { email: 'ada.lovelace@engine.example.org', name: 'Ada King-Noel' }

const COMMON = /^is among the most common passwords/
const WHOSE = /^is little more than your e-mail address, your name or the name of this product/

describe('refused as common', () => {
  test.each([
    ['a common password twice', 'passwordpassword'],
    ['in any case', 'PassWordPassWord'],
    ['in wide letters', 'ｐａｓｓｗｏｒｄｐａｓｓｗｏｒｄ'],
    ['with signs between', 'password-password!'],
    ['with spaces at its ends', '   password password '],
    ['in disguise', 'P@ssw0rdP@ssw0rd'],
    ['another one twice', 'iloveyouiloveyou'],
    ['a short one often', 'monkeymonkeymonkeymonkey'],
    ['two common ones', 'dragonsunshine99'],
    ['three common ones', 'monkey dragon shadow'],
    ['one and digits', 'Welcome123456789'],
    ['one, a year and a sign', 'Administrator2026!'],
    ['a common one and the product', 'lintelpassword12345'],
    ['digits in order', '123456789012345'],
    ['digits in falling order', '987654321098765'],
    ['one digit', '111111111111111'],
    ['a keyboard’s rows', 'qwertyuiopasdfgh'],
    ['a keyboard’s columns', '1qaz2wsx3edc4rfv'],
    ['a German keyboard’s rows', 'qwertzuiopasdfgh'],
    ['a French keyboard’s rows', 'azertyuiopqsdfgh'],
    ['the alphabet', 'abcdefghijklmnopq'],
    ['three digits repeated', '123123123123123'],
    ['a long one of the list', 'cheaphornybastard'],
    ['a long one of the list, spaced', 'never say my password'],
    ['a long one of the list that no pattern makes', 'stairwaytoheaven'],
  ])('%s: %s', (_, password) => {
    expect(objection(password, ada)).toMatch(COMMON)
  })
})

describe('refused as telling whose account it is', () => {
  test.each([
    ['the e-mail address', 'ada.lovelace@engine.example.org'],
    ['the e-mail address in capitals', 'ADA.LOVELACE@ENGINE.EXAMPLE.ORG'],
    ['its local part and digits', 'ada.lovelace1234567'],
    ['its domain', 'engine.example.org'],
    ['a word of it, twice', 'lovelacelovelace'],
    ['the name', 'Ada King-Noel 1843'],
    ['the product', 'lintellintellintel'],
    ['the product and seven characters', 'Lintel-Lintel xyzvwuk'],
  ])('%s: %s', (_, password) => {
    expect(objection(password, ada)).toMatch(WHOSE)
  })

  test('and only for whose account it is', () => {
    const other = { email: 'charles@babbage.example.com', name: null }
    expect(objection('ada.lovelace1234567', other)).toBeUndefined()
    expect(objection('lovelacelovelace', other)).toBeUndefined()
  })
})

test.each([
  ['a passphrase', 'correct horse battery staple'],
  ['another one', 'a horse of another colour'],
  ['four words, each of them common', 'monkey dragon shadow sunshine'],
  ['one letter fifteen times', 'x'.repeat(15)],
  ['one letter 36 times', 'é'.repeat(36)],
  ['another alphabet', 'длинная красивая фраза'],
  ['eight characters beside the product', 'lintel lintel xyzvwukq'],
  ['what openssl makes', 'kK3v0Jr+0mJ7cHqYw1ZzX5sD'],
  ['random digits', '402957163308246'],
  ['signs alone', '!?#%&/()=+*~-_.:,;<>'],
])('taken: %s (%s)', (_, password) => {
  expect(objection(password, ada)).toBeUndefined()
})

test('a password of 72 characters is judged in no time', () => {
  const started = performance.now()
  for (const text of ['12345678'.repeat(9), 'a1b2'.repeat(18), 'x'.repeat(72)]) objection(text, ada)
  expect(performance.now() - started).toBeLessThan(500)
})

test('the list has at least the 3,000 passwords of 15 characters or more that ASVS asks for', () => {
  const long = LONG.trim().split(/\s+/)
  expect(long.length).toBeGreaterThanOrEqual(3_000)
  expect(long.filter((word) => [...word].length < 15 || word !== word.toLowerCase())).toEqual([])
  expect(SHORT.trim().split(/\s+/)).toContain('password')
})
