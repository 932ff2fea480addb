import { randomUUID } from 'node:crypto'
import * as v from 'valibot'
import { AccessListPage } from '../api/contract/access-list.ts'
import { CommandsAnswer, type Outcome, OutcomesAnswer } from '../api/contract/commands.ts'
import { type DeviceReport, DeviceReportAnswer } from '../api/contract/device-events.ts'
import { CALLS, type Call, open, SEALED, type SealingKey, seal } from '../api/contract/envelope.ts'
import { type HandedOver, HandOverAnswer } from '../api/contract/hand-over.ts'
import { Answer, type Ask, answerOf, type Scan } from '../api/contract/scan.ts'
import { type Seen, SeenAnswer } from '../api/contract/seen.ts'
import { SiteAnswer } from '../api/contract/site.ts'
import { TRACEPARENT } from '../api/contract/trace.ts'
import type { Clock } from './clock.ts'
import { post } from './post.ts'
import { traceparent } from './trace.ts'

/** Where the API is, and as whom to ask it. */
export type Api = { url: string; id: string; key: SealingKey; clock: Clock }

type AskWant = v.InferOutput<typeof Ask>['want']

/** What no door waits for may take this long. Milliseconds. */
const PATIENCE_MS = 5_000

/** The API answered, but not with what was asked for; `status` is its HTTP status. */
export class Refused extends Error {
  readonly status: number
  constructor(status: number) {
    super(`the API answered ${status}`)
    this.status = status
  }
}

/** What goes beside a message: `stop` gives it up, `trace` says what it belongs to. */
type Beside = { stop?: AbortSignal; trace?: string | undefined }

const JOSE = { 'content-type': SEALED }

/** One question and its answer; that it is this question's answer is for the caller to see. */
const call = async (
  api: Api,
  { path, ask, answer }: Call,
  message: Record<string, unknown>,
  deadline: number,
  { stop, trace }: Beside = {},
) => {
  const headers = trace === undefined ? JOSE : { ...JOSE, [TRACEPARENT]: traceparent(trace) }
  const sealed = await seal(message, ask, api.id, api.key, api.clock.now())
  const { status, body } = await post(new URL(path, api.url), headers, sealed, deadline, stop)
  if (status !== 200) throw new Refused(status)
  return open(body, answer, api.key, api.clock.now())
}

/**
 * The same where the answer does not name its question by itself: a mark that comes back. Else somebody on the way could
 * answer a hand-over with the receipt of another one, and its events would be gone.
 */
const callMarked = async (
  api: Api,
  about: Call,
  message: Record<string, unknown>,
  deadline: number,
  beside: Beside = {},
) => {
  const nonce = randomUUID()
  const answer = await call(api, about, { ...message, nonce }, deadline, beside)
  if (answer['nonce'] !== nonce) throw new Error('the answer is to another question')
  return answer
}

/**
 * Ask about one scan, for at most `deadline` milliseconds. Throws on anything but a fresh, sealed answer about this very scan
 * that is still good: granted only where a door is to be opened, and never where a reader had decided by itself.
 */
export const askAboutScan = async (
  api: Api,
  scan: Scan,
  deadline: number,
  want?: AskWant,
  trace?: string,
): Promise<Answer> => {
  const message = want === undefined ? { scan } : { scan, want }
  const answer = v.parse(Answer, await call(api, CALLS.check, message, deadline, { trace }))
  if (answer.scan !== scan.id) throw new Error('the answer is about another scan')
  if (answer.decision !== answerOf(answer.reason)) throw new Error('the answer contradicts itself')
  return answer
}

/** Ask for the site, and set the clock by the answer. Only the readers that came with a new version are in it. */
export const askForSite = async (api: Api, version: string | undefined): Promise<SiteAnswer> => {
  const asked = performance.now()
  const message = version === undefined ? {} : { version }
  const answer = v.parse(SiteAnswer, await callMarked(api, CALLS.config, message, PATIENCE_MS))
  api.clock.set(new Date(answer.now), asked, performance.now())
  return answer
}

/** One page of the facts as JSON, the first or the one after a card; it still has to be checked. */
export const askForSnapshot = async (api: Api, after: string | undefined): Promise<Record<string, unknown>> =>
  callMarked(api, CALLS.snapshot, after === undefined ? {} : { after }, 2 * PATIENCE_MS)

/** Hand over what was recorded here. When it resolves all of it is on record there. */
export const handOver = async (api: Api, events: readonly HandedOver[], trace?: string): Promise<void> => {
  const answer = await callMarked(api, CALLS.events, { events }, 2 * PATIENCE_MS, { trace })
  const { recorded } = v.parse(HandOverAnswer, answer)
  if (recorded !== events.length) throw new Error('the API recorded something else')
}

/** Say which devices were noticed; gives how many of them are on the list now. */
export const reportSeen = async (api: Api, seen: readonly Seen[]): Promise<number> =>
  v.parse(SeenAnswer, await callMarked(api, CALLS.seen, { seen }, PATIENCE_MS)).noted

/** Say what doors and readers did, and which of them were heard. When it resolves all of it is on record there. */
export const reportDevices = async (api: Api, report: DeviceReport, trace?: string): Promise<void> => {
  const answer = await callMarked(api, CALLS.deviceEvents, report, 2 * PATIENCE_MS, { trace })
  const { recorded } = v.parse(DeviceReportAnswer, answer)
  if (recorded !== report.events.length) throw new Error('the API recorded something else')
}

/** One page of whom a reader may let in that decides by itself: the first, or the one after a card. */
export const askForAccessList = async (api: Api, readerId: string, after?: string): Promise<AccessListPage> =>
  v.parse(AccessListPage, await callMarked(api, CALLS.accessList, { readerId, ...(after && { after }) }, PATIENCE_MS))

/**
 * Wait for commands, or for another version of the site than this one, for at most `waitMs` milliseconds. What is answered
 * is this bridge's to do, and nobody else will: a command that is lost on the way back is never carried out.
 */
export const askForCommands = async (
  api: Api,
  version: string | undefined,
  waitMs: number,
  stop: AbortSignal,
): Promise<CommandsAnswer> => {
  const message = { waitMs, ...(version !== undefined && { version }) }
  return v.parse(CommandsAnswer, await callMarked(api, CALLS.commands, message, waitMs + PATIENCE_MS, { stop }))
}

/** Say what became of commands; gives of how many of them that was news. */
export const reportOutcomes = async (api: Api, outcomes: readonly Outcome[]): Promise<number> =>
  v.parse(OutcomesAnswer, await callMarked(api, CALLS.outcomes, { outcomes }, PATIENCE_MS)).noted
