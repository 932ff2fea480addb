import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { type Heard, type Wire, wireTo } from './wire.ts'

// Against a broker that takes everything, acknowledges nothing, and says nothing back.

const BRIDGE_ID = '0198c0de-0000-7000-8000-00000000000b'
const sockets: Socket[] = []
const states: boolean[] = []
const heard: Heard[] = []
let said: Buffer[] = []
let wire: Wire
let close: () => Promise<void>

const timesSaid = (text: string) => Buffer.concat(said).toString('latin1').split(text).length - 1
const eventually = (check: () => void) => vi.waitFor(check, { timeout: 10_000, interval: 5 })

beforeAll(async () => {
  const server = createServer((socket) => {
    // CONNACK of MQTT 3.1.1: no session, no error.
    socket.once('data', () => socket.write(Buffer.from([0x20, 2, 0, 0])))
    socket.on('data', (bytes) => said.push(bytes))
    socket.on('error', () => {})
    sockets.push(socket)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  wire = wireTo({ MQTT_URL: `mqtt://127.0.0.1:${port}`, BRIDGE_ID }, () => {})
  close = async () => {
    await wire.stop()
    server.close()
  }
})
afterAll(() => close())

test('there is no connection before there is something to do', async () => {
  wire.listen(['lintel/door/1/set'], true)
  await expect(wire.publish({ topic: 'a', payload: 'EARLY', qos: 0, retain: false })).rejects.toThrow()
  expect(sockets).toEqual([])
  wire.begin({ connected: (is) => states.push(is), heard: (message) => heard.push(message) })
  await eventually(() => expect(states).toEqual([true]))
  await eventually(() => expect(timesSaid('lintel/bridge/')).toBeGreaterThan(0))
  expect(timesSaid('EARLY')).toBe(0)
})

test('what comes before the echo is of any age', async () => {
  const topic = Buffer.from('lintel/door/1/set')
  const payload = Buffer.from('UNLOCK')
  const length = 2 + topic.length + payload.length
  sockets.at(-1)?.write(Buffer.concat([Buffer.from([0x30, length, 0, topic.length]), topic, payload]))
  await eventually(() => expect(heard).toHaveLength(1))
  expect(heard[0]).toMatchObject({ topic: 'lintel/door/1/set', retained: false, age: Number.POSITIVE_INFINITY })
})

test('what was not acknowledged when the connection ended is not said again', async () => {
  const sent = wire.publish({ topic: 'a', payload: 'STATE', qos: 1, retain: true })
  sent.catch(() => {})
  await eventually(() => expect(timesSaid('STATE')).toBe(1))
  said = []
  sockets.at(-1)?.destroy()
  await expect(sent).rejects.toThrow()
  await expect(wire.publish({ topic: 'a', payload: 'AWAY', qos: 0, retain: false })).rejects.toThrow()
  await eventually(() => expect(states).toEqual([true, false, true]))
  await wire.publish({ topic: 'a', payload: 'FENCE', qos: 0, retain: false })
  await eventually(() => expect(timesSaid('FENCE')).toBe(1))
  expect([timesSaid('STATE'), timesSaid('AWAY')]).toEqual([0, 0])
})
