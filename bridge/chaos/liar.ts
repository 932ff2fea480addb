import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import { CALLS, SEALED, seal, sealingKey } from '../../api/contract/envelope.ts'

/**
 * What is said instead of the API's own answer. `stranger`: an answer that opens, under the seal of another bridge.
 * `replay`: a true answer that opened, again and again. `replay-record`: the API's first "they are on record", to every
 * later hand-over, which never arrives.
 */
export type Lie = 'error' | 'garbage' | 'hang-up' | 'stranger' | 'replay' | 'replay-record'

export type Liar = { port: number; tell(lie: Lie): void; close(): Promise<void> }

/** Stands where the API should be. What is not lied about is passed on to it. */
export const liarBefore = async (api: string, stranger: { id: string; key: string }): Promise<Liar> => {
  const key = sealingKey(Buffer.from(stranger.key, 'base64url'))
  let lie: Lie = 'error'
  let kept: Reply | undefined

  const passOn = async (path: string, body: string): Promise<Reply> => {
    const response = await fetch(api + path, { method: 'POST', headers: { 'content-type': SEALED }, body })
    return { status: response.status, type: SEALED, body: await response.text() }
  }

  /** The first good answer of a call, for ever; until there is one, the truth. */
  const again = async (path: string, body: string, isGood: (message: Message) => boolean): Promise<Reply> => {
    if (kept) return kept
    const reply = await passOn(path, body)
    if (reply.status === 200 && isGood(messageIn(reply.body))) kept = reply
    return reply
  }

  const answer = async (path: string, body: string): Promise<Reply | undefined> => {
    switch (lie) {
      case 'error':
        return { status: 500, type: 'application/problem+json', body: '{"status":500}' }
      case 'garbage':
        return { status: 200, type: SEALED, body: '{}..\u0000 not a seal' }
      case 'hang-up':
        return undefined
      case 'stranger': {
        const { scan } = messageIn(body)
        const [id, at] = [scan?.id, new Date()]
        const open = { scan: id, decision: 'granted', reason: 'granted', openMs: 3_000, recorded: 100 }
        const message = { ...open, version: 'x', now: at, expiresAt: new Date(at.getTime() + 3_000) }
        const call = Object.values(CALLS).find((known) => known.path === path) ?? CALLS.check
        return { status: 200, type: SEALED, body: await seal(message, call.answer, stranger.id, key, at) }
      }
      case 'replay':
        return path === CALLS.check.path
          ? again(path, body, ({ decision }) => decision === 'granted')
          : passOn(path, body)
      case 'replay-record':
        return path === CALLS.events.path ? again(path, body, () => true) : passOn(path, body)
    }
  }

  const server = createServer((request, response) => {
    bodyOf(request)
      .then((body) => answer(String(request.url), body))
      .then((reply) => {
        if (!reply) return request.socket.destroy()
        return response.writeHead(reply.status, { 'content-type': reply.type }).end(reply.body)
      })
      .catch(() => request.socket.destroy())
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  return {
    port: typeof address === 'object' && address ? address.port : 0,
    tell(what) {
      lie = what
      kept = undefined
    },
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

type Reply = { status: number; type: string; body: string }
type Message = { decision?: string; scan?: { id: string } }

const bodyOf = async (request: IncomingMessage): Promise<string> => Buffer.concat(await request.toArray()).toString()

/** What a sealed message says, without asking whether the seal is good. */
const messageIn = (sealed: string): Message =>
  JSON.parse(Buffer.from(sealed.split('.')[1] ?? '', 'base64url').toString())
