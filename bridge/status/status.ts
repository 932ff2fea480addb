import { createHash, timingSafeEqual } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import { SetupError } from '../../api/contract/environment.ts'

type Parts = {
  port: number
  host: string
  /** Without it whoever reaches this may see the metrics: config.ts sees to it that they are on this machine. */
  token: string | undefined
  /** Why this bridge cannot decide scans now; nothing where it can. */
  notReady(): string | undefined
  metrics(): Promise<string>
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest()

/** Every answer is short, for programs, and of this moment. */
const answer = (response: ServerResponse, status: number, type: string, body: string): void => {
  response.writeHead(status, {
    'content-type': type,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  })
  response.end(body)
}

const problem = (response: ServerResponse, status: number, word: string, title: string, detail: string): void =>
  answer(
    response,
    status,
    'application/problem+json',
    JSON.stringify({ type: `urn:lintel:problem:${word}`, title, status, detail }),
  )

/**
 * A bridge's own few pages for programs: /health (it is alive), /ready (it decides scans: 503 with why while not) and /metrics.
 * Throws a SetupError where the port cannot be had.
 */
export const serveStatus = async ({ port, host, token, notReady, metrics }: Parts) => {
  const mayCollect = (authorization = ''): boolean => {
    if (token === undefined) return true
    const [, given = ''] = /^Bearer (\S+)$/i.exec(authorization) ?? []
    return timingSafeEqual(digest(given), digest(token))
  }

  const pages: Record<string, (response: ServerResponse, authorization?: string) => void | Promise<void>> = {
    '/health': (response) => answer(response, 200, 'application/json', '{"ok":true}'),
    '/ready': (response) => {
      const why = notReady()
      if (why !== undefined) return problem(response, 503, 'unavailable', 'Not available right now', why)
      answer(response, 200, 'application/json', '{"ok":true}')
    },
    '/metrics': async (response, authorization) => {
      const say = 'Only for whoever collects metrics: send METRICS_TOKEN as a Bearer token.'
      if (!mayCollect(authorization)) return problem(response, 401, 'unauthorized', 'Sign in first', say)
      answer(response, 200, 'text/plain; version=0.0.4; charset=utf-8', await metrics())
    },
  }

  const server = createServer(({ method, url = '', headers }, response) => {
    const page = method === 'GET' || method === 'HEAD' ? pages[url.split('?')[0] ?? ''] : undefined
    const say = 'A bridge answers GET /health, /ready and /metrics.'
    if (!page) return problem(response, 404, 'not-found', 'There is no such thing', say)
    Promise.resolve(page(response, headers.authorization)).catch(() => response.destroy())
  })
  // Nobody has much to ask here, nor slowly.
  server.maxConnections = 32
  server.headersTimeout = server.requestTimeout = 5_000
  server.listen(port, host)
  await once(server, 'listening').catch((error: NodeJS.ErrnoException) => {
    throw new SetupError(`Cannot listen on ${host}:${port} (${error.code}). Set BRIDGE_PORT to a free port.`)
  })
  const at = server.address()
  return {
    port: typeof at === 'object' && at ? at.port : port,
    close: () =>
      new Promise<void>((done) => {
        server.close(() => done())
        server.closeAllConnections()
      }),
  }
}
