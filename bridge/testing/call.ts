export type Json = { id: string; key: string; items: Json[]; nextCursor: string | null } & Record<string, unknown>

/** One request to the API by an account that is signed in; throws what it answered when that is not a success. */
export type Call = (method: string, path: string, body?: unknown) => Promise<Json>

export const signIn = async (api: string, account: { email: string; password: string }): Promise<Call> => {
  let token = ''
  const call: Call = async (method, path, body) => {
    const response = await fetch(`${api}/api/v1${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, ...(body !== undefined && { 'content-type': 'application/json' }) },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${text}`)
    return text === '' ? ({} as Json) : JSON.parse(text)
  }
  token = String((await call('POST', '/login', account))['access_token'])
  return call
}
