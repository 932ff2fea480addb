import { timingSafeEqual } from 'node:crypto'
import { createMiddleware } from 'hono/factory'
import type { Config } from './config.ts'
import { refuse } from './errors.ts'
import type { AppEnv } from './platform.ts'

const digest = async (text: string) =>
  new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)))

/** Does this `Authorization` header carry this very token, as Bearer? It takes as long whatever it carries. */
const isBearer = async (authorization: string | undefined, wanted: string): Promise<boolean> => {
  const [, token = ''] = /^Bearer (\S+)$/i.exec(authorization ?? '') ?? []
  const [given, right] = await Promise.all([digest(token), digest(wanted)])
  return timingSafeEqual(given, right)
}

/**
 * Lets in the one program that has a token of the configuration: 401 for all `others`, and 404 where there is no token, for
 * then there is `nobody` to let in.
 */
export const bearerOnly = (tokenOf: (config: Config) => string | undefined, say: { nobody: string; others: string }) =>
  createMiddleware<AppEnv>(async (c, next) => {
    const token = tokenOf(c.env.config)
    if (token === undefined) return refuse(404, say.nobody)
    if (!(await isBearer(c.req.header('authorization'), token))) refuse(401, say.others)
    return next()
  })
