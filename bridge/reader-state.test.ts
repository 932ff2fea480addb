import { expect, test } from 'vitest'
import { readerStates } from './reader-state.ts'

const watching = () => {
  let now = 0
  const states = readerStates(() => now)
  return {
    ...states,
    wait(ms: number) {
      now += ms
    },
  }
}

test('a reader that was away and is back is not believed for two seconds', () => {
  const states = watching()
  states.presence('door', false)
  expect(states.isBack('door')).toBe(false)
  states.presence('door', true)
  states.wait(1_999)
  expect(states.isBack('door')).toBe(true)
  expect(states.isBack('gate')).toBe(false)
  states.wait(1)
  expect(states.isBack('door')).toBe(false)
})

test('one that only says once more that it is there is believed, and so is one that is heard for the first time', () => {
  const states = watching()
  states.presence('door', true)
  expect(states.isBack('door')).toBe(false)
  states.wait(60_000)
  states.presence('door', true)
  expect(states.isBack('door')).toBe(false)
})

test('after our own connection to the broker was lost, whoever says that it is there has come back', () => {
  const states = watching()
  states.presence('door', true)
  states.brokerLost()
  states.wait(59_999)
  states.presence('door', true)
  expect(states.isBack('door')).toBe(true)
  states.wait(2_000)
  states.presence('door', true)
  expect(states.isBack('door')).toBe(false)
})

test('a device’s address is what it said last, for fifteen minutes, and no other device’s', () => {
  const states = watching()
  states.beat('door', '', '192.168.1.50')
  states.beat('door', 'cellar', '192.168.1.51')
  states.wait(14 * 60_000)
  states.beat('door', '', 'fe80::1')
  states.wait(59_999)
  expect(['', 'cellar', 'attic'].map((unit) => states.address('door', unit))).toEqual([
    'fe80::1',
    '192.168.1.51',
    undefined,
  ])
  states.wait(1)
  expect(states.address('door', 'cellar')).toBeUndefined()
  expect(states.address('gate', '')).toBeUndefined()
})

test.each([['not an address'], ['192.168.1.500'], ['10.0.0.1/../x'], [3232235826], [undefined]])(
  'what is no address is none: %s',
  (said) => {
    const states = watching()
    states.beat('door', '', said)
    expect(states.address('door', '')).toBeUndefined()
  },
)

test('however many devices there claim to be, no more than ten thousand are remembered', () => {
  const states = watching()
  for (let n = 0; n <= 10_000; n++) states.beat('door', String(n), '10.0.0.1')
  expect(states.address('door', '0')).toBeUndefined()
  expect(states.address('door', '1')).toBe('10.0.0.1')
})
