import { expect, test } from 'vitest'
import { type Kind, onlineWatch } from './online.ts'

const WILL: Kind = { presence: true, beatMs: undefined }
const BEAT: Kind = { presence: false, beatMs: 100 }
const BOTH: Kind = { presence: true, beatMs: 100 }
const MUTE: Kind = { presence: false, beatMs: undefined }

const watching = (before = new Map<string, boolean>()) => {
  const online = onlineWatch(before)
  online.use(new Map(Object.entries({ will: WILL, beat: BEAT, both: BOTH, mute: MUTE })), 0)
  online.broker(true, 0)
  return online
}

test('nobody knows anything at first, and a change is told once', () => {
  const online = watching()
  expect(online.tick(1_000)).toEqual([])
  expect(online.online('will')).toBeUndefined()
  expect(online.presence('will', true, 10)).toEqual([{ key: 'will', online: true, at: 10 }])
  expect(online.presence('will', true, 20)).toEqual([])
  expect(online.presence('will', false, 30)).toEqual([{ key: 'will', online: false, at: 30 }])
  expect(online.presence('will', false, 40)).toEqual([])
})

test('what only beats is away after two and a half of its times, and there with the next beat', () => {
  const online = watching()
  expect(online.heard('beat', 10)).toEqual([{ key: 'beat', online: true, at: 10 }])
  expect(online.tick(259)).toEqual([])
  expect(online.tick(300)).toEqual([{ key: 'beat', online: false, at: 260 }])
  expect(online.tick(400)).toEqual([])
  expect(online.heard('beat', 500)).toMatchObject([{ online: true }])
})

test('what has said its presence is not away for want of a beat', () => {
  const online = watching()
  online.presence('both', true, 0)
  expect(online.tick(10_000)).toEqual([])
  expect(online.presence('both', false, 10_001)).toMatchObject([{ online: false }])
  // Its word that it is back got lost.
  expect(online.heard('both', 10_002)).toMatchObject([{ online: true }])
})

test('a reader that only sends scans is neither there nor away', () => {
  const online = watching()
  expect(online.heard('mute', 10)).toEqual([])
  expect(online.tick(1_000_000)).toEqual([])
  expect(online.online('mute')).toBeUndefined()
})

test('while the broker is away nobody else is, and after that everybody has all their time again', () => {
  const online = watching()
  online.heard('beat', 0)
  online.broker(false, 100)
  expect(online.tick(5_000)).toEqual([])
  online.broker(true, 5_000)
  expect(online.tick(5_249)).toEqual([])
  expect(online.tick(5_250)).toEqual([{ key: 'beat', online: false, at: 5_250 }])
})

test('a start goes on from what was told before', () => {
  const online = watching(
    new Map([
      ['beat', true],
      ['will', true],
    ]),
  )
  expect(online.heard('beat', 10)).toEqual([])
  expect(online.presence('will', false, 10)).toMatchObject([{ online: false }])
  expect(online.tick(260)).toMatchObject([{ key: 'beat', online: false }])
})

test('another site keeps what is known of those that stay, and forgets the others', () => {
  const online = watching()
  online.presence('will', true, 10)
  online.presence('both', true, 10)
  online.use(new Map([['will', WILL]]), 20)
  expect(online.presence('will', true, 30)).toEqual([])
  expect(online.presence('both', false, 30)).toEqual([])
})
