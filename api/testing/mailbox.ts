import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import { text } from 'node:stream/consumers'

export type Received = { from: string; to: string; subject: string; text: string; headers: IncomingHttpHeaders }

export type Mailbox = {
  /** What tells the API to mail here. */
  env: Record<string, string>
  /** All that came for this address so far, once there are so many. */
  of(address: string, atLeast?: number): Promise<Received[]>
  /** The token that the newest mail to this address carries. */
  token(address: string, atLeast?: number): Promise<string>
  /** What the next requests are answered with, in place of 202. */
  answer(status: number, headers?: Record<string, string>): void
  close(): Promise<void>
}

const HOOK_TOKEN = 'of-the-mail-hook'

/** A mail hook that keeps what it is given. */
export const openMailbox = async (): Promise<Mailbox> => {
  const all: Received[] = []
  let reply: { status: number; headers: Record<string, string> } = { status: 202, headers: {} }
  const server = createServer(async (request, response) => {
    const body = await text(request)
    // What follows a redirect comes to another path, and is kept, to be seen.
    const { status, headers } = request.url === '/mail' ? reply : { status: 202, headers: {} }
    if (request.headers.authorization === `Bearer ${HOOK_TOKEN}` && status === 202) {
      all.push({ ...JSON.parse(body), headers: request.headers })
    }
    response.writeHead(status, headers).end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0

  const of: Mailbox['of'] = async (to, atLeast = 0) => {
    const mine = () => all.filter((mail) => mail.to === to)
    for (let tries = 0; mine().length < atLeast && tries < 100; tries += 1)
      await new Promise((go) => setTimeout(go, 20))
    return mine()
  }
  return {
    env: {
      MAIL_HOOK_URL: `http://127.0.0.1:${port}/mail`,
      MAIL_HOOK_TOKEN: HOOK_TOKEN,
      MAIL_FROM: 'Lintel <doors@example.org>',
      PUBLIC_URL: 'https://doors.example.org/',
    },
    of,
    async token(to, atLeast = 1) {
      const mail = (await of(to, atLeast)).at(-1)
      return /#\w+=([\w-]{43})$/m.exec(mail?.text ?? '')?.[1] ?? ''
    },
    answer(status, headers = {}) {
      reply = { status, headers }
    },
    close: async () => {
      server.closeAllConnections()
      server.close()
    },
  }
}
