import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import type { MqttClient } from 'mqtt'
import { beforeAll, expect, test, vi } from 'vitest'
import { connectToBroker } from './broker.ts'
import { publishOn, Unacknowledged } from './publish.ts'

// Against a broker that takes everything and acknowledges nothing.

const said: Buffer[] = []
const sockets: Socket[] = []
let client: MqttClient
let publish: ReturnType<typeof publishOn>
const open = { topic: 'door', payload: 'OPEN', qos: 1 } as const
const timesSaid = (text: string) => Buffer.concat(said).toString('latin1').split(text).length - 1
const next = (event: 'connect' | 'close') => new Promise<void>((done) => client.once(event, () => done()))
const eventually = (check: () => void) => vi.waitFor(check, { timeout: 5_000, interval: 5 })

beforeAll(async () => {
  const server = createServer((socket) => {
    // CONNACK of MQTT 5: the session is there, no error, no properties.
    socket.once('data', () => socket.write(Buffer.from([0x20, 3, 1, 0, 0])))
    socket.on('data', (bytes) => said.push(bytes))
    socket.on('error', () => {})
    sockets.push(socket)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  client = connectToBroker({ MQTT_URL: `mqtt://127.0.0.1:${port}` }, 'test', true, () => {})
  client.options.reconnectPeriod = 10
  publish = publishOn(client)
  client.connect()
  await next('connect')
  return () => {
    client.end(true)
    server.close()
  }
})

const reconnect = async () => {
  sockets.at(-1)?.destroy()
  await next('connect')
  // Written after whatever would be sent again.
  await publish({ topic: 'x', payload: `fence ${sockets.length}`, qos: 0 })
  await eventually(() => expect(timesSaid(`fence ${sockets.length}`)).toBe(1))
}

test('an opening that was not acknowledged when the connection broke is not sent again', async () => {
  const sent = publish(open, 5_000)
  sent.catch(() => {})
  await eventually(() => expect(timesSaid('OPEN')).toBe(1))
  await reconnect()
  await expect(sent).rejects.toThrow(Unacknowledged)
  await reconnect()
  expect(timesSaid('OPEN')).toBe(1)
})

test('nor one whose time was over', async () => {
  await expect(publish({ ...open, payload: 'IN TIME' }, 20)).rejects.toThrow(Unacknowledged)
  await reconnect()
  expect(timesSaid('IN TIME')).toBe(1)
})

test('several under way at once are each given up, and each only once', async () => {
  const sent = ['ONE', 'TWO', 'SIX'].map((payload) => publish({ ...open, payload }, 5_000))
  const settled = Promise.allSettled(sent)
  await eventually(() => expect(timesSaid('SIX')).toBe(1))
  await reconnect()
  expect((await settled).map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
  expect(['ONE', 'TWO', 'SIX'].map(timesSaid)).toEqual([1, 1, 1])
})

test('what is written into a connection that is gone, and not known to be, is given up too', async () => {
  client.stream.destroy()
  await expect(publish({ topic: 'door', payload: 'GONE', qos: 0 }, 5_000)).rejects.toThrow('away')
  await next('connect')
  expect(timesSaid('GONE')).toBe(0)
})

test('what opens dies in the broker with its time, in whole seconds; nothing is ever retained', async () => {
  const asked: unknown[] = []
  const five = {
    connected: true,
    options: { protocolVersion: 5 },
    on() {},
    publish(topic: string, payload: string, options: object, done: () => void) {
      asked.push([topic, payload, options])
      done()
    },
  }
  const said = { topic: 'door', payload: '1', qos: 0 } as const
  for (const lifeMs of [2_000, 1_999, 3, undefined]) await publishOn(five as unknown as MqttClient)(said, lifeMs)
  const three = { ...five, options: { protocolVersion: 4 } }
  await publishOn(three as unknown as MqttClient)(said, 2_000)
  const plain = { qos: 0, retain: false }
  const dying = (messageExpiryInterval: number) => ({ ...plain, properties: { messageExpiryInterval } })
  expect(asked).toEqual([dying(2), dying(1), dying(1), plain, plain].map((options) => ['door', '1', options]))
})

test('while the broker is away nothing is published, nor afterwards', async () => {
  client.options.reconnectPeriod = 1_000_000
  const closed = next('close')
  sockets.at(-1)?.destroy()
  await closed
  await expect(publish({ ...open, payload: 'GONE' }, 1_000)).rejects.toThrow('away')
  client.reconnect()
  await next('connect')
  await publish({ topic: 'x', payload: 'last fence', qos: 0 })
  await eventually(() => expect(timesSaid('last fence')).toBe(1))
  expect(timesSaid('GONE')).toBe(0)
})
