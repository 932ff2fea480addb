import { expect, test } from 'vitest'
import { traceOf } from './trace.ts'

const TRACE = '0af7651916cd43dd8448eb211c80319c'

test.each([
  [`00-${TRACE}-b7ad6b7169203331-01`, TRACE],
  [`00-${TRACE}-b7ad6b7169203331-00`, TRACE],
  ['', undefined],
  [`01-${TRACE}-b7ad6b7169203331-01`, undefined],
  [`ff-${TRACE}-b7ad6b7169203331-01`, undefined],
  [`00-${TRACE.toUpperCase()}-b7ad6b7169203331-01`, undefined],
  [`00-${'0'.repeat(32)}-b7ad6b7169203331-01`, undefined],
  [`00-${TRACE}-0000000000000000-01`, undefined],
  [`00-${TRACE}-b7ad6b7169203331-01-more`, undefined],
  [`00-${TRACE}-b7ad6b7169203331`, undefined],
  [` 00-${TRACE}-b7ad6b7169203331-01`, undefined],
  [`00-${TRACE}-b7ad6b7169203331-01\n`, undefined],
])('%j belongs to the trace %s', (header, trace) => {
  expect(traceOf(header)).toBe(trace)
})
