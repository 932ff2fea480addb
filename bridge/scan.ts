import { connectAsync } from 'mqtt'
import { sealingKey } from '../api/contract/envelope.ts'
import { environment, SetupError } from '../api/contract/environment.ts'
import type { SiteReader } from '../api/contract/site.ts'
import { askForSite } from './ask.ts'
import { apiClock } from './clock.ts'
import { readConfig } from './config.ts'

/** How long to wait for the door, longer than a bridge takes to give up. Milliseconds. */
const PATIENCE_MS = 4_000

const readerCalled = (name: string, readers: readonly SiteReader[]): SiteReader => {
  const called = readers.filter((reader) => [reader.id, reader.name, reader.topic].includes(name))
  const [reader, second] = called
  if (reader && !second) return reader
  const names = readers.map((known) => `“${known.name}”`).join(', ')
  throw new SetupError(
    second
      ? `More than one reader is called “${name}”: use its topic or its id.`
      : `There is no reader “${name}”. There are: ${names || 'none yet'}.`,
  )
}

/** Publish one scan as the reader would, and wait for what the door hears. */
const scan = async ([name, card]: string[]): Promise<string> => {
  if (!name || !card) throw new SetupError('Say which reader and which card: npm run scan -- "Front door" 6159760')
  const config = readConfig(environment())
  const key = sealingKey(config.BRIDGE_KEY)
  const api = { url: config.API_URL, id: config.BRIDGE_ID, key, clock: apiClock() }
  const { readers = [] } = await askForSite(api, undefined).catch((error: unknown) => {
    throw new SetupError(
      `The API at ${config.API_URL} does not answer (${error instanceof Error ? error.message : error}). Is npm start running?`,
    )
  })
  const { topic, replyTopic } = readerCalled(name, readers)
  if (replyTopic === null) throw new SetupError(`“${name}” has no topic for answers, so there is nothing to wait for.`)

  const client = await connectAsync(config.MQTT_URL, {
    protocolVersion: 4,
    connectTimeout: 5_000,
    reconnectPeriod: 0,
  }).catch(() => {
    throw new SetupError('The broker cannot be reached. Is npm start running, and is MQTT_URL right?')
  })
  try {
    await client.subscribeAsync(replyTopic)
    const started = performance.now()
    const answered = new Promise<string>((resolve, reject) => {
      client.on('message', (_topic, payload, packet) => packet.retain || resolve(payload.toString()))
      setTimeout(() => reject(new SetupError('No answer. Is a bridge running for this site?')), PATIENCE_MS)
    })
    await client.publishAsync(topic, card)
    const payload = await answered
    const ms = (performance.now() - started).toFixed(1)
    return `${payload === '1' ? 'granted' : 'denied'}: ${payload} on ${replyTopic} after ${ms} ms`
  } finally {
    await client.endAsync()
  }
}

try {
  console.log(await scan(process.argv.slice(2)))
  process.exit(0)
} catch (error) {
  console.error(error instanceof SetupError ? error.message : error)
  process.exit(1)
}
