import { expect, inject } from 'vitest'
import { accounts, refreshTokens, sessions } from '../db/schema.ts'
import type { Role } from '../login/permissions.ts'
import { hashOf, newSecret } from '../login/tokens.ts'
import { type Body, type Client, PASSWORD_HASH, type Reply, type TestApi } from './api.ts'

type Sent = { body?: string; type?: string; token?: string; headers?: Record<string, string> }

/** Somebody who is signed in, with the tokens in hand, and able to send what no well-behaved client would. */
export type Caller = Client & {
  id: string
  email: string
  token: string
  refreshToken: string
  send(method: string, path: string, sent?: Sent): Promise<Reply>
}

/** Over HTTP a client says how long its body is; in process nobody does. */
export const lengthOf = (body: string): Record<string, string> =>
  inject('runtime') === 'node' ? { 'content-length': String(new TextEncoder().encode(body).length) } : {}

export const replyOf = async (response: Response): Promise<Reply> => {
  const { status, headers } = response
  // It goes on for as long as somebody listens: who only wants to know whether they get in hears no more of it.
  if (headers.get('content-type') === 'text/event-stream') {
    await response.body?.cancel()
    return { status, headers, body: {} as Body }
  }
  const text = await response.text()
  const isJson = /json/.test(headers.get('content-type') ?? '')
  return { status, headers, body: isJson ? JSON.parse(text) : ({} as Body) }
}

/**
 * A server that refuses a body without reading it closes the connection, and the reset may overtake its answer
 * (RFC 9112, section 9.6): whoever sends too much asks again.
 */
export const despiteReset = <T>(ask: () => Promise<T>): Promise<T> => ask().catch(ask).catch(ask)

/** One request to /api/v1, exactly as told. */
export const send = async (api: TestApi, method: string, path: string, sent: Sent = {}): Promise<Reply> => {
  const { body, type, token, headers } = sent
  return replyOf(
    await api.fetch(`/api/v1${path}`, {
      method,
      headers: {
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...(body !== undefined && { 'content-type': type ?? 'application/json', ...lengthOf(body) }),
        ...headers,
      },
      ...(body !== undefined && { body }),
    }),
  )
}

const json = (body: unknown): Sent => (body === undefined ? {} : { body: JSON.stringify(body) })

export const withToken = (api: TestApi, token: string): Client & Pick<Caller, 'send'> => {
  const call = (method: string, path: string, sent: Sent = {}) => send(api, method, path, { token, ...sent })
  return {
    send: call,
    get: (path) => call('GET', path),
    post: (path, body) => call('POST', path, json(body)),
    patch: (path, body) => call('PATCH', path, json(body)),
    put: (path) => call('PUT', path),
    delete: (path) => call('DELETE', path),
  }
}

const DAY_MS = 86_400_000

/** One more session of an account: its first tokens come from a refresh, so it costs no bcrypt. */
export const newSession = async (api: TestApi, account: { id: string; email: string }): Promise<Caller> => {
  const first = newSecret()
  const at = new Date()
  const values = {
    accountId: account.id,
    createdAt: at,
    usedAt: at,
    provenAt: at,
    expiresAt: new Date(Date.now() + DAY_MS),
  }
  const [session] = await api.db.insert(sessions).values(values).returning()
  await api.db.insert(refreshTokens).values({ hash: await hashOf(first), sessionId: String(session?.id) })
  const { body } = await api.stranger.post('/login/refresh', { refresh_token: first })
  const [token, refreshToken] = [String(body['access_token']), String(body['refresh_token'])]
  return { id: account.id, email: account.email, token, refreshToken, ...withToken(api, token) }
}

/** Whoever has this role, signed in; the password is PASSWORD. */
export const signIn = async (api: TestApi, role: Role): Promise<Caller> => {
  const email = `${role}-${crypto.randomUUID()}@example.org`
  const [account] = await api.db.insert(accounts).values({ email, role, passwordHash: PASSWORD_HASH }).returning()
  if (!account) throw new Error('the account was not written')
  return newSession(api, account)
}

const WORDS: Record<number, string> = {
  400: 'malformed',
  401: 'unauthorized',
  403: 'forbidden',
  404: 'not-found',
  409: 'conflict',
  413: 'too-large',
  415: 'unsupported-media-type',
  422: 'invalid',
  429: 'too-many-requests',
  503: 'unavailable',
}

/** A refusal as RFC 9457 has it; for a 422 with the field at fault. */
export const expectProblem = ({ status, headers, body }: Reply, expected: number, path?: string): void => {
  expect({ status, body }).toMatchObject({
    status: expected,
    body: { status: expected, type: `urn:lintel:problem:${WORDS[expected]}`, title: expect.stringMatching(/\w/) },
  })
  expect(headers.get('content-type')).toBe('application/problem+json')
  if (path !== undefined) expect(body.errors.map((error) => error.path)).toContain(path)
}

/** Every id of a list, page by page. */
export const walk = async (client: Client, path: string, limit: number): Promise<string[]> => {
  const ids: string[] = []
  let cursor: string | null = null
  do {
    const query: string = `${path.includes('?') ? '&' : '?'}limit=${limit}${cursor === null ? '' : `&cursor=${cursor}`}`
    const { status, body }: Reply = await client.get(`${path}${query}`)
    expect({ status, tooMany: body.items.length > limit }).toEqual({ status: 200, tooMany: false })
    ids.push(...body.items.map(({ id }) => id))
    cursor = body.nextCursor
  } while (cursor !== null && ids.length < 1_000)
  return ids
}
