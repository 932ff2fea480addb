import { once } from 'node:events'
import { createServer } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { CALLS, open, SEALED, seal } from '../../api/contract/envelope.ts'
import { whenFileEnds } from '../../api/testing/endings.ts'
import type { Api } from '../ask.ts'

type Message = Record<string, unknown>

/** What is said to each call: a message, or the HTTP status of a refusal. May change at any time. */
export type Answers = {
  -readonly [name in keyof typeof CALLS]?: (asked: Message) => Message | number | Promise<Message | number>
}

/** Stands where the API would, and answers sealed as it does. Both go by the clock of `api`. */
export const answerAt = async ({ id, key, clock }: Omit<Api, 'url'>, answers: Answers): Promise<Api> => {
  const server = createServer(async (request, response) => {
    const [name, call] = Object.entries(CALLS).find(([, known]) => known.path === request.url) ?? []
    const answer = answers[name as keyof Answers]
    if (!call || !answer) return response.writeHead(404).end()
    const asked = await open((await buffer(request)).toString(), call.ask, key, clock.now()).catch(() => undefined)
    if (!asked) return response.writeHead(401).end()
    const said = await answer(asked)
    if (typeof said === 'number') return response.writeHead(said).end()
    const marked = 'nonce' in asked ? { nonce: asked['nonce'], ...said } : said
    response.writeHead(200, { 'content-type': SEALED }).end(await seal(marked, call.answer, id, key, clock.now()))
    return response
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  whenFileEnds(async () => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  })
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  return { url: `http://127.0.0.1:${port}`, id, key, clock }
}
