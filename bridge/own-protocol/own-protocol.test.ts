import { createSecretKey, randomBytes, randomUUID } from 'node:crypto'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { sealingKey } from '../../api/contract/envelope.ts'
import { keyBox } from '../../api/contract/reader-keys.ts'
import type { SiteReader } from '../../api/contract/site.ts'
import type { Log } from '../log.ts'
import { readerOf } from '../testing/reader.ts'
import { openCounters } from './counters.ts'
import { answerText, macOf, readSaid, scanText } from './message.ts'
import { isOnRecordSince, ownProtocol } from './own-protocol.ts'

const folder = mkdtempSync(join(tmpdir(), 'lintel-own-'))
const BRIDGE = sealingKey(randomBytes(32))
const NOW = new Date('2026-01-01T12:00:00Z')
const SECONDS = NOW.getTime() / 1000
const [OLD, KEY, OTHER] = [randomBytes(32), randomBytes(32), randomBytes(32)]
const later = (ms: number) => new Date(NOW.getTime() + ms)

const signing = (keys?: Uint8Array[], name = 'front'): SiteReader => {
  const id = name === 'front' ? '0198c0de-0000-7000-8000-000000000002' : '0198c0de-0000-7000-8000-000000000003'
  return readerOf({
    id,
    name,
    profile: 'lintel',
    topic: `lintel/reader/${name}/scan`,
    cardView: 'hex',
    ...(keys && { keys: keys.map((key) => keyBox(BRIDGE).lock(key, id)) }),
  })
}

type Scan = { id?: string; time?: string | number; counter?: number; card?: string; pin?: string }
const scanOf = (scan: Scan, key?: Uint8Array, topic = signing().topic) => {
  const whole = { id: randomUUID(), time: SECONDS, counter: 1, card: 'DE0BA996', ...scan }
  const read = readSaid(Buffer.from(JSON.stringify(whole)))
  const mac = key && read && macOf(scanText(topic, read), createSecretKey(key))
  return Buffer.from(JSON.stringify({ ...whole, ...(mac && { mac }) }))
}

let files = 0
const started = (readers: SiteReader[], { file = `counters-${++files}`, log = (() => {}) as Log } = {}) => {
  const counters = openCounters(join(folder, file))
  const own = ownProtocol(BRIDGE, counters, log)
  own.use(readers)
  const hears = (payload: Buffer, at: { reader?: SiteReader; topic?: string; now?: Date; waited?: number } = {}) => {
    const { reader = readers[0], now = NOW, waited = 0 } = at
    if (!reader) throw new Error('no reader')
    const believed = own.believe(reader, { topic: at.topic ?? reader.topic, payload }, now, waited)
    return 'refused' in believed ? believed.refused : 'believed'
  }
  return { own, hears, counters }
}

test('a reader with a key is believed what it signs, and nothing else', () => {
  const { hears } = started([signing([KEY]), signing([OTHER], 'back')])
  expect(hears(scanOf({}, KEY))).toBe('believed')
  expect(hears(scanOf({ counter: 2 }))).toBe('unsigned')
  expect(hears(scanOf({ counter: 2 }, OTHER))).toBe('wrong_signature')
  expect(hears(Buffer.from('DE0BA996'))).toBe('malformed')
  const elsewhere = scanOf({ counter: 2 }, KEY)
  expect(hears(elsewhere, { reader: signing([OTHER], 'back') })).toBe('wrong_signature')
  expect(hears(elsewhere, { topic: 'lintel/reader/back/scan' })).toBe('wrong_signature')
})

test('whatever is changed in what was signed, it is not believed', () => {
  const { hears } = started([signing([KEY])])
  const signed = JSON.parse(scanOf({ pin: '0042' }, KEY).toString())
  const changes = [
    { id: randomUUID() },
    { time: SECONDS + 1 },
    { time: NOW.toISOString() },
    { counter: 2 },
    { card: 'DE0BA997' },
    { pin: '0043' },
    { pin: undefined },
    { mac: signed.mac.replace(/^./, (letter: string) => (letter === 'A' ? 'B' : 'A')) },
    { mac: `${signed.mac}=` },
  ]
  for (const change of changes) {
    expect(hears(Buffer.from(JSON.stringify({ ...signed, ...change })))).toBe('wrong_signature')
  }
  expect(hears(Buffer.from(JSON.stringify(signed)))).toBe('believed')
})

test('a key that cannot be read makes no reader one without a key', () => {
  const reader = { ...signing([KEY]), keys: ['AAAA', keyBox(sealingKey(randomBytes(32))).lock(KEY, signing().id)] }
  const { hears } = started([reader])
  expect(hears(scanOf({}))).toBe('unsigned')
  expect(hears(scanOf({}, KEY))).toBe('wrong_signature')
})

test('a reader without a key is believed unsigned, whatever MAC it sends', () => {
  const { hears } = started([signing()])
  expect(hears(scanOf({}))).toBe('believed')
  expect(hears(scanOf({ counter: 2 }, OTHER))).toBe('believed')
})

test.for([
  [-30_000, 'believed'],
  [-30_001, 'too_old'],
  [30_000, 'believed'],
  [30_001, 'too_old'],
] as const)('a scan of %i ms from now: %s', ([ms, expected]) => {
  for (const keys of [undefined, [KEY]]) {
    const { hears } = started([signing(keys)])
    expect(hears(scanOf({ time: later(ms).toISOString() }, keys && KEY))).toBe(expected)
  }
})

test('what waited at the broker may be as much older, so that it is recorded as late; it may not be newer', () => {
  const { hears } = started([signing([KEY])])
  const hour = 3_600_000
  expect(hears(scanOf({ time: SECONDS - 3_600 }, KEY), { waited: hour - 31_000 })).toBe('too_old')
  expect(hears(scanOf({ time: SECONDS - 3_600, counter: 1 }, KEY), { waited: hour })).toBe('believed')
  expect(hears(scanOf({ time: SECONDS - 9e6, counter: 2 }, KEY), { waited: Infinity })).toBe('believed')
  expect(hears(scanOf({ time: SECONDS + 31, counter: 3 }, KEY), { waited: Infinity })).toBe('too_old')
})

test('a counter that did not grow is a replay, however new the rest is', () => {
  const { hears } = started([signing([KEY])])
  expect(hears(scanOf({ counter: 5 }, KEY))).toBe('believed')
  for (const counter of [5, 4, 0]) expect(hears(scanOf({ counter }, KEY))).toBe('replayed')
  expect(hears(scanOf({ counter: 6 }, KEY))).toBe('believed')
})

test('the very same scan is believed again for 2 s and has the same id, and then it is a replay', () => {
  const clock = vi.spyOn(performance, 'now').mockReturnValue(1_000)
  const reader = signing([KEY])
  const { own } = started([reader])
  const payload = scanOf({ pin: '0042' }, KEY)
  const hear = (bytes: Buffer) => own.believe(reader, { topic: reader.topic, payload: bytes }, NOW, 0)
  const first = hear(payload)
  expect(first).toEqual({ id: expect.any(String) })
  clock.mockReturnValue(2_999)
  expect(hear(payload)).toEqual(first)
  const pin = { ...JSON.parse(payload.toString()), pin: '0043', mac: undefined }
  expect(hear(scanOf(pin, KEY))).toEqual({ refused: 'replayed' })
  clock.mockReturnValue(3_001)
  expect(hear(payload)).toEqual({ refused: 'replayed' })
  clock.mockRestore()
})

test('what was refused moves no counter: nobody can make a reader unheard', () => {
  const { hears } = started([signing([KEY])])
  expect(hears(scanOf({ counter: 900 }))).toBe('unsigned')
  expect(hears(scanOf({ counter: 900 }, OTHER))).toBe('wrong_signature')
  expect(hears(scanOf({ counter: 900, time: SECONDS + 3_600 }, KEY))).toBe('too_old')
  expect(hears(scanOf({ counter: 1 }, KEY))).toBe('believed')
})

test('without a key a counter may begin anew after a minute; with one it never does', () => {
  for (const keys of [undefined, [KEY]]) {
    const { hears } = started([signing(keys)])
    const scan = (counter: number, ms: number) =>
      hears(scanOf({ counter, time: later(ms).toISOString() }, keys && KEY), { now: later(ms) })
    expect([scan(900, 0), scan(1, 59_000), scan(1, 61_000)]).toEqual([
      'believed',
      'replayed',
      keys ? 'replayed' : 'believed',
    ])
  }
})

test('a new key begins anew, ends the old one at once, and does not bring back what that one had signed', () => {
  const { own, hears } = started([signing([OLD])])
  const captured = scanOf({ counter: 901 }, OLD)
  expect(hears(scanOf({ counter: 900 }, OLD))).toBe('believed')
  own.use([signing([KEY])])
  expect(hears(captured)).toBe('wrong_signature')
  expect(hears(scanOf({ counter: 1 }, KEY))).toBe('believed')
})

test('while APP_KEY is being replaced a reader is believed with either key, and answered with the one it showed', () => {
  const reader = signing([KEY, OLD])
  const { own, hears } = started([reader])
  const answer = { id: randomUUID(), decision: 'granted', reason: 'granted', openMs: 3000, expires: SECONDS + 3 }
  const topic = 'lintel/reader/front/answer'
  const mac = () => JSON.parse(own.sign(reader, { topic, payload: JSON.stringify(answer), qos: 1 }).payload).mac
  const macBy = (key: Uint8Array) => macOf(answerText(topic, answer), createSecretKey(key))
  expect(hears(scanOf({ counter: 1 }, OLD))).toBe('believed')
  expect(mac()).toBe(macBy(OLD))
  expect(hears(scanOf({ counter: 1 }, KEY))).toBe('believed')
  expect(mac()).toBe(macBy(KEY))
})

test('an answer says its end for people too, and is signed only for a reader with a key', () => {
  const { own } = started([signing(), signing([KEY], 'back')])
  const answer = { id: randomUUID(), decision: 'denied', reason: 'no_rule', openMs: 0, expires: SECONDS + 3 }
  const dressed = (reader: SiteReader) =>
    JSON.parse(own.sign(reader, { topic: 'a', payload: JSON.stringify(answer), qos: 1 }).payload)
  expect(dressed(signing())).toEqual({ ...answer, expiresAt: '2026-01-01T12:00:03.000Z' })
  expect(dressed(signing([KEY], 'back')).mac).toMatch(/^[\w-]{43}$/)
})

test('counters outlive the bridge', async () => {
  const before = started([signing([KEY])], { file: 'kept' })
  expect(before.hears(scanOf({ counter: 5 }, KEY))).toBe('believed')
  before.counters.close()
  const after = started([signing([KEY])], { file: 'kept' })
  expect(after.hears(scanOf({ counter: 5 }, KEY))).toBe('replayed')
  expect(after.hears(scanOf({ counter: 6 }, KEY))).toBe('believed')
})

test('what is refused is said once a minute, with the reader and the reason and nothing of the scan', () => {
  const said: unknown[] = []
  const { hears } = started([signing([KEY])], { log: (...line) => said.push(line) })
  for (let i = 0; i < 50; i += 1) hears(scanOf({ counter: i + 1, card: 'C0FFEE00', pin: '4321' }))
  hears(scanOf({}, OTHER))
  expect(said).toEqual([
    ['warn', 'refused', { reader: signing().id, refused: 'unsigned' }],
    ['warn', 'refused', { reader: signing().id, refused: 'wrong_signature' }],
  ])
})

test.for([
  [3_000, false],
  [1_500, false],
  [900, true],
  [-20_000, true],
] as const)(
  'an answer that ends %i ms after its scan arrived is of a scan that was on record: %s',
  ([ms, expected]) => {
    expect(isOnRecordSince(NOW.toISOString(), later(ms).toISOString())).toBe(expected)
  },
)
