import { expect, test } from 'vitest'
import { type DeviceList, fromBytes, hashOf, said, sayAll, toBytes, unsaid, want } from './device-list.ts'

const wanted = (...cards: string[]) => new Map(cards.map((card) => [card, { user: `u${card}`, until: 0 }]))
const words = (list: DeviceList) => unsaid(list).map(([card, { gone }]) => `${gone ? '-' : '+'}${card}`)
const sayOnce = (list: DeviceList) => {
  for (const [card] of unsaid(list)) said(list, card)
}

test('who is wanted is said twice, and nothing when nothing changes', () => {
  const list: DeviceList = new Map()
  expect(want(list, wanted('A', 'B'))).toBe(true)
  expect(words(list)).toEqual(['+A', '+B'])
  sayOnce(list)
  expect(words(list)).toEqual(['+A', '+B'])
  sayOnce(list)
  expect(words(list)).toEqual([])
  expect(want(list, wanted('B', 'A'))).toBe(false)
})

test('whom to forget comes first, is said three times, and is known until then', () => {
  const list: DeviceList = new Map()
  want(list, wanted('A', 'B'))
  want(list, wanted('B', 'C'))
  expect(words(list)).toEqual(['-A', '+B', '+C'])
  for (let i = 0; i < 2; i++) sayOnce(list)
  expect(words(list)).toEqual(['-A'])
  expect([...list.keys()]).toContain('A')
  sayOnce(list)
  expect([...list.keys()]).toEqual(['B', 'C'])
})

test('somebody who comes back while being forgotten is told anew, and so is another end', () => {
  const list: DeviceList = new Map()
  want(list, wanted('A'))
  want(list, wanted())
  expect(want(list, wanted('A'))).toBe(true)
  expect(words(list)).toEqual(['+A'])
  for (let i = 0; i < 2; i++) sayOnce(list)
  expect(want(list, new Map([['A', { user: 'uA', until: 99 }]]))).toBe(true)
  expect(words(list)).toEqual(['+A'])
})

test('the hash of a list is the one that mqtt_rfid publishes', () => {
  const list: DeviceList = new Map()
  want(list, wanted('de0ba996', '045E0AB2C34D80'))
  expect(hashOf(list)).toBe('08009854b8aac347db598f790f7fb315eff2e17ae854503eda6c07e7491dec64')
  want(list, wanted('045E0AB2C34D80'))
  expect(hashOf(list)).not.toBe('08009854b8aac347db598f790f7fb315eff2e17ae854503eda6c07e7491dec64')
})

test('everything can be said anew, and a list comes back from the disk as it was', () => {
  const list: DeviceList = new Map()
  want(list, wanted('A'))
  for (let i = 0; i < 2; i++) sayOnce(list)
  sayAll(list)
  expect(words(list)).toEqual(['+A'])
  expect(fromBytes(toBytes(list))).toEqual(list)
  expect(fromBytes(Buffer.from('{"A":1}'))).toBeUndefined()
})
