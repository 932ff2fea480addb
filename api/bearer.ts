import { timingSafeEqual } from 'node:crypto'

const digest = async (text: string) =>
  new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)))

/** Does this `Authorization` header carry this very token, as Bearer? It takes as long whatever it carries. */
export const isBearer = async (authorization: string | undefined, wanted: string): Promise<boolean> => {
  const [, token = ''] = /^Bearer (\S+)$/i.exec(authorization ?? '') ?? []
  const [given, right] = await Promise.all([digest(token), digest(wanted)])
  return timingSafeEqual(given, right)
}
