import { EventEmitter } from 'node:events'
import type { MqttClient } from 'mqtt'
import { beforeEach, expect, test } from 'vitest'
import { hearFrom, type InHand, type Message } from './broker.ts'

// What a broker may send again, and what of it is the same message.

/** As much of MQTT.js as `hearFrom` touches; `acknowledged` are the ids for which a PUBACK was written. */
class FakeClient extends EventEmitter {
  connected = true
  acknowledged: number[] = []
  handleMessage = () => {}
  _sendPacket({ messageId }: { messageId: number }) {
    this.acknowledged.push(messageId)
  }
}

let client: FakeClient
let heard: Message[]
let acknowledged: InHand

beforeEach(() => {
  client = new FakeClient()
  heard = []
  acknowledged = new Map()
  hearFrom(
    client as unknown as MqttClient,
    { inHand: new Map(), acknowledged },
    (message) => heard.push(message),
    () => {},
  )
})

const sends = (messageId: number, { dup = false, qos = 1 } = {}): Message => {
  client.emit('message', 'door', Buffer.from('77'), { messageId, dup, qos, retain: false })
  const message = heard.at(-1)
  if (!message) throw new Error('nothing was heard')
  return message
}
const reconnects = (sessionPresent = true) => {
  client.emit('close')
  client.emit('connect', { sessionPresent })
}
const SAFE = Promise.resolve()

test('a message that was not acknowledged is the same when it comes again, and can be acknowledged then', () => {
  const first = sends(5)
  first.hold('77', SAFE)
  reconnects()
  const again = sends(5, { dup: true })
  expect(again.known('77')).toBe(SAFE)
  first.acknowledge()
  expect(client.acknowledged).toEqual([])
  again.acknowledge()
  expect(client.acknowledged).toEqual([5])
})

test('it is the same, too, when it was acknowledged and the acknowledgement got lost with the connection', () => {
  const first = sends(5)
  first.hold('77', SAFE)
  first.acknowledge()
  reconnects()
  expect(sends(5, { dup: true }).known('77')).toBe(SAFE)
  expect(sends(6, { dup: true }).known('77')).toBeUndefined()
})

test('a new message under the id of one that was acknowledged is another one', () => {
  const first = sends(5)
  first.hold('77', SAFE)
  first.acknowledge()
  const second = sends(5)
  expect(second.known('77')).toBeUndefined()
  const later = Promise.resolve()
  second.hold('77', later)
  second.acknowledge()
  reconnects()
  expect(sends(5, { dup: true }).known('77')).toBe(later)
})

test('another card under the same id is another message, and so is anything in a new session or without an id', () => {
  const first = sends(5)
  first.hold('77', SAFE)
  first.acknowledge()
  expect(sends(5, { dup: true }).known('78')).toBeUndefined()
  reconnects(false)
  expect(sends(5, { dup: true }).known('77')).toBeUndefined()
  expect(sends(5, { qos: 0 }).known('77')).toBeUndefined()
})

test('what was acknowledged long ago is forgotten', () => {
  for (let id = 1; id <= 1_001; id++) {
    const message = sends(id)
    message.hold('77', SAFE)
    message.acknowledge()
  }
  reconnects()
  expect(sends(1, { dup: true }).known('77')).toBeUndefined()
  expect(sends(2, { dup: true }).known('77')).toBe(SAFE)
})

test('what an earlier process had acknowledged is the same when it is sent again, and only then', () => {
  acknowledged.set(5, new Map([['77', SAFE]]))
  reconnects()
  expect(sends(5).known('77')).toBeUndefined()
  expect(sends(5, { dup: true }).known('77')).toBe(SAFE)
})
