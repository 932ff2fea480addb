import { expect, test } from 'vitest'
import { queueOf } from './queue.ts'

/** Lets everybody enter who is asked for, and tells who had a turn (+) and who was put out (-), in order. */
const watched = (atOnce: number, mostWaiting: number) => {
  const queue = queueOf(atOnce, mostWaiting)
  const told: string[] = []
  const enter = async (name: string, readerId = name) => {
    told.push(`${(await queue.enter(readerId)) ? '+' : '-'}${name}`)
  }
  const settle = () => new Promise((done) => setImmediate(done))
  return {
    told,
    settle,
    async enter(...names: string[]) {
      for (const name of names) void enter(name, name[0])
      await settle()
    },
    async leave() {
      queue.leave()
      await settle()
    },
  }
}

test('so many have their turn at once, and the rest in the order in which they came', async () => {
  const { enter, leave, told } = watched(2, 10)
  await enter('a', 'b', 'c', 'd')
  expect(told).toEqual(['+a', '+b'])
  await leave()
  await leave()
  expect(told).toEqual(['+a', '+b', '+c', '+d'])
})

test('when too many wait, the newest of the same reader takes the place of its oldest', async () => {
  const { enter, leave, told } = watched(1, 3)
  await enter('x', 'a1', 'b1', 'a2', 'a3')
  expect(told).toEqual(['+x', '-a1'])
  for (let i = 0; i < 3; i++) await leave()
  expect(told).toEqual(['+x', '-a1', '+b1', '+a2', '+a3'])
})

test('a reader that had nobody waiting takes the place of one that had several', async () => {
  const { enter, told } = watched(1, 3)
  await enter('x', 'b1', 'a1', 'a2', 'c1')
  expect(told).toEqual(['+x', '-a1'])
})

test('with one of each, the oldest makes room', async () => {
  const { enter, told } = watched(1, 3)
  await enter('x', 'b1', 'a1', 'd1', 'c1')
  expect(told).toEqual(['+x', '-b1'])
})

test('when nobody waits, a place that was left is free again', async () => {
  const { enter, leave, told } = watched(1, 3)
  await enter('a')
  await leave()
  await enter('b')
  expect(told).toEqual(['+a', '+b'])
})
