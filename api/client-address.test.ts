import * as v from 'valibot'
import { describe, expect, test } from 'vitest'
import { networkOf } from './address.ts'
import { cameFrom, oneSpelling, Proxies } from './client-address.ts'

const proxies = v.parse(Proxies, '10.0.0.0/8, 127.0.0.1, 2001:db8::/32,::1,192.0.2.5')

const from = (remoteAddress: string | undefined, forwarded?: string, proto?: string, encrypted = false) =>
  cameFrom(proxies, {
    socket: { remoteAddress, encrypted },
    headers: {
      ...(forwarded !== undefined && { 'x-forwarded-for': forwarded }),
      ...(proto !== undefined && { 'x-forwarded-proto': proto }),
    },
  })

describe('the address of a client', () => {
  test.each([
    ['is the socket’s', '198.51.100.7', undefined, '198.51.100.7'],
    ['is the socket’s, whatever a stranger writes', '198.51.100.7', '203.0.113.9', '198.51.100.7'],
    ['is what a proxy says', '127.0.0.1', '203.0.113.9', '203.0.113.9'],
    [
      'is what the nearest proxy says, not what the client wrote before',
      '10.1.2.3',
      '1.1.1.1, 203.0.113.9',
      '203.0.113.9',
    ],
    ['is left of all proxies', '10.1.2.3', '1.1.1.1, 203.0.113.9, 10.9.9.9,2001:db8::1', '203.0.113.9'],
    ['is the first proxy when all are', '10.1.2.3', '10.1.1.1, 10.2.2.2', '10.1.1.1'],
    ['is the proxy’s when it says nothing', '10.1.2.3', undefined, '10.1.2.3'],
    ['is the proxy’s when it says nonsense', '10.1.2.3', 'unknown', '10.1.2.3'],
    ['is the last that makes sense', '10.1.2.3', '203.0.113.9, rubbish, 10.2.2.2', '10.2.2.2'],
    ['is the last before an empty one', '10.1.2.3', '203.0.113.9,, 10.2.2.2', '10.2.2.2'],
    ['is IPv4 in IPv6 as IPv4', '::ffff:198.51.100.7', undefined, '198.51.100.7'],
    ['is what a proxy says that is IPv4 in IPv6', '::ffff:10.1.2.3', '::ffff:203.0.113.9', '203.0.113.9'],
    ['is without a port', '127.0.0.1', '203.0.113.9:4711', '203.0.113.9'],
    ['is without brackets', '::1', '[2001:DB9:0:0::7]:4711', '2001:db9::7'],
    ['is not a host’s name', '127.0.0.1', 'localhost', '127.0.0.1'],
    ['is nobody’s on a socket without one', undefined, '203.0.113.9', null],
  ])('%s', (_, socket, forwarded, address) => {
    expect(from(socket, forwarded).address).toBe(address)
  })

  test('is looked for among so many entries only', () => {
    expect(from('10.1.2.3', `203.0.113.9${',10.2.2.2'.repeat(40)}`).address).toBe('10.2.2.2')
  })
})

test.each([
  ['by itself', '198.51.100.7', undefined, true, true],
  ['as a trusted proxy says', '127.0.0.1', 'https', false, true],
  ['as the nearest says', '127.0.0.1', 'http, HTTPS', false, true],
  ['not as a stranger says', '198.51.100.7', 'https', false, false],
  ['not as the client said to the proxy', '127.0.0.1', 'https, http', false, false],
  ['not by itself', '127.0.0.1', undefined, false, false],
])('it came by HTTPS, %s', (_, socket, proto, encrypted, https) => {
  expect(from(socket, undefined, proto, encrypted).https).toBe(https)
})

test('nobody is trusted when nothing is configured', () => {
  const none = v.parse(Proxies, '')
  const headers = { 'x-forwarded-for': '203.0.113.9', 'x-forwarded-proto': 'https' }
  expect(cameFrom(none, { socket: { remoteAddress: '127.0.0.1' }, headers })).toEqual({
    address: '127.0.0.1',
    https: false,
  })
})

test.each([
  'proxy.example.org',
  '10.0.0.0/33',
  '10.0.0.0/0',
  '::/0',
  '::1/129',
  '10.0.0/8',
  '10.0.0.0/8/8',
  '10.0.0.0/',
  '10.0.0.0/-1',
  '*',
])('a proxy is not %s', (text) => {
  expect(v.safeParse(Proxies, text).success).toBe(false)
})

test.each([
  ['2001:0DB8:0:0:0:0:0:1', '2001:db8::1'],
  ['fe80::1%eth0', 'fe80::1'],
  ['::ffff:c000:0205', '192.0.2.5'],
  [' 192.0.2.5 ', '192.0.2.5'],
  ['192.0.2.256', undefined],
  ['192.0.2', undefined],
  ['0x7f.1', undefined],
  ['', undefined],
  ['[::1', undefined],
])('%j is spelled %j', (text, spelling) => {
  expect(oneSpelling(text)).toBe(spelling)
})

test.each([
  ['192.0.2.5', '192.0.2.5'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:DB8:1:2::', '2001:db8:1:2::/64'],
  ['2001:db8::1', '2001:db8:0:0::/64'],
  ['::1', '0:0:0:0::/64'],
  [null, ''],
])('%j counts as %j', (address, network) => {
  expect(networkOf(address)).toBe(network)
})
