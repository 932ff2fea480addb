import { once } from 'node:events'
import { createServer } from 'node:http'
import { afterAll, expect, test } from 'vitest'
import { CALLS, type Call, open, SEALED, seal, sealingKey } from '../api/contract/envelope.ts'
import type { HandedOver } from '../api/contract/hand-over.ts'
import { type Api, askForSite, askForSnapshot, handOver } from './ask.ts'
import { apiClock } from './clock.ts'

const ID = '018f4dcd-1111-7000-8000-000000000001'
const KEY = sealingKey(new Uint8Array(32).fill(7))
const NOW = () => new Date().toISOString()

const REPLIES: [Call, () => Record<string, unknown>][] = [
  [CALLS.config, () => ({ version: 'v', now: NOW(), snapshot: 's' })],
  [CALLS.snapshot, () => ({ version: 'v', now: NOW(), rows: [] })],
  [CALLS.events, () => ({ recorded: 1 })],
]

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

/** An API that answers truly; or, once `replays`, with the first answer that it gave on a path. */
let replays = false
const first = new Map<string, string>()
const server = createServer(async (request, response) => {
  const sealed = Buffer.concat(await request.toArray()).toString()
  const [call, reply] = REPLIES.find(([{ path }]) => path === request.url) ?? [CALLS.config, () => ({})]
  const { nonce } = await open(sealed, call.ask, KEY, new Date())
  const answer = await seal({ ...reply(), nonce }, call.answer, ID, KEY, new Date())
  if (!first.has(call.path)) first.set(call.path, answer)
  response.writeHead(200, { 'content-type': SEALED }).end(replays ? first.get(call.path) : answer)
}).listen(0, '127.0.0.1')
await once(server, 'listening')
afterAll(() => void server.close())

const address = server.address()
const url = `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`
const api: Api = { url, id: ID, key: KEY, clock: apiClock() }

test.each(ASKS)('the true answer to another question is no answer to %s', async (_, ask) => {
  replays = false
  await ask(api)
  replays = true
  await expect(ask(api)).rejects.toThrow('another question')
})
