import { spawnSync } from 'node:child_process'
import { createSecretKey } from 'node:crypto'
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Answered, answerText, macOf, readSaid, type Said, sameMac, scanIdOf, scanText } from './message.ts'

// The vectors are in the README too, and in the examples: whoever writes firmware tests by them.

const KEY = createSecretKey(Buffer.from(Array.from({ length: 32 }, (_, i) => i)))
const TOPIC = 'lintel/reader/front-door/scan'
const ANSWERS = 'lintel/reader/front-door/answer'
const SCAN = {
  id: '0b1f4c1e-8d52-4f0a-9a53-5f9c3a2e7d10',
  time: 1767225600 as number | string,
  counter: 1767225600000,
  card: 'DE0BA996',
}
const ANSWER: Answered = { id: SCAN.id, decision: 'granted', reason: 'granted', openMs: 3000, expires: 1767225603 }
const SCAN_MAC = 'c3MvWIbziRvrGYZnU9KuNRZPJQ84z0rKWVcNKTTvs3I'
const ANSWER_MAC = 'FPojFVcXqEj4N0ZTwyxvH5kcmZEBrl3WdYFkVZ8beYM'

const said = (scan: object): Said => {
  const read = readSaid(Buffer.from(JSON.stringify(scan)))
  if (!read) throw new Error('not a scan')
  return read
}
const scanMac = (scan: object, topic = TOPIC) => macOf(scanText(topic, said(scan)), KEY)

test.for([
  ['a card, Unix seconds', SCAN, SCAN_MAC],
  [
    'a card and a PIN, RFC 3339',
    { ...SCAN, time: '2026-01-01T01:00:00+01:00', counter: 7, pin: '0042' },
    'SfaIAVwz_XaFOGAjOp_7m6DIxTE6F9lGm0VqfIJ4LZ4',
  ],
] as const)('the MAC of a scan is as the README prints it: %s', ([, scan, mac]) => {
  expect(scanMac(scan)).toBe(mac)
})

test.for([
  ['granted', ANSWER, ANSWER_MAC],
  [
    'denied',
    { ...ANSWER, decision: 'denied', reason: 'outside_schedule', openMs: 0 },
    'iyIR6Cc6HZyB_SKRCrTlfZAX-5mb9jSyj5G90VY7RFo',
  ],
] as const)('the MAC of an answer is as the README prints it: %s', ([, answer, mac]) => {
  expect(macOf(answerText(ANSWERS, answer), KEY)).toBe(mac)
})

const EXAMPLE = 'bridge/profiles/examples/micropython.py'
// Where it is not there the vectors above still hold; CI has it, and there it is never skipped.
const hasPython = process.env['CI'] === 'true' || spawnSync('python3', ['--version']).status === 0

test.skipIf(!hasPython)('the MicroPython example signs by the vectors, and opens for a good answer once', () => {
  const proof = `
import sys
src = open(${JSON.stringify(EXAMPLE)}).read()
ns = {"__name__": "example"}
exec(src, ns)
key = ns["key_from"]("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8")
reader = ns["Reader"](${JSON.stringify(TOPIC)}, key)
print(reader.scan("DE0BA996", now=1767225600, id=${JSON.stringify(SCAN.id)}))
for mac in ("wrong", sys.argv[1], sys.argv[1]):
    answer = ns["json"].dumps({"id": ${JSON.stringify(SCAN.id)}, "decision": "granted", "reason": "granted",
        "openMs": 3000, "expires": 1767225603, "mac": mac})
    print(reader.opens_for(${JSON.stringify(ANSWERS)}, answer, now=1767225601, ms=900))
`
  const { stdout, stderr } = spawnSync('python3', ['-c', proof, ANSWER_MAC], { encoding: 'utf8' })
  const [scan = '', ...opened] = stdout.trim().split('\n')
  expect({ stderr, opened }).toEqual({ stderr: '', opened: ['0', '3000', '0'] })
  expect(JSON.parse(scan)).toEqual({ ...SCAN, mac: SCAN_MAC })
})

test.for(['micropython.py', 'esphome-lintel.h'])('the example %s signs the words that the bridge signs', (file) => {
  const text = readFileSync(`bridge/profiles/examples/${file}`, 'utf8')
  for (const word of ['lintel-scan-1', 'lintel-answer-1']) expect(text).toContain(`"${word}"`)
})

const uuid = fc.uuid({ version: [4, 7] })
const card = fc.string({ minLength: 1, maxLength: 40 }).filter((text) => !/\p{Cc}|\p{Cs}/u.test(text))
const scans = fc.record({
  id: uuid,
  time: fc.oneof(
    fc.integer({ min: 0, max: 4e9 }),
    fc
      .date({ min: new Date('1970-01-02'), max: new Date('2199-01-01'), noInvalidDate: true })
      .map((d) => d.toISOString()),
  ),
  counter: fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
  card,
  pin: fc.stringMatching(/^\d{0,16}$/),
})
const topics = fc.stringMatching(/^[a-z0-9/]{1,20}$/).map((base) => `${base}/scan`)

test('property: two scans that differ in anything have two MACs, and so has the same scan on two topics', () => {
  const key = (scan: object, topic: string) => JSON.stringify([said(scan), topic])
  fc.assert(
    fc.property(
      scans,
      scans,
      fc.constantFrom('id', 'time', 'counter', 'card', 'pin', 'topic'),
      topics,
      topics,
      (one, two, field, here, there) => {
        const other = field === 'topic' ? one : { ...one, [field]: two[field as keyof typeof two] }
        const where = field === 'topic' ? there : here
        expect(scanMac(other, where) === scanMac(one, here)).toBe(key(other, where) === key(one, here))
      },
    ),
    { numRuns: 300 },
  )
})

test('property: a change to any field of an answer changes its MAC', () => {
  const text = fc.stringMatching(/^[a-z_]{1,12}$/)
  const answers = fc.record({ id: uuid, decision: text, reason: text, openMs: fc.nat(), expires: fc.nat() })
  fc.assert(
    fc.property(
      answers,
      answers,
      fc.constantFrom('id', 'decision', 'reason', 'openMs', 'expires'),
      (one, two, field) => {
        const other = { ...one, [field]: two[field as keyof typeof two] }
        const same = other[field as keyof typeof other] === one[field as keyof typeof one]
        expect(macOf(answerText(ANSWERS, other), KEY) === macOf(answerText(ANSWERS, one), KEY)).toBe(same)
      },
    ),
  )
})

test('property: no scan can have the text of an answer, whatever its fields and topic are', () => {
  fc.assert(
    fc.property(scans, topics, topics, (scan, topic, other) => {
      const answer = { id: scan.id, decision: 'granted', reason: scan.card, openMs: scan.counter, expires: 1 }
      const text = scanText(topic, said(scan))
      expect(text.split('\n')).toHaveLength(7)
      expect(text.startsWith('lintel-scan-1\n')).toBe(true)
      expect(text).not.toBe(answerText(other, answer))
    }),
  )
})

test('property: whatever the bytes, reading them ends, and what is read can be signed without a doubt', () => {
  const json = fc.json().map(Buffer.from)
  const nearly = fc
    .record(
      {
        id: fc.oneof(uuid, fc.string()),
        time: fc.jsonValue(),
        counter: fc.jsonValue(),
        card: fc.jsonValue(),
        pin: fc.jsonValue(),
        mac: fc.jsonValue(),
      },
      { requiredKeys: [] },
    )
    .map((scan) => Buffer.from(JSON.stringify(scan)))
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array().map(Buffer.from), json, nearly), (bytes) => {
      const read = readSaid(bytes)
      if (read) expect(scanText('a/b/scan', read).split('\n')).toHaveLength(7)
    }),
    { numRuns: 500 },
  )
})

test.for([
  ['no JSON', 'DE0BA996'],
  ['an array', '[]'],
  ['nothing', 'null'],
  ['no id', { id: undefined }],
  ['an id that is no UUID', { id: 'front-door-1' }],
  ['an id of version 1', { id: '0b1f4c1e-8d52-1f0a-9a53-5f9c3a2e7d10' }],
  ['no time', { time: undefined }],
  ['a time of milliseconds with a fraction', { time: 1767225600.5 }],
  ['a time before 1970', { time: -1 }],
  ['a time that the calendar does not have', { time: '2026-02-30T00:00:00Z' }],
  ['a time without an offset', { time: '2026-01-01T00:00:00' }],
  ['a time with a line feed', { time: '2026-01-01T00:00:00Z\n' }],
  ['no counter', { counter: undefined }],
  ['a counter below nothing', { counter: -1 }],
  ['a counter that is text', { counter: '7' }],
  ['a counter beyond what is exact', { counter: 2 ** 53 }],
  ['a card with a line feed', { card: 'DE0B\nA996' }],
  ['a card that is a number', { card: 6159760 }],
  ['a card that is too long', { card: 'A'.repeat(129) }],
  ['neither a card nor a PIN', { card: undefined }],
  ['a PIN that is a number', { pin: 42 }],
  ['a PIN with letters', { pin: '42a' }],
  ['a MAC that is no text', { mac: 1 }],
] as const)('%s: no message of this protocol', ([, change]) => {
  const payload = typeof change === 'string' ? change : JSON.stringify({ ...SCAN, ...change })
  expect(readSaid(Buffer.from(payload))).toBeUndefined()
})

test('a PIN alone is one, and fields that nobody knows yet are not looked at', () => {
  expect(said({ ...SCAN, card: undefined, pin: '0042' })).toMatchObject({ card: '', pin: '0042' })
  expect(scanMac({ ...SCAN, battery: 97 })).toBe(SCAN_MAC)
})

test('MACs are the same only when they are, to the letter', () => {
  expect(sameMac(SCAN_MAC, SCAN_MAC)).toBe(true)
  for (const other of [
    '',
    SCAN_MAC.slice(1),
    `${SCAN_MAC}=`,
    SCAN_MAC.replace(/I$/, 'J'),
    ANSWER_MAC,
    'ß'.repeat(43),
  ]) {
    expect(sameMac(SCAN_MAC, other)).toBe(false)
  }
})

const READER = '0198c0de-0000-7000-8000-000000000002'
const OTHER = '0198c0de-0000-7000-8000-000000000003'

test('a scan has one id wherever it arrives, and another one than every other scan; the PIN is not in it', () => {
  const id = scanIdOf(READER, said(SCAN))
  expect(id).toBe('019b76da-a800-7b7c-b160-d460116d6c53')
  expect(scanIdOf(READER, said({ ...SCAN, id: SCAN.id.toUpperCase(), pin: '1234' }))).toBe(id)
  const others = [{ time: 1767225601 }, { counter: 1 }, { card: 'DE0BA997' }, { id: crypto.randomUUID() }]
  const ids = [scanIdOf(OTHER, said(SCAN)), ...others.map((change) => scanIdOf(READER, said({ ...SCAN, ...change })))]
  expect(new Set([id, ...ids]).size).toBe(6)
})

test('property: every id of a scan is a UUID of version 7', () => {
  fc.assert(
    fc.property(scans, (scan) => {
      expect(scanIdOf(READER, said(scan))).toMatch(
        /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
      )
    }),
  )
})
