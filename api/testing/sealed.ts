import { base64url } from 'jose'
import * as v from 'valibot'
import { CommandsAnswer, type Outcome, OutcomesAnswer } from '../contract/commands.ts'
import { CALLS, type Call, open, SEALED, type SealingKey, seal, sealingKey } from '../contract/envelope.ts'
import { type HandedOver, HandOverAnswer } from '../contract/hand-over.ts'
import { Answer, type Scan } from '../contract/scan.ts'
import { SiteAnswer } from '../contract/site.ts'
import { SnapshotPage } from '../contract/snapshot.ts'
import type { Client, TestApi } from './api.ts'

export type Bridge = {
  id: string
  key: string
  /** Asks with this bridge's key; the answer is the sealed text, or a refusal. */
  ask(call: Call, message: Record<string, unknown>): Promise<Response>
  check(scan: Scan): Promise<Answer>
  config(version?: string): Promise<SiteAnswer>
  /** One page: the first, or the one after a card. */
  page(after?: string): Promise<SnapshotPage>
  /** All pages, from the first to the one that names no next. */
  pages(): Promise<SnapshotPage[]>
  /** Gives how many of the events are on record. */
  handOver(events: HandedOver[]): Promise<number>
  /** Waits for commands, or for another version of the site than this one. */
  commands(waitMs: number, version?: string): Promise<CommandsAnswer>
  /** Gives how many of the outcomes were news. */
  outcomes(outcomes: Outcome[]): Promise<number>
}

/** What a bridge would post, whoever sealed it. */
export const post = (api: Pick<TestApi, 'fetch'>, call: Call, sealed: string): Promise<Response> =>
  api.fetch(call.path, { method: 'POST', headers: { 'content-type': SEALED }, body: sealed })

export const keyOf = async (text: string): Promise<SealingKey> => sealingKey(base64url.decode(text))

/** A bridge with a key, whether the key is good or not. */
export const bridgeWith = (api: Pick<TestApi, 'fetch'>, id: string, key: string): Bridge => {
  const ask: Bridge['ask'] = async (call, message) =>
    post(api, call, await seal(message, call.ask, id, await keyOf(key), new Date()))

  const answered = async (call: Call, message: Record<string, unknown>) => {
    const response = await ask(call, message)
    const text = await response.text()
    if (response.status !== 200) throw new Error(`${call.path} answered ${response.status}: ${text}`)
    return open(text, call.answer, await keyOf(key), new Date())
  }
  const page: Bridge['page'] = async (after) =>
    v.parse(SnapshotPage, await answered(CALLS.snapshot, after === undefined ? {} : { after }))
  const pages = async () => {
    const all = [await page()]
    for (let next = all[0]?.next; next !== undefined; next = all.at(-1)?.next) all.push(await page(next))
    return all
  }
  return {
    id,
    key,
    ask,
    page,
    pages,
    check: async (scan) => v.parse(Answer, await answered(CALLS.check, { scan })),
    config: async (version) =>
      v.parse(SiteAnswer, await answered(CALLS.config, version === undefined ? {} : { version })),
    commands: async (waitMs, version) =>
      v.parse(CommandsAnswer, await answered(CALLS.commands, { waitMs, ...(version !== undefined && { version }) })),
    outcomes: async (outcomes) => v.parse(OutcomesAnswer, await answered(CALLS.outcomes, { outcomes })).noted,
    handOver: async (events) => v.parse(HandOverAnswer, await answered(CALLS.events, { events })).recorded,
  }
}

/** Registers a bridge through the front door. */
export const registerBridge = async (api: Pick<TestApi, 'fetch'>, admin: Client, name = 'Cellar'): Promise<Bridge> => {
  const { body } = await admin.post('/bridges', { name })
  return bridgeWith(api, body.id, String(body['key']))
}

/** A scan of just now. It is dated a second ahead, so that a busy machine does not make it late. */
export const scanOf = (readerId: string, card: string, more: Partial<Scan> = {}): Scan => ({
  id: crypto.randomUUID(),
  readerId,
  card,
  at: new Date(Date.now() + 1_000).toISOString(),
  ...more,
})

/** An event as a bridge hands it over: of just now, answered, and refused because there was nobody to ask. */
export const handedOver = (readerId: string, card: string, more: Partial<HandedOver> = {}): HandedOver => ({
  id: crypto.randomUUID(),
  readerId,
  card,
  at: new Date().toISOString(),
  reason: 'unavailable',
  openMs: 0,
  answered: true,
  ...more,
})
