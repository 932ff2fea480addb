import { expect, test } from 'vitest'
import { traceOf } from '../api/contract/trace.ts'
import { newTrace, traceparent } from './trace.ts'

test('each trace is another one, and what is sent of it is what the API reads', () => {
  const traces = Array.from({ length: 1_000 }, newTrace)
  const sent = traces.map(traceparent)
  expect(new Set(traces).size).toBe(1_000)
  expect(new Set(sent.map((header) => header.slice(36, 52))).size).toBe(1_000)
  expect(sent.map(traceOf)).toEqual(traces)
})
