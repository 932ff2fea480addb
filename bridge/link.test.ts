import { expect, test } from 'vitest'
import { Refused } from './ask.ts'
import { linkToApi } from './link.ts'

test.each([
  ['a connection that fails', new Error('ECONNREFUSED'), 'down', true],
  ['no answer in time', new Error('Late'), 'down', true],
  ['a bad seal', new Error('a bad seal'), 'down', true],
  ['a failure of its own', new Refused(500), 'down', true],
  ['a database that is away', new Refused(503), 'down', true],
  ['too much at once', new Refused(429), 'down', true],
  ['a key that it does not know', new Refused(401), 'refused', false],
  ['something that is not allowed', new Refused(403), 'refused', false],
  ['a message that it has something against', new Refused(422), 'up', false],
] as const)(
  'after %s the link is as it should be, and the bridge decides itself only when nobody could be asked',
  (_, error, state, alone) => {
    const told: string[] = []
    const link = linkToApi((now) => told.push(now))
    expect(link.failed(error)).toBe(alone)
    expect(link.state()).toBe(state)
    link.up()
    link.up()
    expect(link.state()).toBe('up')
    expect(told).toEqual(state === 'up' ? [] : [state, 'up'])
  },
)
