import type { Mail } from './mail.ts'

const PATIENCE_MS = 5_000

/**
 * Mail by an HTTP hook, for where no SMTP is spoken: POST of `{ from, to, subject, text }` with the token as Bearer. Any
 * 2xx means that it was taken. No redirect is followed: it would carry token and text somewhere else.
 */
export const byHook =
  (hook: { url: string; token?: string | undefined; from: string }): Mail =>
  async (message) => {
    const response = await fetch(hook.url, {
      method: 'POST',
      redirect: 'manual',
      signal: AbortSignal.timeout(PATIENCE_MS),
      headers: {
        'content-type': 'application/json',
        ...(hook.token !== undefined && { authorization: `Bearer ${hook.token}` }),
      },
      body: JSON.stringify({ from: hook.from, ...message }),
    })
    await response.body?.cancel()
    if (!response.ok) throw Object.assign(new Error('the mail hook refused'), { code: `HTTP_${response.status}` })
  }
