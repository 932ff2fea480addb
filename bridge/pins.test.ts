import { expect, test } from 'vitest'
import { pinsOf } from './pins.ts'

const typing = () => {
  let now = 0
  const pins = pinsOf(() => now)
  return {
    ...pins,
    wait(ms: number) {
      now += ms
    },
  }
}

test('a PIN belongs to the last card at the same reader, for fifteen seconds', () => {
  const pins = typing()
  expect(pins.cardFor('door')).toBeUndefined()
  pins.shown('door', 'A')
  pins.shown('door', 'B')
  pins.shown('gate', 'C')
  pins.wait(14_999)
  expect(['door', 'gate', 'shed'].map(pins.cardFor)).toEqual(['B', 'C', undefined])
  pins.wait(1)
  expect(pins.cardFor('door')).toBeUndefined()
})

test('after it has opened, only what is held is answered; the next one needs a card', () => {
  const pins = typing()
  pins.shown('door', 'A')
  pins.used('door', 'A', 3_000)
  pins.wait(2_999)
  expect(pins.cardFor('door')).toBe('A')
  pins.wait(1)
  expect(pins.cardFor('door')).toBeUndefined()
})

test('an opening by one card leaves the PIN of the next one alone, and makes no time longer', () => {
  const pins = typing()
  pins.shown('door', 'B')
  pins.used('door', 'A', 0)
  pins.used('door', 'B', 1_000_000)
  expect(pins.cardFor('door')).toBe('B')
  pins.wait(15_000)
  expect(pins.cardFor('door')).toBeUndefined()
})
