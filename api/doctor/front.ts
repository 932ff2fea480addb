import { type Certificate, type Heard, header } from './ask.ts'
import { days, fault, type Line, ok, warning } from './line.ts'

// HTTPS in front, and what is said to browsers.

/** What was heard of `/health` there, or why nothing was. */
export const api = (url: string, status: number | undefined, error = ''): Line => {
  if (status === 200) return ok('api', `It answers at ${url}.`)
  const what = status === undefined ? `It does not answer at ${url} (${error}).` : `${url}/health answers ${status}.`
  return fault('api', what, 'npm run api, and look at what the proxy sends where')
}

export const ready = (status: number | undefined): Line =>
  status === 200
    ? ok('ready', 'The API has its database.')
    : fault('ready', `/ready answers ${status ?? 'nothing'}: the database is away or behind.`, 'npm run migrate')

export const publicUrl = (url: string): Line =>
  url.startsWith('https:')
    ? ok('public-url', `People come by ${url}.`)
    : fault(
        'public-url',
        `${url} is in the clear, so no HTTPS was looked at.`,
        'PUBLIC_URL=https://…, with a proxy there',
      )

/** A certificate is late when less is left of it than whoever renews it waits for. */
const WARN = { part: 0.2, days: 21 }
const FAULT = { part: 0.1, days: 7 }

export const certificate = (check: string, found: Certificate | undefined, now: Date): Line => {
  const mend = 'Renew the certificate, for the very name that is connected to, from an authority that is trusted'
  if (!found) return fault(check, 'No TLS is spoken there.', mend)
  const { trusted, error, validFrom, validTo } = found
  if (!trusted) return fault(check, `The certificate is not trusted (${error}).`, mend)
  const left = validTo.getTime() - now.getTime()
  const life = validTo.getTime() - validFrom.getTime()
  const isUnder = (limit: typeof WARN) => left < Math.min(limit.part * life, limit.days * 86_400_000)
  const why = `The certificate is good for ${days(now, validTo)} days.`
  if (isUnder(FAULT)) return fault(check, why, mend)
  return isUnder(WARN) ? warning(check, why, mend) : ok(check, why)
}

export const tlsVersions = (check: string, takesOld: boolean): Line =>
  takesOld
    ? fault(check, 'TLS 1.1 or older is taken.', 'Allow TLS 1.2 and 1.3 alone')
    : ok(check, 'TLS 1.1 and older are refused.')

/** What was heard without TLS, of a path of the API; undefined where nobody listens. */
export const plainHttp = (heard: Pick<Heard, 'status' | 'headers'> | undefined): Line => {
  const check = 'http'
  if (!heard) return ok(check, 'Nobody answers without TLS.')
  const { status } = heard
  const mend = 'Let port 80 redirect pages at most, and refuse /api, /internal and /broker'
  if (status >= 300 && status < 400)
    return fault(
      check,
      'Paths of the API are redirected to HTTPS: a client sends its token in the clear and never notices.',
      mend,
    )
  const isOurs = /application\/(problem\+)?json/.test(header(heard, 'content-type') ?? '')
  return isOurs
    ? fault(check, 'The API answers without TLS.', mend)
    : ok(check, `Without TLS it is refused (${status}).`)
}

/** What was heard at the API's own port, at an address of this machine that others reach. */
export const direct = (url: string | undefined): Line =>
  url === undefined
    ? ok('direct', 'Past the proxy nobody reaches the API from elsewhere.')
    : warning(
        'direct',
        `The API answers at ${url} too, past the proxy and without TLS.`,
        'HOST=127.0.0.1, or a firewall',
      )

const YEAR_S = 31_536_000

export const hsts = (heard: Pick<Heard, 'headers'>): Line => {
  const [, seconds] = /max-age="?(\d+)/i.exec(header(heard, 'strict-transport-security') ?? '') ?? []
  if (Number(seconds) >= YEAR_S) return ok('hsts', 'Browsers stay on HTTPS for a year or more.')
  const why =
    seconds === undefined ? 'Browsers are not told to stay on HTTPS.' : `They are told so for ${seconds} s only.`
  return fault('hsts', why, 'TRUSTED_PROXIES=(the proxy), which sets X-Forwarded-Proto; or the header in the proxy')
}

/** `asked`: origins that were made up. `listed`: CORS_ORIGINS. */
export const cors = (heard: readonly Pick<Heard, 'headers'>[], listed: string): Line => {
  const allowed = heard.flatMap((one) => header(one, 'access-control-allow-origin') ?? [])
  if (allowed.length > 0)
    return fault(
      'cors',
      `Pages of any origin may call the API (${allowed[0]}).`,
      'CORS_ORIGINS=https://… by name, and none in the proxy',
    )
  const plain = listed.split(',').filter((origin) => /^\s*http:\/\/(?!localhost|127\.)/.test(origin))
  return plain.length > 0
    ? warning(
        'cors',
        'CORS_ORIGINS lists origins without HTTPS, which whoever is in between can be.',
        'CORS_ORIGINS=https://…',
      )
    : ok('cors', 'Pages of origins that are not listed may not call the API.')
}

const WANTED: [string, RegExp][] = [
  ['x-content-type-options', /^nosniff$/i],
  ['content-security-policy', /object-src 'none'/],
  ['content-security-policy', /base-uri 'none'/],
  ['content-security-policy', /frame-ancestors 'none'/],
  ['referrer-policy', /^(no-referrer|same-origin|strict-origin(-when-cross-origin)?)$/i],
]

export const headers = (heard: Pick<Heard, 'headers'>): Line => {
  const missing = WANTED.filter(([name, wanted]) => !wanted.test(header(heard, name) ?? '')).map(([name]) => name)
  return missing.length === 0
    ? ok('headers', 'nosniff, a content security policy, no frames, and a referrer policy.')
    : fault(
        'headers',
        `Missing or weakened: ${[...new Set(missing)].join(', ')}.`,
        'Let the proxy pass on what the API says',
      )
}

export const cache = (heard: Pick<Heard, 'headers'>): Line =>
  /(^|[\s,])no-store($|[\s,])/i.test(header(heard, 'cache-control') ?? '')
    ? ok('cache', 'Nothing of the API may be kept by a cache.')
    : fault('cache', 'Answers of the API may be kept by caches.', 'Let the proxy pass on cache-control: no-store')

export const serverName = (heard: Pick<Heard, 'headers'>): Line => {
  const told = ['server', 'x-powered-by', 'via'].map((name) => header(heard, name) ?? '')
  const version = told.find((text) => /\/\s*v?\d|\d+\.\d+\.\d/.test(text))
  return version === undefined && (told[1] ?? '') === ''
    ? ok('server-name', 'No software is named with its version.')
    : warning('server-name', `It says what it runs on: ${version ?? told[1]}.`, 'server_tokens off, or header -Server')
}

export const cookies = (heard: readonly Pick<Heard, 'headers'>[]): Line =>
  heard.some((one) => header(one, 'set-cookie') !== undefined)
    ? fault(
        'cookies',
        'A cookie is set, and the API sets none: something in front does.',
        'Turn sticky sessions by cookie off',
      )
    : ok('cookies', 'None is set.')

export const errors = ({ headers, body }: Pick<Heard, 'headers' | 'body'>): Line =>
  /application\/problem\+json/.test(header({ headers }, 'content-type') ?? '') &&
  !/\bat .*:\d+:\d+|node_modules/.test(body)
    ? ok('errors', 'What is refused is a problem in JSON that says nothing of the inside.')
    : fault('errors', 'A refusal is not as the API says it.', 'Turn error pages of the proxy off')

export const metricsClosed = (status: number | undefined): Line =>
  status === 200
    ? fault(
        'metrics',
        '/metrics is shown to anybody.',
        'METRICS_TOKEN=$(openssl rand -hex 32), or close the path in the proxy',
      )
    : ok('metrics', 'A stranger sees no metrics.')
