import { randomInt } from 'node:crypto'
import { isIP } from 'node:net'
import { networkInterfaces } from 'node:os'
import * as v from 'valibot'
import { oneSpelling, Proxies } from '../client-address.ts'
import { isLocal } from '../db/is-local.ts'
import { addressOf } from '../node-config.ts'
import { ask, codeOf, type Heard, handshake, header, takesOldTls, tryToAsk } from './ask.ts'
import * as callers from './callers.ts'
import * as front from './front.ts'
import type { Line } from './line.ts'
import { setting } from './settings.ts'

type Env = Record<string, unknown>

/** Where the API itself listens, and where people come in. `httpPort` is where the proxy answers without TLS. */
export type Where = { own: string; people: string; httpPort: number | undefined }

export const whereIn = (env: Env, httpPort: number | undefined): Where => {
  const host = setting(env, 'HOST') ?? '127.0.0.1'
  const reached = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host
  const own = setting(env, 'API_URL') ?? addressOf(reached, Number(setting(env, 'PORT') ?? 8080))
  const people = (setting(env, 'PUBLIC_URL') ?? own).replace(/\/+$/, '')
  return { own: own.replace(/\/+$/, ''), people, httpPort }
}

/** It is refused for its body, and counted before. */
const NOTHING = {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: '{}',
}
const COUNTED = '/api/v1/login/refresh'

/** Of the networks for measurements (RFC 2544), where nobody is. */
const madeUpAddress = (): string => `198.${randomInt(18, 20)}.${randomInt(256)}.${randomInt(1, 255)}`

/** How often is asked as we are, and as somebody else. */
const TIMES = 4

const inTurn = async <T>(work: (() => Promise<T>)[]): Promise<T[]> => {
  const results: T[] = []
  for (const one of work) results.push(await one())
  return results
}

const lookAtCallers = async (env: Env, { own, people }: Where, isWorker: boolean): Promise<Line[]> => {
  const counted = async (address?: string) => {
    const headers = { ...NOTHING.headers, ...(address && { 'x-forwarded-for': address }) }
    const heard = await tryToAsk(`${people}${COUNTED}`, { ...NOTHING, headers })
    return { count: heard && callers.countIn(heard), from: heard?.from ?? '' }
  }
  const plain = await inTurn(Array.from({ length: TIMES }, () => () => counted()))
  const madeUp = await inTurn(Array.from({ length: TIMES }, () => () => counted(madeUpAddress())))
  const proxies = v.safeParse(Proxies, setting(env, 'TRUSTED_PROXIES') ?? '')
  const from = oneSpelling(plain[0]?.from ?? '')
  const weAreTrusted =
    proxies.success && from !== undefined && proxies.output.check(from, isIP(from) === 6 ? 'ipv6' : 'ipv4')
  const counts = (asked: typeof plain) => asked.map(({ count }) => count)
  return [
    callers.rateLimit(plain[0]?.count),
    callers.trustedProxies({
      believed: callers.believed(counts(plain), counts(madeUp)),
      set: setting(env, 'TRUSTED_PROXIES') !== undefined,
      weAreTrusted,
      behindProxy: !isWorker && people !== own && people.startsWith('https:'),
    }),
  ]
}

/** Addresses of this machine that others may reach. */
const outside = (): string[] =>
  Object.values(networkInterfaces())
    .flatMap((all) => all ?? [])
    .filter(({ internal, family, address }) => !internal && (family === 'IPv4' || !address.startsWith('fe80')))
    .map(({ address }) => address)

const lookPast = async ({ own }: Where): Promise<Line> => {
  const port = Number(new URL(own).port || 80)
  for (const address of outside()) {
    const url = addressOf(address, port)
    if ((await tryToAsk(`${url}/health`))?.status === 200) return front.direct(url)
  }
  return front.direct(undefined)
}

const lookAtTls = async ({ own, people, httpPort }: Where, now: Date): Promise<Line[]> => {
  const { hostname, port } = new URL(people)
  const server = { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || 443) }
  // At the port of TLS too: a server may speak both.
  const plain = [
    `http://${hostname}:${server.port}`,
    ...((httpPort ?? !port) ? [`http://${hostname}:${httpPort ?? 80}`] : []),
  ]
  const heard = await Promise.all(plain.map((url) => tryToAsk(`${url}/api/v1/me`)))
  const lines = heard.map(front.plainHttp)
  return [
    front.certificate('certificate', await handshake(server).catch(() => undefined), now),
    front.tlsVersions('tls-versions', await takesOldTls(server)),
    lines.find(({ state }) => state !== 'ok') ?? lines.at(-1) ?? front.plainHttp(undefined),
    ...(isLocal(own) ? [await lookPast({ own, people, httpPort })] : []),
  ]
}

export type FrontSeen = {
  lines: Line[]
  /** The API runs on Workers. */
  isWorker: boolean
  /** The API answers, here or there. */
  answers: boolean
  /** Answers of the API itself with their Date, to tell its clock by. */
  heard: Heard[]
}

/** Looks at what a stranger sees of the API, where people come in and past that. */
export const lookAtFront = async (env: Env, where: Where, now: Date): Promise<FrontSeen> => {
  const { own, people } = where
  const direct = await tryToAsk(`${own}/health`)
  const health = await ask(`${people}/health`).catch((error: unknown) => ({ error: codeOf(error) }))
  if ('error' in health) {
    const lines = [front.api(people, undefined, health.error)]
    return { lines, isWorker: false, answers: direct !== undefined, heard: direct ? [direct] : [] }
  }
  const isWorker = header(health, 'cf-ray') !== undefined && direct?.status !== 200
  const origin = `https://doctor-${randomInt(1_000_000)}.example`
  const preflight = (from: string) =>
    tryToAsk(`${people}/api/v1/people`, {
      method: 'OPTIONS',
      headers: {
        origin: from,
        'access-control-request-method': 'GET',
        'access-control-request-headers': 'authorization',
      },
    })
  const me = await ask(`${people}/api/v1/me`, { headers: { origin } })
  const foreign = (await Promise.all([origin, 'null', `${people}.example`].map(preflight))).flatMap((one) => one ?? [])
  const lines = [
    front.api(people, health.status),
    front.ready((await tryToAsk(`${people}/ready`))?.status),
    front.publicUrl(people),
    ...(people.startsWith('https:') ? [...(await lookAtTls(where, now)), front.hsts(me)] : []),
    front.cors([...foreign, me], setting(env, 'CORS_ORIGINS') ?? ''),
    front.headers(me),
    front.cache(me),
    front.serverName(me),
    front.cookies([health, me, ...foreign]),
    front.errors(me),
    front.metricsClosed((await tryToAsk(`${people}/metrics`))?.status),
    ...(await lookAtCallers(env, where, isWorker)),
  ]
  const samples = await inTurn(Array.from({ length: 6 }, () => () => nextSample(direct ? own : people)))
  return {
    lines,
    isWorker,
    answers: true,
    heard: [health, me, ...samples.flatMap((one) => one ?? [])].slice(direct ? 2 : 0),
  }
}

/** Dates are whole seconds: some, spread over one, tell more than that. */
const nextSample = async (url: string) => {
  await new Promise((done) => setTimeout(done, 150))
  return tryToAsk(`${url}/health`)
}
