import { lookup as systemLookup } from 'node:dns/promises'
import { request } from 'node:https'
import { isIP, type LookupFunction } from 'node:net'
import { PATIENCE_MS, type Send } from '../platform.ts'
import { hostOf, isPublic, refusalOf, refused } from './address.ts'

type Resolved = { address: string; family: number }

type World = {
  /** Where a connection may go. */
  mayReach: (address: string) => boolean
  resolve: (host: string) => Promise<Resolved[]>
  /** A certificate authority to trust instead of the usual ones; PEM. */
  ca?: string
}

const INTERNET: World = { mayReach: isPublic, resolve: (host) => systemLookup(host, { all: true }) }

/**
 * For Node. The connection goes to the very address that was looked at: the name is resolved once, by the socket's own
 * look-up, so a name that answers differently the next time is of no use. With one bad address among them none is taken. No
 * redirect is followed, no connection is kept, and of the answer nothing is read but its head.
 */
export const sender =
  ({ mayReach, resolve, ca }: World = INTERNET): Send =>
  async ({ url: text, headers, body }) => {
    const url = new URL(text)
    const host = hostOf(url)
    // An address that stands in the URL is not looked up by anybody.
    if (refusalOf(text) !== undefined || (isIP(host) !== 0 && !mayReach(host))) throw refused()

    const lookup: LookupFunction = (name, { all }, callback) => {
      resolve(name).then(
        (found) => {
          const [first] = found
          if (!first || !found.every(({ address }) => mayReach(address))) callback(refused(), '')
          else if (all) callback(null, found)
          else callback(null, first.address, first.family)
        },
        (error: NodeJS.ErrnoException) => callback(error, ''),
      )
    }
    return new Promise((done, failed) => {
      const asked = request({
        ...{ host, port: url.port || 443, path: `${url.pathname}${url.search}`, method: 'POST', agent: false, lookup },
        ...(ca !== undefined && { ca }),
        headers: { ...headers, 'content-length': Buffer.byteLength(body) },
        signal: AbortSignal.timeout(PATIENCE_MS),
      })
      asked.on('error', failed)
      // Who wants to speak another protocol (101) is no answer, nor is who hangs up: neither may be waited for.
      asked.on('upgrade', (_, socket) => {
        socket.destroy()
        failed(Object.assign(new Error('another protocol'), { code: 'UPGRADE' }))
      })
      asked.on('close', () => failed(Object.assign(new Error('no answer'), { code: 'ECONNRESET' })))
      asked.on('response', (answer) => {
        done({ status: answer.statusCode ?? 0 })
        asked.destroy()
      })
      asked.end(body)
    })
  }
