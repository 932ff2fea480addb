import { Agent, request } from 'node:http'
import { connectReader } from './load.ts'

// The other half of the floor: MQTT in, one POST over a connection that is kept, MQTT out.

const url = new URL(process.env['API_URL'] ?? '')
const topics = process.env['TOPICS'] ?? ''
const agent = new Agent({ keepAlive: true })
const client = await connectReader(process.env['MQTT_URL'] ?? '')

client.on('message', (topic, payload) => {
  const body = JSON.stringify({ reader: topic, card: payload.toString() })
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }
  const outgoing = request(url, { method: 'POST', headers, agent }, (response) => {
    const parts: Buffer[] = []
    response.on('data', (part: Buffer) => parts.push(part))
    response.on('end', () => client.publish(topic.replace('/scan/', '/open/'), Buffer.concat(parts)))
  })
  outgoing.on('error', () => client.publish(topic.replace('/scan/', '/open/'), '0'))
  outgoing.end(body)
})
await client.subscribeAsync(topics)
process.send?.('listening')
process.on('disconnect', () => process.exit(0))
