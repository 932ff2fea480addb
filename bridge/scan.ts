import { connectAsync } from 'mqtt'
import { sealingKey } from '../api/contract/envelope.ts'
import { environment, SetupError } from '../api/contract/environment.ts'
import type { SiteReader } from '../api/contract/site.ts'
import { askForSite } from './ask.ts'
import { brokerOptions } from './broker-options.ts'
import { apiClock } from './clock.ts'
import { readConfig } from './config.ts'
import type { Known } from './profiles/hear.ts'
import type { Message } from './profiles/profile.ts'
import { known } from './profiles/profiles.ts'
import { messagesOf, openingVars } from './profiles/tell.ts'

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

/** What the door hears, granted or denied, as far as it is known before: where, and in which words. */
const answersOf = ({ reader, profile, vars }: Known, card: string) => {
  const now = new Date()
  const all = { ...vars, ...openingVars(reader.openMs, now, now), card, name: '' }
  return { granted: messagesOf(profile.grant, all), denied: messagesOf(profile.deny, all) }
}

/** As the reader would say it: only where that is the number and nothing else. */
const saidBy = ({ reader, profile }: Known, card: string): string => {
  const line = profile.hears.find(({ topic }) => topic === undefined)
  if (line?.is === 'scan' && !line.json && line.card.at === '' && !line.card.as) return card
  throw new SetupError(
    `A reader of the profile “${profile.name}” says more than a number: publish what it would say on ${reader.topic}, and see GET /api/v1/events.`,
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
  const reader = readerCalled(name, readers)
  const at = known(reader)
  if (!at) throw new SetupError(`This bridge does not know the profile “${reader.profile}”: update it.`)
  const said = saidBy(at, card)
  const { granted, denied } = answersOf(at, card)
  const topics = new Set([...granted, ...denied].map(({ topic }) => topic))
  if (topics.size === 0) throw new SetupError(`“${name}” has no topic for answers, so there is nothing to wait for.`)

  const client = await connectAsync(config.MQTT_URL, {
    ...brokerOptions(config),
    protocolVersion: 4,
    connectTimeout: 5_000,
    reconnectPeriod: 0,
  }).catch(() => {
    throw new SetupError('The broker cannot be reached. Is npm start running, and is MQTT_URL right?')
  })
  try {
    await client.subscribeAsync([...topics])
    const started = performance.now()
    const answered = new Promise<{ topic: string; payload: string }>((resolve, reject) => {
      client.on('message', (topic, payload, packet) => packet.retain || resolve({ topic, payload: payload.toString() }))
      const silent = denied.length === 0 ? ' This reader is told nothing when it is no.' : ''
      setTimeout(() => reject(new SetupError(`No answer. Is a bridge running for this site?${silent}`)), PATIENCE_MS)
    })
    await client.publishAsync(reader.topic, said)
    const { topic, payload } = await answered
    const ms = (performance.now() - started).toFixed(1)
    const is = (one: Message) => one.topic === topic && one.payload === payload
    const what = granted.some(is) ? 'granted' : denied.some(is) ? 'denied' : 'answered'
    return `${what}: ${payload} on ${topic} after ${ms} ms`
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
