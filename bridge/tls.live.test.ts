import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer as createHttps } from 'node:https'
import type { AddressInfo } from 'node:net'
import { createServer as createTls, TLSSocket } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { Aedes } from 'aedes'
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { createWebSocketStream, WebSocketServer } from 'ws'
import { connectToBroker, cutOff } from './broker.ts'

/*
 * A bridge at a broker that wants to see its certificate. The files were made with openssl, for a hundred years; the keys of
 * both authorities are gone, so to renew one is to make all anew:
 *
 *   key() { openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out $1.key; }
 *   for ca in ca other-ca; do
 *     key $ca
 *     openssl req -x509 -new -key $ca.key -subj "/CN=Lintel test $ca" -days 36500 -out $ca.pem \
 *       -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign
 *   done
 *   sign() { key $1; openssl req -new -key $1.key -subj "/CN=$1" | openssl x509 -req -CA ca.pem -CAkey ca.key \
 *     -days 36500 -extfile <(printf "$2") -out $1.pem; }
 *   sign server 'subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth'
 *   sign client 'extendedKeyUsage=clientAuth'
 */

const file = (name: string) => fileURLToPath(new URL(`testing/certificates/${name}`, import.meta.url))
const CA = { MQTT_CA: file('ca.pem') }
const CLIENT = { MQTT_CERT: file('client.pem'), MQTT_KEY: file('client.key') }

const BRIDGE_ID = '0198c1a2-0000-7000-8000-0000000000b1'

let aedes: Aedes
const urls = { mqtts: '', wss: '' }
/** How the broker's connections ended that did not end well. */
let ends: (string | undefined)[] = []

beforeAll(async () => {
  aedes = await Aedes.createBroker()
  const [ca, cert, key] = ['ca.pem', 'server.pem', 'server.key'].map((name) => readFileSync(file(name)))
  const wants = { ca, cert, key, requestCert: true, rejectUnauthorized: true }
  const tls = createTls(wants, aedes.handle)
  const https = createHttps(wants)
  new WebSocketServer({ server: https }).on('connection', (socket, request) => {
    const stream = createWebSocketStream(socket)
    stream.on('error', () => {})
    aedes.handle(stream, request)
  })
  for (const [name, server] of Object.entries({ mqtts: tls, wss: https })) {
    server.on('secureConnection', (socket: TLSSocket) =>
      socket.on('error', (error) => ends.push('code' in error ? String(error.code) : error.message)),
    )
    await once(server.listen(0, '127.0.0.1'), 'listening')
    urls[name as keyof typeof urls] = `${name}://127.0.0.1:${(server.address() as AddressInfo).port}`
  }
  afterAll(async () => {
    await new Promise<void>((done) => aedes.close(done))
    tls.close()
    https.close()
  })
})

beforeEach(() => {
  ends = []
})

const eventually = <T>(check: () => T) => vi.waitFor(check, { timeout: 15_000, interval: 20 })

describe.each(['mqtts', 'wss'] as const)('a connection by %s', (kind) => {
  const comes = (more: Partial<typeof CA & typeof CLIENT>, url = urls[kind]) => {
    const said: unknown[] = []
    const client = connectToBroker({ MQTT_URL: url, ...more }, BRIDGE_ID, true, (level, event, fields) =>
      said.push({ level, event, ...fields }),
    )
    onTestFinished(() => void client.end(true))
    client.connect()
    return { client, said }
  }
  const isAway = async ({ client, said }: ReturnType<typeof comes>, error: RegExp) => {
    const say = `The broker at ${urls[kind]} cannot be reached; trying again every second. Check that it runs and that MQTT_URL is right.`
    await eventually(() =>
      expect(said).toEqual([{ level: 'warn', event: 'broker_away', error: expect.stringMatching(error), say }]),
    )
    expect(client.connected).toBe(false)
    expect(aedes.connectedClients).toBe(0)
  }

  test('with a certificate that the broker asks for is there, and waits for nothing to send', async () => {
    const noDelay = vi.spyOn(TLSSocket.prototype, 'setNoDelay')
    onTestFinished(() => noDelay.mockRestore())
    const { client, said } = comes({ ...CA, ...CLIENT })
    await eventually(() => expect(said).toContainEqual(expect.objectContaining({ event: 'broker_connected' })))
    expect(client.connected).toBe(true)
    const { port } = new URL(urls[kind])
    const mine = noDelay.mock.contexts.filter(
      (socket) => socket instanceof TLSSocket && String(socket.remotePort) === port,
    )
    expect(mine).toContainEqual(expect.objectContaining({ encrypted: true, authorized: true }))
  })

  test('is refused without one', async () => isAway(comes(CA), /CERTIFICATE_REQUIRED|ECONNRESET|EPIPE|closed/))

  test('is not made to a broker whose authority is another one, or nobody’s', async () => {
    await isAway(comes({ MQTT_CA: file('other-ca.pem'), ...CLIENT }), /UNABLE_TO_VERIFY|SELF_SIGNED|UNABLE_TO_GET/)
    await isAway(comes(CLIENT), /UNABLE_TO_VERIFY|SELF_SIGNED|UNABLE_TO_GET/)
  })

  test('that is cut off is reset, so that nothing arrives by it any more, and is made anew', async () => {
    const { client } = comes({ ...CA, ...CLIENT })
    const connected = vi.fn()
    client.on('connect', connected)
    await eventually(() => expect(connected).toHaveBeenCalledTimes(1))
    cutOff(client)
    await eventually(() => expect(connected).toHaveBeenCalledTimes(2))
    await eventually(() => expect(ends).toEqual(['ECONNRESET']))
  })
})
