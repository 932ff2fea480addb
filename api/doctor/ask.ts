import { request as overHttp } from 'node:http'
import { request as overHttps } from 'node:https'
import { isIP } from 'node:net'
import { connect, type PeerCertificate } from 'node:tls'
import { causeOf } from '../cause.ts'

// How the doctor asks: as a stranger would, one connection for each question, and nothing secret in any.

const PATIENCE_MS = 5_000
const MOST_BYTES = 1024 * 1024

export type Heard = {
  status: number
  headers: Record<string, string | string[] | undefined>
  body: string
  /** The address that was asked from. */
  from: string
  /** Milliseconds since 1970, on this machine's clock. */
  asked: number
  answered: number
}

/** `verify`: say nothing to whoever cannot show a certificate that is trusted. */
type How = { method?: string; headers?: Record<string, string>; body?: string; verify?: boolean }

/** A word for what went wrong on the way: ECONNREFUSED, CERT_HAS_EXPIRED … */
export const codeOf = (error: unknown): string => {
  const cause = causeOf(error)
  if (!(cause instanceof Error)) return 'unknown'
  return 'code' in cause && cause.code !== undefined ? String(cause.code) : cause.name
}

/**
 * An answer, whatever its status; redirects are not followed. The certificate is looked at by `handshake` alone, so that a
 * bad one hides nothing else. Rejects where there is no answer within five seconds.
 */
export const ask = (url: string, { method = 'GET', headers = {}, body, verify = false }: How = {}): Promise<Heard> =>
  new Promise((resolve, reject) => {
    const asked = Date.now()
    const options = { method, headers, agent: false, timeout: PATIENCE_MS, signal: AbortSignal.timeout(PATIENCE_MS) }
    const request = url.startsWith('https:')
      ? overHttps(url, { ...options, rejectUnauthorized: verify })
      : overHttp(url, options)
    request.on('timeout', () => request.destroy(new Error('timeout')))
    request.on('error', reject)
    request.on('response', (response) => {
      const answered = Date.now()
      const from = response.socket.localAddress ?? ''
      let text = ''
      response.setEncoding('utf8')
      response.on('error', reject)
      response.on('data', (part: string) => {
        text += part
        if (text.length > MOST_BYTES) response.destroy(new Error('too long'))
      })
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text, from, asked, answered }),
      )
    })
    request.end(body)
  })

/** The same, undefined where nobody answers. */
export const tryToAsk = (url: string, how?: How): Promise<Heard | undefined> => ask(url, how).catch(() => undefined)

export const header = ({ headers }: Pick<Heard, 'headers'>, name: string): string | undefined => {
  const value = headers[name]
  return Array.isArray(value) ? value.join(', ') : value
}

export type Certificate = { trusted: boolean; error: string | undefined; validFrom: Date; validTo: Date }

type Server = { host: string; port: number; ca?: Buffer | undefined }

/** Node names no server by its address, and wants to hear no name of one. */
const nameOf = (host: string) => (isIP(host) === 0 ? { servername: host } : {})

/** What a server shows at a TLS handshake, and whether this machine trusts it. Rejects where there is none. */
export const handshake = ({ host, port, ca }: Server): Promise<Certificate> =>
  new Promise((resolve, reject) => {
    const options = { host, port, ...nameOf(host), ...(ca && { ca }), rejectUnauthorized: false, timeout: PATIENCE_MS }
    const socket = connect(options, () => {
      const certificate: PeerCertificate = socket.getPeerCertificate()
      const error = socket.authorizationError
      socket.destroy()
      resolve({
        trusted: socket.authorized,
        // Typed as an Error, and a word since ever.
        error: error ? (error instanceof Error ? codeOf(error) : String(error)) : undefined,
        validFrom: new Date(certificate.valid_from),
        validTo: new Date(certificate.valid_to),
      })
    })
    socket.on('timeout', () => socket.destroy(new Error('timeout')))
    socket.on('error', reject)
  })

/** Does it take TLS 1.1 or older? */
export const takesOldTls = ({ host, port }: Server): Promise<boolean> =>
  new Promise((resolve) => {
    const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT:@SECLEVEL=0' } as const
    const socket = connect({ host, port, ...nameOf(host), ...old, rejectUnauthorized: false, timeout: PATIENCE_MS })
    const end = (takes: boolean) => {
      socket.destroy()
      resolve(takes)
    }
    socket.on('secureConnect', () => end(true))
    socket.on('timeout', () => end(false))
    socket.on('error', () => end(false))
  })
