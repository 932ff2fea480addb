import http from 'node:http'
import https from 'node:https'

const options = { keepAlive: true, keepAliveMsecs: 10_000, maxFreeSockets: 64 }
const agents = { 'http:': new http.Agent(options), 'https:': new https.Agent(options) }

/** A sealed message is at most this long; a longer answer is not one. Bytes. */
const MOST = 4 * 1024 * 1024

export type Reply = { status: number; body: string }

/**
 * One POST over a connection that is kept, given up after `deadline` milliseconds. `node:http` costs a third of what
 * `fetch` does per call, and a scan is one call. A kept connection may have been closed by the other side just now: then
 * the message goes out once more, which is harmless, since every sealed call may be repeated. With `stop` it can be given up
 * before.
 */
export const post = async (
  url: URL,
  headers: Record<string, string>,
  body: string,
  deadline: number,
  stop?: AbortSignal,
): Promise<Reply> => {
  const started = performance.now()
  return once(url, headers, body, deadline, stop).catch((error: unknown) => {
    const left = deadline - (performance.now() - started)
    if (!(error instanceof Stale) || left <= 0) throw error
    return once(url, headers, body, left, stop)
  })
}

class Stale extends Error {}

const once = (
  url: URL,
  said: Record<string, string>,
  body: string,
  deadline: number,
  stop?: AbortSignal,
): Promise<Reply> =>
  new Promise((resolve, reject) => {
    const { request } = url.protocol === 'https:' ? https : http
    const agent = url.protocol === 'https:' ? agents['https:'] : agents['http:']
    const headers = { ...said, 'content-length': Buffer.byteLength(body) }
    const outgoing = request(url, { method: 'POST', headers, agent, ...(stop && { signal: stop }) }, (response) => {
      const parts: Buffer[] = []
      let length = 0
      response.on('data', (part: Buffer) => {
        length += part.length
        if (length > MOST) response.destroy(new Error('the answer is too long'))
        else parts.push(part)
      })
      response.on('error', reject)
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(parts).toString('latin1') }),
      )
    })
    const patience = setTimeout(() => outgoing.destroy(new Late('no answer in time')), deadline)
    outgoing.on('close', () => clearTimeout(patience))
    outgoing.on('error', (error: NodeJS.ErrnoException) => {
      const wasKept = outgoing.reusedSocket && (error.code === 'ECONNRESET' || error.code === 'EPIPE')
      reject(wasKept ? new Stale(error.message) : error)
    })
    outgoing.end(body)
  })

class Late extends Error {
  override name = 'Late'
}
