import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { sealingKey } from '../api/contract/envelope.ts'
import { environment, SetupError } from '../api/contract/environment.ts'
import { type HandedOver, MOST_HANDED_OVER } from '../api/contract/hand-over.ts'
import { type Reason, readersReason } from '../api/contract/scan.ts'
import { openArrivals } from './arrivals.ts'
import { aside } from './aside.ts'
import { handOver } from './ask.ts'
import { bridgeOn } from './bridge.ts'
import { connectToBroker, cutOff, handInto, hearFrom, type InHand, leaveBroker } from './broker.ts'
import { apiClock } from './clock.ts'
import { followCommands } from './commands.ts'
import { type Config, readConfig } from './config.ts'
import { openDeviceEvents } from './device-events/device-events.ts'
import { doorsOn } from './doors/doors.ts'
import { echoThrough } from './echo.ts'
import { handingOver, SCANS } from './handing-over.ts'
import { homeAssistant } from './home-assistant/home-assistant.ts'
import { wireTo } from './home-assistant/wire.ts'
import { keepIn } from './keep.ts'
import { linkToApi } from './link.ts'
import { logger, nameOf } from './log.ts'
import { newsBoard } from './news.ts'
import { startOffline } from './offline.ts'
import { openCounters } from './own-protocol/counters.ts'
import { ownProtocol } from './own-protocol/own-protocol.ts'
import { publishOn } from './publish.ts'
import { queueOf } from './queue.ts'
import { whatOf } from './scans.ts'
import { sealedFile } from './sealed-file.ts'
import { followSite } from './site.ts'
import { openSpool } from './spool.ts'
import { openStatus, type Status } from './status/open.ts'
import { keepSubscribed } from './subscribe.ts'
import { echoTopic } from './topics.ts'

/** A broker that does not give back within this time what the bridge publishes to itself never will. Milliseconds. */
const ECHO_PATIENCE_MS = 10_000

const openFolder = async ({ DATA_DIR, BRIDGE_ID }: Config): Promise<string> => {
  const folder = join(DATA_DIR, `bridge-${BRIDGE_ID}`)
  await mkdir(folder, { recursive: true, mode: 0o700 }).catch((error: unknown) => {
    throw new SetupError(
      `DATA_DIR (${DATA_DIR}) cannot be written (${nameOf(error)}): the bridge keeps there what it cannot hand over.`,
    )
  })
  return folder
}

const start = async (config: Config) => {
  const log = logger(config.LOG_LEVEL)
  const folder = await openFolder(config)
  let now: Status | undefined
  const status = await openStatus(config, () => now)
  if (status.port !== undefined) log('info', 'status', { port: status.port })
  const api = { url: config.API_URL, id: config.BRIDGE_ID, key: sealingKey(config.BRIDGE_KEY), clock: apiClock() }
  const spool = await openSpool<HandedOver>(join(folder, 'spool'))
  const arrivals = openArrivals(join(folder, 'arrivals'))
  const counters = openCounters(join(folder, 'counters'))
  const offline = await startOffline(api, folder, log)
  const link = linkToApi((state, error) => {
    log(state === 'up' ? 'info' : 'warn', `api_${state}`, error === undefined ? {} : { error })
    // Perhaps it was only one question that got lost: then it is up again before the next scan.
    if (state !== 'up') setImmediate(() => void site?.look())
  })
  const keep = keepIn(spool, api, link, log)

  const client = connectToBroker(config, config.BRIDGE_ID, config.BRIDGE_GROUP === undefined, log)
  const echoed = echoTopic(config.BRIDGE_ID)
  let brokerKnows = () => {}
  const echo = echoThrough(
    (payload) => {
      brokerKnows = arrivals.mark()
      client.publish(echoed, payload, { qos: 1 })
    },
    () => {
      log('warn', 'echo_lost', { say: 'The way through the broker hangs: connecting anew.' })
      cutOff(client)
    },
  )
  const news = newsBoard(log)
  const publish = publishOn(client)
  const deviceEvents = await openDeviceEvents({ config, api, folder, news, link, log })
  const owed = sealedFile(join(folder, 'owed'), api.key, 'owed')
  const doors = await doorsOn({
    api,
    publish,
    age: echo.age,
    file: owed,
    record: deviceEvents.openedByHomeAssistant,
    news,
    log,
  })
  const queue = queueOf()
  const bridge = bridgeOn({
    api,
    age: echo.age,
    link,
    offline,
    keep,
    arrivals,
    queue,
    own: ownProtocol(api.key, counters, log),
    doors,
    news,
    metrics: status.metrics,
    log,
    publish,
  })

  const inHand: InHand = new Map()
  const acknowledged: InHand = new Map()
  for (const { messageId, readerId, card } of arrivals.done) {
    handInto(acknowledged, messageId, whatOf(readerId, card), Promise.resolve())
  }
  for (const { messageId, decided, ...scan } of arrivals.found) {
    // Nobody knows what the door got; if the API has decided it, that stands. What a reader did itself is known.
    const reason: Reason = decided ? readersReason(decided) : 'unavailable'
    const event = { ...scan, reason, openMs: 0, answered: decided !== undefined } as const
    const safe = keep.atLast(event).then(() => arrivals.settled(scan.id))
    safe.catch((error: unknown) => log('error', 'unrecorded', { scan: scan.id, error: nameOf(error) }))
    if (messageId !== undefined) handInto(inHand, messageId, whatOf(scan.readerId, scan.card), safe)
  }
  hearFrom(
    client,
    { inHand, acknowledged },
    (message) => {
      if (message.topic !== echoed) return bridge.receive(message)
      // What was acknowledged before the echo was sent reached the broker before it.
      if (!message.retained && echo.heard(message.payload.toString())) brokerKnows()
      message.acknowledge()
    },
    log,
  )

  client.on('close', () => {
    echo.reset()
    bridge.brokerLost()
    news.tell({ is: 'broker', connected: false })
  })
  client.on('connect', () => {
    news.tell({ is: 'broker', connected: true })
    setTimeout(() => {
      if (!client.connected || Number.isFinite(echo.age())) return
      const say = `The broker does not give back what is published on ${echoed}: allow it, or every scan counts as late.`
      log('error', 'no_echo', { say })
    }, ECHO_PATIENCE_MS).unref()
  })
  const subscriptions = keepSubscribed(client, config, log, async (topics) => {
    await echo.open()
    log('info', 'listening', { topics })
    process.send?.('listening')
  })
  const athome = homeAssistant({
    config,
    wire: wireTo(config, log),
    kept: sealedFile(join(folder, 'home-assistant'), api.key, 'home-assistant'),
    doors,
    news,
    log,
  })
  const beside = aside({ config, api, link, log, folder })
  let connected = false
  const site = await followSite(api, folder, link, log, {
    site(readers, doors) {
      subscriptions.want(bridge.use(readers, doors))
      beside.readers(readers)
      news.tell({ is: 'site', readers, doors })
      if (!connected) client.connect()
      connected = true
    },
    facts(version, at) {
      offline.inForce(version, at)
      beside.facts(version)
    },
  })
  const handover = handingOver({
    spool,
    send: (events, trace) => handOver(api, events, trace),
    most: MOST_HANDED_OVER,
    link,
    failed: link.failed,
    log,
    words: SCANS,
  })
  const commands = followCommands({ api, doors, site, link, log })
  now = {
    gauges: {
      brokerConnected: () => client.connected,
      apiUp: () => link.state() === 'up',
      spool: () => ({ events: spool.waiting(), bytes: spool.bytes() }),
      snapshotAgeMs: offline.age,
      clockOffsetMs: () => api.clock.now().getTime() - Date.now(),
      queue: queue.waiting,
    },
    notReady() {
      if (!connected)
        return 'The API has not said yet which readers there are: see that API_URL is right and that it runs.'
      return client.connected ? undefined : 'The broker cannot be reached: see that it runs and that MQTT_URL is right.'
    },
  }

  return async () => {
    commands.stop()
    site.stop()
    echo.stop()
    await athome.stop()
    await beside.stop()
    await subscriptions.leave()
    await bridge.settle()
    await doors.stop()
    handover.stop()
    await deviceEvents.close()
    await leaveBroker(client, config.BRIDGE_ID)
    await status.close()
    arrivals.close()
    counters.close()
    await spool.close()
  }
}

const run = async (): Promise<void> => {
  try {
    const stop = await start(readConfig(environment()))
    let stopping = false
    const leave = () => {
      if (stopping) return
      stopping = true
      setTimeout(() => process.exit(1), 5_000).unref()
      stop().then(
        () => process.exit(0),
        () => process.exit(1),
      )
    }
    // `disconnect`: whoever started this process is gone.
    process.on('SIGINT', leave).on('SIGTERM', leave).on('disconnect', leave)
  } catch (error) {
    console.error(error instanceof SetupError ? `lintel bridge: ${error.message}` : error)
    process.exit(1)
  }
}

if (import.meta.main) await run()
