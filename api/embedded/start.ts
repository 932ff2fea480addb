import { type ChildProcess, fork } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { eq } from 'drizzle-orm'
import { base64url } from 'jose'
import { bridgeKey } from '../access/keys.ts'
import { passwordOf, usernameOf } from '../broker/accounts.ts'
import { environment } from '../contract/environment.ts'
import { bridges } from '../db/schema.ts'
import { found } from '../errors.ts'
import { introduce, run, startApi } from '../node.ts'
import { readNodeConfig } from '../node-config.ts'
import type { Platform } from '../platform.ts'
import { isLoopback, startEmbeddedBroker } from './broker.ts'
import { addDemo, DEMO_SCAN } from './demo.ts'
import { keepDoor } from './doorkeeper.ts'
import { openDataDir, writePrivate } from './secrets.ts'

// `npm start`: the API, a bridge and whatever of broker and database is embedded, talking as they would in production.

const BRIDGE = fileURLToPath(new URL('../../bridge/main.ts', import.meta.url))

const fileOf = (dataDir: string): string => join(dataDir, 'bridge.json')

/** The bridge of this installation, registered once. */
const ownBridge = async ({ db }: Platform, dataDir: string) => {
  const file = fileOf(dataDir)
  const known = existsSync(file) ? String(JSON.parse(readFileSync(file, 'utf8')).BRIDGE_ID) : undefined
  const [before] = known === undefined ? [] : await db.select().from(bridges).where(eq(bridges.id, known))
  const [fresh] = before ? [] : await db.insert(bridges).values({ name: 'This machine' }).returning()
  return found(before ?? fresh, 'bridge')
}

type Provided = { API_URL: string; MQTT_URL: string }

/** What the bridge needs is left in DATA_DIR for it and for `npm run scan`. */
const provide = async ({ config }: Platform, dataDir: string, { id, generation }: OwnBridge, where: Provided) => {
  const BRIDGE_KEY = base64url.encode(await bridgeKey(config.APP_KEY, id, generation))
  writePrivate(fileOf(dataDir), { ...where, BRIDGE_ID: id, BRIDGE_KEY })
}
type OwnBridge = Awaited<ReturnType<typeof ownBridge>>

/** At the embedded broker the bridge has its account, as any other has. */
const withAccount = async ({ config }: Platform, { id, generation }: OwnBridge, url: string): Promise<string> => {
  const at = new URL(url)
  at.username = usernameOf('bridge', id)
  at.password = await passwordOf(config.APP_KEY, 'bridge', id, generation)
  return at.href
}

/** A bridge as a process of its own, started again when it dies. `ready` resolves when it listens for scans. */
const runBridge = (platform: Platform) => {
  let child: ChildProcess
  let stopping = false
  const spawn = (): Promise<void> =>
    new Promise((ready) => {
      child = fork(BRIDGE, { stdio: 'inherit' })
      child.on('message', () => ready())
      child.on('exit', (code, signal) => {
        if (stopping) return
        platform.log('error', 'bridge_died', { code, signal, say: 'The bridge process ended; starting it again.' })
        setTimeout(() => void spawn(), 1_000)
      })
    })
  return {
    ready: spawn(),
    close: () =>
      new Promise<void>((done) => {
        stopping = true
        if (child.exitCode !== null || child.signalCode !== null) return done()
        child.once('exit', () => done())
        child.kill('SIGTERM')
      }),
  }
}

await run(async () => {
  const config = readNodeConfig(environment())
  openDataDir(config.DATA_DIR)
  const api = await startApi(config)
  const { platform } = api
  const demo = config.DATABASE_URL === undefined && api.firstAccount !== undefined
  if (demo) await addDemo(platform.db, Intl.DateTimeFormat().resolvedOptions().timeZone)
  const own = await ownBridge(platform, config.DATA_DIR)

  const doorkeeper = config.MQTT_URL === undefined ? await keepDoor(platform) : undefined
  const broker = doorkeeper && (await startEmbeddedBroker(config.MQTT_PORT, config.MQTT_HOST, doorkeeper))
  const MQTT_URL = broker ? await withAccount(platform, own, broker.url) : String(config.MQTT_URL)
  if (broker && broker.port !== config.MQTT_PORT) {
    console.log(`Port ${config.MQTT_PORT} is taken: the broker listens on ${broker.port} instead.`)
  }

  await provide(platform, config.DATA_DIR, own, { API_URL: api.url, MQTT_URL })
  const bridge = runBridge(platform)
  const waiting = setTimeout(() => console.log('Still waiting for the bridge to reach the broker …'), 10_000)
  await bridge.ready
  clearTimeout(waiting)

  console.log(`\nLintel is ready.\n\n  address    ${api.url}   (the API is described at ${api.url}/docs)`)
  console.log(`  broker     ${new URL(MQTT_URL).host}`)
  introduce(api.firstAccount)
  if (demo && broker && isLoopback(config.MQTT_HOST)) {
    const { reader, card } = DEMO_SCAN
    console.log(`\nA small demo site is there. Try a scan, and listen at the door:

  npm run scan -- "${reader.name}" ${card}
  mosquitto_sub -p ${broker.port} -t ${reader.replyTopic} & mosquitto_pub -p ${broker.port} -t ${reader.topic} -m ${card}

To take the demo site away again: stop Lintel, then npm run demo:remove`)
  }
  console.log('')

  return {
    async close() {
      await bridge.close()
      await broker?.close()
      doorkeeper?.close()
      await api.close()
    },
  }
})
