import { expect, test } from 'vitest'
import { sealingKey } from '../api/contract/envelope.ts'
import type { HandedOver } from '../api/contract/hand-over.ts'
import { type Api, askAboutScan, askForSite, askForSnapshot, handOver } from './ask.ts'
import { apiClock } from './clock.ts'
import { answerAt } from './testing/answers.ts'

const ID = '018f4dcd-1111-7000-8000-000000000001'
const KEY = sealingKey(new Uint8Array(32).fill(7))
const NOW = () => new Date().toISOString()

const event: HandedOver = {
  id: '018f4dcd-1111-7000-8000-000000000002',
  readerId: '018f4dcd-1111-7000-8000-000000000003',
  card: '6159760',
  at: NOW(),
  reason: 'unavailable',
  openMs: 0,
  answered: true,
}

const ASKS: [string, (api: Api) => Promise<unknown>][] = [
  ['the site', (api) => askForSite(api, undefined)],
  ['a page of the facts', (api) => askForSnapshot(api, undefined)],
  ['a hand-over', (api) => handOver(api, [event])],
]

/** An API that gives its first answer to everything, sealed anew and with the first question's mark. */
const first: { nonce?: unknown } = {}
const marked = (asked: Record<string, unknown>, answer: Record<string, unknown>) => {
  first.nonce ??= asked['nonce']
  return { ...answer, nonce: first.nonce }
}
const api = await answerAt(
  { id: ID, key: KEY, clock: apiClock() },
  {
    config: (asked) => marked(asked, { version: 'v', now: NOW(), snapshot: 's' }),
    snapshot: (asked) => marked(asked, { version: 'v', now: NOW(), rows: [] }),
    events: (asked) => marked(asked, { recorded: 1 }),
  },
)

test.each(ASKS)('the true answer to another question is no answer to %s', async (_, ask) => {
  first.nonce = undefined
  await ask(api)
  await expect(ask(api)).rejects.toThrow('another question')
})

test.each([
  ['granted', 'granted', true],
  ['denied', 'no_rule', true],
  ['denied', 'reader_granted', true],
  ['denied', 'reader_denied', true],
  ['granted', 'no_rule', false],
  ['granted', 'reader_granted', false],
  ['denied', 'granted', false],
] as const)('an answer that is %s for the reason %s is one: %s', async (decision, reason, good) => {
  const scan = { id: event.id, readerId: event.readerId, card: event.card, at: NOW() }
  const told = { scan: scan.id, decision, reason, openMs: 0, expiresAt: NOW() }
  const here = await answerAt({ id: ID, key: KEY, clock: apiClock() }, { check: () => told })
  const asked = askAboutScan(here, scan, 2_000)
  if (good) expect(await asked).toEqual(told)
  else await expect(asked).rejects.toThrow('contradicts itself')
})

test('what a reader wants for its display is asked for with the scan', async () => {
  const scan = { id: event.id, readerId: event.readerId, card: event.card, at: NOW() }
  const told = { scan: scan.id, decision: 'granted', reason: 'granted', openMs: 0, expiresAt: NOW() }
  const here = await answerAt(
    { id: ID, key: KEY, clock: apiClock() },
    { check: ({ want }) => ({ ...told, ...(Array.isArray(want) && { name: want.join() }) }) },
  )
  expect(await askAboutScan(here, scan, 2_000)).toEqual(told)
  expect(await askAboutScan(here, scan, 2_000, ['name'])).toEqual({ ...told, name: 'name' })
})
