import { validate, version } from 'uuid'
import { expect, test } from 'vitest'
import { scanOfRecord } from './records.ts'

const NOW = new Date('2026-03-02T08:00:00.000Z')
const NOW_S = NOW.getTime() / 1000
const record = { is: 'record', card: 'DE0BA996', decided: 'granted', key: '6w8keif5g6', vars: {}, reply: [] } as const
const scanOf = (more: object = {}, reader = 'door', now = NOW) => scanOfRecord(reader, { ...record, ...more }, now)

test('the same record is the same scan whenever it comes', () => {
  const first = scanOf()
  expect(first).toEqual({ id: first.id, readerId: 'door', card: 'DE0BA996', at: NOW.toISOString(), decided: 'granted' })
  expect([validate(first.id), version(first.id)]).toEqual([true, 5])
  expect(scanOf({}, 'door', new Date()).id).toBe(first.id)
})

test.each([
  ['with another key', { key: '6w8keif5g7' }, 'door'],
  ['of another reader', {}, 'gate'],
  ['of another card', { card: '045E0AB2C34D80' }, 'door'],
  ['of another time, as after a reset', { time: NOW_S - 60 }, 'door'],
])('one %s is another scan', (_, more, reader) => {
  expect(scanOf(more, reader).id).not.toBe(scanOf().id)
})

test('one that cannot be known again is a scan of its own each time', () => {
  expect(scanOf({ key: undefined }).id).not.toBe(scanOf({ key: undefined }).id)
})

const DAY_S = 24 * 3600
test.each([
  ['just now', 0, true],
  ['an hour ago', 3600, true],
  ['thirty days ago', 30 * DAY_S, true],
  ['longer ago', 30 * DAY_S + 1, false],
  ['in the future', -1, false],
  ['in 1970', NOW_S, false],
  ['at a time that no calendar has', -9e15, false],
])('a device that says it was %s is believed or not: dated by it, or now', (_, ago, believed) => {
  const told = believed ? new Date((NOW_S - ago) * 1000) : NOW
  expect(scanOf({ time: NOW_S - ago }).at).toBe(told.toISOString())
})
