import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { covers, isFilter, isTopic, meet, places, unshared } from './topics.ts'

// Held against a matcher that knows one topic and one filter, and all topics of a small world.

const level = fc.constantFrom('a', 'b', '')
const topic = fc.array(level, { minLength: 1, maxLength: 4 }).map((levels) => levels.join('/'))
const filter = fc
  .tuple(fc.array(fc.constantFrom('a', 'b', '', '+'), { minLength: 1, maxLength: 2 }), fc.boolean())
  .map(([levels, deep]) => [...levels, ...(deep ? ['#'] : [])].join('/'))
  .filter((text) => text !== '')
const anyFilter = fc.oneof(filter, fc.constant('#'))

const pattern = (filter: string): RegExp => {
  const source = filter
    .split('/')
    .map((part) => (part === '+' ? '[^/]*' : part === '#' ? '.*' : part))
    .join('/')
  return new RegExp(`^${source.replace(/\/\.\*$/, '(?:/.*)?')}$`)
}
const fits = (filter: string, topic: string): boolean => pattern(filter).test(topic)

/** Every topic of up to four levels of `a`, `b` and a stranger: what two filters of these levels can differ by. */
const WORLD = (() => {
  const levels = ['a', 'b', '', 'z']
  let last = levels
  const all = [...last]
  for (let i = 1; i < 4; i++) {
    last = last.flatMap((start) => levels.map((next) => `${start}/${next}`))
    all.push(...last)
  }
  return all.filter((one) => one !== '')
})()

describe('a topic and a filter', () => {
  test('fit by the naive matcher exactly where one covers the other', () => {
    fc.assert(
      fc.property(anyFilter, topic, (allowed, asked) => {
        fc.pre(asked !== '')
        expect(covers(allowed, asked)).toBe(fits(allowed, asked))
      }),
      { numRuns: 300 },
    )
  })

  test('a filter covers another when every topic of the world that fits that one fits it too', () => {
    fc.assert(
      fc.property(anyFilter, anyFilter, (allowed, asked) => {
        const [ours, theirs] = [pattern(allowed), pattern(asked)]
        const naive = WORLD.every((one) => !theirs.test(one) || ours.test(one))
        // `+/#` stands for all that `#` does, and is not known to: nothing is lost by it.
        if (covers(allowed, asked) || !asked.endsWith('#')) expect(covers(allowed, asked)).toBe(naive)
      }),
      { numRuns: 200 },
    )
  })

  test('two filters meet when there is a topic of the world that fits both; the tree of places agrees', () => {
    // `/#` and `+` would share the empty topic alone, which nobody can publish on: they meet all the same, which grants nobody more.
    const world = ['', ...WORLD]
    fc.assert(
      fc.property(anyFilter, fc.array(anyFilter, { maxLength: 5 }), (one, others) => {
        const tree = places<string>()
        for (const other of others) tree.add(other, other)
        const here = world.filter((topic) => fits(one, topic))
        const meeting = others.filter((other) => here.some((topic) => fits(other, topic)))
        expect(others.filter((other) => meet(one, other))).toEqual(meeting)
        expect([...tree.meeting(one)].sort()).toEqual([...new Set(meeting)].sort())
      }),
      { numRuns: 100 },
    )
  })
})

test.each([
  ['#', '$SYS/broker/uptime', false],
  ['+/broker', '$SYS/broker', false],
  ['$SYS/#', '$SYS/broker/uptime', true],
  ['a/#', 'a', true],
  ['a/+', 'a/#', false],
  ['a/+', 'a', false],
  ['+', '#', false],
])('%s covers %s: %s', (allowed, asked, yes) => expect(covers(allowed, asked)).toBe(yes))

test.each([
  ['a/b', true, true],
  ['/', true, true],
  ['a/+', false, true],
  ['#', false, true],
  ['a/#/b', false, false],
  ['a/b#', false, false],
  ['a+/b', false, false],
  ['', false, false],
  ['a\u0000b', false, false],
  ['a\nb', false, false],
  ['a\ud800', false, false],
  ['a'.repeat(65_536), false, false],
])('of a text it is known whether it is a topic, and whether a filter', (text, topic, filter) => {
  expect([isTopic(text), isFilter(text)]).toEqual([topic, filter])
})

test('a shared subscription hears what its filter does', () => {
  expect(unshared('$share/lintel-house/a/+')).toBe('a/+')
  expect(unshared('$share/+/a')).toBeUndefined()
  expect(unshared('$share/group')).toBeUndefined()
  expect(unshared('a/b')).toBeUndefined()
})
