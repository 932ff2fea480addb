import { createSecretKey, type KeyObject, randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, expect, onTestFinished, test, vi } from 'vitest'
import { KNOWN_CARD, type Site, startSite } from '../testing/site.ts'
import { type Answered, answerText, macOf, readSaid, scanText } from './message.ts'

// Lintel's own protocol, as a reader would speak it through a broker.

let site: Site
let front: Reader
let back: Reader
let plain: Reader

const eventually = <T>(check: () => T | Promise<T>) => vi.waitFor(check, { timeout: 10_000, interval: 20 })

type Reader = { id: string; topic: string; answers: string; heard: string[]; key: KeyObject | undefined }
type Answer = Answered & { expiresAt: string; mac?: string }
type Scan = { id: string; time: number; counter: number; card: string; pin?: string; mac?: string }

let counter = 0
const scanOf = (card: string, more: Partial<Scan> = {}): Scan => {
  counter += 10
  return { id: randomUUID(), time: Math.floor(Date.now() / 1000), counter, card, ...more }
}
const macFor = ({ topic, key }: Pick<Reader, 'topic' | 'key'>, scan: Scan) => {
  const said = readSaid(Buffer.from(JSON.stringify(scan)))
  return said && key ? macOf(scanText(topic, said), key) : ''
}
const signed = (reader: Reader, scan: Scan): Scan => ({ ...scan, mac: macFor(reader, scan) })
const publish = ({ topic }: Reader, message: object | string) =>
  site.mqtt.publishAsync(topic, JSON.stringify(message), { qos: 1 })
const answersTo = ({ heard }: Reader, { id }: Scan): Answer[] =>
  heard.map((text): Answer => JSON.parse(text)).filter((answer) => answer.id === id)
const answerTo = (reader: Reader, scan: Scan): Promise<Answer> =>
  eventually(() => {
    const [answer] = answersTo(reader, scan)
    if (!answer) throw new Error('not answered yet')
    return answer
  })
/** Asks, and gives the answer when it is there. */
const ask = async (reader: Reader, scan: Scan): Promise<Answer> => {
  await publish(reader, scan)
  return answerTo(reader, scan)
}
const recorded = async ({ id }: Reader) =>
  (await site.call('GET', `/events?readerId=${id}&limit=500`)).items.map((event) => event['cardNumber'])

const newKey = async (id: string): Promise<KeyObject> => {
  const { key } = await site.call('POST', `/readers/${id}/key`)
  return createSecretKey(Buffer.from(String(key), 'base64url'))
}

const add = async (name: string, hasKey: boolean): Promise<Reader> => {
  const base = name === 'front' ? `lintel/reader/${randomUUID()}` : `site/${randomUUID()}/${name}`
  const topic = `${base}/scan`
  const { id } = await site.call('POST', '/readers', { name, profile: 'lintel', topic, cardView: 'decimal' })
  const key = hasKey ? await newKey(id) : undefined
  return { id, topic, answers: `${base}/answer`, heard: await site.hear(`${base}/answer`), key }
}

beforeAll(async () => {
  site = await startSite()
  front = await add('front', true)
  back = await add('back', true)
  plain = await add('plain', false)
  const { items } = await site.call('GET', '/groups')
  await site.call('POST', '/rules', { groupId: items[0]?.['id'], readerIds: [front.id, back.id, plain.id] })
  // Made last, so that when the bridge listens to it, it listens to all of them.
  await site.door({})
})

test('a signed scan opens, is on record, and its answer is signed and says until when it is good', async () => {
  const scan = signed(front, scanOf(KNOWN_CARD))
  const answer = await ask(front, scan)
  expect(answer).toEqual({
    id: scan.id,
    decision: 'granted',
    reason: 'granted',
    openMs: 3000,
    expires: expect.any(Number),
    expiresAt: new Date(answer.expires * 1000).toISOString(),
    mac: front.key && macOf(answerText(front.answers, answer), front.key),
  })
  expect(Math.abs(answer.expires * 1000 - Date.now())).toBeLessThan(10_000)
  expect(await recorded(front)).toEqual([KNOWN_CARD])
})

test('who may not pass gets a signed refusal with the reason', async () => {
  const answer = await ask(front, signed(front, scanOf('4242')))
  expect(answer).toMatchObject({ decision: 'denied', reason: 'unknown_card', openMs: 0 })
  expect(answer.mac).toBe(front.key && macOf(answerText(front.answers, answer), front.key))
})

test('the same message twice is answered twice and recorded once; another of the same card has its own answer', async () => {
  const scan = signed(back, scanOf(KNOWN_CARD))
  const next = signed(back, scanOf(KNOWN_CARD))
  await Promise.all([publish(back, scan), publish(back, scan), publish(back, next)])
  const second = await answerTo(back, next)
  const [one, two] = answersTo(back, scan)
  expect(two).toEqual(one)
  expect([one?.decision, second.decision, second.expires]).toEqual(['granted', 'granted', one?.expires])
  expect(await recorded(back)).toEqual([KNOWN_CARD])
})

test.each([
  ['unsigned', () => scanOf('1')],
  ['signed with another reader’s key', () => signed({ ...back, topic: front.topic }, scanOf('2'))],
  ['signed for another reader’s topic', () => signed(back, scanOf('3'))],
  ['changed after it was signed', (): object => ({ ...signed(front, scanOf('4')), card: KNOWN_CARD })],
  ['31 s old', () => signed(front, scanOf('5', { time: Math.floor(Date.now() / 1000) - 31 }))],
  ['dated 32 s ahead', () => signed(front, scanOf('6', { time: Math.floor(Date.now() / 1000) + 32 }))],
  ['with a counter from before', () => signed(front, scanOf(KNOWN_CARD, { counter: 5 }))],
  ['without an id', () => ({ ...signed(front, scanOf('7')), id: undefined })],
  ['the card alone', () => 'x'],
  ['one of Lintel’s own answers', () => JSON.parse(front.heard[0] ?? '{}')],
] satisfies [string, () => object | string][])(
  '%s: no answer, no opening, nothing on record; and the reader is heard on',
  async (_, message) => {
    const [before, answers] = [await recorded(front), front.heard.length]
    await publish(front, message())
    const card = String(9_000 + counter)
    await ask(front, signed(front, scanOf(card)))
    expect(front.heard).toHaveLength(answers + 1)
    expect(await recorded(front)).toEqual([card, ...before])
  },
)

test('a reader without a key needs none, and gets no MAC; what is old or was there before is refused all the same', async () => {
  const scan = scanOf(KNOWN_CARD)
  expect(await ask(plain, scan)).toMatchObject({ decision: 'granted' })
  await publish(plain, scanOf('1', { time: Math.floor(Date.now() / 1000) - 31 }))
  await publish(plain, scanOf('2', { counter: scan.counter }))
  expect(await ask(plain, scanOf('3'))).not.toHaveProperty('mac')
  expect(await recorded(plain)).toEqual(['3', KNOWN_CARD])
})

test('a bridge that was killed knows the counters; one that knows nothing leaves a scan as it is on record', async () => {
  const scan = signed(back, scanOf('51'))
  await ask(back, scan)
  site.bridge.child.kill('SIGKILL')
  await site.startBridge().said(/"listening"/)
  await publish(back, scan)
  await ask(back, signed(back, scanOf('52')))
  expect(answersTo(back, scan)).toHaveLength(1)

  const known = signed(back, scanOf('53'))
  await ask(back, known)
  const asked = performance.now()
  site.bridge.child.kill('SIGKILL')
  const elsewhere = await mkdtemp(join(tmpdir(), 'lintel-elsewhere-'))
  onTestFinished(() => rm(elsewhere, { recursive: true, force: true }))
  await site.startBridge({ DATA_DIR: elsewhere }).said(/"listening"/)
  await new Promise((done) => setTimeout(done, Math.max(0, 2_200 - (performance.now() - asked))))
  await publish(back, known)
  await ask(back, signed(back, scanOf('54')))
  await site.bridge.said(/"dropped",[^}]*"replayed":1/)
  expect(answersTo(back, known)).toHaveLength(1)
  expect((await recorded(back)).slice(0, 4)).toEqual(['54', '53', '52', '51'])
})

test('a new key ends the old one', async () => {
  const old = front.key
  front.key = await newKey(front.id)
  const started = counter
  // With the next look of the bridge at its site, every other second.
  const patience = { timeout: 15_000, interval: 50 }
  await vi.waitFor(async () => {
    const scan = signed(front, scanOf('61'))
    await publish(front, scan)
    await vi.waitFor(() => expect(answersTo(front, scan)).toHaveLength(1), { timeout: 500, interval: 20 })
  }, patience)
  expect(counter).toBeGreaterThan(started)
  const before = front.heard.length
  await publish(front, signed({ ...front, key: old }, scanOf(KNOWN_CARD)))
  await ask(front, signed(front, scanOf('62')))
  expect(front.heard).toHaveLength(before + 1)
})
