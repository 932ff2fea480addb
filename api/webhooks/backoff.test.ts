import { expect, test } from 'vitest'
import { waitAfter } from './backoff.ts'

test('eight tries: each wait is longer than the one before, and after the eighth there is none', () => {
  const waits = [1, 2, 3, 4, 5, 6, 7, 8, 9].map(waitAfter)
  expect(waits).toEqual([5_000, 30_000, 120_000, 600_000, 3_600_000, 21_600_000, 86_400_000, undefined, undefined])
})
