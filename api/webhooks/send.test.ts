import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { isPublic } from './address.ts'
import { sender } from './send.ts'

// A receiver on this machine, under a name that leads to it in these tests alone.
const file = (name: string) => readFileSync(fileURLToPath(new URL(`../testing/certificates/${name}`, import.meta.url)))
const [cert, key] = [file('receiver.pem'), file('receiver.key')]
const server = createServer({ cert, key })
let port = 0
let asked: string[] = []
let connections = 0

const HERE = { address: '127.0.0.1', family: 4 }
const toHere = async () => [HERE]
const anywhere = { mayReach: () => true, ca: String(cert) }

beforeAll(async () => {
  server.on('request', (request, response) => {
    asked.push(`${request.method} ${request.url}`)
    if (request.url === '/moved')
      response.writeHead(307, { location: `https://receiver.example.org:${port}/there` }).end()
    else if (request.url === '/never-ends') response.writeHead(200).write('x')
    else response.writeHead(204).end()
  })
  server.on('connection', () => {
    connections += 1
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  port = (server.address() as AddressInfo).port
})

afterAll(() => {
  server.closeAllConnections()
  server.close()
})

beforeEach(() => {
  asked = []
  connections = 0
})

const to = (path: string, host = 'receiver.example.org') => ({
  url: `https://${host}:${port}${path}`,
  headers: {},
  body: 'ž',
})

test('what is sent arrives, and the status comes back', async () => {
  expect(await sender({ ...anywhere, resolve: toHere })(to('/hook?x=1'))).toEqual({ status: 204 })
  expect(asked).toEqual(['POST /hook?x=1'])
})

test('no redirect is followed', async () => {
  expect(await sender({ ...anywhere, resolve: toHere })(to('/moved'))).toEqual({ status: 307 })
  expect(asked).toEqual(['POST /moved'])
})

test('an answer that never ends is not waited for', async () => {
  expect(await sender({ ...anywhere, resolve: toHere })(to('/never-ends'))).toEqual({ status: 200 })
})

test.each([
  ['this machine', [HERE]],
  ['a private address, as 10.0.0.1.nip.io does', [{ address: '10.0.0.1', family: 4 }]],
  ['a private address inside an IPv6 one', [{ address: '::ffff:10.0.0.1', family: 6 }]],
  ['a public address and a private one', [{ address: '8.8.8.8', family: 4 }, HERE]],
  ['nowhere', []],
])('a name that leads to %s is refused, and nobody is connected to', async (_, found) => {
  const send = sender({ mayReach: isPublic, ca: String(cert), resolve: async () => found })
  await expect(send(to('/hook'))).rejects.toMatchObject({ code: 'ADDRESS_REFUSED' })
  expect(connections).toBe(0)
})

test('a name is looked up once: what it leads to next is of no use', async () => {
  let times = 0
  const resolve = async () => {
    times += 1
    return [times === 1 ? HERE : { address: '10.0.0.1', family: 4 }]
  }
  const mayReach = (address: string) => address === '127.0.0.1'
  expect(await sender({ mayReach, ca: String(cert), resolve })(to('/hook'))).toEqual({ status: 204 })
  expect(times).toBe(1)
})

test.each(['127.0.0.1', '2130706433', '0x7f.1', '[::ffff:127.0.0.1]', 'localhost'])(
  '%s in the URL is refused, whatever a resolver says',
  async (host) => {
    const send = sender({ mayReach: isPublic, ca: String(cert), resolve: toHere })
    await expect(send(to('/hook', host))).rejects.toMatchObject({ code: 'ADDRESS_REFUSED' })
    expect(connections).toBe(0)
  },
)

test('a certificate of somebody else is refused', async () => {
  const send = sender({ ...anywhere, resolve: toHere })
  await expect(send(to('/hook', 'other.example.org'))).rejects.toMatchObject({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' })
  const usual = sender({ mayReach: () => true, resolve: toHere })
  await expect(usual(to('/hook'))).rejects.toMatchObject({ code: expect.stringMatching(/SELF_SIGNED|UNABLE/) })
  expect(asked).toEqual([])
})
