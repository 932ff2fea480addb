import { describe, expect, test } from 'vitest'
import * as callers from './callers.ts'
import { clock, offsetIn } from './clocks.ts'
import * as front from './front.ts'

const NOW = new Date('2026-06-15T12:00:00Z')
const day = (days: number) => new Date(NOW.getTime() + days * 86_400_000)

const heard = (headers: Record<string, string> = {}, status = 401, body = '{}') => ({ status, headers, body })
const CERTIFICATE = { trusted: true, error: undefined, validFrom: day(-30), validTo: day(60) }
const CAREFUL = {
  'x-content-type-options': 'nosniff',
  'content-security-policy': "default-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
}
const JSON_TYPE = { 'content-type': 'application/problem+json' }

describe('in front', () => {
  test.each([
    ['an API that answers', 'ok', front.api('https://x', 200)],
    ['an API that does not', 'fault', front.api('https://x', undefined, 'ECONNREFUSED')],
    ['a proxy without an API', 'fault', front.api('https://x', 502)],
    ['a database that is there', 'ok', front.ready(200)],
    ['a database that is behind', 'fault', front.ready(503)],
    ['HTTPS', 'ok', front.publicUrl('https://x')],
    ['HTTP', 'fault', front.publicUrl('http://x')],
    ['a good certificate', 'ok', front.certificate('certificate', CERTIFICATE, NOW)],
    [
      'one of twelve hours, of which six are left',
      'ok',
      front.certificate('certificate', { ...CERTIFICATE, validFrom: day(-0.25), validTo: day(0.25) }, NOW),
    ],
    [
      'one that ends in 15 days',
      'warning',
      front.certificate('certificate', { ...CERTIFICATE, validFrom: day(-75), validTo: day(15) }, NOW),
    ],
    ['one that ends in 3 days', 'fault', front.certificate('certificate', { ...CERTIFICATE, validTo: day(3) }, NOW)],
    ['one that has ended', 'fault', front.certificate('certificate', { ...CERTIFICATE, validTo: day(-1) }, NOW)],
    [
      'one of nobody',
      'fault',
      front.certificate('certificate', { ...CERTIFICATE, trusted: false, error: 'SELF_SIGNED_CERT_IN_CHAIN' }, NOW),
    ],
    ['none', 'fault', front.certificate('certificate', undefined, NOW)],
    ['only new TLS', 'ok', front.tlsVersions('tls-versions', false)],
    ['old TLS', 'fault', front.tlsVersions('tls-versions', true)],
    ['nobody at port 80', 'ok', front.plainHttp(undefined)],
    ['a refusal at port 80', 'ok', front.plainHttp(heard({ 'content-type': 'text/plain' }, 403))],
    ['the API at port 80', 'fault', front.plainHttp(heard(JSON_TYPE))],
    ['a redirect at port 80', 'fault', front.plainHttp(heard({ location: 'https://x/api' }, 308))],
    ['an API behind its proxy', 'ok', front.direct(undefined)],
    ['an API beside its proxy', 'warning', front.direct('http://192.0.2.1:8080')],
    [
      'a year of HTTPS',
      'ok',
      front.hsts(heard({ 'strict-transport-security': 'max-age=31536000; includeSubDomains' })),
    ],
    ['a day of HTTPS', 'fault', front.hsts(heard({ 'strict-transport-security': 'max-age=86400' }))],
    ['no word of HTTPS', 'fault', front.hsts(heard())],
    ['no other origins', 'ok', front.cors([heard(), heard()], 'https://doors.example.org')],
    ['any origin', 'fault', front.cors([heard({ 'access-control-allow-origin': '*' })], '')],
    [
      'whatever origin asks',
      'fault',
      front.cors([heard(), heard({ 'access-control-allow-origin': 'https://x.example' })], ''),
    ],
    ['an origin without HTTPS', 'warning', front.cors([heard()], 'https://a.example, http://b.example')],
    ['careful headers', 'ok', front.headers(heard(CAREFUL))],
    [
      'a policy that allows frames',
      'fault',
      front.headers(heard({ ...CAREFUL, 'content-security-policy': "object-src 'none'; base-uri 'none'" })),
    ],
    ['types that are guessed', 'fault', front.headers(heard({ ...CAREFUL, 'x-content-type-options': '' }))],
    ['addresses that are told', 'fault', front.headers(heard({ ...CAREFUL, 'referrer-policy': 'unsafe-url' }))],
    ['nothing kept', 'ok', front.cache(heard({ 'cache-control': 'no-store' }))],
    ['something kept', 'fault', front.cache(heard({ 'cache-control': 'public, max-age=60' }))],
    ['a server by its name', 'ok', front.serverName(heard({ server: 'Caddy', via: '1.1 Caddy' }))],
    ['a server by its version', 'warning', front.serverName(heard({ server: 'nginx/1.24.0' }))],
    ['a framework', 'warning', front.serverName(heard({ 'x-powered-by': 'Express' }))],
    ['no cookies', 'ok', front.cookies([heard()])],
    ['a cookie', 'fault', front.cookies([heard(), heard({ 'set-cookie': 'lb=1' })])],
    ['a problem', 'ok', front.errors(heard(JSON_TYPE))],
    ['a page', 'fault', front.errors(heard({ 'content-type': 'text/html' }))],
    ['a stack', 'fault', front.errors(heard(JSON_TYPE, 500, 'at f (/app/x.ts:1:2)'))],
    ['metrics for nobody', 'ok', front.metricsClosed(404)],
    ['metrics for all', 'fault', front.metricsClosed(200)],
    ['a limit', 'ok', callers.rateLimit({ most: 6_000, left: 5_999 })],
    ['no limit', 'fault', callers.rateLimit(undefined)],
  ])('%s: %s', (_, state, line) => {
    expect(line).toMatchObject({ state })
    expect(line.mend === undefined).toBe(state === 'ok')
  })
})

describe('an address that was made up', () => {
  const counts = (...left: number[]) => left.map((one) => ({ most: 100, left: one }))

  test.each([
    ['counts with ours', counts(99, 98), counts(97, 96), false],
    ['is new each time', counts(90, 89), counts(99, 99), true],
    ['is new each time, and so are we: there are many processes', counts(99, 99), counts(99, 99), undefined],
    ['is not counted', [undefined], counts(99), undefined],
    ['falls into the next minute once', counts(2, 1), counts(99, 98), false],
  ])('%s: %o, %o: %s', (_, plain, madeUp, is) => {
    expect(callers.believed(plain, madeUp)).toBe(is)
  })

  test('is read from the headers that the API sends', () => {
    const headers = { 'ratelimit-policy': '"default";q=6000;w=60', ratelimit: '"default";r=5990;t=12' }
    expect(callers.countIn({ headers })).toEqual({ most: 6_000, left: 5_990 })
    expect(callers.countIn({ headers: {} })).toBeUndefined()
  })

  const FOUND: callers.ProxiesFound = { believed: false, set: true, weAreTrusted: false, behindProxy: true }
  test.each([
    ['is not believed', 'ok', FOUND],
    ['is believed', 'fault', { ...FOUND, believed: true }],
    ['is believed of a machine that is trusted', 'warning', { ...FOUND, believed: true, weAreTrusted: true }],
    ['is not counted', 'warning', { ...FOUND, believed: undefined }],
    ['is the proxy’s for all', 'fault', { ...FOUND, set: false }],
    ['is trusted of a proxy that is not there', 'warning', { ...FOUND, behindProxy: false }],
    ['is nobody’s without a proxy', 'ok', { ...FOUND, set: false, behindProxy: false }],
  ])('%s: %s', (_, state, found) => {
    expect(callers.trustedProxies(found)).toMatchObject({ check: 'trusted-proxies', state })
  })
})

describe('a clock', () => {
  const at = (ms: number) => ({ asked: NOW.getTime() + ms, answered: NOW.getTime() + ms + 20 })
  const dated = (ms: number, ahead: number) => ({
    ...at(ms),
    headers: { date: new Date(Math.floor((NOW.getTime() + ms + 10 + ahead) / 1_000) * 1_000).toUTCString() },
  })
  const samples = (ahead: number) => [0, 300, 600, 900].map((ms) => dated(ms, ahead))

  test.each([
    [0, 'ok'],
    [600, 'ok'],
    [-900, 'ok'],
    [2_000, 'warning'],
    [-3_000, 'warning'],
    [7_000, 'fault'],
    [-3_600_000, 'fault'],
  ])('that is %d ms ahead: %s', (ahead, state) => {
    const offset = offsetIn(samples(ahead))
    expect(offset?.least).toBeLessThanOrEqual(ahead)
    expect(offset?.most).toBeGreaterThanOrEqual(ahead)
    expect((offset?.most ?? 0) - (offset?.least ?? 0)).toBeLessThan(400)
    expect(clock('clock-api', 'It', 'ours', offset, 'x')).toMatchObject({ state })
  })

  test('of whom nothing was heard is not known', () => {
    expect(clock('clock-api', 'It', 'ours', offsetIn([{ ...at(0), headers: {} }]), 'x')).toMatchObject({
      state: 'warning',
    })
  })
})
