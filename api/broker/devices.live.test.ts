import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connectAsync, type IClientOptions, type MqttClient } from 'mqtt'
import { beforeAll, describe, expect, test, vi } from 'vitest'
import { readConfig } from '../config.ts'
import { connect } from '../db/connect.ts'
import { bridges, readers } from '../db/schema.ts'
import { startEmbeddedBroker } from '../embedded/broker.ts'
import { type Doorkeeper, keepDoor } from '../embedded/doorkeeper.ts'
import { type Db, database } from '../platform.ts'
import { freshDatabase } from '../testing/database.ts'
import { addDevices, DEVICES, OF_NOBODY, TOPICS } from '../testing/devices.ts'
import { whenFileEnds } from '../testing/endings.ts'
import { freePort } from '../testing/free-port.ts'
import { passwordOf, usernameOf } from './accounts.ts'

/*
 * Each device's account against every topic of the site, both ways, at a broker that speaks MQTT: the embedded one, and where
 * TEST_MQTT_URL is set a Mosquitto that is started here with the files of `npm run broker:acl`.
 */

const APP_KEY = Buffer.from(Array.from({ length: 32 }, (_, i) => (i * 29 + 3) % 256))
const ON_MOSQUITTO = process.env['TEST_MQTT_URL'] !== undefined
const NAMES = Object.keys(DEVICES)

let db: Db
let env: Record<string, string>
let folder: string
let url: string
let devices: Awaited<ReturnType<typeof addDevices>>
let bridgeId: string
let mosquitto: ChildProcess | undefined
let doorkeeper: Doorkeeper
const clients: MqttClient[] = []

const command = (...args: string[]) =>
  new Promise<{ code: number; out: string }>((resolve) => {
    execFile(process.execPath, ['api/broker/acl-main.ts', ...args], { env }, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, out: `${stdout}${stderr}`.trim() }),
    )
  })

const startMosquitto = async (): Promise<string> => {
  const port = await freePort()
  const conf = join(folder, 'mosquitto.conf')
  const files = `password_file ${folder}/files/passwords\nacl_file ${folder}/files/acl\n`
  const user = process.getuid?.() === 0 ? 'user root\n' : ''
  await writeFile(conf, `listener ${port} 127.0.0.1\nallow_anonymous false\nset_tcp_nodelay true\n${files}${user}`)
  const said: string[] = []
  mosquitto = spawn('mosquitto', ['-c', conf, '-v'], { stdio: ['ignore', 'pipe', 'pipe'] })
  const failed = new Promise<never>((_, fail) => mosquitto?.once('error', fail))
  for (const stream of [mosquitto.stdout, mosquitto.stderr])
    stream?.on('data', (text: Buffer) => said.push(String(text)))
  const running = vi.waitFor(() => expect(said.join('')).toMatch(/mosquitto version \S+ running/), { timeout: 20_000 })
  await Promise.race([running, failed])
  return `mqtt://127.0.0.1:${port}`
}

const passwordFor = (kind: 'reader' | 'door' | 'bridge', id: string) => passwordOf(APP_KEY, kind, id, 1)

/** Connected as this account, or refused. */
const come = async (options: IClientOptions = {}, at = url): Promise<MqttClient> => {
  const client = await connectAsync(at, { protocolVersion: 4, reconnectPeriod: 0, connectTimeout: 10_000, ...options })
  clients.push(client)
  client.on('error', () => {})
  return client
}

const accountOf = async (name: string): Promise<IClientOptions> => {
  const { kind, id } = devices.get(name) ?? { kind: 'reader' as const, id: '' }
  return { username: usernameOf(kind, id), password: await passwordFor(kind, id) }
}
const bridgeAccount = async (): Promise<IClientOptions> => ({
  username: usernameOf('bridge', bridgeId),
  password: await passwordFor('bridge', bridgeId),
})

/** Whatever is heard from now on: topics, and who said it (the payload). */
const heardBy = (client: MqttClient) => {
  const heard: { topic: string; said: string }[] = []
  client.on('message', (topic, payload) => heard.push({ topic, said: String(payload) }))
  return heard
}

/** Asks to hear everything there is, in every way that it can be asked; what is refused is. */
const listenTo = (client: MqttClient, filters: readonly string[]) =>
  Promise.all(filters.map((filter) => client.subscribeAsync(filter, { qos: 1 }).catch(() => undefined)))

/** Says who it is on each of these topics; some brokers hang up on it for that, and then it comes back. */
const sayOn = async (client: MqttClient, topics: readonly string[], said: string) => {
  for (const topic of topics) await client.publishAsync(topic, said, { qos: 1 }).catch(() => undefined)
}

const GREEDY = ['#', '/#', '+/#', '+', '+/+', '/+/#', '+/+/+', '+/+/+/+', '+/+/+/+/+', '$SYS/#', '$SYS/+/+']

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lintel-broker-'))
  await chmod(folder, 0o755)
  const fresh = await freshDatabase()
  const sql = connect({ url: fresh.url }, 'command')
  whenFileEnds(async () => {
    await Promise.all(clients.map((client) => client.endAsync(true)))
    if (mosquitto && mosquitto.exitCode === null) {
      mosquitto.kill('SIGKILL')
      await once(mosquitto, 'exit')
    }
    await sql.end()
    await fresh.close()
    await rm(folder, { recursive: true, force: true })
  })
  db = database(sql)
  env = { PATH: String(process.env['PATH']), DATABASE_URL: fresh.url, APP_KEY: APP_KEY.toString('base64') }
  devices = await addDevices(db)
  const [bridge] = await db.insert(bridges).values({ name: 'Bridge' }).returning()
  bridgeId = String(bridge?.id)
  expect(await command('--out', join(folder, 'files'))).toMatchObject({ code: 0 })

  if (ON_MOSQUITTO) {
    url = await startMosquitto()
    return
  }
  const config = readConfig({ APP_KEY: env['APP_KEY'] }, { production: false })
  doorkeeper = await keepDoor({ config, db, now: () => new Date(), log: () => {} })
  const broker = await startEmbeddedBroker(await freePort(), '0.0.0.0', doorkeeper)
  url = broker.url
  whenFileEnds(async () => {
    doorkeeper.close()
    await broker.close()
  })
})

describe('npm run broker:acl', () => {
  test('writes files for their owner alone, says what it left out, and no password', async () => {
    const { code, out } = await command('--out', join(folder, 'more'))
    expect({ code, out }).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^Wrote passwords and acl of 17 accounts/),
    })
    for (const name of ['passwords', 'acl', 'lintel.conf']) {
      expect((await stat(join(folder, 'more', name))).mode & 0o777).toBe(0o600)
    }
    const text = await readFile(join(folder, 'more', 'passwords'), 'utf8')
    expect(text.trim().split('\n')).toHaveLength(17)
    for (const line of text.trim().split('\n')) {
      expect(line).toMatch(/^(reader|door|bridge)-[0-9a-f]{12}:\$7\$101\$[\w+/]{16}\$[\w+/]{86}==$/)
    }
    const account = await accountOf('plain')
    expect(out + text).not.toContain(account.password)
    expect(out).toContain('may not publish old: A door or a reader is told something there')
  })

  test('leaves what somebody changed in the example alone, adds what is there to be added, and touches nothing that stays as it is', async () => {
    const conf = join(folder, 'more', 'lintel.conf')
    await writeFile(conf, '# mine\n')
    const ofHome = { acl: 'user home-assistant\ntopic read lintel/door/#\n', passwords: 'home-assistant:$7$101$x$y\n' }
    for (const [name, text] of Object.entries(ofHome)) await writeFile(join(folder, 'more', `${name}.more`), text)
    await command('--out', join(folder, 'more'))
    expect(await readFile(conf, 'utf8')).toBe('# mine\n')
    for (const [name, text] of Object.entries(ofHome)) {
      expect((await readFile(join(folder, 'more', name), 'utf8')).endsWith(`\n${text}`)).toBe(true)
    }
    const written = async () => Promise.all(['acl', 'passwords'].map((name) => stat(join(folder, 'more', name))))
    const [acl, passwords] = await written()
    await command('--out', join(folder, 'more'))
    expect((await written()).map(({ ino, mtimeMs }) => ({ ino, mtimeMs }))).toEqual(
      [acl, passwords].map((file) => ({ ino: file?.ino, mtimeMs: file?.mtimeMs })),
    )
  }, 60_000)

  test('keeps what was there when it fails, and says why', async () => {
    const before = await readFile(join(folder, 'more', 'passwords'), 'utf8')
    const failed = await new Promise<number>((resolve) =>
      execFile(process.execPath, ['api/broker/acl-main.ts', '--out', join(folder, 'more')], {
        env: { ...env, APP_KEY: '' },
      }).once('exit', (code) => resolve(Number(code))),
    )
    expect(failed).toBe(1)
    expect(await readFile(join(folder, 'more', 'passwords'), 'utf8')).toBe(before)
    expect(await command('--nonsense')).toEqual({ code: 1, out: expect.stringMatching(/^Not understood\./) })
    expect(await command('--out', join(folder, 'more', 'lintel.conf', 'x'))).toEqual({
      code: 1,
      out: expect.stringMatching(/could not be written/),
    })
  }, 60_000)
})

describe('who comes', () => {
  test.each([
    ['nobody', async () => ({})],
    ['a name without a password', async () => ({ username: (await accountOf('plain')).username })],
    ['a wrong password', async () => ({ ...(await accountOf('plain')), password: 'A'.repeat(24) })],
    [
      'a longer password',
      async () => ({ ...(await accountOf('plain')), password: `${(await accountOf('plain')).password}A` }),
    ],
    [
      'another one’s password',
      async () => ({ ...(await accountOf('plain')), password: (await accountOf('tasmota')).password }),
    ],
    ['a name that there is not', async () => ({ ...(await accountOf('plain')), username: 'reader-000000000000' })],
    ['an empty name', async () => ({ username: '', password: '' })],
  ] as [string, () => Promise<IClientOptions>][])('as %s does not get in', async (_, options) => {
    await expect(come(await options())).rejects.toThrow()
  })

  test('as a device, under any client id of its own, gets in', async () => {
    for (const clientId of ['ESPClient_1', 'DVES_123456']) {
      const client = await come({ ...(await accountOf('espeasy')), clientId })
      await client.endAsync()
    }
  })
})

test('each device tries every topic, both ways: what is its own works, and nothing else', {
  timeout: 120_000,
}, async () => {
  const bridge = await come({ ...(await bridgeAccount()), clientId: `lintel-${bridgeId}` })
  const byBridge = heardBy(bridge)
  await bridge.subscribeAsync('#', { qos: 1 })
  const all = await Promise.all(
    NAMES.map(async (name) => {
      const client = await come(await accountOf(name))
      const heard = heardBy(client)
      await listenTo(client, [...GREEDY, ...TOPICS])
      return { name, client, heard }
    }),
  )

  await Promise.all(all.map(({ name, client }) => sayOn(client, TOPICS, name)))
  for (const { client } of all) expect(client.connected).toBe(true)
  const wanted = NAMES.flatMap((name) => DEVICES[name]?.publish.map((topic) => `${name} → ${topic}`) ?? [])
  const arrived = () => [...new Set(byBridge.map(({ topic, said }) => `${said} → ${topic}`))].sort()
  await vi.waitFor(() => expect(arrived()).toEqual([...wanted].sort()), { timeout: 20_000 })

  await sayOn(bridge, TOPICS, 'bridge')
  // The last that the bridge may say: when it has heard that itself, all before it is on its way.
  await sayOn(bridge, [`lintel/bridge/${bridgeId}/echo`], 'end')
  await vi.waitFor(() => expect(byBridge.some(({ said }) => said === 'end')).toBe(true), { timeout: 20_000 })
  const seen = () =>
    Object.fromEntries(all.map(({ name, heard }) => [name, [...new Set(heard.map(({ topic }) => topic))].sort()]))
  const allowed = Object.fromEntries(NAMES.map((name) => [name, [...(DEVICES[name]?.hear ?? [])].sort()]))
  await vi.waitFor(
    () => {
      // What only devices say of themselves, and what the bridge tells them.
      for (const name of NAMES) {
        const told = allowed[name]?.filter((topic) => !DEVICES[name]?.publish.includes(topic) && isTold(topic)) ?? []
        expect({ name, heard: seen()[name] }).toMatchObject({ heard: expect.arrayContaining(told) })
      }
    },
    { timeout: 20_000 },
  )
  for (const name of NAMES) {
    expect({ name, more: seen()[name]?.filter((topic) => !allowed[name]?.includes(topic)) }).toEqual({ name, more: [] })
  }
  const ofBridge = byBridge.filter(({ said }) => said === 'bridge').map(({ topic }) => topic)
  expect(ofBridge).toEqual(expect.arrayContaining(TOPICS.filter(isTold)))
  expect(ofBridge.filter((topic) => topic.startsWith('$') || topic.endsWith('/status'))).toEqual([])
})

/** What a profile is told: the only topics by which a door opens. */
const isTold = (topic: string): boolean =>
  /^(\/dilny\/open|pushopen|lintel\/reader\/front\/answer|\/sklad\/cmd|cmnd\/door\d\/(PulseTime1|POWER\d|Buzzer)|esp\/lock\/front\/command|zigbee2mqtt\/keypad\/set|old|rfid\/cmd|access_device\/v2\/event\/\w+\/access(_online)?_reply|shellies\/[\w-]+\/relay\/0\/command|shellyplus1-a803\/(rpc|command\/switch:0)|gate\/open)$/.test(
    topic,
  )

test('what the broker keeps is no way around it: nothing of others is heard by whoever comes later', async () => {
  const status = 'tele/door1/LWT'
  const kept = await come(await accountOf('tasmota'))
  await kept.publishAsync(status, 'Online', { qos: 1, retain: true })
  await kept.endAsync()
  const late = await come(await accountOf('another tasmota'))
  const heard = heardBy(late)
  await listenTo(late, [...GREEDY, ...TOPICS, status])
  // Its own come through.
  const bridge = await come(await bridgeAccount())
  await bridge.publishAsync('cmnd/door2/POWER1', 'OFF', { qos: 1 })
  await vi.waitFor(() => expect(heard.map(({ topic }) => topic)).toContain('cmnd/door2/POWER1'), { timeout: 20_000 })
  expect(heard.filter(({ topic }) => !topic.startsWith('cmnd/door2/'))).toEqual([])
})

test('a will goes by the same rules: that of a device opens no door, and says that the device is gone', async () => {
  const bridge = await come(await bridgeAccount())
  const heard = heardBy(bridge)
  await bridge.subscribeAsync(['cmnd/#', 'gate/#', 'tele/#'], { qos: 1 })
  const dies = async (topic: string) => {
    const will = { topic, payload: Buffer.from('will'), qos: 1 as const, retain: false }
    const client = await come({ ...(await accountOf('tasmota')), will })
    client.stream.destroy()
  }
  for (const topic of ['cmnd/door1/POWER1', 'cmnd/door2/POWER1', 'gate/open', 'tele/door2/LWT']) await dies(topic)
  await dies('tele/door1/LWT')
  await vi.waitFor(() => expect(heard).toContainEqual({ topic: 'tele/door1/LWT', said: 'will' }), { timeout: 20_000 })
  expect(heard.filter(({ said }) => said === 'will').map(({ topic }) => topic)).toEqual(['tele/door1/LWT'])
})

test('a bridge says what bridges say, and nothing for another one', async () => {
  const listener = await come(await bridgeAccount())
  const heard = heardBy(listener)
  await listener.subscribeAsync('lintel/#', { qos: 1 })
  const own = [`lintel/bridge/${bridgeId}/status`, 'lintel/door/front/state']
  await sayOn(listener, [...OF_NOBODY.filter((topic) => topic.startsWith('lintel/bridge')), ...own], 'me')
  await vi.waitFor(() => expect(heard.map(({ topic }) => topic)).toEqual(own), { timeout: 20_000 })
})

describe.skipIf(ON_MOSQUITTO)('the embedded broker', () => {
  const isClosed = (client: MqttClient) => vi.waitFor(() => expect(client.connected).toBe(false), { timeout: 20_000 })

  test('keeps a bridge’s client id for that bridge, and one that is connected for whoever came with it', async () => {
    await expect(come({ ...(await accountOf('plain')), clientId: `lintel-${bridgeId}` })).rejects.toThrow()
    const mine = await come({ ...(await accountOf('plain')), clientId: 'mine' })
    await expect(come({ ...(await accountOf('tasmota')), clientId: 'mine' })).rejects.toThrow()
    expect(mine.connected).toBe(true)
    const again = await come({ ...(await accountOf('plain')), clientId: 'mine' })
    await isClosed(mine)
    expect(again.connected).toBe(true)
  })

  test('takes nothing to be kept where a door is told to open, and hangs up on a message that is too long', async () => {
    const bridge = await come(await bridgeAccount())
    const heard = heardBy(bridge)
    await bridge.subscribeAsync(['gate/#', 'lintel/bridge/#'], { qos: 1 })
    await bridge.publishAsync('gate/open', 'kept', { qos: 1, retain: true })
    await bridge.publishAsync('gate/open', 'now', { qos: 1 })
    await vi.waitFor(() => expect(heard.map(({ said }) => said)).toEqual(['now']), { timeout: 20_000 })

    const long = await come(await bridgeAccount())
    long.publish(`lintel/bridge/${bridgeId}/x`, 'x'.repeat(256 * 1024))
    await isClosed(long)
    const fits = 'x'.repeat(200 * 1024)
    await bridge.publishAsync(`lintel/bridge/${bridgeId}/x`, fits, { qos: 1 })
    await vi.waitFor(() => expect(heard.at(-1)?.said.length).toBe(fits.length), { timeout: 20_000 })
    expect(heard).toHaveLength(2)
  })

  test('lets in whoever comes where it listens to this machine alone, and holds accounts to their rules there too', async () => {
    const local = await startEmbeddedBroker(await freePort(), '127.0.0.1', doorkeeper)
    whenFileEnds(local.close)
    const anybody = await come({}, local.url)
    const heard = heardBy(anybody)
    await listenTo(anybody, ['#', '$SYS/#'])
    const device = await come(await accountOf('plain'), local.url)
    await sayOn(device, ['gate/open', '/dilny/rfid/Tag'], 'device')
    await vi.waitFor(() => expect(heard).toEqual([{ topic: '/dilny/rfid/Tag', said: 'device' }]), { timeout: 20_000 })
    await anybody.publishAsync('gate/open', 'kept', { qos: 1, retain: true })
    await anybody.publishAsync('gate/open', 'now', { qos: 1 })
    await vi.waitFor(() => expect(heard.at(-1)).toEqual({ topic: 'gate/open', said: 'now' }), { timeout: 20_000 })
    expect(heard).toHaveLength(2)
    await expect(come({ ...(await accountOf('plain')), password: 'A'.repeat(24) }, local.url)).rejects.toThrow()
  })

  test('hangs up on a device whose password is another one from now on', async () => {
    const [reader] = await db
      .insert(readers)
      .values({
        name: 'New',
        profile: 'plain',
        topic: 'new/scan',
        cardView: 'hex',
        timezone: 'UTC',
        openMs: 0,
      })
      .returning()
    const id = String(reader?.id)
    const username = usernameOf('reader', id)
    const first = await passwordFor('reader', id)
    const client = await vi.waitFor(() => come({ username, password: first }), { timeout: 20_000, interval: 300 })
    await db.update(readers).set({ brokerGeneration: 2 })
    await isClosed(client)
    await expect(come({ username, password: first })).rejects.toThrow()
    const next = await come({ username, password: await passwordOf(APP_KEY, 'reader', id, 2) })
    expect(next.connected).toBe(true)
  })
})
